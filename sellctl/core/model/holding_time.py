"""How long a position has been held, and how long an option still trades. Days are those of the exchange.

Time held counts from the earliest opening fill in the broker's orders, else from when the position was first seen.
"""

import datetime as dt

from sellctl.core.model.instrument import OptionContract
from sellctl.core.model.market import NEW_YORK, Calendar, Market, regular_session
from sellctl.core.model.position import Holding

_NOTHING = dt.timedelta(0)
_LONGEST_CLOSURE = 10  # days; the exchange has been closed for longer in wartime only


def days_left(holding: Holding, market: Market) -> int | None:
    """Calendar days until an option's last trading day, 0 on that day; None for anything else."""
    option = holding.position.instrument.option
    return (last_trading_day(option, market.calendar) - market.today).days if option else None


def is_last_day(holding: Holding, market: Market) -> bool:
    """Whether the holding is an option that trades for the last time today."""
    return days_left(holding, market) == 0


def last_trading_day(option: OptionContract, calendar: Calendar | None) -> dt.date:
    """The expiration date, or the session before it for an option that settles in the morning."""
    day = option.expires
    if not option.is_am_settled:
        return day
    for _ in range(_LONGEST_CLOSURE):
        day -= dt.timedelta(days=1)
        if regular_session(day) and (calendar is None or day < calendar.since or calendar.session(day)):
            break
    return day


def time_held(holding: Holding, market: Market) -> dt.timedelta | None:
    """How long it has been held, nights and weekends included; None when it is unknown since when."""
    since = holding.state.held_since
    return None if since is None else market.now - since


def session_time_held(holding: Holding, market: Market) -> dt.timedelta | None:
    """How long it has been held while the exchange was open, by the broker's calendar; None as `time_held`.

    A lower bound: days before the calendar begins count as zero, and so do all days when there is no calendar.
    """
    since = holding.state.held_since
    if since is None:
        return None
    calendar = market.calendar
    if calendar is None:
        return _NOTHING
    first = max(since.astimezone(NEW_YORK).date(), calendar.since)
    days = (first + dt.timedelta(days=n) for n in range((market.today - first).days + 1))
    sessions = (session for day in days if (session := calendar.session(day)))
    spans = (min(market.now, each.closes_at) - max(since, each.opens_at) for each in sessions)
    return sum((max(span, _NOTHING) for span in spans), _NOTHING)
