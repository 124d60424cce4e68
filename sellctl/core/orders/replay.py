"""Restores an order that an earlier process left open, by applying its journal entries as events."""

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

# Times of the earlier process's monotonic clock are meaningless here. So "not found" answers and cancel requests, which
# depend on times, are not replayed: the broker is asked again.
_NO_INSTANT = 0.0
_EVENTS: Mapping[str, Callable[[Mapping[str, object]], OrderEvent]] = {
    "accepted": lambda detail: Accepted(str(detail["order_id"])),
    "adopted": lambda _detail: Adopted("", _NO_INSTANT),
    "unknown": lambda _detail: OutcomeUnknown(),
    "duplicate": lambda _detail: OutcomeUnknown(),
    "fill": lambda detail: PartiallyFilled(Decimal(str(detail["filled_qty"]))),
}


def restored(recorded: OpenOrder) -> ManagedOrder:
    """The order as recorded in the journal: of unknown outcome, with its recorded fills."""
    order = ManagedOrder.of_intent(recorded.intent)
    for event in (IntentRecorded(), *_events(recorded.outcomes), Restarted()):
        order, _ = apply(order, event)
    return order


def _events(outcomes: tuple[Outcome, ...]) -> tuple[OrderEvent, ...]:
    """The events of journal entries; entries without a state, such as failed look-ups, are skipped."""
    return tuple(_EVENTS[outcome.kind](outcome.detail) for outcome in outcomes if outcome.kind in _EVENTS)
