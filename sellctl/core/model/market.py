"""Quotes, the exchange's sessions, and the market at one instant of the broker's clock."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

NEW_YORK = ZoneInfo("America/New_York")
_OPENS, _CLOSES = dt.time(9, 30), dt.time(16)
_SATURDAY = 5
# A spread is wide above both WIDE_DOLLARS per share and its share of the mid. One that has been wide for WIDE_SETTLES
# without a break is taken for what the market is like.
WIDE_DOLLARS = Decimal("0.05")
WIDE_SHARE_OF_AN_OPTION = Decimal("0.25")
WIDE_SHARE_OF_A_STOCK = Decimal("0.01")
WIDE_SETTLES = dt.timedelta(seconds=60)


class Quote(Struct, frozen=True):
    """Best bid and ask in dollars per share; None for an inactive side (Alpaca: 0). `at` is the exchange's time."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    at: dt.datetime
    feed: str = ""
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None

    @property
    def mid(self) -> Decimal | None:
        """Halfway between bid and ask; None unless both sides are known."""
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2

    @property
    def spread(self) -> Decimal | None:
        """Ask less bid; negative when crossed; None unless both sides are known."""
        return None if self.bid is None or self.ask is None else self.ask - self.bid


class Window(Struct, frozen=True):
    """The highest and the lowest bid and ask of a symbol within the time for which a stop has to be confirmed."""

    high: Quote
    low: Quote


class Split(Struct, frozen=True):
    """A split of a stock: `ratio` new shares per old one (2 is 2:1, 0.1 is 1:10), traded so from `ex_date` on."""

    symbol: str
    ratio: Decimal
    ex_date: dt.date


class Session(Struct, frozen=True):
    """One trading day of the exchange: its date in New York and its hours in UTC (half days close early)."""

    date: dt.date
    opens_at: dt.datetime
    closes_at: dt.datetime


class Calendar(Struct, frozen=True):
    """The exchange's sessions from `since` on, as exceptions to Monday to Friday, 09:30 to 16:00 in New York.

    `closed` are weekdays without a session, `odd` the sessions with other hours. Every snapshot contains it.
    """

    since: dt.date
    closed: tuple[dt.date, ...] = ()
    odd: tuple[Session, ...] = ()

    def session(self, day: dt.date) -> Session | None:
        """The session of a day; None when there is none, or when the day lies before `since`."""
        if day < self.since or day in self.closed:
            return None
        return next((session for session in self.odd if session.date == day), None) or regular_session(day)


@lru_cache(512)
def regular_session(day: dt.date) -> Session | None:
    """The session of an ordinary day; None on a Saturday or Sunday."""
    if day.weekday() >= _SATURDAY:
        return None
    opens, closes = (dt.datetime.combine(day, time, NEW_YORK).astimezone(dt.UTC) for time in (_OPENS, _CLOSES))
    return Session(day, opens, closes)


def calendar_of(sessions: Iterable[Session], since: dt.date, until: dt.date) -> Calendar:
    """The calendar of the broker's list of every session from `since` to `until`, both included."""
    listed = {session.date: session for session in sessions}
    days = (since + dt.timedelta(days=n) for n in range((until - since).days + 1))
    closed = tuple(day for day in days if day not in listed and regular_session(day))
    odd = tuple(session for day, session in sorted(listed.items()) if session != regular_session(day))
    return Calendar(since, closed, odd)


class BrokerClock(Struct, frozen=True):
    """The answer of /v2/clock. All instants in UTC."""

    now: dt.datetime
    is_open: bool
    next_open: dt.datetime
    next_close: dt.datetime


class Market(Struct, frozen=True):
    """The market at one instant of the broker's clock. All instants in UTC.

    `closes_at` is today's close (None when the market is closed). `opened_at` comes from the calendar (None when that
    is unknown). `confirmed` is False when the calendar contradicts the clock: no price rule fires then, and `closes_at`
    is the earlier of the two. While the calendar is unknown, only the clock is used.
    `calendar` has the sessions of a year back and ten days ahead; None when they are unknown.
    """

    now: dt.datetime
    is_open: bool
    closes_at: dt.datetime | None
    opened_at: dt.datetime | None = None
    confirmed: bool = True
    calendar: Calendar | None = None

    @property
    def today(self) -> dt.date:
        """The date in New York, independent of the host's time zone."""
        return _date_in_new_york(self.now)

    @property
    def until_close(self) -> dt.timedelta | None:
        """Time left in today's session; None when the market is closed."""
        return self.closes_at - self.now if self.is_open and self.closes_at else None

    @property
    def since_open(self) -> dt.timedelta | None:
        """Time since today's open; None when the market is closed or the open is unknown."""
        return self.now - self.opened_at if self.is_open and self.opened_at else None


@lru_cache(16)  # a decision calls it once per position, with the same instant
def _date_in_new_york(instant: dt.datetime) -> dt.date:
    return instant.astimezone(NEW_YORK).date()


def market_at(clock: BrokerClock, calendar: Calendar | None) -> Market:
    """The market by the broker's clock and calendar; `calendar` is None when it is unknown."""
    session = calendar.session(_date_in_new_york(clock.now)) if calendar else None
    inside = session is not None and session.opens_at <= clock.now < session.closes_at
    closes = [clock.next_close] if clock.is_open else []
    closes += [session.closes_at] if clock.is_open and session else []
    return Market(
        now=clock.now,
        is_open=clock.is_open,
        closes_at=min(closes) if closes else None,
        opened_at=session.opens_at if session else None,
        confirmed=calendar is None or (inside == clock.is_open and len(set(closes)) <= 1),
        calendar=calendar,
    )


def until_text(instant: dt.datetime) -> str:
    """An end as it is shown: "Fri 04 Dec 2026 16:00 ET"."""
    return f"{instant.astimezone(NEW_YORK):%a %d %b %Y %H:%M} ET"
