"""What was decided: every position exactly once, and the orders and cancels that follow."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import IntEnum, StrEnum

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
    """Why a position is closed, in order of precedence: the first true one names the exit."""

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
    CLOSED_MANUALLY = "closed_by_hand"
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
    """A reason's row in the table: its order of precedence, and the classes that it may have."""

    order: int
    classes: tuple[Urgency, ...]
    means: str

    @property
    def urgency(self) -> Urgency:
        """The class that it has unless its rule knows better."""
        return self.classes[0]


_FORCED, _PROTECTIVE, _TIME, _PROFIT = ((urgency,) for urgency in Urgency)
TABLE: Mapping[Reason, Precedence] = {
    Reason.PANIC: Precedence(1, _FORCED, "panic: closes everything that is managed"),
    Reason.ACCOUNT_GUARD: Precedence(2, _FORCED, "the account's loss or profit of the day"),
    Reason.ZERO_DAY: Precedence(
        3, (Urgency.TIME, Urgency.PROTECTIVE, Urgency.FORCED), "an option's last day: start, eager, final"
    ),
    Reason.UNCOVERED_SHORT: Precedence(4, _PROTECTIVE, "naked short contracts"),
    Reason.STOP_LOSS: Precedence(5, _PROTECTIVE, "a loss on entry"),
    Reason.TRAILING_STOP: Precedence(6, _PROTECTIVE, "a fall from the best price"),
    Reason.BREAKEVEN: Precedence(6, _PROTECTIVE, "back at entry after a gain"),
    Reason.PROFIT_LOCK: Precedence(6, _PROTECTIVE, "back at the profit that was locked in"),
    Reason.UNDERLYING: Precedence(6, _PROTECTIVE, "the underlying's price"),
    Reason.IN_THE_MONEY: Precedence(6, _PROTECTIVE, "an option in the money"),
    Reason.STRUCTURE: Precedence(6, _PROTECTIVE, "the rest of a structure whose short leg was closed"),
    Reason.CLOSED_MANUALLY: Precedence(7, _PROTECTIVE, "closed manually (sellctl close)"),
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
# Reasons of the engine; a strategy that uses one is at fault.
ENGINE_REASONS = frozenset(
    {
        Reason.PANIC,
        Reason.ACCOUNT_GUARD,
        Reason.ZERO_DAY,
        Reason.UNCOVERED_SHORT,
        Reason.STRUCTURE,
        Reason.CLOSED_MANUALLY,
        Reason.BACKSTOP,
    }
)
PRECEDENCE = {reason: rank for rank, reason in enumerate(Reason)}
# Reasons that depend on a price, and those of them that are stops.
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
    """A rule's request to close a position: how much, why, how urgently. Rules never name a limit price.

    `also` are the details of every other true reason. `floor` is the price below which a target is never sold.
    `then_close` are the long legs of a pair to close once this short leg is closed. `strategy` is the name of the
    strategy whose rule it is; "" for what applies to every position.
    """

    holding: Holding
    qty: Decimal
    reason: Reason
    detail: str
    urgency: Urgency
    also: tuple[str, ...] = ()
    floor: Decimal | None = None
    then_close: tuple[str, ...] = ()
    strategy: str = ""

    @property
    def sentence(self) -> str:
        """The reason as the user reads it."""
        return "; ".join((self.detail, *self.also))


class SizeError(ValueError):
    """An order outside 0 < qty <= available was asked for: a bug of ours, and no order."""


@dataclass(frozen=True, slots=True)
class SubmitOrder:
    """An order about to be sent, built by `closing` or `backstop`, which check its size."""

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
        cls, position: Position, qty: Decimal, free: Decimal, *, client_order_id: str, terms: "StopTerms"
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
class StopTerms:
    """The terms of a backstop: a stop at a price in dollars per share, or a percentage below the best price."""

    time_in_force: str
    stop_price: Decimal | None = None
    trail_percent: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """An order about to be cancelled, and why: "to reprice", "because the target is no longer met"."""

    order: Order
    why: str


class DecisionState(StrEnum):
    """What a decision comes to for one position."""

    WATCHING = "watching"  # no exit is due
    CLOSING = "closing"  # an exit order is working or about to be sent
    BLOCKED = "blocked"  # the user's own order holds the quantity
    DENIED = "denied"  # an exit is due and a check of ours refused the order, or it is not confirmed
    FAULT = "fault"  # it could not be evaluated


_HALT = "halted ("


def halt_violation(why: str) -> str:
    """The violation of an order that a halt refuses."""
    return f"{_HALT}{why})"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A price at which a rule would become true, on the quote's side that the rule uses."""

    reason: Reason
    price: Decimal
    distance: Decimal | None  # (price - now) / now; None without a usable price


@dataclass(frozen=True, slots=True)
class PositionDecision:
    """What was decided for one position.

    `sentence` says what is done or refused and why; "" where nothing is: `explain` then says why the position stays.
    `triggers` are the prices at which its rules would become true. `submit` is the order to send now. `cancel_first`
    are orders to cancel before anything can be sent; the order itself then follows from the next poll. `backstop` is
    the wide stop to place at the broker now. `alert` marks what a person should hear of at once. `unconfirmed` means
    that another poll decides: a stop to be confirmed, a peak, or a fill to settle. `step` is which order of the exit it
    is about and of how many ("2 of 5"); "" when there is none. `overdue` counts how often a person should have heard
    by now that a protective or forced exit is not filled.
    """

    holding: Holding
    state: DecisionState
    sentence: str = ""
    signal: ExitSignal | None = None
    submit: SubmitOrder | None = None
    cancel_first: tuple[CancelOrder, ...] = ()
    violations: tuple[str, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    alert: bool = False
    unconfirmed: bool = False
    step: str = ""
    backstop: SubmitOrder | None = None
    overdue: int = 0

    @property
    def gain(self) -> Decimal | None:
        """The gain on entry at the price one could get now, as a ratio; None when unknown or at fault."""
        return None if self.state is DecisionState.FAULT else self.holding.gain

    @property
    def is_halted(self) -> bool:
        """Whether a halt is among the reasons why nothing is sent."""
        return any(violation.startswith(_HALT) for violation in self.violations)

    @property
    def is_notable(self) -> bool:
        """Whether it says more than that the position stays."""
        return bool(
            self.state is not DecisionState.WATCHING
            or self.alert
            or self.unconfirmed
            or self.submit
            or self.cancel_first
            or self.backstop
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Every position exactly once, most urgent first, and the stale orders to cancel.

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

    @property
    def notable(self) -> tuple[PositionDecision, ...]:
        """The decisions that say more than that a position stays, most urgent first."""
        return tuple(decision for decision in self.decisions if decision.is_notable)

    def of(self, state: DecisionState) -> tuple[PositionDecision, ...]:
        """The decisions in one state."""
        return tuple(decision for decision in self.decisions if decision.state is state)

    @property
    def submits(self) -> tuple[PositionDecision, ...]:
        """The decisions with an order to send, most urgent first."""
        return tuple(decision for decision in self.notable if decision.submit)

    @property
    def backstops(self) -> tuple[PositionDecision, ...]:
        """The decisions with a backstop to place for which today's orders are known."""
        return tuple(d for d in self.notable if d.backstop and d.holding.symbol not in self.needs_history)

    @property
    def is_unconfirmed(self) -> bool:
        """Whether a decision waits for another poll."""
        return any(decision.unconfirmed for decision in self.notable)

    def confirmed_by(self, later: "Plan") -> "Plan":
        """The same plan, with what waited for another poll as a later plan has it."""
        waiting = {decision.holding.symbol for decision in self.notable if decision.unconfirmed}
        if not waiting:
            return self
        news = {d.holding.symbol: d for d in later.decisions if d.holding.symbol in waiting}
        return replace(self, decisions=tuple(news.get(d.holding.symbol, d) for d in self.decisions))

    @property
    def is_due(self) -> bool:
        """Whether a rule asks for an exit, whatever stands in the way."""
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
        """What this plan sends and cancels, per underlying, the most urgent first."""
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
            decisions=tuple(d for d in self.decisions if d.holding.symbol in symbols),
            stale=tuple(cancel for cancel in self.stale if cancel.order.symbol in symbols),
        )
