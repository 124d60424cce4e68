"""The events of an order of ours, and the effects that they require."""

from decimal import Decimal

from msgspec import Struct

from sellctl.core.model.order import Order
from sellctl.core.orders.managed_order import ManagedState

# --- events -----------------------------------------------------------------------------------------------------------


class IntentRecorded(Struct, frozen=True):
    """Its intent is on disk; it has not been sent."""


class Accepted(Struct, frozen=True):
    """The broker has it, as shown by an answer, a list or a look-up."""

    order_id: str


class Refused(Struct, frozen=True):
    """The broker definitely refused it. `counted`: it counts in the streak of refusals after which orders are paused.

    `recovers`: the next poll sees what was in the way, so that it is no failure of the run.
    """

    at: float
    counted: bool = False
    recovers: bool = False


class OutcomeUnknown(Struct, frozen=True):
    """A time-out, a reset, a server error, an unreadable answer, or "this id exists": the broker may have it.

    `is_refusal`: the answer says that it was refused; if look-ups don't find it, it was.
    """

    is_refusal: bool = False


class NotFound(Struct, frozen=True):
    """The broker definitely has no such id, as of `at` in monotonic seconds. Under a halt nothing is sent again.

    `has_free_qty`: the position still has the order's quantity, free of other orders.
    """

    at: float
    halted: bool = False
    has_free_qty: bool = False


class PartiallyFilled(Struct, frozen=True):
    """A part or all of it has filled; `filled` is cumulative."""

    filled: Decimal


class CancelRequested(Struct, frozen=True):
    """Its cancel was requested at `at`, in monotonic seconds. Only an order that the broker showed can be cancelled."""

    order_id: str
    at: float


class CancelRefused(Struct, frozen=True):
    """The broker refused the cancel, and not because the order has ended."""


class Ended(Struct, frozen=True):
    """The broker showed at `at`, in monotonic seconds, that it has ended. `filled` is cumulative."""

    state: ManagedState
    filled: Decimal
    at: float


class Adopted(Struct, frozen=True):
    """The broker shows it, and another process sent it, at `sent_at` by this process's monotonic clock.

    `order_id` is "" in a replay of the journal, whose entry doesn't have the broker's id.
    """

    order_id: str
    sent_at: float


class Restarted(Struct, frozen=True):
    """The process that sent it has ended; its state since the last entry in the journal is unknown."""


OrderEvent = (
    IntentRecorded
    | Accepted
    | Refused
    | OutcomeUnknown
    | NotFound
    | PartiallyFilled
    | CancelRequested
    | CancelRefused
    | Ended
    | Adopted
    | Restarted
)

# --- effects ----------------------------------------------------------------------------------------------------------


class LookUp(Struct, frozen=True):
    """Look it up by its client order id, before any other request about it."""


class Repeat(Struct, frozen=True):
    """Send it again, with the same id and payload."""


class MarkRejected(Struct, frozen=True):
    """Record it as rejected: the broker's answer refused it, and look-ups don't find it."""


class Cancel(Struct, frozen=True):
    """Ask the broker to cancel it."""


class Alert(Struct, frozen=True):
    """Alert the user."""

    sentence: str


Effect = LookUp | Repeat | MarkRejected | Cancel | Alert

# --- events of the broker's view --------------------------------------------------------------------------------------

# An order that the user replaced has ended, with less than all of it filled.
_END = {
    "filled": ManagedState.FILLED,
    "canceled": ManagedState.CANCELED,
    "replaced": ManagedState.CANCELED,
    "expired": ManagedState.EXPIRED,
    "rejected": ManagedState.REJECTED,
}


def events_of(order: Order, at: float) -> tuple[OrderEvent, ...]:
    """The events that follow from the broker's view of an order, in the order in which to apply them."""
    events: tuple[OrderEvent, ...] = (Accepted(order.id),)
    if order.filled_qty > 0:
        events += (PartiallyFilled(order.filled_qty),)
    if order.is_terminal:
        events += (Ended(_END.get(order.status, ManagedState.CANCELED), order.filled_qty, at),)
    return events
