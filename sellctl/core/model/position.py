"""A holding: the position as the broker reports it, its newest quote, and its stored state."""

import datetime as dt
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct, field

from sellctl.core.model.instrument import Instrument, OptionContract, StructureKind
from sellctl.core.model.market import Quote, Window, until_text


class Direction(StrEnum):
    """Long or short."""

    LONG = "long"
    SHORT = "short"


class Position(Struct, frozen=True):
    """One position as the broker reports it.

    `qty` is always positive; `direction` carries the sign. Prices are dollars per share (the premium, for options).
    `available` is the quantity that no open order holds; None when the broker doesn't report it. `entry_price` is None
    when it is missing, not above zero, or contradicted by other amounts of the broker's row: then no percentage rule
    fires. `contradiction` says by which; "" when by none. `lastday_price` is the price at the previous close.
    """

    instrument: Instrument
    direction: Direction
    qty: Decimal
    available: Decimal | None
    entry_price: Decimal | None
    current_price: Decimal | None = None
    contradiction: str = ""
    lastday_price: Decimal | None = None

    @property
    def symbol(self) -> str:
        """The symbol as the broker writes it."""
        return self.instrument.symbol

    @property
    def is_long(self) -> bool:
        """Whether closing it is a sale."""
        return self.direction is Direction.LONG


class ExitProgress(Struct, frozen=True):
    """An exit that is under way: its reason, its urgency class, and how many of its orders were sent."""

    reason: str
    urgency: int
    step: int  # orders of this exit sent so far
    age: dt.timedelta  # since the last one was sent, by the monotonic clock
    client_order_id: str
    limit_price: Decimal | None = None


class OrderCount(Struct, frozen=True):
    """The number of orders sent in the last minute for a symbol or an account: all, and those of class 2-3."""

    all: int = 0
    non_urgent: int = field(default=0, name="patient")


NOTHING_SENT = OrderCount()


class BackstopState(Struct, frozen=True):
    """Whether the broker refuses a backstop for a position, and whether the next one is paused."""

    refused: bool = False
    paused: bool = field(default=False, name="waits")


BACKSTOP_ALLOWED = BackstopState()


class ExitAfter(Struct, frozen=True):
    """Of a leg: the structure that is being closed, why, and how much of the leg is `kept` because it isn't part of it.

    An earlier version wrote the short leg of a pair instead of a structure.
    """

    structure: str
    why: str
    kept: Decimal = Decimal(0)

    @classmethod
    def of(cls, text: str) -> "ExitAfter":
        """What `text` said."""
        first, _, why = text.partition(" ")
        structure, _, kept = first.partition("/")
        return cls(structure, why, Decimal(kept or 0))

    @property
    def text(self) -> str:
        """How it is stored."""
        return f"{self.structure}/{self.kept:f} {self.why}" if self.kept else f"{self.structure} {self.why}"


class PastAverage(Struct, frozen=True):
    """An earlier average entry price of a position, and the peak when it changed: what was armed then stays armed."""

    entry_price: Decimal
    peak: Decimal


AT_ENTRY = "entry"  # a stop at the entry price: breakeven


class Override(Struct, frozen=True):
    """The rules that are set for one position as long as it is held, written as in the configuration.

    `stop` and `target` are amounts ("25%", "$120/contract", "price 4.20"; the stop also "entry", the entry price), and
    `trail` is a pullback ("10pt", "10%"); "" leaves the rule of the strategy. `until` ends it earlier than the
    position. `by` is who set it last, and `at` when.
    """

    by: str
    at: dt.datetime
    stop: str = ""
    target: str = ""
    trail: str = ""
    until: dt.datetime | None = None

    @property
    def rules_text(self) -> str:
        """Its rules in a few words: "stop 25%, target 80%"."""
        return _rules_text(self.stop, self.target, self.trail)

    @property
    def text(self) -> str:
        """Its rules, its end, and who set it: "stop 25% until Fri 4 Dec 16:00 ET, set by alice"."""
        return f"{self.rules_text}{_until_text(self.until)}, set by {self.by}"

    def is_in_force(self, now: dt.datetime) -> bool:
        """Whether it has not ended; `now` is the broker's time."""
        return self.until is None or now < self.until


class OverrideChange(Struct, frozen=True):
    """What a person wants to change of a position's override; "" and None leave as it is. `clear` ends all of it."""

    stop: str = ""
    target: str = ""
    trail: str = ""
    until: dt.datetime | None = None
    clear: bool = False

    def applied_to(self, before: Override | None, by: str, at: dt.datetime) -> Override | None:
        """The override after the change; None when nothing is set any more."""
        if self.clear:
            return None
        earlier = before or Override(by, at)
        return Override(
            by,
            at,
            stop=self.stop or earlier.stop,
            target=self.target or earlier.target,
            trail=self.trail or earlier.trail,
            until=self.until or earlier.until,
        )

    @property
    def text(self) -> str:
        """What is changed, in a few words: "stop 25%", "cleared"."""
        if self.clear:
            return "cleared"
        return f"{_rules_text(self.stop, self.target, self.trail)}{_until_text(self.until)}".strip()


def _rules_text(stop: str, target: str, trail: str) -> str:
    at = "at the entry price" if stop == AT_ENTRY else stop
    parts = (stop and f"stop {at}", target and f"target {target}", trail and f"trailing stop {trail}")
    return ", ".join(filter(None, parts))


def _until_text(until: dt.datetime | None) -> str:
    return "" if until is None else f" until {until_text(until)}"


class PositionState(Struct, frozen=True):
    """The stored state of a position.

    `qty_left` is the quantity left by the ledger of our own fills, which the position may not show yet; None when the
    ledger has none. `unresolved` is the quantity of orders sent whose outcome is unknown. `exit` is the exit under way.
    `wide_for` is how long the spread has been wide without a break. `rejects` counts the broker's refusals in a row,
    the last one `rejected_for` ago; `recoverable` means that polls show the cause of that one.
    `quarantine` says what about the position is unexplained; "" when nothing is.
    `window` spans the quotes that have to confirm a stop; None until there were two. `last_trade` confirms IEX quotes.
    `filled_at` is when, by the broker's clock, the last fill that may be missing in the ledger was seen.
    `due_for` is how long a protective or forced exit has been due, whether or not an order could be sent; None when
    none is due.
    `unquoted_for` is how long the quotes that its rules need have been unusable; None when they are usable.
    `confirmed_uncovered` is how much of a short several reads of the positions agree is uncovered.

    The rest is from the position's episode: `opened_at` is the time of the earliest opening fill in the broker's
    orders, `opening_order_id` the client id of that order, `peak` the best price seen for this side (None: none
    yet), `past_averages` the entry prices that it had before it was added to, `original_qty` the quantity that
    scale-outs count from, `suspended` why the strategies' rules are suspended ("" when they are not), and
    `exit_after` the structure with which this leg is closed, as text of ExitAfter ("" when none is being closed).
    `override` has the rules that a person has set for it; None when there are none.
    """

    first_seen: dt.datetime | None = None
    qty_left: Decimal | None = None
    unresolved: Decimal = Decimal(0)
    exit: ExitProgress | None = None
    wide_for: dt.timedelta = dt.timedelta(0)
    order_count: OrderCount = field(default=NOTHING_SENT, name="sent")
    rejects: int = 0
    rejected_for: dt.timedelta = dt.timedelta(0)
    recoverable: bool = field(default=False, name="obstructed")
    quarantine: str = ""
    window: Window | None = None
    last_trade: Decimal | None = None
    penny: bool | None = None  # whether the contract is in the Penny Interval Program; None when unknown
    opened_at: dt.datetime | None = None
    opening_order_id: str = ""
    peak: Decimal | None = None
    past_averages: tuple[PastAverage, ...] = ()
    original_qty: Decimal | None = None
    suspended: str = ""
    exit_after: str = ""
    backstop: BackstopState = BACKSTOP_ALLOWED
    filled_at: dt.datetime | None = None
    due_for: dt.timedelta | None = None
    unquoted_for: dt.timedelta | None = None
    confirmed_uncovered: Decimal = Decimal(0)
    override: Override | None = None

    @property
    def held_since(self) -> dt.datetime | None:
        """When the holding time starts: at the opening fill, else when the position was first seen."""
        return self.opened_at or self.first_seen


class Prices(Struct, frozen=True):
    """The usable sides of a quote, in dollars per share; an unusable side is None, and `problem` says why.

    `wide` marks a spread that is too wide for its mid to be reliable; `wide_settled`, one that has been wide for so
    long that the mid is used nevertheless.
    """

    bid: Decimal | None = None
    ask: Decimal | None = None
    problem: str = "no quote"
    wide: bool = False
    wide_settled: bool = False

    @property
    def mid(self) -> Decimal | None:
        """Halfway between bid and ask; None unless both are usable."""
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2


NO_PRICES = Prices()


class Holding(Struct, frozen=True):
    """A position with its newest quote (None: there is none), the usable prices of it, and its stored state.

    `underlying` has the usable prices of the underlying and `structure` the kind of structure that an option is part
    of, where a rule or a match uses them. `shorts` are the short legs when it is a structure as one position.
    """

    position: Position
    quote: Quote | None = None
    state: PositionState = PositionState()
    prices: Prices = Prices()
    underlying: Prices = NO_PRICES
    structure: StructureKind | None = None
    shorts: tuple[OptionContract, ...] = ()

    @property
    def symbol(self) -> str:
        """The symbol as the broker writes it."""
        return self.position.instrument.symbol

    @property
    def short_options(self) -> tuple[OptionContract, ...]:
        """The contracts that it is short of: those of a structure, or its own."""
        own = self.position.instrument.option
        return self.shorts if self.shorts or own is None or self.position.is_long else (own,)

    @property
    def exit_price(self) -> Decimal | None:
        """The touch, the price that closing trades at now: the bid for a long, the ask for a short."""
        return self.prices.bid if self.position.is_long else self.prices.ask

    @property
    def gain(self) -> Decimal | None:
        """The gain on entry at the exit price, as a ratio (0.1 is +10%); None when unknown."""
        return self.gain_at(self.exit_price)

    def gain_at(self, price: Decimal | None) -> Decimal | None:
        """The gain on entry at `price`, as a ratio; mirrored for a short; None when price or entry is unknown."""
        entry = self.position.entry_price
        if price is None or entry is None:
            return None
        gain = price / entry - 1
        return gain if self.position.is_long else -gain
