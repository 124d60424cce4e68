"""When something that a user asked for ends by itself: the text of an option `--until`, read and shown again.

All times are New York's. What decides is the broker's clock, which the caller passes as the market.
"""

import datetime as dt
import re

from sellctl.core.errors import BrokerError, ConfigError
from sellctl.core.model.market import NEW_YORK, Market, regular_session, until_text

HINT = "Write friday, today, 15:30, 2026-12-04 or 2026-12-04T15:30, New York time."
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORTEST_WEEKDAY = 3
_WEEK = len(_WEEKDAYS)
_CLOSE = dt.time(16)  # of a day without a session, too
_TIME = re.compile(r"\d{1,2}:\d{2}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATE_AND_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[t ]\d{2}:\d{2}(:\d{2})?(z|[+-]\d{2}:\d{2})?", re.ASCII)
_LONGEST = 40
_FARTHEST = dt.timedelta(days=3653)


def end_of(text: str | None, market: Market | None, option: str = "until") -> dt.datetime | None:
    """The end that a person gave, by the broker's clock; None for None. `option` is what the surface calls it.

    ConfigError for a text that `until_of` refuses, and BrokerError while the broker's clock is unknown.
    """
    if text is None:
        return None
    if market is None:
        hint = f"Try again, or leave {option} out."
        raise BrokerError("The broker's clock could not be read, so the end is unknown.", hint=hint)
    try:
        return until_of(text, market)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from None


def until_of(text: str, market: Market) -> dt.datetime:
    """The instant, in UTC, that a text means: `today`, a weekday, HH:MM, a date, or a date and time.

    A day without a time means its close: the session's of the calendar, 16:00 when it has none or is unknown. A weekday
    is today until its close, then the day of next week. ValueError, with a sentence, for anything else, for a time that
    has passed, and for one more than ten years ahead.
    """
    word = " ".join(text.split()).lower()
    try:
        instant = _instant_of(word, market)
    except (ValueError, OverflowError):
        instant = None
    if instant is None:
        shown = ascii(word[:_LONGEST])[1:-1]
        raise ValueError(f"{shown or 'An empty text'} isn't a time. {HINT}")
    if instant <= market.now:
        raise ValueError(f"{until_text(instant)} has passed: it is {until_text(market.now)} now.")
    if instant - market.now > _FARTHEST:
        raise ValueError(f"{instant.astimezone(NEW_YORK):%Y-%m-%d} is more than ten years ahead.")
    return instant


def _instant_of(word: str, market: Market) -> dt.datetime | None:
    """The instant that a text means, past or not; None when it means none. ValueError for no date or time of a day."""
    if word == "today":
        return _close_of(market.today, market)
    if (weekday := _weekday_of(word)) is not None:
        return _next_close(weekday, market)
    if _TIME.fullmatch(word):
        return _in_utc(dt.datetime.combine(market.today, dt.time.fromisoformat(word.zfill(len("00:00")))))
    if _DATE.fullmatch(word):
        return _close_of(dt.date.fromisoformat(word), market)
    return _in_utc(dt.datetime.fromisoformat(word.upper())) if _DATE_AND_TIME.fullmatch(word) else None


def _weekday_of(word: str) -> int | None:
    """The number of a weekday's name, in full or its first letters, Monday being 0; None when it is none."""
    names = [name for name in _WEEKDAYS if len(word) >= _SHORTEST_WEEKDAY and name.startswith(word)]
    return _WEEKDAYS.index(names[0]) if names else None


def _next_close(weekday: int, market: Market) -> dt.datetime:
    """The close of a weekday: of today until it has passed, then of the next day of that name."""
    day = market.today + dt.timedelta(days=(weekday - market.today.weekday()) % _WEEK)
    close = _close_of(day, market)
    return close if close > market.now else _close_of(day + dt.timedelta(days=_WEEK), market)


def _close_of(day: dt.date, market: Market) -> dt.datetime:
    session = market.calendar.session(day) if market.calendar else regular_session(day)
    if market.closes_at and day == market.today:
        return market.closes_at  # the broker's clock knows an early close although the calendar is unknown
    return session.closes_at if session else _in_utc(dt.datetime.combine(day, _CLOSE))


def _in_utc(local: dt.datetime) -> dt.datetime:
    """A time in UTC; one without an offset is New York's."""
    return (local if local.tzinfo else local.replace(tzinfo=NEW_YORK)).astimezone(dt.UTC)
