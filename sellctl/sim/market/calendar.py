"""NYSE sessions by rule: dates and hours.

Sources: NYSE holiday and early-close rules; single closures as announced. Valid from 2015 on (checked to 2035).
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
OPEN = dt.time(9, 30)
CLOSE = dt.time(16, 0)
HALF_DAY_CLOSE = dt.time(13, 0)
PRE_MARKET = dt.time(4, 0)
AFTER_HOURS_END = dt.time(20, 0)
HALF_DAY_AFTER_HOURS_END = dt.time(17, 0)

_SATURDAY, _SUNDAY = 5, 6
_MONDAY, _THURSDAY, _FRIDAY = 0, 3, 4
_JUNETEENTH_SINCE = 2022
# Days of mourning: Presidents G. H. W. Bush and Carter.
_SINGLE_CLOSURES = frozenset({dt.date(2018, 12, 5), dt.date(2025, 1, 9)})


@dataclass(frozen=True, slots=True)
class Hours:
    """One session: its date in New York, core hours and the extended day around them, all instants in UTC."""

    date: dt.date
    opens_at: dt.datetime
    closes_at: dt.datetime
    pre_opens_at: dt.datetime
    post_closes_at: dt.datetime


@cache
def hours_on(date: dt.date) -> Hours | None:
    """The session of a date, or None on weekends and holidays."""
    if date.weekday() >= _SATURDAY or date in holidays(date.year):
        return None
    half = date in half_days(date.year)
    return Hours(
        date=date,
        opens_at=_instant(date, OPEN),
        closes_at=_instant(date, HALF_DAY_CLOSE if half else CLOSE),
        pre_opens_at=_instant(date, PRE_MARKET),
        post_closes_at=_instant(date, HALF_DAY_AFTER_HOURS_END if half else AFTER_HOURS_END),
    )


def sessions(start: dt.date, end: dt.date) -> Iterator[Hours]:
    """Every session from `start` to `end`, both included."""
    for offset in range((end - start).days + 1):
        if hours := hours_on(start + dt.timedelta(days=offset)):
            yield hours


def exchange_date(at: dt.datetime) -> dt.date:
    """The date in New York at an instant."""
    return at.astimezone(NEW_YORK).date()


def hours_at(at: dt.datetime) -> Hours | None:
    """The session of the exchange's date at an instant, whether it is open or not."""
    return hours_on(exchange_date(at))


def is_open(at: dt.datetime) -> bool:
    """Whether the core session runs: from the open, included, to the close, excluded."""
    hours = hours_at(at)
    return hours is not None and hours.opens_at <= at < hours.closes_at


def next_open(at: dt.datetime) -> dt.datetime:
    """The first open after an instant."""
    return next(hours.opens_at for hours in _from(exchange_date(at)) if hours.opens_at > at)


def next_close(at: dt.datetime) -> dt.datetime:
    """The first close after an instant."""
    return next(hours.closes_at for hours in _from(exchange_date(at)) if hours.closes_at > at)


def last_close(at: dt.datetime) -> dt.datetime:
    """The latest close at or before an instant."""
    date = exchange_date(at)
    while True:
        hours = hours_on(date)
        if hours and hours.closes_at <= at:
            return hours.closes_at
        date -= dt.timedelta(days=1)


def next_session_date(date: dt.date) -> dt.date:
    """The first session's date after a date."""
    return next(hours.date for hours in _from(date + dt.timedelta(days=1)))


def phase_at(at: dt.datetime) -> tuple[str, dt.datetime]:
    """Alpaca's v3 phase (closed, pre, core, post) at an instant, and until when it lasts."""
    hours = hours_at(at)
    if hours:
        for phase, until in (
            ("closed", hours.pre_opens_at),
            ("pre", hours.opens_at),
            ("core", hours.closes_at),
            ("post", hours.post_closes_at),
        ):
            if at < until:
                return phase, until
    return "closed", next(h.pre_opens_at for h in _from(exchange_date(at)) if h.pre_opens_at > at)


@cache
def holidays(year: int) -> frozenset[dt.date]:
    """The full-day closures of a year."""
    days = {
        _nth(year, 1, _MONDAY, 3),  # Martin Luther King
        _nth(year, 2, _MONDAY, 3),  # Washington
        easter(year) - dt.timedelta(days=2),  # Good Friday
        _last_monday_of_may(year),  # Memorial
        _observed(dt.date(year, 7, 4)),
        _nth(year, 9, _MONDAY, 1),  # Labor
        _nth(year, 11, _THURSDAY, 4),  # Thanksgiving
        _observed(dt.date(year, 12, 25)),
    }
    new_year = dt.date(year, 1, 1)
    if new_year.weekday() != _SATURDAY:  # on a Saturday it is not observed, since Friday is in the old year
        days.add(_observed(new_year))
    if year >= _JUNETEENTH_SINCE:
        days.add(_observed(dt.date(year, 6, 19)))
    return frozenset(days) | {day for day in _SINGLE_CLOSURES if day.year == year}


@cache
def half_days(year: int) -> frozenset[dt.date]:
    """The days of a year that close at 13:00: before Independence Day, after Thanksgiving, before Christmas."""
    eves = {dt.date(year, 7, 3), dt.date(year, 12, 24)}
    short = {day for day in eves if day.weekday() < _FRIDAY}
    return frozenset(short | {_nth(year, 11, _THURSDAY, 4) + dt.timedelta(days=1)})


def easter(year: int) -> dt.date:
    """Easter Sunday by the anonymous Gregorian algorithm."""
    century, year_of_century = divmod(year, 100)
    golden = year % 19
    leap_centuries, century_rest = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap_centuries - correction + 15) % 30
    leaps, year_rest = divmod(year_of_century, 4)
    weekday = (32 + 2 * century_rest + 2 * leaps - epact - year_rest) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return dt.date(year, month, day + 1)


def _from(date: dt.date) -> Iterator[Hours]:
    return sessions(date, date + dt.timedelta(days=14))


def _instant(date: dt.date, time: dt.time) -> dt.datetime:
    return dt.datetime.combine(date, time, NEW_YORK).astimezone(dt.UTC)


def _observed(day: dt.date) -> dt.date:
    shift = {_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday(), 0)
    return day + dt.timedelta(days=shift)


def _nth(year: int, month: int, weekday: int, n: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _last_monday_of_may(year: int) -> dt.date:
    last = dt.date(year, 5, 31)
    return last - dt.timedelta(days=last.weekday())
