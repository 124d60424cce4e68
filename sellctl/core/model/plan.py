"""What was decided: every holding exactly once, each with its sentence, and the orders and cancels that follow."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import IntEnum, StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from sellctl.core.model.instrument import AssetClass, underlying_of
from sellctl.core.model.order import Order, OrderType, PositionIntent, Side
from sellctl.core.model.position import Holding, Position


class Urgency(IntEnum):
    """The class of an exit: a lower number pre-empts a higher one."""

    FORCED = 0
    PROTECTIVE = 1
    TIME = 2
    PROFIT = 3


class Reason(StrEnum):
    """Why a holding leaves, in the order of the table: the first true one names the exit."""

    PANIC = "panic"
    ACCOUNT_GUARD = "account_guard"
    ZERO_DAY = "zero_day"
    UNCOVERED_SHORT = "uncovered_short"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    BREAKEVEN = "breakeven"
    PROFIT_LOCK = "profit_lock"
    UNDERLYING = "underlying"
    IN_THE_MONEY = "in_the_money"
    STRUCTURE = "structure"
    CLOSED_BY_HAND = "closed_by_hand"
    BEFORE_CLOSE = "before_close"
    EXIT_AT = "exit_at"
    MAX_HOLD = "max_hold"
    DAYS_TO_EXPIRY = "days_to_expiry"
    OWN_RULE = "own_rule"
    TAKE_PROFIT = "take_profit"
    ROI_TABLE = "roi_table"
    SCALE_OUT = "scale_out"
    BACKSTOP = "backstop"


@dataclass(frozen=True, slots=True)
class Precedence:
    """A reason's row in the table (design, section 4): its order there, and the classes that it may have."""

    order: int
    classes: tuple[Urgency, ...]
    means: str

    @property
    def urgency(self) -> Urgency:
        """The class that it has unless its rule knows better."""
        return self.classes[0]


_FORCED, _PROTECTIVE, _TIME, _PROFIT = ((urgency,) for urgency in Urgency)
TABLE: Mapping[Reason, Precedence] = {
    Reason.PANIC: Precedence(1, _FORCED, "panic: everything managed leaves"),
    Reason.ACCOUNT_GUARD: Precedence(2, _FORCED, "the account's loss or profit of the day"),
    Reason.ZERO_DAY: Precedence(
        3, (Urgency.TIME, Urgency.PROTECTIVE, Urgency.FORCED), "an option's last day: start, eager, final"
    ),
    Reason.UNCOVERED_SHORT: Precedence(4, _PROTECTIVE, "a short that nothing covers"),
    Reason.STOP_LOSS: Precedence(5, _PROTECTIVE, "a loss on entry"),
    Reason.TRAILING_STOP: Precedence(6, _PROTECTIVE, "a fall from the best price"),
    Reason.BREAKEVEN: Precedence(6, _PROTECTIVE, "back at entry after a gain"),
    Reason.PROFIT_LOCK: Precedence(6, _PROTECTIVE, "back at the profit that was locked in"),
    Reason.UNDERLYING: Precedence(6, _PROTECTIVE, "the underlying's price"),
    Reason.IN_THE_MONEY: Precedence(6, _PROTECTIVE, "an option in the money"),
    Reason.STRUCTURE: Precedence(6, _PROTECTIVE, "the rest of a structure whose short leg was closed"),
    Reason.CLOSED_BY_HAND: Precedence(7, _PROTECTIVE, "sellctl close"),
    Reason.BEFORE_CLOSE: Precedence(8, _TIME, "the close is near"),
    Reason.EXIT_AT: Precedence(8, _TIME, "a time of day"),
    Reason.MAX_HOLD: Precedence(8, _TIME, "time held"),
    Reason.DAYS_TO_EXPIRY: Precedence(8, _TIME, "days to expiry"),
    Reason.OWN_RULE: Precedence(8, (Urgency.TIME, Urgency.PROTECTIVE, Urgency.PROFIT), "a strategy of your own"),
    Reason.TAKE_PROFIT: Precedence(9, _PROFIT, "a gain on entry"),
    Reason.ROI_TABLE: Precedence(9, _PROFIT, "a gain on entry that shrinks with time held"),
    Reason.SCALE_OUT: Precedence(9, _PROFIT, "a gain on entry that sells a part"),
    Reason.BACKSTOP: Precedence(10, _PROTECTIVE, "the wide stop that rests at the broker, beneath them all"),
}
# What only the engine says; a strategy that does is at fault.
NO_STRATEGYS_REASON = frozenset(
    {
        Reason.PANIC,
        Reason.ACCOUNT_GUARD,
        Reason.ZERO_DAY,
        Reason.UNCOVERED_SHORT,
        Reason.STRUCTURE,
        Reason.CLOSED_BY_HAND,
        Reason.BACKSTOP,
    }
)
PRECEDENCE = {reason: place for place, reason in enumerate(Reason)}
# Reasons that rest on a price, and those of them that are stops.
STOPS = frozenset({Reason.STOP_LOSS, Reason.TRAILING_STOP, Reason.BREAKEVEN, Reason.PROFIT_LOCK})
PRICE_REASONS = STOPS | {
    Reason.UNDERLYING,
    Reason.IN_THE_MONEY,
    Reason.TAKE_PROFIT,
    Reason.ROI_TABLE,
    Reason.SCALE_OUT,
}


@dataclass(frozen=True, slots=True)
class ExitSignal:
    """A rule's word that a holding should leave: how much, why, how urgently. A price is not a rule's business."""

    holding: Holding
    qty: Decimal
    reason: Reason
    detail: str
    urgency: Urgency
    also: tuple[str, ...] = ()  # the details of every other true reason
    floor: Decimal | None = None  # a target never sells below the price that met it
    leads: tuple[str, ...] = ()  # long legs that leave once this short one is closed
    strategy: str = ""  # the name of the strategy whose rule it is; "" for what applies to every holding

    @property
    def sentence(self) -> str:
        """The reason as the user reads it."""
        return "; ".join((self.detail, *self.also))

    def said_by(self, strategy: str) -> "ExitSignal":
        """The same as that strategy's word. Spelled out, as `replace` costs several times as much."""
        return ExitSignal(
            holding=self.holding,
            qty=self.qty,
            reason=self.reason,
            detail=self.detail,
            urgency=self.urgency,
            also=self.also,
            floor=self.floor,
            leads=self.leads,
            strategy=strategy,
        )


class SizeError(ValueError):
    """An order outside 0 < qty <= available was asked for: a bug of ours, and no order."""


@dataclass(frozen=True, slots=True)
class SubmitOrder:
    """An order about to be sent. `closing` and `backstop` are the only constructors in use."""

    client_order_id: str
    symbol: str
    asset_class: AssetClass
    side: Side
    qty: Decimal
    type: OrderType
    limit_price: Decimal | None
    position_intent: PositionIntent
    time_in_force: str = "day"
    stop_price: Decimal | None = None
    trail_percent: Decimal | None = None

    @classmethod
    def closing(
        cls, position: Position, qty: Decimal, free: Decimal, *, client_order_id: str, limit_price: Decimal | None
    ) -> "SubmitOrder":
        """The order that closes `qty` of a position; a limit at `limit_price` dollars, or a market order without one.

        Raises SizeError unless 0 < qty <= free <= what is held.
        """
        _check_size(position, qty, free)
        return cls(
            client_order_id=client_order_id,
            symbol=position.symbol,
            asset_class=position.instrument.asset_class,
            side=Side.SELL if position.is_long else Side.BUY,
            qty=qty,
            type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
            limit_price=limit_price,
            position_intent=PositionIntent.SELL_TO_CLOSE if position.is_long else PositionIntent.BUY_TO_CLOSE,
        )

    @classmethod
    def backstop(
        cls, position: Position, qty: Decimal, free: Decimal, *, client_order_id: str, terms: "Terms"
    ) -> "SubmitOrder":
        """The wide stop under `qty` of a long position. Raises SizeError as `closing` does."""
        _check_size(position, qty, free)
        return cls(
            client_order_id=client_order_id,
            symbol=position.symbol,
            asset_class=position.instrument.asset_class,
            side=Side.SELL,
            qty=qty,
            type=OrderType.STOP if terms.trail_percent is None else OrderType.TRAILING_STOP,
            limit_price=None,
            position_intent=PositionIntent.SELL_TO_CLOSE,
            time_in_force=terms.time_in_force,
            stop_price=terms.stop_price,
            trail_percent=terms.trail_percent,
        )


def _check_size(position: Position, qty: Decimal, free: Decimal) -> None:
    if not (qty.is_finite() and 0 < qty <= free <= position.qty):
        raise SizeError(f"{position.symbol}: {qty} is not above 0 and within {free} free of {position.qty} held")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a backstop is: a stop at a price in dollars a share, or so many percent below the best price."""

    time_in_force: str
    stop_price: Decimal | None = None
    trail_percent: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """An order about to be cancelled, and why."""

    order: Order
    why: str


class State(StrEnum):
    """Where a holding stands after a decision."""

    HELD = "held"  # no rule is true, or none applies
    LEAVING = "leaving"  # an exit is working or about to
    BLOCKED = "blocked"  # the user's own order holds the quantity
    DENIED = "denied"  # a rule is true and a guard of ours said no
    FAULT = "fault"  # it could not be judged


HALTED = "halted: "  # how the objection begins that a halt makes


@dataclass(frozen=True, slots=True)
class Trigger:
    """A price at which a rule would become true, on the quote's side that the rule looks at."""

    reason: Reason
    price: Decimal
    distance: Decimal | None  # (price - now) / now; None without a usable price


class Words(Protocol):
    """What is said of a holding to whoever asks. All of it follows from one frozen snapshot: it is no matter when."""

    def sentence(self, holding: Holding) -> str:
        """Why it stays."""

    def triggers(self, holding: Holding) -> tuple[Trigger, ...]:
        """Where the rules of its strategy would become true."""


_HELD = State.HELD
_LEFT_OPEN = frozenset({"sentence", "triggers", "gain"})


@dataclass(frozen=True)
class PositionDecision:
    """The one place of a holding in a plan.

    `submit` is the order to send now. `cancel_first` are orders to end before anything can be sent; the order itself
    then follows from the next look. `backstop` is the wide stop to let rest under it now. `alert` marks what a person
    should hear of at once; `overdue` counts how often one should have heard by now that a protective or forced exit is
    under way and not out.
    """

    holding: Holding
    state: State
    sentence: str
    signal: ExitSignal | None = None
    submit: SubmitOrder | None = None
    cancel_first: tuple[CancelOrder, ...] = ()
    violations: tuple[str, ...] = ()
    gain: Decimal | None = field(default_factory=lambda: None)  # a factory, so that the class has no value of its own
    triggers: tuple[Trigger, ...] = field(default_factory=tuple)
    alert: bool = False
    unconfirmed: bool = False  # it waits for another look: a stop to be confirmed, or a fill to settle
    step: str = ""  # which order of the exit it is about and of how many: "2 of 5"; "" when there is none
    backstop: SubmitOrder | None = None
    overdue: int = 0

    @classmethod
    def held(cls, holding: Holding, words: Words, *, alert: bool, unconfirmed: bool) -> "PositionDecision":
        """The verdict on what stays, which most holdings get at most looks and nobody reads.

        Its sentence, triggers and gain cost more than the decision: they are worked out when they are first read.
        Filled at one stroke: field by field costs three times as much.
        """
        decision = object.__new__(cls)
        vars(decision).update(holding=holding, state=_HELD, alert=alert, unconfirmed=unconfirmed, _words=words)
        return decision

    def completed(self, words: Words, *, unconfirmed: bool) -> "PositionDecision":
        """The same with its gain, and its triggers where it has none yet."""
        decision = object.__new__(PositionDecision)
        vars(decision).update(vars(self), gain=self.holding.gain, unconfirmed=unconfirmed, _words=words)
        del vars(decision)["triggers"]
        return decision

    if not TYPE_CHECKING:  # a type checker should go on to refuse what no field is called

        def __getattr__(self, name: str) -> object:
            """What `held` and `completed` left open."""
            if name not in _LEFT_OPEN or "_words" not in vars(self):
                raise AttributeError(name)
            holding, words = self.holding, vars(self)["_words"]
            value = vars(self)[name] = holding.gain if name == "gain" else getattr(words, name)(holding)
            return value


@dataclass(frozen=True)
class Plan:
    """Every holding exactly once, most urgent first, and the stale orders to cancel.

    `needs_history` names symbols with an exit due whose orders of today were not in the snapshot: look them up and
    decide again; until then nothing is sent for them. `tripped` is the account guard's limit that was reached today.
    """

    account: str
    made_at: dt.datetime
    decisions: tuple[PositionDecision, ...]
    stale: tuple[CancelOrder, ...] = ()
    faults: tuple[str, ...] = ()
    needs_history: frozenset[str] = frozenset()
    tripped: str = ""

    @cached_property
    def notable(self) -> tuple[PositionDecision, ...]:
        """The verdicts that say more than that a holding stays, most urgent first: at most looks they are few."""
        return tuple(
            [
                v
                for v in self.decisions
                if v.state is not _HELD or v.alert or v.unconfirmed or v.submit or v.cancel_first or v.backstop
            ]
        )

    def of(self, state: State) -> tuple[PositionDecision, ...]:
        """The verdicts in one state."""
        among = self.decisions if state is _HELD else self.notable
        return tuple(decision for decision in among if decision.state is state)

    @property
    def submits(self) -> tuple[PositionDecision, ...]:
        """The verdicts with an order to send, most urgent first."""
        return tuple(decision for decision in self.notable if decision.submit)

    @property
    def backstops(self) -> tuple[PositionDecision, ...]:
        """The verdicts with a backstop to place, whose number today's orders tell."""
        return tuple(v for v in self.notable if v.backstop and v.holding.symbol not in self.needs_history)

    @property
    def is_unconfirmed(self) -> bool:
        """Whether a stop waits for a second look."""
        return any(decision.unconfirmed for decision in self.notable)

    def confirmed_by(self, later: "Plan") -> "Plan":
        """The same plan, with what waited for a second look as a later plan has it."""
        waiting = {decision.holding.symbol for decision in self.notable if decision.unconfirmed}
        if not waiting:
            return self
        news = {v.holding.symbol: v for v in later.decisions if v.holding.symbol in waiting}
        return replace(self, decisions=tuple(news.get(v.holding.symbol, v) for v in self.decisions))

    @property
    def is_due(self) -> bool:
        """Whether a rule wants a holding out, whatever stands in the way."""
        return any(decision.signal for decision in self.notable)

    @property
    def cancels(self) -> tuple[CancelOrder, ...]:
        """Every order to cancel: those in the way of an exit first, then the stale ones."""
        by_id = {cancel.order.id: cancel for cancel in (*self.stale, *reversed(tuple(self._in_the_way())))}
        return tuple(reversed(by_id.values()))

    @property
    def acts(self) -> bool:
        """Whether an exit would be sent or anything cancelled; a backstop that is placed is no step of an exit."""
        return bool(self.submits or self.cancels)

    def _in_the_way(self) -> Iterator[CancelOrder]:
        for decision in self.notable:
            yield from decision.cancel_first

    @property
    def by_underlying(self) -> "dict[str, Plan]":
        """What this plan sends and cancels, apart for each underlying, the most urgent first."""
        acting: dict[str, list[PositionDecision]] = {}
        for decision in self.notable:
            if decision.submit or decision.cancel_first or decision.backstop:
                acting.setdefault(decision.holding.position.instrument.underlying, []).append(decision)
        stale: dict[str, list[CancelOrder]] = {}
        for cancel in self.stale:
            stale.setdefault(underlying_of(cancel.order.symbol), []).append(cancel)
        return {
            name: replace(self, decisions=tuple(acting.get(name, ())), stale=tuple(stale.get(name, ())))
            for name in dict.fromkeys((*acting, *stale))
        }

    def only(self, symbols: frozenset[str]) -> "Plan":
        """The same plan with nothing carried out but for these symbols."""
        return replace(
            self,
            decisions=tuple(v for v in self.decisions if v.holding.symbol in symbols),
            stale=tuple(cancel for cancel in self.stale if cancel.order.symbol in symbols),
        )
