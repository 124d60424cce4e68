"""The market's time for all accounts: what is asked of the broker, and how often."""

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, cast

import pytest
from builders import HALF_DAY, TUESDAY, at, replace

from sellctl.core.errors import BrokerError
from sellctl.core.market_clock import CALENDAR_AGAIN_SECONDS, MarketClock
from sellctl.core.model.market import BrokerClock, Calendar, Session, regular_session
from sellctl.core.tracking.remembered_facts import KnownCalendar, RememberedFacts

if TYPE_CHECKING:
    from sellctl.core.ports import Broker, Clock


class Host:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> dt.datetime:
        return at("12:00") + dt.timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class Exchange:
    """A broker that says what time it is, and when the exchange opens and closes: `late` by so much at first."""

    def __init__(self, late: dt.timedelta) -> None:
        self.late = late
        self.asked = 0

    async def clock(self) -> BrokerClock:
        return BrokerClock(at("12:00"), is_open=True, next_open=at("09:30", HALF_DAY), next_close=at("16:00"))

    async def sessions(self, _start: dt.date, _end: dt.date) -> tuple[Session, ...]:
        self.asked += 1
        today = regular_session(TUESDAY)
        return (replace(today, closes_at=today.closes_at + self.late),) if today else ()


def polled(exchange: Exchange, seconds: list[float]) -> list[bool]:
    """Whether clock and calendar agree, at looks so many seconds after the start."""
    host = Host()
    market_clock = MarketClock([cast("Broker", exchange)], cast("Clock", host))
    confirmed = []
    for host.seconds in seconds:
        confirmed.append(asyncio.run(market_clock.read()).confirmed)
        exchange.late = dt.timedelta(0)
    return confirmed


def test_the_calendar_is_asked_once_a_day() -> None:
    exchange = Exchange(dt.timedelta(0))
    assert polled(exchange, [0, 5, 3600]) == [True, True, True]
    assert exchange.asked == 1


def test_a_calendar_that_contradicts_the_clock_is_asked_again_once_a_minute() -> None:
    exchange = Exchange(dt.timedelta(minutes=10))
    assert polled(exchange, [0, 5, CALENDAR_AGAIN_SECONDS + 1, 600]) == [False, False, True, True]
    assert exchange.asked == 2


def test_between_two_reads_the_market_opens_and_closes_by_the_last_answer_and_then_by_the_calendar() -> None:
    class Once(Exchange):
        async def sessions(self, _start: dt.date, _end: dt.date) -> tuple[Session, ...]:
            days = (regular_session(TUESDAY + dt.timedelta(days=days)) for days in range(4))
            return tuple(session for session in days if session)

    host = Host()
    market_clock = MarketClock([cast("Broker", Once(dt.timedelta(0)))], cast("Clock", host))
    asyncio.run(market_clock.read())  # Tuesday at noon; by this clock the next open is on Friday
    days = {"15:59": True, "16:00": False}
    for clock, is_open in days.items():
        host.seconds = (at(clock) - at("12:00")).total_seconds()
        assert market_clock.now().is_open is is_open
    for clock, is_open in {"09:29": False, "09:30": True, "15:59": True, "16:00": False}.items():
        host.seconds = (at(clock, HALF_DAY) - at("12:00")).total_seconds()
        assert market_clock.now().is_open is is_open, clock
    assert market_clock.age == host.seconds


# --- what is remembered -----------------------------------------------------------------------------------------------


class Recording(Exchange):
    """An exchange that answers at the next turn of the loop, and records when it was asked and when it answered."""

    def __init__(self) -> None:
        super().__init__(dt.timedelta(0))
        self.log: list[str] = []

    async def clock(self) -> BrokerClock:
        self.log.append("clock asked")
        await asyncio.sleep(0)
        self.log.append("clock answered")
        return await super().clock()

    async def sessions(self, start: dt.date, end: dt.date) -> tuple[Session, ...]:
        self.log.append("calendar asked")
        await asyncio.sleep(0)
        return await super().sessions(start, end)


def a_market_clock(exchange: Exchange, known: KnownCalendar | None = None) -> tuple[MarketClock, RememberedFacts]:
    facts = RememberedFacts()
    if known:
        facts.calendar_known(known)
    return MarketClock([cast("Broker", exchange)], cast("Clock", Host()), facts), facts


def a_calendar(asked_on: dt.date, *, closed: tuple[dt.date, ...] = ()) -> KnownCalendar:
    since, until = asked_on - dt.timedelta(days=366), asked_on + dt.timedelta(days=10)
    return KnownCalendar(Calendar(since, closed), until, asked_on)


def test_without_a_remembered_calendar_it_is_asked_together_with_the_clock() -> None:
    exchange = Recording()
    market_clock, facts = a_market_clock(exchange)
    assert asyncio.run(market_clock.read()).confirmed
    assert exchange.log == ["clock asked", "calendar asked", "clock answered"]
    assert facts.calendar is not None
    assert facts.calendar.asked_on == TUESDAY


def test_a_remembered_calendar_serves_at_once_and_is_refreshed_behind_once_a_day() -> None:
    exchange = Recording()
    market_clock, facts = a_market_clock(exchange, a_calendar(TUESDAY - dt.timedelta(days=1)))
    assert asyncio.run(market_clock.read()).opened_at == at("09:30")
    assert exchange.asked == 0
    for _ in range(2):
        asyncio.run(market_clock.refresh_calendar())
    assert exchange.asked == 1
    assert facts.calendar is not None
    assert facts.calendar.asked_on == TUESDAY


def test_a_remembered_calendar_of_today_is_not_asked_for_again() -> None:
    exchange = Recording()
    market_clock, _ = a_market_clock(exchange, a_calendar(TUESDAY))
    asyncio.run(market_clock.read())
    asyncio.run(market_clock.refresh_calendar())
    assert exchange.asked == 0


def test_a_remembered_calendar_that_contradicts_the_clock_is_replaced_before_anybody_decides() -> None:
    exchange = Recording()
    market_clock, _ = a_market_clock(exchange, a_calendar(TUESDAY, closed=(TUESDAY,)))
    assert asyncio.run(market_clock.read()).confirmed
    assert exchange.asked == 1


def test_a_remembered_calendar_that_ends_before_today_is_not_used() -> None:
    exchange = Recording()
    market_clock, _ = a_market_clock(exchange, a_calendar(TUESDAY - dt.timedelta(days=11)))
    asyncio.run(market_clock.read())
    assert exchange.asked == 1


def test_a_clock_that_can_not_be_read_is_an_error_although_the_calendar_can() -> None:
    class Down(Recording):
        async def clock(self) -> BrokerClock:
            raise BrokerError("down")

    market_clock, _ = a_market_clock(Down())
    with pytest.raises(BrokerError, match="down"):
        asyncio.run(market_clock.read())
