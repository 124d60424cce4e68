"""What can happen to an order of ours, and what has to be done about it."""

from dataclasses import dataclass
from decimal import Decimal

from sellctl.core.model.order import Order
from sellctl.core.orders.managed_order import ManagedState

# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IntentRecorded:
    """Its intent is on disk; nothing has been sent."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker has it: by its answer, a list or a look-up."""

    order_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker definitely did not take it. `counted` refusals are rejects; others have a known next step."""

    at: float
    counted: bool = False


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """A time-out, a reset, a server error, an unreadable answer, or "this id exists": the broker may have it."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """The broker definitely knows no such id, as of `at` in monotonic seconds. Under a halt nothing is repeated."""

    at: float
    halted: bool = False


@dataclass(frozen=True, slots=True)
class PartiallyFilled:
    """So much of it has filled, cumulatively."""

    filled: Decimal


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """It should end, as of `at` in monotonic seconds. Only an order that the broker showed can be cancelled."""

    order_id: str
    at: float


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """The broker did not take the cancel, and not because the order has ended."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The broker showed it terminal at `at`, in monotonic seconds. `filled` is cumulative."""

    state: ManagedState
    filled: Decimal
    at: float


@dataclass(frozen=True, slots=True)
class Adopted:
    """The broker shows it working, and another process sent it, at `sent_at` by this process's monotonic clock.

    `order_id` is "" when the journal tells of it, which did not keep the broker's id.
    """

    order_id: str
    sent_at: float


@dataclass(frozen=True, slots=True)
class Restarted:
    """The process that sent it is gone: what has happened since its last entry in the journal is unknown."""


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
    """Ask the broker for it by our own id, before any other request about it."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Send it once more, with the same id and body."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the broker to end it."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Tell a person."""

    sentence: str


Effect = LookUp | Repeat | Cancel | Alert

# --- what an answer of the broker means -------------------------------------------------------------------------------

# An order that a person replaced has ended, with less than all of it filled. The other statuses mean what they say.
_END = {
    "filled": ManagedState.FILLED,
    "canceled": ManagedState.CANCELED,
    "replaced": ManagedState.CANCELED,
    "expired": ManagedState.EXPIRED,
    "rejected": ManagedState.REJECTED,
}


def events_of(order: Order, at: float) -> tuple[OrderEvent, ...]:
    """What the broker's view of an order says, in the order in which it is to be applied."""
    events: tuple[OrderEvent, ...] = (Accepted(order.id),)
    if order.filled_qty > 0:
        events += (PartiallyFilled(order.filled_qty),)
    if order.is_terminal:
        events += (Ended(_END.get(order.status, ManagedState.CANCELED), order.filled_qty, at),)
    return events
