"""Rules on time: held too long, the close is near, a time of day, few days left. They need no price.

Every instant is the broker's; days are the exchange's. Time held counts from the earliest opening fill that orders
showed, else from the first sight (design, section 4).
"""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.config.schema import Basis, Counts
from sellctl.core.model.market import NEW_YORK, Market
from sellctl.core.model.plan import TABLE, ExitSignal, Reason, Trigger
from sellctl.core.model.position import Holding
from sellctl.core.rules.gain import as_percent, is_at_or_above, price_at_gain, price_on


class TimeRule:
    """A rule without a price: it never has a trigger price."""

    __slots__ = ()
    needs_underlying: ClassVar[bool] = False
    needs_peak: ClassVar[bool] = False
    reason: ClassVar[Reason]

    def trigger(self, _holding: Holding, _market: Market) -> Trigger | None:
        """None."""
        return None

    def leave(self, holding: Holding, detail: str) -> ExitSignal:
        """The exit of all of it."""
        return ExitSignal(holding, holding.position.qty, self.reason, detail, TABLE[self.reason].urgency)


@dataclass(frozen=True, slots=True)
class MaxHold(TimeRule):
    """Leave when held for `limit`, nights and weekends included."""

    reason: ClassVar[Reason] = Reason.MAX_HOLD
    limit: dt.timedelta

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit; None before that, or when nobody knows since when it is held."""
        held = time_held(holding, market)
        if held is None or held < self.limit:
            return None
        seen = "" if holding.state.opened_at else " (since first seen)"
        return self.leave(holding, f"held {held_text(held)}{seen}, {held_text(self.limit)} allowed")

    def label(self, _holding: Holding, _market: Market) -> str:
        """Max hold 2 d."""
        return f"out after {held_text(self.limit)} held"


@dataclass(frozen=True, slots=True)
class BeforeClose(TimeRule):
    """Leave `before` each day's close."""

    reason: ClassVar[Reason] = Reason.BEFORE_CLOSE
    before: dt.timedelta

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit; None earlier in the day, or when the market is closed."""
        left = market.until_close
        if left is None or left > self.before:
            return None
        return self.leave(holding, f"{held_text(left)} to the close, out {held_text(self.before)} before it")

    def label(self, _holding: Holding, _market: Market) -> str:
        """Out 10 min before the close."""
        return f"out {held_text(self.before)} before the close"


@dataclass(frozen=True, slots=True)
class ExitAt(TimeRule):
    """Leave from a time of day in New York on."""

    reason: ClassVar[Reason] = Reason.EXIT_AT
    at: dt.time

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit; None earlier in the day."""
        now = market.now.astimezone(NEW_YORK)
        return None if now.time() < self.at else self.leave(holding, f"{now:%H:%M} ET, out from {self.at:%H:%M} on")

    def label(self, _holding: Holding, _market: Market) -> str:
        """Out from 15:30 ET on."""
        return f"out from {self.at:%H:%M} ET on"


@dataclass(frozen=True, slots=True)
class DaysToExpiry(TimeRule):
    """Leave when `days` calendar days or fewer are left; with `gain`, only while the gain is at least that."""

    reason: ClassVar[Reason] = Reason.DAYS_TO_EXPIRY
    days: int
    gain: Decimal | None = None
    basis: Basis = Basis.BID

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit; None for what doesn't expire, or expires later."""
        left = days_left(holding, market)
        if left is None or left > self.days or not self._is_ahead(holding):
            return None
        gain = "" if self.gain is None else f" and at least {as_percent(self.gain)}"
        return self.leave(holding, f"{left} days to expiry, {self.days} or fewer{gain}")

    def label(self, _holding: Holding, _market: Market) -> str:
        """Out at 7 days to expiry."""
        gain = "" if self.gain is None else f", from {as_percent(self.gain)} on"
        return f"out at {self.days} days to expiry{gain}"

    def _is_ahead(self, holding: Holding) -> bool:
        if self.gain is None:
            return True
        price, needed = price_on(holding, self.basis), price_at_gain(holding.position, self.gain)
        if price is None or needed is None or holding.prices.wide:
            return False
        return is_at_or_above(holding.position, price, needed)


def days_left(holding: Holding, market: Market) -> int | None:
    """Calendar days until an option expires, 0 on its last day; None for what doesn't expire."""
    option = holding.position.instrument.option
    return (option.expires - market.today).days if option else None


def is_within(days: int | None, counts: Counts) -> bool:
    """Whether a number of days is in a range; unknown is not."""
    return days is not None and days in counts


def time_held(holding: Holding, market: Market) -> dt.timedelta | None:
    """How long it has been held, by the clock on the wall; None when nobody knows since when."""
    since = holding.state.held_since
    return None if since is None else market.now - since


def session_time_held(holding: Holding, market: Market) -> dt.timedelta | None:
    """How long it has been held while the exchange was open, by the broker's calendar: holidays and half days count.

    At least so long, where a part isn't known: days before the calendar begins, or all of them, count as nothing.
    """
    since = holding.state.held_since
    if since is None:
        return None
    calendar, nothing = market.calendar, dt.timedelta(0)
    if calendar is None:
        return nothing
    first = max(since.astimezone(NEW_YORK).date(), calendar.since)
    days = (first + dt.timedelta(days=n) for n in range((market.today - first).days + 1))
    sessions = (session for day in days if (session := calendar.session(day)))
    spans = (min(market.now, each.closes_at) - max(since, each.opens_at) for each in sessions)
    return sum((max(span, nothing) for span in spans), nothing)


def held_text(span: dt.timedelta) -> str:
    """A time held, for the eye: 2 d, 3 h, 45 min, 30 s."""
    seconds = int(span.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{Decimal(seconds) / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds} s"
