"""An order that an earlier process left open: what the journal holds of it, as events that `apply` replays."""

from collections.abc import Callable, Mapping
from decimal import Decimal

from sellctl.core.model.intent import OpenOrder, Outcome
from sellctl.core.orders.managed_order import ManagedOrder
from sellctl.core.orders.order_events import (
    Accepted,
    Adopted,
    IntentRecorded,
    OrderEvent,
    OutcomeUnknown,
    PartiallyFilled,
    Restarted,
)
from sellctl.core.orders.transitions import apply

# Instants of the earlier process's clock mean nothing to this one. So "not found" answers and cancel requests, which
# only instants make count, are not replayed: the broker is asked again.
_NO_INSTANT = 0.0
_EVENTS: Mapping[str, Callable[[Mapping[str, object]], OrderEvent]] = {
    "accepted": lambda detail: Accepted(str(detail["order_id"])),
    "adopted": lambda _detail: Adopted("", _NO_INSTANT),
    "unknown": lambda _detail: OutcomeUnknown(),
    "duplicate": lambda _detail: OutcomeUnknown(),
    "fill": lambda detail: PartiallyFilled(Decimal(str(detail["filled_qty"]))),
}


def restored(recorded: OpenOrder) -> ManagedOrder:
    """The order as the journal leaves it: of unknown outcome, with the fills that were written down."""
    order = ManagedOrder.of_intent(recorded.intent)
    for event in (IntentRecorded(), *_events(recorded.outcomes), Restarted()):
        order, _ = apply(order, event)
    return order


def _events(outcomes: tuple[Outcome, ...]) -> tuple[OrderEvent, ...]:
    """Kinds that say nothing of the order's state, such as a failed look-up, are passed over."""
    return tuple(_EVENTS[outcome.kind](outcome.detail) for outcome in outcomes if outcome.kind in _EVENTS)
