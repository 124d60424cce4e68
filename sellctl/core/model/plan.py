"""A plan: one decision per position, and the orders and cancels that follow from them."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from enum import IntEnum, StrEnum
from math import gcd

from msgspec import Struct, field
from msgspec.structs import replace

from sellctl.core.model.gain import market_value, open_pnl
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.order import Order, OrderLeg, OrderType, PositionIntent, Side
from sellctl.core.model.position import Holding, Position


class Urgency(IntEnum):
    """The urgency class of an exit: a lower number is more urgent and pre-empts a higher one."""

    FORCED = 0
    PROTECTIVE = 1
    TIME = 2
    PROFIT = 3


class Reason(StrEnum):
    """Why a position is closed, in order of precedence. Of several true reasons, the exit is named after the first."""

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
    SHORT_STRIKE = "short_strike"
    STRUCTURE = "structure"
    CLOSED_MANUALLY = "closed_by_hand"
    BEFORE_CLOSE = "before_close"
    EXIT_AT = "exit_at"
    MAX_HOLD = "max_hold"
    DAYS_TO_EXPIRY = "days_to_expiry"
    OWN_RULE = "own_rule"  # the code of a user-defined strategy
    TAKE_PROFIT = "take_profit"
    ROI_TABLE = "roi_table"
    SCALE_OUT = "scale_out"
    BACKSTOP = "backstop"


class Precedence(Struct, frozen=True):
    """A reason's row in REASONS: its precedence, the urgency classes that it may have, and its meaning."""

    order: int
    classes: tuple[Urgency, ...]
    means: str

    @property
    def urgency(self) -> Urgency:
        """The default class, which a rule may override."""
        return self.classes[0]


_FORCED, _PROTECTIVE, _TIME, _PROFIT = ((urgency,) for urgency in Urgency)
REASONS: Mapping[Reason, Precedence] = {
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
    Reason.SHORT_STRIKE: Precedence(6, _PROTECTIVE, "the underlying near a strike that is sold"),
    Reason.STRUCTURE: Precedence(6, _PROTECTIVE, "the rest of a structure that is being closed"),
    Reason.CLOSED_MANUALLY: Precedence(
        7,
        (Urgency.PROTECTIVE, Urgency.FORCED, Urgency.TIME, Urgency.PROFIT),
        "closed manually (sellctl close): as `--patience` says",
    ),
    Reason.BEFORE_CLOSE: Precedence(8, _TIME, "the close is near"),
    Reason.EXIT_AT: Precedence(8, _TIME, "a time of day"),
    Reason.MAX_HOLD: Precedence(8, _TIME, "time held"),
    Reason.DAYS_TO_EXPIRY: Precedence(8, _TIME, "days to expiry"),
    Reason.OWN_RULE: Precedence(8, (Urgency.TIME, Urgency.PROTECTIVE, Urgency.PROFIT), "a strategy of your own"),
    Reason.TAKE_PROFIT: Precedence(9, _PROFIT, "a gain on entry"),
    Reason.ROI_TABLE: Precedence(9, _PROFIT, "a gain on entry that shrinks with time held"),
    Reason.SCALE_OUT: Precedence(9, _PROFIT, "a gain on entry that sells a part"),
    Reason.BACKSTOP: Precedence(10, _PROTECTIVE, "the wide stop order at the broker, in case this host fails"),
}
# Reasons that only the engine may use; a strategy that uses one causes a SignalError.
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
_SHORT_NAMES: Mapping[str, str] = {
    Reason.TAKE_PROFIT: "target",
    Reason.STOP_LOSS: "stop",
    Reason.ZERO_DAY: "last day",
    Reason.UNCOVERED_SHORT: "naked short",
}


def reason_name(reason: str) -> str:
    """The short name of a Reason, also as the journal has it: "stop", "last day", "trailing stop"."""
    return _SHORT_NAMES.get(reason, reason.replace("_", " "))


PRECEDENCE = {reason: rank for rank, reason in enumerate(Reason)}
# Stops: one price isn't enough for them, and they pause while prices are in doubt.
STOPS = frozenset({Reason.STOP_LOSS, Reason.TRAILING_STOP, Reason.BREAKEVEN, Reason.PROFIT_LOCK})
# All reasons that depend on a price: none of them closes by an unusable one.
PRICE_REASONS = STOPS | {
    Reason.UNDERLYING,
    Reason.IN_THE_MONEY,
    Reason.SHORT_STRIKE,
    Reason.TAKE_PROFIT,
    Reason.ROI_TABLE,
    Reason.SCALE_OUT,
}


class ExitSignal(Struct, frozen=True):
    """A rule's request to close a position: how much, why, how urgently. Rules never name a limit price.

    `other_reasons` are the details of every other true reason, and of how it is closed. `worst_price` is the price that
    a target's limit never goes below (above, for a short). `then_close` are the other legs of a structure, which is
    being closed.
    `strategy` is the name of the strategy that made the signal; "" when the engine did. `structure` is the name of the
    structure that is closed by legs or in parts, of which this is one; "" when it is closed for itself.
    """

    holding: Holding
    qty: Decimal
    reason: Reason
    detail: str
    urgency: Urgency
    # Here and in the other values that the journal keeps: `name` is the field's older name, which it goes on with.
    other_reasons: tuple[str, ...] = field(name="also", default=())
    worst_price: Decimal | None = field(name="floor", default=None)
    then_close: tuple[str, ...] = ()
    strategy: str = ""
    structure: str = ""

    @property
    def sentence(self) -> str:
        """All reasons as one sentence, for the user."""
        return "; ".join(self.reasons)

    @property
    def next_step(self) -> int:
        """The number of the exit's next step: the ladder goes on while the urgency is the same, or begins again."""
        progress = self.holding.state.exit
        return progress.step + 1 if progress and progress.urgency == self.urgency else 1

    @property
    def user_limit(self) -> Decimal | None:
        """The limit that the user asked for, beyond which no order of it trades; None without one.

        The worst price of a target is one for its limits only: with `style: market` it is sent at market.
        """
        return self.worst_price if self.reason is Reason.CLOSED_MANUALLY else None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Its own detail and those of the other true reasons."""
        return (self.detail, *self.other_reasons)


# Alpaca takes so many legs in one multi-leg order.
FEWEST_LEGS, MOST_LEGS = 2, 4


class SizeError(ValueError):
    """An order outside 0 < qty <= free <= held was requested. This is a bug in sellctl; nothing is sent."""


class SubmitOrder(Struct, frozen=True):
    """An order about to be sent, built by `closing`, `closing_structure` or `backstop`, which check its size.

    A multi-leg order has `legs`. Its `symbol` is the structure's name, its `qty` units, and its limit the net price of
    one unit as Alpaca writes it: above zero a debit, below zero a credit. Its `side` is that of the structure: one that
    was paid for is sold.
    """

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
    legs: tuple[OrderLeg, ...] = ()

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that it trades."""
        return tuple(leg.symbol for leg in self.legs) or (self.symbol,)

    def qty_of(self, symbol: str) -> Decimal:
        """How much of one of its symbols it trades."""
        return self.qty * next((leg.ratio for leg in self.legs if leg.symbol == symbol), Decimal(1))

    @classmethod
    def closing(
        cls, position: Position, qty: Decimal, free: Decimal, *, client_order_id: str, limit_price: Decimal | None
    ) -> "SubmitOrder":
        """The order that closes `qty` of a position; a limit at `limit_price` dollars, or a market order without one.

        Raises SizeError unless 0 < qty <= free <= held.
        """
        _check_size(position, qty, free)
        return cls(
            client_order_id=client_order_id,
            symbol=position.symbol,
            asset_class=position.instrument.asset_class,
            side=_closing_side(position),
            qty=qty,
            type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
            limit_price=limit_price,
            position_intent=_closing_intent(position),
        )

    @classmethod
    def closing_structure(
        cls,
        whole: Position,
        legs: Iterable["ClosedLeg"],
        units: Decimal,
        *,
        client_order_id: str,
        limit_price: Decimal | None,
    ) -> "SubmitOrder":
        """The one order that closes so many units of a structure: a limit at this net price, or a market order.

        `whole` is the structure as one position. Raises SizeError unless 0 < units x ratio <= free <= held of each leg,
        and for legs that Alpaca takes in no multi-leg order: 2 to 4 options with whole ratios in lowest terms.
        """
        every = tuple(legs)
        ratios = [int(leg.ratio) for leg in every if leg.ratio == leg.ratio.to_integral_value() and leg.ratio > 0]
        if not FEWEST_LEGS <= len(every) <= MOST_LEGS or len(ratios) < len(every) or gcd(*ratios) != 1:
            raise SizeError(f"{whole.symbol}: {[str(leg.ratio) for leg in every]} are no ratios of a multi-leg order")
        if not all(leg.position.instrument.is_option for leg in every):
            raise SizeError(f"{whole.symbol}: a multi-leg order trades options only")
        if units != units.to_integral_value():
            raise SizeError(f"{whole.symbol}: {units} is no number of units")
        for leg in every:
            _check_size(leg.position, units * leg.ratio, leg.free)
        return cls(
            client_order_id=client_order_id,
            symbol=whole.symbol,
            asset_class=AssetClass.OPTION,
            side=_closing_side(whole),
            qty=units,
            type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
            limit_price=limit_price,
            position_intent=_closing_intent(whole),
            legs=tuple(
                OrderLeg(leg.position.symbol, leg.ratio, _closing_side(leg.position), _closing_intent(leg.position))
                for leg in every
            ),
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


class ClosedLeg(Struct, frozen=True):
    """A leg of a structure that is about to be closed: its position, contracts per unit, and what of it is free."""

    position: Position
    ratio: Decimal
    free: Decimal


def _closing_side(position: Position) -> Side:
    return Side.SELL if position.is_long else Side.BUY


def _closing_intent(position: Position) -> PositionIntent:
    return PositionIntent.SELL_TO_CLOSE if position.is_long else PositionIntent.BUY_TO_CLOSE


def _check_size(position: Position, qty: Decimal, free: Decimal) -> None:
    if not (qty.is_finite() and 0 < qty <= free <= position.qty):
        raise SizeError(f"{position.symbol}: {qty} is not above 0 and within {free} free of {position.qty} held")


class StopTerms(Struct, frozen=True):
    """The terms of a backstop: a stop price in dollars per share, or a trail in percent below the best price."""

    time_in_force: str
    stop_price: Decimal | None = None
    trail_percent: Decimal | None = None


class CancelOrder(Struct, frozen=True):
    """An order about to be cancelled, and why: "to reprice", "because the target is no longer met"."""

    order: Order
    why: str


class DecisionState(StrEnum):
    """The outcome of a decision for one position."""

    WATCHING = "watching"  # no exit is due
    CLOSING = "closing"  # an exit order is working or about to be sent
    BLOCKED = "blocked"  # an order of the user's is in the way
    DENIED = "denied"  # an exit is due, but a check of sellctl refused the order, or it is not confirmed
    FAULT = "fault"  # it could not be evaluated
    NO_QUOTE = "no quote"  # no exit is due, as far as one can tell: its quotes have been unusable for minutes
    NOT_MANAGED = "not managed"  # no rule protects it; only `explained` distinguishes this from WATCHING
    EXEMPT = "exempt"  # the user excluded it; as NOT_MANAGED


# The states of a position about which there is nothing to do.
STAYS_OPEN = frozenset({DecisionState.WATCHING, DecisionState.NOT_MANAGED, DecisionState.EXEMPT})
_HALT = "halted ("
SHORT_UNCONFIRMED = "confirming: short without cover, waiting for a second read"


def halt_violation(why: str) -> str:
    """The text of the violation when a halt forbids an order."""
    return f"{_HALT}{why})"


class Trigger(Struct, frozen=True):
    """A price at which a rule would become true, on the side of the quote that the rule uses."""

    reason: Reason
    price: Decimal
    distance: Decimal | None  # (price - now) / now; None without a usable price

    @property
    def is_target(self) -> bool:
        """Whether its rule takes a profit; every other rule with a price is a stop."""
        return REASONS[self.reason].urgency is Urgency.PROFIT

    @property
    def is_finite(self) -> bool:
        """Whether its amounts are numbers."""
        return self.price.is_finite() and (self.distance is None or self.distance.is_finite())

    def is_reached(self, position: Position) -> bool:
        """Whether the price is at or beyond it: above a long's target, below its stop; mirrored for a short."""
        if self.distance is None:
            return False
        rising = self.is_target is position.is_long
        return self.distance <= 0 if rising else self.distance >= 0


class PositionDecision(Struct, frozen=True):
    """The decision for one position.

    `sentence` says what is done or refused and why; "" when nothing is done or refused: `explain` then says why the
    position stays open. `triggers` are the prices at which its rules would become true, where an exit is due; for the
    positions that stay open `explained` adds them. `submit` is the order to send now. `cancel_first` are orders to
    cancel before anything can be sent; the order itself then follows from the next poll. `backstop` is the wide stop to
    place at the broker now. `alert` marks a decision that the user is told about at once. `unconfirmed` means that it
    depends on another poll: to confirm a signal or a peak, or to let a fill settle. `step` says which of how many
    orders of the exit this is about ("2 of 5"); "" when there is none. `pressing` means that a protective or forced
    exit is due, or was when its price became unknown, and `overdue` is the number of alerts on it that are due by now.
    `unquoted` says what is wrong with the quotes that its rules need; "" when nothing is. `as_one` is the structure
    whose legs are all closed by one order: each leg has a decision, and that of `StructureExit.lead` carries the order
    and its cancels; "" when the position is closed for itself.
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
    pressing: bool = False
    overdue: int = 0
    unquoted: str = ""
    as_one: str = ""

    @property
    def symbols(self) -> frozenset[str]:
        """Its own symbol, and all those of a multi-leg order that it sends."""
        return frozenset({self.holding.symbol, *(self.submit.symbols if self.submit else ())})

    @property
    def due_symbols(self) -> frozenset[str]:
        """The symbols of the order to send, or of the backstop to place: of these, today's orders have to be known."""
        symbols = frozenset(self.submit.symbols) if self.submit else frozenset[str]()
        return symbols | ({self.holding.symbol} if self.backstop else frozenset())

    @property
    def gain(self) -> Decimal | None:
        """The gain on entry at the current exit price (bid for a long, ask for a short), as a ratio.

        None when it is unknown, or when the position could not be evaluated.
        """
        return None if self.state is DecisionState.FAULT else self.holding.gain

    @property
    def market_value(self) -> Decimal | None:
        """Dollars that closing it brings at the current exit price; None as `gain`."""
        return None if self.state is DecisionState.FAULT else market_value(self.holding)

    @property
    def open_pnl(self) -> Decimal | None:
        """Dollars gained or lost since entry at the current exit price; None as `gain`."""
        return None if self.state is DecisionState.FAULT else open_pnl(self.holding)

    @property
    def is_halted(self) -> bool:
        """Whether a halt is among the reasons why nothing is sent."""
        return any(violation.startswith(_HALT) for violation in self.violations)

    @property
    def is_exit_unconfirmed(self) -> bool:
        """Whether an exit depends on another poll; not so where only a best price is to be established.

        What is sent by hand doesn't wait for a rule that isn't confirmed yet.
        """
        return self.unconfirmed and self.submit is None and self.state not in STAYS_OPEN

    @property
    def is_notable(self) -> bool:
        """Whether it is more than that the position stays open."""
        return bool(
            self.state not in STAYS_OPEN
            or self.alert
            or self.pressing
            or self.unconfirmed
            or self.submit
            or self.cancel_first
            or self.backstop
        )


def most_urgent_first(decisions: Iterable[PositionDecision]) -> tuple[PositionDecision, ...]:
    """The decisions by urgency and symbol; those without a signal come last."""
    least = len(Urgency)
    return tuple(sorted(decisions, key=lambda d: (d.signal.urgency if d.signal else least, d.holding.symbol)))


class Plan(Struct, frozen=True):
    """Every position exactly once, most urgent first, and the stale orders to cancel.

    `needs_history` has the symbols with an order to send whose orders of today were not in the snapshot: they have to
    be looked up and the plan decided again; until then nothing is sent for them. `tripped_limit` is the account guard's
    limit that was reached today; "" when none was. `guard_problem`, also one of the `faults`, says why the guard can't
    be evaluated.
    """

    account: str
    made_at: dt.datetime
    decisions: tuple[PositionDecision, ...]
    stale: tuple[CancelOrder, ...] = ()
    faults: tuple[str, ...] = ()
    needs_history: frozenset[str] = frozenset()
    tripped_limit: str = field(default="", name="tripped")
    guard_problem: str = ""

    @property
    def notable(self) -> tuple[PositionDecision, ...]:
        """The decisions that are more than that a position stays open, most urgent first."""
        return tuple(decision for decision in self.decisions if decision.is_notable)

    def of(self, state: DecisionState) -> tuple[PositionDecision, ...]:
        """The decisions in one state."""
        return tuple(decision for decision in self.decisions if decision.state is state)

    @property
    def unsent(self) -> tuple[PositionDecision, ...]:
        """The exits that are due, and that a halt, an order of the user's or a check kept from being sent."""
        return (*self.of(DecisionState.BLOCKED), *self.of(DecisionState.DENIED))

    @property
    def submits(self) -> tuple[PositionDecision, ...]:
        """The decisions with an order to send, most urgent first."""
        return tuple(decision for decision in self.decisions if decision.submit)

    @property
    def sendable(self) -> "Plan":
        """This plan without the exit orders of symbols whose orders of today are not known yet."""
        unknown = self.needs_history
        if not unknown:
            return self
        decisions = (
            replace(d, submit=None) if d.submit and not unknown.isdisjoint(d.submit.symbols) else d
            for d in self.decisions
        )
        return replace(self, decisions=tuple(decisions))

    @property
    def backstops(self) -> tuple[PositionDecision, ...]:
        """The decisions with a backstop to place for which today's orders are known."""
        return tuple(d for d in self.decisions if d.backstop and d.holding.symbol not in self.needs_history)

    @property
    def is_unconfirmed(self) -> bool:
        """Whether a decision depends on another poll."""
        return any(decision.unconfirmed for decision in self.decisions)

    @property
    def is_exit_unconfirmed(self) -> bool:
        """Whether an exit depends on another poll."""
        return any(decision.is_exit_unconfirmed for decision in self.decisions)

    @property
    def is_confirming_a_short(self) -> bool:
        """Whether the exit of a short without cover waits until another read of the positions shows it too."""
        return any(SHORT_UNCONFIRMED in decision.violations for decision in self.decisions)

    @property
    def is_settling(self) -> bool:
        """Whether an exit waits until the positions show a fill."""
        return any(each.unconfirmed and each.state is DecisionState.CLOSING for each in self.decisions)

    @property
    def is_pressing(self) -> bool:
        """Whether a protective or forced exit is due, confirmed or not. The most urgent decision comes first."""
        signal = self.decisions[0].signal if self.decisions else None
        return signal is not None and signal.urgency <= Urgency.PROTECTIVE

    def updated_by(self, later: "Plan") -> "Plan":
        """This plan with the decisions of a later one on some of its positions."""
        news = {decision.holding.symbol: decision for decision in later.decisions}
        return replace(self, decisions=most_urgent_first(news.get(d.holding.symbol, d) for d in self.decisions))

    def confirmed_by(self, later: "Plan") -> "Plan":
        """This plan, with each unconfirmed decision replaced by that of a later plan."""
        waiting = {decision.holding.symbol for decision in self.decisions if decision.unconfirmed}
        if not waiting:
            return self
        news = {d.holding.symbol: d for d in later.decisions if d.holding.symbol in waiting}
        return replace(self, decisions=tuple(news.get(d.holding.symbol, d) for d in self.decisions))

    @property
    def is_due(self) -> bool:
        """Whether an exit is due, even if it can't be sent."""
        return any(decision.signal for decision in self.decisions)

    @property
    def cancels(self) -> tuple[CancelOrder, ...]:
        """Every order to cancel: those in the way of an exit first, then the stale ones."""
        by_id = {cancel.order.id: cancel for cancel in (*self.stale, *reversed(tuple(self._in_the_way())))}
        return tuple(reversed(by_id.values()))

    @property
    def awaited_cancels(self) -> tuple[CancelOrder, ...]:
        """The cancels whose end an exit waits for: those in its way, and the stale orders of its symbol."""
        due = {decision.holding.symbol for decision in self.decisions if decision.signal}
        return (*self._in_the_way(), *(cancel for cancel in self.stale if not due.isdisjoint(cancel.order.symbols)))

    @property
    def cancels_at_once(self) -> tuple[CancelOrder, ...]:
        """The cancels to request with this plan: all of them or, where it begins an exit, those that an exit waits for.

        The other stale orders wait for a plan that begins none, so that no account's exits stand behind them.
        """
        if all(decision.holding.state.exit for decision in self.submits):
            return self.cancels
        awaited = {cancel.order.id for cancel in self.awaited_cancels}
        return tuple(cancel for cancel in self.cancels if cancel.order.id in awaited)

    @property
    def acts(self) -> bool:
        """Whether an exit order would be sent or any order cancelled. Placing a backstop doesn't count."""
        return bool(self.submits or self.cancels)

    @property
    def symbols(self) -> frozenset[str]:
        """The symbols of all decisions."""
        return frozenset(decision.holding.symbol for decision in self.decisions)

    @property
    def symbols_acting(self) -> frozenset[str]:
        """The symbols on which the decisions send or cancel an order."""
        return frozenset(symbol for d in self.decisions if d.submit or d.cancel_first for symbol in d.symbols)

    @property
    def symbols_touched(self) -> frozenset[str]:
        """The symbols on which anything is sent or cancelled, backstops and stale orders included."""
        guarded = (d.holding.symbol for d in self.decisions if d.backstop)
        return self.symbols_acting.union(guarded, (symbol for cancel in self.stale for symbol in cancel.order.symbols))

    def _in_the_way(self) -> Iterator[CancelOrder]:
        for decision in self.decisions:
            yield from decision.cancel_first

    @property
    def due_symbols(self) -> frozenset[str]:
        """The symbols with an order to send or a backstop to place."""
        return frozenset(symbol for decision in self.decisions for symbol in decision.due_symbols)

    def only(self, symbols: frozenset[str]) -> "Plan":
        """This plan reduced to the decisions and stale orders that act on no other symbols than these."""
        return replace(
            self,
            decisions=tuple(d for d in self.decisions if d.symbols <= symbols),
            stale=tuple(cancel for cancel in self.stale if symbols.issuperset(cancel.order.symbols)),
        )
