"""The market's time for all accounts: one clock request per poll, one calendar request per day, with any valid key.

A remembered calendar is used at once when it covers today and agrees with the clock; it is refreshed behind. Without
one, it is requested together with the clock. A calendar that contradicts the clock is requested again, so that one
wrong answer doesn't suspend all price exits for the day.
"""

import asyncio
import datetime as dt
from collections.abc import Sequence

from msgspec.structs import replace

from sellctl.core.errors import BrokerError
from sellctl.core.model.market import NEW_YORK, BrokerClock, Calendar, Market, calendar_of, market_at
from sellctl.core.ports import Broker, Clock
from sellctl.core.tracking.remembered_facts import KnownCalendar, RememberedFacts

_DAYS_BACK, _DAYS_AHEAD = 366, 10  # session minutes of a holding are counted over the days back
CALENDAR_AGAIN_SECONDS = 60.0


class MarketClock:
    """Reads the broker's clock, and between two reads adds the time that a monotonic clock has measured."""

    def __init__(self, brokers: Sequence[Broker], clock: Clock, facts: RememberedFacts | None = None) -> None:
        self._brokers = list(brokers)
        self._clock = clock
        self._facts = facts or RememberedFacts()
        self._read: BrokerClock | None = None
        self._read_at = 0.0
        self._asked_for: dt.date | None = None  # the day on which the calendar was requested last
        self._may_ask_at = 0.0

    async def read(self) -> Market:
        """Read the broker's clock. BrokerError when no account's key gets an answer."""
        today = self._clock.now().astimezone(NEW_YORK).date()  # by the host, until the broker has answered
        early = () if self._calendar(today) else (self._request_calendar(today),)
        before = self._facts.calendar
        answer, *_ = await asyncio.gather(self._take_clock(), *early, return_exceptions=True)
        if isinstance(answer, BaseException):
            raise answer
        today, known = answer.now.astimezone(NEW_YORK).date(), self._facts.calendar
        if known is not None and known is not before:
            self._facts.calendar_known(replace(known, asked_on=today))  # the host's date may be another one
        if self._calendar(today) is None or not self.now().confirmed:
            await self._request_calendar(today)
        return self.now()

    async def refresh_calendar(self) -> None:
        """Request the calendar once per day, although a remembered one serves."""
        known, now = self._facts.calendar, self.instant
        if now is not None and known is not None and known.asked_on != now.astimezone(NEW_YORK).date():
            await self._request_calendar(now.astimezone(NEW_YORK).date())

    def now(self) -> Market:
        """The market now: the last answer, advanced by the time since. BrokerError before the first answer."""
        if self._read is None:
            raise BrokerError("The broker's clock is not known yet.")
        passed = dt.timedelta(seconds=self._clock.monotonic() - self._read_at)
        calendar = self._calendar((self._read.now + passed).astimezone(NEW_YORK).date())
        return market_at(_advanced(self._read, passed, calendar), calendar)

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

    async def _take_clock(self) -> BrokerClock:
        self._read = await self._read_clock()
        self._read_at = self._clock.monotonic()
        return self._read

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

    def _calendar(self, day: dt.date) -> Calendar | None:
        """The calendar, if it covers this day."""
        known = self._facts.calendar
        return known.calendar if known is not None and known.covers(day) else None

    async def _request_calendar(self, today: dt.date) -> None:
        """Read the calendar, at most once per minute for the same day. After a failure, the known one is kept."""
        if self._asked_for == today and self._clock.monotonic() < self._may_ask_at:
            return
        self._asked_for, self._may_ask_at = today, self._clock.monotonic() + CALENDAR_AGAIN_SECONDS
        first, last = today - dt.timedelta(days=_DAYS_BACK), today + dt.timedelta(days=_DAYS_AHEAD)
        for broker in tuple(self._brokers):
            try:
                sessions = await broker.sessions(first, last)
            except BrokerError:
                continue
            if sessions:
                self._facts.calendar_known(KnownCalendar(calendar_of(sessions, first, last), last, today))
            return


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
