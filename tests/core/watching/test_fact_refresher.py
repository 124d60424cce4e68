"""What is asked behind the orders: increments together and alone, the calendar, better feeds; then facts are stored."""

import asyncio
import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from builders import TUESDAY, a_market
from shell_fakes import FakeBroker, FakeClock

from sellctl.core.errors import BrokerAnswer, BrokerError, NotFoundError, UnknownOutcomeError
from sellctl.core.market_clock import MarketClock
from sellctl.core.model.instrument import Instrument, an_option, underlying_of
from sellctl.core.tracking.remembered_facts import Facts, RememberedFacts
from sellctl.core.watching.fact_refresher import REFRESH_SECONDS, RETRY_SECONDS, FactRefresher

if TYPE_CHECKING:
    from sellctl.core.ports import QuoteSource

MONTHLY, WEEKLY = "261218", "261127"


def options(*roots: str, expires: str = MONTHLY) -> list[Instrument]:
    found = (an_option(f"{root}{expires}C00200000") for root in roots)
    return [option for option in found if option]


class Contracts(FakeBroker):
    """A broker that answers about every underlying but the silent ones; on several together it knows only `pages`."""

    def __init__(self, clock: FakeClock, silent: Collection[str] = (), pages: Collection[str] = ()) -> None:
        super().__init__(clock)
        self.silent, self.pages = silent, pages
        self.asked: list[list[str]] = []
        self.problem: BrokerError | None = None

    async def penny_program(self, contracts: Sequence[str]) -> Mapping[str, bool]:
        names = [underlying_of(symbol) for symbol in contracts]
        self.asked.append(names)
        if self.problem:
            raise self.problem
        known = [name for name in names if name not in self.silent]
        return {name: True for name in known if len(names) == 1 or not self.pages or name in self.pages}


class Store:
    """Facts in memory, and how often they were saved."""

    def __init__(self) -> None:
        self.facts, self.saves = Facts(), 0

    def load(self) -> Facts:
        return self.facts

    def save(self, facts: Facts) -> bool:
        self.facts, self.saves = facts, self.saves + 1
        return True


class Feeds:
    """A source of quotes that counts how often it is to try better feeds."""

    last_problems = ()

    def __init__(self) -> None:
        self.tries = 0

    async def latest(self, _instruments: object) -> Mapping[str, object]:
        return {}

    async def try_better_feeds(self) -> None:
        self.tries += 1


class Desk:
    """A refresher with everything around it in memory."""

    def __init__(self, **answers: Collection[str]) -> None:
        self.clock, self.store, self.feeds = FakeClock(), Store(), Feeds()
        self.broker = Contracts(self.clock, **answers)
        self.facts = RememberedFacts(self.store)
        market_clock = MarketClock([self.broker], self.clock, self.facts)
        self.refresher = FactRefresher(self.facts, market_clock, cast("QuoteSource", self.feeds), self.clock)

    async def round(self, instruments: list[Instrument], *, is_open: bool = True) -> None:
        """One poll's refresh to its end."""
        self.clock.seconds += REFRESH_SECONDS
        market = a_market() if is_open else a_market("17:00")
        self.refresher.begin((), [self.broker], instruments, market)
        await asyncio.gather(*self.refresher.tasks)

    def rounds(self, *rounds: list[Instrument]) -> "Desk":
        async def play() -> None:
            for instruments in rounds:
                await self.round(instruments)

        asyncio.run(play())
        return self


def test_underlyings_of_one_expiry_are_one_request_and_known_afterwards() -> None:
    desk = Desk().rounds(options("AAPL", "MSFT", "SPY"), options("AAPL", "MSFT"))
    assert desk.broker.asked == [["AAPL", "MSFT"]]
    assert [desk.facts.is_penny(name, TUESDAY) for name in ("AAPL", "MSFT", "SPY")] == [True, True, None]
    assert desk.store.facts.penny.keys() == {"AAPL", "MSFT"}


def test_ten_underlyings_are_asked_for_together_and_another_expiry_apart() -> None:
    roots = [f"A{letter}" for letter in "ABCDEFGHIJKL"]
    desk = Desk().rounds([*options(*roots), *options("ZM", expires=WEEKLY)])
    assert [len(names) for names in desk.broker.asked] == [1, 10, 2]


def test_an_underlying_that_a_page_lacks_is_asked_for_alone_and_then_not_again_today() -> None:
    desk = Desk(pages=("AAPL",), silent=("GME",)).rounds(*[options("AAPL", "GME", "MSFT")] * 4)
    assert desk.broker.asked == [["AAPL", "GME", "MSFT"], ["GME"], ["MSFT"]]
    assert [desk.facts.is_penny(name, TUESDAY) for name in ("AAPL", "MSFT", "GME")] == [True, True, None]


def test_a_fact_of_yesterday_is_asked_for_again() -> None:
    desk = Desk()
    desk.facts.increments_known({"AAPL": False}, TUESDAY - dt.timedelta(days=1))
    desk.rounds(options("AAPL"))
    assert desk.facts.is_penny("AAPL", TUESDAY) is True


def test_without_a_clear_answer_it_is_asked_again_after_a_minute() -> None:
    desk = Desk()
    desk.broker.problem = UnknownOutcomeError("timed out")
    desk.rounds(options("AAPL"), options("AAPL"))
    assert len(desk.broker.asked) == 1
    desk.broker.problem = None
    desk.clock.seconds += RETRY_SECONDS
    assert desk.rounds(options("AAPL")).facts.is_penny("AAPL", TUESDAY) is True


def test_after_a_definite_refusal_it_is_not_asked_again_today() -> None:
    desk = Desk()
    desk.broker.problem = NotFoundError("no such contract", answer=BrokerAnswer(404, None, ""))
    desk.rounds(*[options("AAPL")] * 3)
    assert len(desk.broker.asked) == 1


def test_nothing_is_asked_about_increments_while_the_budget_is_needed_or_the_market_is_closed() -> None:
    desk = Desk()
    desk.broker.load = 0.9
    desk.rounds(options("AAPL"))
    desk.broker.load = 0.0
    asyncio.run(desk.round(options("AAPL"), is_open=False))
    assert desk.broker.asked == []


def test_the_refresh_waits_for_the_orders_of_its_poll() -> None:
    desk = Desk()

    async def play() -> None:
        done = asyncio.Event()

        async def execute() -> None:
            await done.wait()

        plan = asyncio.create_task(execute())
        desk.refresher.begin([plan], [desk.broker], options("AAPL"), a_market())
        for _ in range(5):
            await asyncio.sleep(0)
        assert desk.broker.asked == []
        done.set()
        await asyncio.gather(*desk.refresher.tasks)
        assert desk.broker.asked == [["AAPL"]]

    asyncio.run(play())


def test_better_feeds_are_tried_and_nothing_new_is_not_stored_again() -> None:
    desk = Desk().rounds(options("AAPL"), options("AAPL"))
    assert (desk.feeds.tries, desk.store.saves) == (2, 1)


def test_what_was_found_out_is_stored_when_a_refresh_is_abandoned() -> None:
    desk = Desk()

    async def play() -> None:
        desk.facts.increments_known({"AAPL": True}, TUESDAY)
        desk.refresher.begin((), [desk.broker], options("ZM"), a_market())
        desk.refresher.stop()

    asyncio.run(play())
    assert desk.store.facts.penny.keys() == {"AAPL"}


def test_after_several_at_once_had_no_clear_answer_each_is_asked_for_alone() -> None:
    desk = Desk()
    desk.broker.problem = UnknownOutcomeError("an unusable answer")
    desk.rounds(options("AAPL", "MSFT"))
    desk.broker.problem = None
    desk.clock.seconds += RETRY_SECONDS
    desk.rounds(options("AAPL", "MSFT"))
    assert desk.broker.asked == [["AAPL", "MSFT"], ["AAPL"], ["MSFT"]]
