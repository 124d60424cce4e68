"""An order of ours as sellctl follows it, from the written intent to its end, and how the two purposes differ.

How an order changes is decided in `transitions`; this file holds what an order is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sellctl.core.model.intent import Intent
from sellctl.core.model.order import ZERO, Order, is_backstop
from sellctl.core.model.plan import ExitSignal, SubmitOrder, Urgency


class ManagedState(StrEnum):
    """How far an order of ours has come. `model.order.OrderState` is the broker's view; this one includes ours."""

    INTENDED = "intended"  # written down, its answer has not arrived
    UNKNOWN = "unknown"  # no clear answer: the broker may have it
    WORKING = "working"  # the broker has it
    PENDING_CANCEL = "pending cancel"  # the broker has it and was asked to end it
    FILLED = "filled"
    CANCELED = "canceled"  # also when a person replaced it by another order
    EXPIRED = "expired"
    REJECTED = "rejected"  # refused on arrival, or rejected by the exchange later
    ABSENT = "absent"  # it never reached the broker


TERMINAL = frozenset(
    {
        ManagedState.FILLED,
        ManagedState.CANCELED,
        ManagedState.EXPIRED,
        ManagedState.REJECTED,
        ManagedState.ABSENT,
    }
)
AT_THE_BROKER = frozenset({ManagedState.WORKING, ManagedState.PENDING_CANCEL})


class Purpose(StrEnum):
    """What an order of ours is for."""

    EXIT = "exit"  # closes a position now
    BACKSTOP = "backstop"  # the wide stop that rests at the broker in case this host fails

    @classmethod
    def of(cls, client_order_id: str) -> "Purpose":
        """The purpose that an id of ours tells."""
        return cls.BACKSTOP if is_backstop(client_order_id) else cls.EXIT


@dataclass(frozen=True, slots=True)
class Handling:
    """How orders of one purpose are handled; everything else is the same for all."""

    label: str  # begins what the user reads about it
    rests: bool  # once the broker has it, it is no work in progress
    repeats: bool  # sent again after two definite "not found"; otherwise it is decided afresh
    counts: bool  # in the orders per minute and the rejects in a row
    announced: bool  # the user hears of its adoption, its late discovery and each refusal
    pause_after_end: float  # seconds until the next order of this purpose on the symbol
    pause_after_refusal: float


HANDLING: Mapping[Purpose, Handling] = {
    Purpose.EXIT: Handling(
        label="",
        rests=False,
        repeats=True,
        counts=True,
        announced=True,
        pause_after_end=0.0,
        pause_after_refusal=0.0,
    ),
    Purpose.BACKSTOP: Handling(
        label="backstop: ",
        rests=True,
        repeats=False,
        counts=False,
        announced=False,
        pause_after_end=15.0,
        pause_after_refusal=60.0,
    ),
}


@dataclass(frozen=True, slots=True)
class Leg:
    """One symbol of an order. `ratio` is its quantity per unit of the order."""

    symbol: str
    ratio: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """When the broker was asked to end an order, in monotonic seconds, and whether the user was alerted."""

    first_at: float
    last_at: float
    alerted: bool = False


@dataclass(frozen=True, slots=True)
class ManagedOrder:
    """One order of ours. Instants are monotonic seconds of this process.

    `request` is what this process sends; None for an order that another process sent. `filled` is cumulative. `unseen`
    says that the broker's last answers did not show the order. `order_id` is the broker's; "" until it is known.
    """

    client_order_id: str
    purpose: Purpose
    legs: tuple[Leg, ...]
    qty: Decimal
    state: ManagedState = ManagedState.INTENDED
    filled: Decimal = ZERO
    unseen: bool = True
    request: SubmitOrder | None = None
    order_id: str = ""
    # The exit that it is a step of.
    reason: str = ""
    urgency: Urgency = Urgency.PROFIT
    step: int = 0  # of the exit's price ladder; 0: unknown, or the step was not taken
    limit_price: Decimal | None = None
    why: str = ""  # the exit's sentence, for the user
    pressing_since: float = 0.0  # when the first order of this exit as a protective or forced one was sent
    sent_at: float = 0.0
    ended_at: float | None = None
    not_found_at: tuple[float, ...] = ()  # definite "not found" answers that count towards a repeat
    cancel: CancelRequest | None = None

    @classmethod
    def of_request(
        cls, request: SubmitOrder, signal: ExitSignal, step: int, *, at: float, pressing_since: float
    ) -> "ManagedOrder":
        """An order about to be sent at `at`, as step `step` of what the signal asks for."""
        return cls(
            client_order_id=request.client_order_id,
            purpose=Purpose.of(request.client_order_id),
            legs=(Leg(request.symbol),),
            qty=request.qty,
            request=request,
            reason=signal.reason,
            urgency=signal.urgency,
            step=step,
            limit_price=request.limit_price,
            why=signal.sentence,
            pressing_since=pressing_since,
            sent_at=at,
        )

    @classmethod
    def of_intent(cls, intent: Intent) -> "ManagedOrder":
        """An order that an earlier process wrote down."""
        return cls(
            client_order_id=intent.client_order_id,
            purpose=Purpose.of(intent.client_order_id),
            legs=(Leg(intent.symbol),),
            qty=intent.qty,
            reason=intent.reason,
            urgency=Urgency(intent.urgency),
            step=intent.step,
            limit_price=intent.limit_price,
        )

    @classmethod
    def of_broker_order(cls, order: Order) -> "ManagedOrder":
        """An order with an id of ours that this journal knows nothing of: another host sent it."""
        return cls(
            client_order_id=order.client_order_id,
            purpose=Purpose.of(order.client_order_id),
            legs=(Leg(order.symbol),),
            qty=order.qty or ZERO,
            state=ManagedState.UNKNOWN,
            order_id=order.id,
        )

    @property
    def handling(self) -> Handling:
        """How orders of its purpose are handled."""
        return HANDLING[self.purpose]

    @property
    def symbol(self) -> str:
        """The symbol that the order is filed under: its first leg's."""
        return self.legs[0].symbol

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.state in TERMINAL

    @property
    def is_unknown(self) -> bool:
        """Whether the broker may have it and has not shown it yet."""
        return self.state in {ManagedState.INTENDED, ManagedState.UNKNOWN}

    @property
    def is_work(self) -> bool:
        """Whether it is work in progress: open, and no backstop that rests at the broker."""
        return not self.is_terminal and not (self.handling.rests and self.state in AT_THE_BROKER)

    @property
    def awaits_adoption(self) -> bool:
        """Whether another process sent it and the broker has not shown it to this one yet."""
        return self.request is None and self.is_unknown

    @property
    def unresolved(self) -> Decimal:
        """The quantity that counts as gone because no answer of the broker shows the order.

        All of an order that an earlier process left: its fills, too, may be missing in the position still.
        """
        if not self.unseen:
            return ZERO
        return self.qty if self.request is None else self.qty - self.filled
