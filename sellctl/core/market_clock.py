"""The market's time for all accounts: one clock request per poll, one calendar request per day, with any valid key.

A calendar that contradicts the clock is requested again, so that one wrong answer doesn't suspend all price exits for
the day.
"""

import datetime as dt
from collections.abc import Sequence

from msgspec.structs import replace

from sellctl.core.errors import BrokerError
from sellctl.core.model.market import NEW_YORK, BrokerClock, Calendar, Market, calendar_of, market_at
from sellctl.core.ports import Broker, Clock

_DAYS_BACK, _DAYS_AHEAD = 366, 10  # session minutes of a holding are counted over the days back
CALENDAR_AGAIN_SECONDS = 60.0


class MarketClock:
    """Reads the broker's clock, and between two reads adds the time that a monotonic clock has measured."""

    def __init__(self, brokers: Sequence[Broker], clock: Clock) -> None:
        self._brokers = list(brokers)
        self._clock = clock
        self._read: BrokerClock | None = None
        self._read_at = 0.0
        self._calendar: Calendar | None = None
        self._calendar_of: dt.date | None = None
        self._calendar_due_at = 0.0

    async def read(self) -> Market:
        """Read the broker's clock. BrokerError when no account's key gets an answer."""
        self._read = await self._read_clock()
        self._read_at = self._clock.monotonic()
        await self._refresh_calendar(self._read.now.astimezone(NEW_YORK).date())
        return self.now()

    def now(self) -> Market:
        """The market now: the last answer, advanced by the time since. BrokerError before the first answer."""
        if self._read is None:
            raise BrokerError("The broker's clock is not known yet.")
        passed = dt.timedelta(seconds=self._clock.monotonic() - self._read_at)
        return market_at(_advanced(self._read, passed, self._calendar), self._calendar)

    @property
    def instant(self) -> dt.datetime | None:
        """The broker's time now, from its last answer; None before the first."""
        if self._read is None:
            return None
        return self._read.now + dt.timedelta(seconds=self._clock.monotonic() - self._read_at)

    @property
    def age(self) -> float:
        """Seconds since the broker's clock was last read; infinite before the first answer."""
        return float("inf") if self._read is None else self._clock.monotonic() - self._read_at

    @property
    def next_open(self) -> dt.datetime | None:
        """The next open, from the broker's last answer; None before the first."""
        return self._read.next_open if self._read else None

    async def _read_clock(self) -> BrokerClock:
        """The first answer; an account whose request fails is tried last from then on."""
        last: BrokerError | None = None
        for broker in tuple(self._brokers):
            try:
                return await broker.clock()
            except BrokerError as error:
                last = error
                self._brokers.remove(broker)
                self._brokers.append(broker)
        raise last or BrokerError("There is no account whose key could read the clock.")

    async def _refresh_calendar(self, today: dt.date) -> None:
        """Read the calendar once per day; once per minute while it is missing, empty or contradicts the clock."""
        if self._calendar_of != today:
            self._calendar = None
        elif self._is_consistent() or self._clock.monotonic() < self._calendar_due_at:
            return
        self._calendar_of, self._calendar_due_at = today, self._clock.monotonic() + CALENDAR_AGAIN_SECONDS
        first, last = today - dt.timedelta(days=_DAYS_BACK), today + dt.timedelta(days=_DAYS_AHEAD)
        for broker in tuple(self._brokers):
            try:
                sessions = await broker.sessions(first, last)
            except BrokerError:
                continue
            self._calendar = calendar_of(sessions, first, last) if sessions else self._calendar
            return

    def _is_consistent(self) -> bool:
        """Whether there is a calendar that agrees with the clock."""
        return self._calendar is not None and self.now().confirmed


def _advanced(read: BrokerClock, passed: dt.timedelta, calendar: Calendar | None) -> BrokerClock:
    """The broker's clock `passed` after it was read.

    The market opens and closes at the times that the clock had then. After both of them, the calendar says whether it
    is open; without a calendar it counts as closed.
    """
    now = read.now + passed
    turns = sorted(((read.next_open, True), (read.next_close, False)))
    over = [opens for at, opens in turns if now >= at]
    if len(over) < len(turns):
        return replace(read, now=now, is_open=over[-1] if over else read.is_open)
    session = calendar.session(now.astimezone(NEW_YORK).date()) if calendar else None
    if session is None or not session.opens_at <= now < session.closes_at:
        return replace(read, now=now, is_open=False)
    return replace(read, now=now, is_open=True, next_close=session.closes_at)
