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
    MarkRejected,
    NotFound,
    OrderEvent,
    OutcomeUnknown,
    PartiallyFilled,
    Refused,
    Repeat,
    Restarted,
)

# An order is sent again after this many "not found" answers, at least this far apart, and only while it is recent (I3).
NOT_FOUND_MIN_INTERVAL_SECONDS = 5.0
NOT_FOUND_NEEDED = 2
REPEAT_WITHIN_SECONDS = 60.0
# An accepted order can be missing from look-ups for this long, so an order is given up no sooner than this after the
# first "not found".
LOOKUP_LAG_SECONDS = 10.0
CANCEL_RETRY_SECONDS = 10.0
CANCEL_ALERT_SECONDS = 30.0

Result = tuple[ManagedOrder, tuple[Effect, ...]]
Transition = Callable[[ManagedOrder, Any], Result]


def apply(order: ManagedOrder, event: OrderEvent) -> Result:
    """The order after an event, and the effects to carry out."""
    return TABLE[type(event)][order.state](order, event)


def counts_as_not_found(order: ManagedOrder, at: float) -> bool:
    """Whether a "not found" answer at `at` counts: it is the first, or came long enough after the last one (I3)."""
    return not order.not_found_at or at - order.not_found_at[-1] >= NOT_FOUND_MIN_INTERVAL_SECONDS


def ask_to_cancel(request: CancelRequest | None, at: float) -> tuple[CancelRequest, tuple[Effect, ...]]:
    """The updated cancel request of an order, and what to do now.

    While the order hasn't ended, the cancel is repeated every CANCEL_RETRY_SECONDS, and the user is alerted once after
    CANCEL_ALERT_SECONDS.
    """
    if request is None:
        return CancelRequest(at, at), (Cancel(),)
    effects: tuple[Effect, ...] = ()
    if at - request.first_at >= CANCEL_ALERT_SECONDS and not request.alerted:
        request = replace(request, alerted=True)
        effects += (Alert("a cancel has been pending for 30 s; check the order at the broker"),)
    if at - request.last_at >= CANCEL_RETRY_SECONDS:
        request = replace(request, last_at=at)
        effects += (Cancel(),)
    return request, effects


# --- transitions ------------------------------------------------------------------------------------------------------

# What the event of a contradiction means, for the user.
_CONTRADICTS: Mapping[type[Any], str] = {
    IntentRecorded: "it is about to be sent again",
    Accepted: "the broker has it",
    PartiallyFilled: "the broker shows that it has filled",
    Ended: "the broker shows that it has ended",
    Adopted: "the broker has it",
}


def _ignore(order: ManagedOrder, _event: OrderEvent) -> Result:
    return order, ()


def _alert(order: ManagedOrder, event: OrderEvent) -> Result:
    return order, (_contradiction(order, event),)


def _contradiction(order: ManagedOrder, event: OrderEvent) -> Alert:
    state = "not found" if order.state is ManagedState.ABSENT else order.state.value
    contradiction = f"sellctl has order {order.client_order_id} as {state}, but {_CONTRADICTS[type(event)]}"
    return Alert(f"{contradiction}; check it at the broker")


def _on_accepted(order: ManagedOrder, event: Accepted) -> Result:
    return replace(_seen_at_broker(order), order_id=event.order_id), ()


def _seen_at_broker(order: ManagedOrder) -> ManagedOrder:
    """The order after the broker has shown it. A pending cancel stays pending."""
    state = ManagedState.WORKING if order.is_unknown else order.state
    return replace(order, state=state, unseen=False, not_found_at=())


def _on_refused(order: ManagedOrder, _event: Refused) -> Result:
    """A refused order doesn't count as a step of the exit."""
    return replace(order, state=ManagedState.REJECTED, unseen=False, step=max(order.step - 1, 0)), ()


def _on_outcome_unknown(order: ManagedOrder, event: OutcomeUnknown) -> Result:
    return replace(order, state=ManagedState.UNKNOWN, was_refused=event.is_refusal), (LookUp(),)


def _on_unknown_while_live(order: ManagedOrder, _event: OutcomeUnknown) -> Result:
    """The answer was lost, but the broker has shown the order since."""
    return order, (LookUp(),)


def _on_not_found(order: ManagedOrder, event: NotFound) -> Result:
    """After enough definite answers the order is sent again or given up (I3).

    It is sent again if it is recent, its purpose allows it, this process has its request payload, the answer to it was
    no refusal, the position still has its quantity and no halt is set. Otherwise it is given up once it has been
    missing for LOOKUP_LAG_SECONDS; one that the broker's answer refused is then recorded as rejected.
    """
    if counts_as_not_found(order, event.at):
        order = replace(order, not_found_at=(*order.not_found_at, event.at))
    if len(order.not_found_at) < NOT_FOUND_NEEDED:
        return order, ()
    is_recent = event.at - order.sent_at < REPEAT_WITHIN_SECONDS
    may_repeat = order.request and order.handling.repeats and not order.was_refused
    if may_repeat and is_recent and event.has_free_qty and not event.halted:
        return replace(order, not_found_at=()), (Repeat(),)
    if event.at - order.not_found_at[0] >= LOOKUP_LAG_SECONDS:
        if order.was_refused:
            return order, (MarkRejected(),)
        return replace(order, state=ManagedState.ABSENT, unseen=False), ()
    return order, ()


def _on_partial_fill(order: ManagedOrder, event: PartiallyFilled) -> Result:
    return replace(_seen_at_broker(order), filled=max(order.filled, event.filled)), ()


def _on_late_fill(order: ManagedOrder, event: PartiallyFilled | Ended) -> Result:
    """An event of an order that has already ended: only the filled quantity can be new (I8)."""
    return replace(order, filled=max(order.filled, event.filled)), ()


def _on_fill_while_absent(order: ManagedOrder, event: PartiallyFilled | Ended) -> Result:
    """An order that the broker had reported as not found has filled or ended."""
    return replace(order, filled=max(order.filled, event.filled)), (_contradiction(order, event),)


def _on_ended(order: ManagedOrder, event: Ended) -> Result:
    filled = max(order.filled, event.filled)
    return replace(_seen_at_broker(order), state=event.state, filled=filled, ended_at=event.at), ()


def _on_cancel_requested(order: ManagedOrder, event: CancelRequested) -> Result:
    request, effects = ask_to_cancel(order.cancel, event.at)
    return replace(order, state=ManagedState.PENDING_CANCEL, order_id=event.order_id, cancel=request), effects


def _on_cancel_refused(order: ManagedOrder, _event: CancelRefused) -> Result:
    """The cancel request is kept, so that the cancel is not repeated at once."""
    return replace(order, state=ManagedState.WORKING), ()


def _on_adopted(order: ManagedOrder, event: Adopted) -> Result:
    return replace(_seen_at_broker(order), order_id=event.order_id or order.order_id, sent_at=event.sent_at), ()


def _on_restarted(order: ManagedOrder, _event: Restarted) -> Result:
    """Times on another process's monotonic clock are meaningless here and are dropped; the filled quantity is kept."""
    return replace(order, state=ManagedState.UNKNOWN, unseen=True, not_found_at=(), cancel=None), (LookUp(),)


_STATES = tuple(ManagedState)
# One column per state, in the order of ManagedState.
_ROWS: Mapping[type[Any], tuple[Transition, ...]] = {
    #                 INTENDED                UNKNOWN                 WORKING                 PENDING_CANCEL
    #                 FILLED         CANCELED       EXPIRED        REJECTED       ABSENT
    IntentRecorded:  (_ignore,                _alert,                 _alert,                 _alert,
                      _alert,        _alert,        _alert,        _alert,        _alert),
    Accepted:        (_on_accepted,           _on_accepted,           _on_accepted,           _on_accepted,
                      _ignore,       _ignore,       _ignore,       _ignore,       _alert),
    Refused:         (_on_refused,            _on_refused,            _ignore,                _ignore,
                      _ignore,       _ignore,       _ignore,       _ignore,       _ignore),
    OutcomeUnknown:  (_on_outcome_unknown,    _on_outcome_unknown,    _on_unknown_while_live, _on_unknown_while_live,
                      _ignore,       _ignore,       _ignore,       _ignore,       _ignore),
    NotFound:        (_on_not_found,          _on_not_found,          _ignore,                _ignore,
                      _ignore,       _ignore,       _ignore,       _ignore,       _ignore),
    PartiallyFilled: (_on_partial_fill,       _on_partial_fill,       _on_partial_fill,       _on_partial_fill,
                      _on_late_fill, _on_late_fill, _on_late_fill, _on_late_fill, _on_fill_while_absent),
    CancelRequested: (_on_cancel_requested,   _on_cancel_requested,   _on_cancel_requested,   _on_cancel_requested,
                      _ignore,       _ignore,       _ignore,       _ignore,       _ignore),
    CancelRefused:   (_ignore,                _ignore,                _ignore,                _on_cancel_refused,
                      _ignore,       _ignore,       _ignore,       _ignore,       _ignore),
    Ended:           (_on_ended,              _on_ended,              _on_ended,              _on_ended,
                      _on_late_fill, _on_late_fill, _on_late_fill, _on_late_fill, _on_fill_while_absent),
    Adopted:         (_on_adopted,            _on_adopted,            _ignore,                _ignore,
                      _ignore,       _ignore,       _ignore,       _ignore,       _alert),
    Restarted:       (_on_restarted,          _on_restarted,          _on_restarted,          _on_restarted,
                      _ignore,       _ignore,       _ignore,       _ignore,       _ignore),
}  # fmt: skip
TABLE: Mapping[type[Any], Mapping[ManagedState, Transition]] = {
    event: dict(zip(_STATES, row, strict=True)) for event, row in _ROWS.items()
}
