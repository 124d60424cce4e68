"""What is held: the position as the broker reports it, its newest quote, and our memory of it."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sellctl.core.model.instrument import Instrument, StructureKind
from sellctl.core.model.market import Quote, Window


class Direction(StrEnum):
    """Long or short."""

    LONG = "long"
    SHORT = "short"


@dataclass(frozen=True, slots=True)
class Position:
    """One position as the broker reports it.

    `qty` is always positive; `direction` carries the sign. Prices are dollars per share (the premium, for options).
    `available` is what no open order holds; None when the broker doesn't say. `entry_price` is None when it is
    missing or not above zero: then no percentage rule fires.
    """

    instrument: Instrument
    direction: Direction
    qty: Decimal
    available: Decimal | None
    entry_price: Decimal | None
    current_price: Decimal | None = None
    asset_id: str = ""

    @property
    def symbol(self) -> str:
        """The symbol as the broker writes it."""
        return self.instrument.symbol

    @property
    def is_long(self) -> bool:
        """Whether closing it is a sale."""
        return self.direction is Direction.LONG


@dataclass(frozen=True, slots=True)
class ExitProgress:
    """Our memory of an exit that is under way: its reason and how many of its prices have been tried."""

    reason: str
    urgency: int
    step: int  # orders of this exit sent so far
    age: dt.timedelta  # since the last one was sent, by a clock that never steps
    client_order_id: str
    limit_price: Decimal | None = None
    pressing_for: dt.timedelta = dt.timedelta(0)  # since its first order as a protective or forced exit


@dataclass(frozen=True, slots=True)
class OrderCount:
    """How many orders of ours went out in the last minute, for a symbol or an account: all, and those of class 2-3."""

    all: int = 0
    patient: int = 0


NOTHING_SENT = OrderCount()


@dataclass(frozen=True, slots=True)
class BackstopState:
    """Our memory of a position's backstop: whether the broker refuses one, and whether the next has to wait."""

    refused: bool = False
    waits: bool = False


NO_BACKSTOP = BackstopState()


@dataclass(frozen=True, slots=True)
class PositionState:
    """Our memory of a position.

    `qty_left` is what our ledger says is left after fills that the position may not show yet; None when it has
    nothing to add. `unresolved` is the quantity of orders sent whose outcome is unknown. `exit` is the exit under way.
    `wide_for` is how long the spread has been wide without a break. `rejects` counts the broker's rejections in a row,
    the last one `rejected_for` ago. `quarantine` says what about the position is unexplained; "" when nothing.
    `window` spans the quotes that have to confirm a stop; None until there were two. `last_trade` confirms IEX quotes.
    `filled_at` is when an order last filled that the ledger does not know of, by the broker's clock.

    Of the episode, from flat to flat: `opened_at` is the earliest opening fill that orders showed, `opening_order_id`
    that order's client id, `peak` the best price seen for this side (None: none yet), `original_qty` the quantity that
    scale-outs count from, `suspended` why the strategies' rules are suspended ("" when they are not), `exit_after`
    the short leg, and why it is closed, that this leg is closed after.
    """

    first_seen: dt.datetime | None = None
    qty_left: Decimal | None = None
    unresolved: Decimal = Decimal(0)
    exit: ExitProgress | None = None
    wide_for: dt.timedelta = dt.timedelta(0)
    sent: OrderCount = NOTHING_SENT
    rejects: int = 0
    rejected_for: dt.timedelta = dt.timedelta(0)
    quarantine: str = ""
    window: Window | None = None
    last_trade: Decimal | None = None
    penny: bool | None = None  # whether the contract is in the penny programme; None when unknown
    opened_at: dt.datetime | None = None
    opening_order_id: str = ""
    peak: Decimal | None = None
    original_qty: Decimal | None = None
    suspended: str = ""
    exit_after: str = ""
    backstop: BackstopState = NO_BACKSTOP
    filled_at: dt.datetime | None = None

    @property
    def held_since(self) -> dt.datetime | None:
        """When time held begins: the opening fill, else when the position was first seen."""
        return self.opened_at or self.first_seen


@dataclass(frozen=True, slots=True)
class Prices:
    """The sides of a quote that were found usable, in dollars per share; None where not, and then `problem` says why.

    `wide` marks a spread so large that its mid means little; `wide_settled`, that it has been so for so long that the
    mid is used all the same.
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


@dataclass(frozen=True, slots=True)
class Holding:
    """A position with its newest quote (None: none came), what of it is usable, and our memory of the position.

    `underlying` is what is usable of the underlying's quote and `structure` what an option is part of, where a rule
    asks for it.
    """

    position: Position
    quote: Quote | None = None
    state: PositionState = PositionState()
    prices: Prices = Prices()
    underlying: Prices = NO_PRICES
    structure: StructureKind | None = None

    @property
    def symbol(self) -> str:
        """The symbol as the broker writes it."""
        return self.position.instrument.symbol

    @property
    def exit_price(self) -> Decimal | None:
        """What one could get now: the bid for a long, the ask for a short."""
        return self.prices.bid if self.position.is_long else self.prices.ask

    @property
    def gain(self) -> Decimal | None:
        """The gain on entry at the price one could get now, as a ratio (0.1 is +10%); None when unknown."""
        return self.gain_at(self.exit_price)

    def gain_at(self, price: Decimal | None) -> Decimal | None:
        """The gain on entry at `price`, as a ratio; for a short the mirror; None when price or entry is unknown."""
        entry = self.position.entry_price
        if price is None or entry is None:
            return None
        gain = price / entry - 1
        return gain if self.position.is_long else -gain
