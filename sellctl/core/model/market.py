"""Prices and hours: a quote, the exchange's day, and the market at one instant of the broker's clock."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask in dollars a share. None is "no active side" (Alpaca writes 0). `at` is the exchange's own stamp, UTC."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    at: dt.datetime
    feed: str = ""
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None

    @property
    def mid(self) -> Decimal | None:
        """Halfway between bid and ask; None unless both sides stand."""
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2

    @property
    def spread(self) -> Decimal | None:
        """Ask less bid; negative when crossed; None unless both sides stand."""
        return None if self.bid is None or self.ask is None else self.ask - self.bid


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day of the exchange: its date in New York and its hours in UTC (half days close early)."""

    date: dt.date
    opens_at: dt.datetime
    closes_at: dt.datetime


@dataclass(frozen=True, slots=True)
class BrokerClock:
    """What /v2/clock said. All instants in UTC."""

    now: dt.datetime
    is_open: bool
    next_open: dt.datetime
    next_close: dt.datetime


@dataclass(frozen=True, slots=True)
class Market:
    """The market at one instant of the broker's clock.

    `session` is today's (None on a day without one). `agreed` is False when clock and calendar contradict each other:
    then no price rule fires.
    """

    now: dt.datetime
    is_open: bool
    session: Session | None
    agreed: bool = True

    @property
    def today(self) -> dt.date:
        """The exchange's date, whatever the host's time zone."""
        return self.now.astimezone(NEW_YORK).date()

    @property
    def until_close(self) -> dt.timedelta | None:
        """Time left in today's session; None when the market is closed or the session is unknown."""
        return self.session.closes_at - self.now if self.is_open and self.session else None

    @property
    def since_open(self) -> dt.timedelta | None:
        """Time since today's open; None when the market is closed or the session is unknown."""
        return self.now - self.session.opens_at if self.is_open and self.session else None
