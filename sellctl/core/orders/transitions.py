"""How an order of ours changes: `apply` is pure and total, and TABLE has an entry for every event in every state.

Combinations that should not occur have entries too: harmless ones are ignored, and those that mean that the broker and
sellctl disagree alert the user.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from sellctl.core.orders.managed_order import CancelRequest, ManagedOrder, ManagedState
from sellctl.core.orders.order_events import (
    Accepted,
    Adopted,
    Alert,
    Cancel,
    CancelRefused,
    CancelRequested,
    Effect,
    Ended,
    IntentRecorded,
    LookUp,
    NotFound,
    OrderEvent,
    OutcomeUnknown,
    PartiallyFilled,
    Refused,
    Repeat,
    Restarted,
    Withdraw,
)

# An order is sent again after this many "not found" answers, this far apart, and only while it is recent (I3).
NOT_FOUND_APART_SECONDS = 5.0
NOT_FOUND_NEEDED = 2
REPEAT_WITHIN_SECONDS = 60.0
# How long an accepted order may be missing from look-ups by its id. An order is given up only this long after the first
# "not found".
HIDDEN_SECONDS = 10.0
CANCEL_AGAIN_SECONDS = 10.0
CANCEL_ALERT_SECONDS = 30.0

Result = tuple[ManagedOrder, tuple[Effect, ...]]
Transition = Callable[[ManagedOrder, Any], Result]


def apply(order: ManagedOrder, event: OrderEvent) -> Result:
    """The order after an event, and the effects to carry out."""
    return TABLE[type(event)][order.state](order, event)


def is_another_not_found(order: ManagedOrder, at: float) -> bool:
    """Whether a "not found" answer at `at` counts: it is the first, or came long enough after the last one (I3)."""
    return not order.not_found_at or at - order.not_found_at[-1] >= NOT_FOUND_APART_SECONDS


def ask_to_cancel(request: CancelRequest | None, at: float) -> tuple[CancelRequest, tuple[Effect, ...]]:
    """The updated cancel request of an order, and what to do now.

    While the order hasn't ended, the cancel is repeated every CANCEL_AGAIN_SECONDS, and the user is alerted once after
    CANCEL_ALERT_SECONDS.
    """
    if request is None:
        return CancelRequest(at, at), (Cancel(),)
    effects: tuple[Effect, ...] = ()
    if at - request.first_at >= CANCEL_ALERT_SECONDS and not request.alerted:
        request = replace(request, alerted=True)
        effects += (Alert("a cancel has been pending for 30 s; check the order at the broker"),)
    if at - request.last_at >= CANCEL_AGAIN_SECONDS:
        request = replace(request, last_at=at)
        effects += (Cancel(),)
    return request, effects


# --- transitions ------------------------------------------------------------------------------------------------------


def _stays(order: ManagedOrder, _event: OrderEvent) -> Result:
    return order, ()


def _alerts(order: ManagedOrder, event: OrderEvent) -> Result:
    return order, (_contradiction(order, event),)


def _contradiction(order: ManagedOrder, event: OrderEvent) -> Alert:
    name, state = type(event).__name__, order.state.value
    sentence = f"order {order.client_order_id} is {state} in sellctl, but the event {name} arrived"
    return Alert(f"{sentence}; check it at the broker")


def _is_at_the_broker(order: ManagedOrder, event: Accepted) -> Result:
    return replace(_shown(order), order_id=event.order_id), ()


def _shown(order: ManagedOrder) -> ManagedOrder:
    """The order after the broker has shown it. A pending cancel stays pending."""
    state = ManagedState.WORKING if order.is_unknown else order.state
    return replace(order, state=state, unseen=False, not_found_at=())


def _is_refused(order: ManagedOrder, _event: Refused) -> Result:
    """A refused order doesn't count as a step of the exit."""
    return replace(order, state=ManagedState.REJECTED, unseen=False, step=max(order.step - 1, 0)), ()


def _becomes_unknown(order: ManagedOrder, event: OutcomeUnknown) -> Result:
    return replace(order, state=ManagedState.UNKNOWN, was_refused=event.is_refusal), (LookUp(),)


def _is_looked_up(order: ManagedOrder, _event: OutcomeUnknown) -> Result:
    """The answer was lost, but the broker has shown the order since."""
    return order, (LookUp(),)


def _is_not_found(order: ManagedOrder, event: NotFound) -> Result:
    """After enough definite answers the order is sent again or given up (I3).

    It is sent again if it is recent, its purpose allows it, this process has its body, the answer to it was no refusal,
    the position still has its quantity and no halt is set. Otherwise it is given up once it has been missing for
    HIDDEN_SECONDS; one that was refused is withdrawn then, so that its refusal counts as any other.
    """
    if is_another_not_found(order, event.at):
        order = replace(order, not_found_at=(*order.not_found_at, event.at))
    if len(order.not_found_at) < NOT_FOUND_NEEDED:
        return order, ()
    is_recent = event.at - order.sent_at < REPEAT_WITHIN_SECONDS
    may_repeat = order.request and order.handling.repeats and not order.was_refused
    if may_repeat and is_recent and event.is_held and not event.halted:
        return replace(order, not_found_at=()), (Repeat(),)
    if event.at - order.not_found_at[0] >= HIDDEN_SECONDS:
        if order.was_refused:
            return order, (Withdraw(),)
        return replace(order, state=ManagedState.ABSENT, unseen=False), ()
    return order, ()


def _fills(order: ManagedOrder, event: PartiallyFilled) -> Result:
    return replace(_shown(order), filled=max(order.filled, event.filled)), ()


def _filled_late(order: ManagedOrder, event: PartiallyFilled | Ended) -> Result:
    """An event arrived after the order had ended: only the filled quantity can be new (I8)."""
    return replace(order, filled=max(order.filled, event.filled)), ()


def _filled_after_all(order: ManagedOrder, event: PartiallyFilled | Ended) -> Result:
    """An order that the broker had reported as not found has filled or ended."""
    return replace(order, filled=max(order.filled, event.filled)), (_contradiction(order, event),)


def _ends(order: ManagedOrder, event: Ended) -> Result:
    filled = max(order.filled, event.filled)
    return replace(_shown(order), state=event.state, filled=filled, ended_at=event.at), ()


def _cancels(order: ManagedOrder, event: CancelRequested) -> Result:
    request, effects = ask_to_cancel(order.cancel, event.at)
    return replace(order, state=ManagedState.PENDING_CANCEL, order_id=event.order_id, cancel=request), effects


def _returns_to_working(order: ManagedOrder, _event: CancelRefused) -> Result:
    """The cancel request is kept, so that the cancel is not repeated at once."""
    return replace(order, state=ManagedState.WORKING), ()


def _is_adopted(order: ManagedOrder, event: Adopted) -> Result:
    return replace(_shown(order), order_id=event.order_id or order.order_id, sent_at=event.sent_at), ()


def _is_restored(order: ManagedOrder, _event: Restarted) -> Result:
    """Times on another process's monotonic clock are meaningless here and are dropped; the filled quantity is kept."""
    return replace(order, state=ManagedState.UNKNOWN, unseen=True, not_found_at=(), cancel=None), (LookUp(),)


_STATES = tuple(ManagedState)
# One column per state, in the order of ManagedState.
_ROWS: Mapping[type[Any], tuple[Transition, ...]] = {
    #                 INTENDED           UNKNOWN            WORKING            PENDING_CANCEL
    #                 FILLED             CANCELED           EXPIRED            REJECTED           ABSENT
    IntentRecorded:  (_stays,            _alerts,           _alerts,           _alerts,
                      _alerts,           _alerts,           _alerts,           _alerts,           _alerts),
    Accepted:        (_is_at_the_broker, _is_at_the_broker, _is_at_the_broker, _is_at_the_broker,
                      _stays,            _stays,            _stays,            _stays,            _alerts),
    Refused:         (_is_refused,       _is_refused,       _stays,            _stays,
                      _stays,            _stays,            _stays,            _stays,            _stays),
    OutcomeUnknown:  (_becomes_unknown,  _becomes_unknown,  _is_looked_up,     _is_looked_up,
                      _stays,            _stays,            _stays,            _stays,            _stays),
    NotFound:        (_is_not_found,     _is_not_found,     _stays,            _stays,
                      _stays,            _stays,            _stays,            _stays,            _stays),
    PartiallyFilled: (_fills,            _fills,            _fills,            _fills,
                      _filled_late,      _filled_late,      _filled_late,      _filled_late,      _filled_after_all),
    CancelRequested: (_cancels,          _cancels,          _cancels,          _cancels,
                      _stays,            _stays,            _stays,            _stays,            _stays),
    CancelRefused:   (_stays,            _stays,            _stays,            _returns_to_working,
                      _stays,            _stays,            _stays,            _stays,            _stays),
    Ended:           (_ends,             _ends,             _ends,             _ends,
                      _filled_late,      _filled_late,      _filled_late,      _filled_late,      _filled_after_all),
    Adopted:         (_is_adopted,       _is_adopted,       _stays,            _stays,
                      _stays,            _stays,            _stays,            _stays,            _alerts),
    Restarted:       (_is_restored,      _is_restored,      _is_restored,      _is_restored,
                      _stays,            _stays,            _stays,            _stays,            _stays),
}  # fmt: skip
TABLE: Mapping[type[Any], Mapping[ManagedState, Transition]] = {
    event: dict(zip(_STATES, row, strict=True)) for event, row in _ROWS.items()
}
