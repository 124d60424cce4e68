"""The state of an order of ours, from its recorded intent to its end, and how the two purposes differ.

The changes of that state are in `transitions`.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from sellctl.core.model.gain import CostBasis
from sellctl.core.model.intent import Intent
from sellctl.core.model.order import ONE, ZERO, Order, OrderLeg, Side, is_backstop, with_legs
from sellctl.core.model.plan import ExitSignal, SubmitOrder, Urgency


class ManagedState(StrEnum):
    """The state of an order of ours. `OrderState` is the broker's view; this one includes orders not seen there."""

    INTENDED = "intended"  # recorded, its answer has not arrived
    UNKNOWN = "unknown"  # no clear answer: the broker may have it
    WORKING = "working"  # the broker has it
    PENDING_CANCEL = "pending cancel"  # the broker has it and was asked to cancel it
    FILLED = "filled"
    CANCELED = "canceled"  # also when the user replaced it by another order
    EXPIRED = "expired"
    REJECTED = "rejected"  # refused on arrival, or rejected by the exchange later
    ABSENT = "absent"  # it never reached the broker


SEPARATOR = "+"  # between the symbols of an order whose structure isn't known
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
    """The purpose of an order of ours."""

    EXIT = "exit"  # closes a position now
    BACKSTOP = "backstop"  # the wide stop that rests at the broker in case this host fails

    @classmethod
    def of(cls, client_order_id: str) -> "Purpose":
        """The purpose of the order with this id."""
        return cls.BACKSTOP if is_backstop(client_order_id) else cls.EXIT


class Handling(Struct, frozen=True):
    """The differences in how orders of one purpose are handled."""

    label: str  # the prefix of messages about it
    rests: bool  # not in progress any more once the broker has it
    repeats: bool  # sent again after two definite "not found" answers; otherwise a new decision follows
    counts: bool  # in the orders per minute and in the rejects in a row
    announced: bool  # its adoption, its late discovery and each refusal are reported to the user
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


class CancelRequest(Struct, frozen=True):
    """When the broker was asked to cancel an order, in monotonic seconds, and whether the user was alerted."""

    first_at: float
    last_at: float
    alerted: bool = False


class ManagedOrder(Struct, frozen=True):
    """One order of ours. Times are monotonic seconds of this process.

    `symbol` is what it trades: a symbol, or the name of a structure, whose `side` says whether it was paid for (sell)
    or sold (buy). A simple order has one leg. `request` is the order that this process sends; None for an order that
    another process sent. `filled` is cumulative. `unseen` means that the broker's last answers did not show the order.
    `order_id` is the broker's; "" until known.
    """

    client_order_id: str
    purpose: Purpose
    symbol: str
    legs: tuple[OrderLeg, ...]
    qty: Decimal
    state: ManagedState = ManagedState.INTENDED
    filled: Decimal = ZERO
    unseen: bool = True
    request: SubmitOrder | None = None
    order_id: str = ""
    # The exit that it is a step of.
    reason: str = ""
    urgency: Urgency = Urgency.PROFIT
    step: int = 0  # of the exit's price ladder; 0: unknown, or refused before the first step
    limit_price: Decimal | None = None
    why: str = ""  # the exit's sentence, for the user
    sent_at: float = 0.0
    was_refused: bool = False  # the answer to it was a refusal in doubt
    ended_at: float | None = None
    not_found_at: tuple[float, ...] = ()  # definite "not found" answers that count towards a repeat
    cancel: CancelRequest | None = None
    side: Side | None = None  # of a structure
    basis: CostBasis = CostBasis()

    @classmethod
    def of_request(cls, request: SubmitOrder, signal: ExitSignal, step: int, *, at: float) -> "ManagedOrder":
        """An order about to be sent at `at`, as step `step` of the exit of `signal`."""
        return cls(
            client_order_id=request.client_order_id,
            purpose=Purpose.of(request.client_order_id),
            symbol=request.symbol,
            legs=request.legs or (OrderLeg(request.symbol),),
            side=request.side if request.legs else None,
            qty=request.qty,
            request=request,
            reason=signal.reason,
            urgency=signal.urgency,
            step=step,
            limit_price=request.limit_price,
            why=signal.sentence,
            basis=CostBasis.of(signal.holding.position),
            sent_at=at,
        )

    @classmethod
    def of_intent(cls, intent: Intent) -> "ManagedOrder":
        """An order whose intent an earlier process recorded."""
        return cls(
            client_order_id=intent.client_order_id,
            purpose=Purpose.of(intent.client_order_id),
            symbol=intent.symbol,
            legs=intent.legs or (OrderLeg(intent.symbol),),
            side=intent.side,
            qty=intent.qty,
            reason=intent.reason,
            urgency=Urgency(intent.urgency),
            step=intent.step,
            limit_price=intent.limit_price,
            basis=intent.basis,
        )

    @classmethod
    def of_broker_order(cls, order: Order) -> "ManagedOrder":
        """An order with an id of ours that isn't in this journal: another host sent it."""
        return cls(
            client_order_id=order.client_order_id,
            purpose=Purpose.of(order.client_order_id),
            symbol=order.symbol or SEPARATOR.join(order.symbols),
            legs=tuple(_legs_of(order)) or (OrderLeg(order.symbol),),
            qty=order.qty or ZERO,
            state=ManagedState.UNKNOWN,
            order_id=order.id,
        )

    @property
    def handling(self) -> Handling:
        """How orders of its purpose are handled."""
        return HANDLING[self.purpose]

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that it trades."""
        return tuple(leg.symbol for leg in self.legs)

    @property
    def is_multi_leg(self) -> bool:
        """Whether it trades several symbols as one."""
        return len(self.legs) > 1

    def completed(self, order: Order) -> Order:
        """The broker's view of it, with the legs that a look-up leaves out."""
        return with_legs(order, self.legs) if order.is_multi_leg and not order.legs and self.is_multi_leg else order

    def price_of(self, order: Order) -> Decimal | None:
        """The average price of its fills: of a structure that was paid for what it brought, of a sold one its cost.

        Alpaca's net price is the cost.
        """
        price = order.filled_avg_price
        return -price if price is not None and self.is_multi_leg and self.side is Side.SELL else price

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.state in TERMINAL

    @property
    def is_unknown(self) -> bool:
        """Whether the broker may have it and has not shown it yet."""
        return self.state in {ManagedState.INTENDED, ManagedState.UNKNOWN}

    @property
    def is_pending(self) -> bool:
        """Whether it is still in progress: open, and no backstop that rests at the broker."""
        return not self.is_terminal and not (self.handling.rests and self.state in AT_THE_BROKER)

    @property
    def awaits_adoption(self) -> bool:
        """Whether another process sent it and the broker has not shown it to this one yet."""
        return self.request is None and self.is_unknown

    @property
    def unresolved(self) -> Decimal:
        """The quantity that counts as closed because no answer of the broker shows the order.

        For an order of an earlier process it is all of it, because the position may not show its fills yet.
        """
        if not self.unseen:
            return ZERO
        return self.qty if self.request is None else self.qty - self.filled


def _legs_of(order: Order) -> Iterator[OrderLeg]:
    """The legs of a multi-leg order; nothing for a simple one."""
    if order.is_multi_leg:
        units = order.qty or ONE
        for leg in order.legs:
            yield OrderLeg(leg.symbol, (leg.qty or units) / units, leg.side, leg.position_intent)
