"""The events of an order of ours, and the effects that they require."""

from dataclasses import dataclass
from decimal import Decimal

from sellctl.core.model.order import Order
from sellctl.core.orders.managed_order import ManagedState

# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IntentRecorded:
    """Its intent is on disk; it has not been sent."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker has it, as shown by an answer, a list or a look-up."""

    order_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker definitely refused it. `counted`: it counts in the row of refusals after which orders are paused.

    `recovers`: the next poll sees what was in the way, so that it is no failure of the run.
    """

    at: float
    counted: bool = False
    recovers: bool = False


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """A time-out, a reset, a server error, an unreadable answer, or "this id exists": the broker may have it.

    `is_refusal`: the answer says that it was refused; if look-ups don't find it, it was.
    """

    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class NotFound:
    """The broker definitely has no such id, as of `at` in monotonic seconds. Under a halt nothing is sent again."""

    at: float
    halted: bool = False


@dataclass(frozen=True, slots=True)
class PartiallyFilled:
    """A part or all of it has filled; `filled` is cumulative."""

    filled: Decimal


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Its cancel was requested at `at`, in monotonic seconds. Only an order that the broker showed can be cancelled."""

    order_id: str
    at: float


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """The broker refused the cancel, and not because the order has ended."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The broker showed at `at`, in monotonic seconds, that it has ended. `filled` is cumulative."""

    state: ManagedState
    filled: Decimal
    at: float


@dataclass(frozen=True, slots=True)
class Adopted:
    """The broker shows it, and another process sent it, at `sent_at` by this process's monotonic clock.

    `order_id` is "" in a replay of the journal, whose entry doesn't have the broker's id.
    """

    order_id: str
    sent_at: float


@dataclass(frozen=True, slots=True)
class Restarted:
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


@dataclass(frozen=True, slots=True)
class LookUp:
    """Look it up by its client order id, before any other request about it."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Send it again, with the same id and body."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Withdraw it as refused."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the broker to cancel it."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Alert the user."""

    sentence: str


Effect = LookUp | Repeat | Withdraw | Cancel | Alert

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
