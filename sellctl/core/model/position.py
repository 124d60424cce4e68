"""What is held: the broker's word, the newest quote, and our memory of it."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sellctl.core.model.instrument import Instrument
from sellctl.core.model.market import Quote


class Direction(StrEnum):
    """Long or short."""

    LONG = "long"
    SHORT = "short"


@dataclass(frozen=True, slots=True)
class Position:
    """The broker's word on one position.

    `qty` is always positive; `direction` carries the sign. Prices are dollars a share (the premium, for options).
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
class ExitTrack:
    """Our memory of an exit that is under way: what it is for and how far its ladder has come."""

    reason: str
    urgency: int
    step: int  # orders of this exit sent so far
    sent_at: dt.datetime  # the last one, broker's clock
    client_order_id: str
    limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """Our memory of a position.

    `qty_left` is what our ledger says is left after fills that the position may not show yet; None when it has
    nothing to add. `unresolved` is the quantity of orders sent whose fate is unknown. `exit` is the exit under way.
    """

    first_seen: dt.datetime | None = None
    qty_left: Decimal | None = None
    unresolved: Decimal = Decimal(0)
    exit: ExitTrack | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """A position with its newest quote (None: none came) and our memory of it."""

    position: Position
    quote: Quote | None = None
    track: Track = Track()

    @property
    def symbol(self) -> str:
        """The symbol as the broker writes it."""
        return self.position.symbol
