"""The market's time for all accounts: one clock request a look, the calendar once a day, by whichever key answers.

One wrong answer of the calendar must not rest all price exits for the day: while it contradicts the clock, it is asked
again.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

from sellctl.core.errors import BrokerError
from sellctl.core.model.market import NEW_YORK, BrokerClock, Calendar, Market, calendar_of, market_at
from sellctl.core.ports import Broker, Clock

_DAYS_BACK, _DAYS_AHEAD = 366, 10  # session minutes of a holding are counted over the days back
CALENDAR_AGAIN_SECONDS = 60.0


class MarketClock:
    """Asks the broker for the time and carries it on between two askings by a clock that never steps."""

    def __init__(self, brokers: Sequence[Broker], clock: Clock) -> None:
        self._brokers = list(brokers)
        self._clock = clock
        self._read: BrokerClock | None = None
        self._read_at = 0.0
        self._calendar: Calendar | None = None
        self._calendar_of: dt.date | None = None
        self._ask_calendar_at = 0.0

    async def read(self) -> Market:
        """Ask the broker. BrokerError when no account's key gets an answer."""
        self._read = await self._ask()
        self._read_at = self._clock.monotonic()
        await self._know_the_calendar(self._read.now.astimezone(NEW_YORK).date())
        return self.now()

    def now(self) -> Market:
        """The market by the last answer and the time since. BrokerError when there never was an answer."""
        if self._read is None:
            raise BrokerError("The broker's clock is not known yet.")
        passed = dt.timedelta(seconds=self._clock.monotonic() - self._read_at)
        return market_at(_carried_on(self._read, passed), self._calendar)

    @property
    def instant(self) -> dt.datetime | None:
        """The broker's time by its last answer; None when there never was one."""
        if self._read is None:
            return None
        return self._read.now + dt.timedelta(seconds=self._clock.monotonic() - self._read_at)

    @property
    def next_open(self) -> dt.datetime | None:
        """The next open as the broker last said."""
        return self._read.next_open if self._read else None

    async def _ask(self) -> BrokerClock:
        """The first answer; an account that doesn't give one moves to the end of the line."""
        last: BrokerError | None = None
        for broker in tuple(self._brokers):
            try:
                return await broker.clock()
            except BrokerError as error:
                last = error
                self._brokers.remove(broker)
                self._brokers.append(broker)
        raise last or BrokerError("No account is left to ask for the time.")

    async def _know_the_calendar(self, today: dt.date) -> None:
        """Once a day; while it can't be had, names no session at all or contradicts the clock, once a minute."""
        if self._calendar_of != today:
            self._calendar = None
        elif self._is_in_order() or self._clock.monotonic() < self._ask_calendar_at:
            return
        self._calendar_of, self._ask_calendar_at = today, self._clock.monotonic() + CALENDAR_AGAIN_SECONDS
        first, last = today - dt.timedelta(days=_DAYS_BACK), today + dt.timedelta(days=_DAYS_AHEAD)
        for broker in tuple(self._brokers):
            try:
                sessions = await broker.sessions(first, last)
            except BrokerError:
                continue
            self._calendar = calendar_of(sessions, first, last) if sessions else self._calendar
            return

    def _is_in_order(self) -> bool:
        """Whether there is a calendar, and it says what the clock says."""
        return self._calendar is not None and self.now().confirmed


def _carried_on(read: BrokerClock, passed: dt.timedelta) -> BrokerClock:
    """The broker's clock some time after it was read; it opens and closes as it said it would."""
    now = read.now + passed
    turns_at = read.next_close if read.is_open else read.next_open
    return replace(read, now=now, is_open=read.is_open != (now >= turns_at))
