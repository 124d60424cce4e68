"""Asking for the splits of the day: once per stock, in the background, and again after a failure."""

import asyncio
import datetime as dt
from collections.abc import Collection
from decimal import Decimal

import pytest
from builders import TUESDAY, at
from shell_fakes import FakeClock, FakeJournal

from sellctl.core.errors import BrokerError
from sellctl.core.events import EventPublisher
from sellctl.core.model.market import Split
from sellctl.core.tracking.splits import SplitsOfDay
from sellctl.core.watching.split_reader import ASK_AGAIN_SECONDS, SplitReader

WEDNESDAY = TUESDAY + dt.timedelta(days=1)


class FakeActions:
    """A source of splits that answers once `answers` is set; `fails` is raised instead."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], dt.date]] = []
        self.answers = asyncio.Event()
        self.fails: Exception | None = None

    async def splits(self, symbols: Collection[str], day: dt.date) -> tuple[Split, ...]:
        self.asked.append((list(symbols), day))
        await self.answers.wait()
        if self.fails:
            raise self.fails
        return (Split("AAPL", Decimal(2), day),)


class Desk:
    """A reader, its source and everything that it published."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.clock, self.source, self.splits = FakeClock(), FakeActions(), SplitsOfDay()
        publish = EventPublisher(
            "", lambda: at("12:00"), lambda event: self.texts.append(event.text.partition(";")[0]), FakeJournal()
        )
        self.reader = SplitReader(self.source, self.splits, self.clock, publish)

    async def ask(self, *stocks: str, today: dt.date = TUESDAY) -> None:
        self.reader.ask(stocks, today)
        for _ in range(3):
            await asyncio.sleep(0)


def test_asking_waits_for_nothing_and_the_answer_is_there_later() -> None:
    async def play() -> None:
        desk = Desk()
        await desk.ask("AAPL", "MSFT")
        assert (desk.reader.is_asking, desk.splits.is_asked, desk.splits.is_without_split("AAPL")) == (
            True,
            True,
            False,
        )
        desk.source.answers.set()
        await desk.ask("AAPL", "MSFT")
        assert (desk.splits.ratio_of("AAPL"), desk.splits.is_without_split("MSFT"), desk.splits.is_asked) == (
            2,
            True,
            False,
        )

    asyncio.run(play())


def test_each_stock_is_asked_for_once_a_day() -> None:
    async def play() -> None:
        desk = Desk()
        desk.source.answers.set()
        for _ in range(3):
            await desk.ask("AAPL")
        await desk.ask("AAPL", "MSFT")
        await desk.ask("AAPL", today=WEDNESDAY)
        assert desk.source.asked == [(["AAPL"], TUESDAY), (["MSFT"], TUESDAY), (["AAPL"], WEDNESDAY)]

    asyncio.run(play())


@pytest.mark.parametrize("failure", [BrokerError("It is down."), TypeError("a bug")])
def test_a_failure_is_told_once_and_asked_again_after_a_while(failure: Exception) -> None:
    async def play() -> None:
        desk = Desk()
        desk.source.answers.set()
        desk.source.fails = failure
        await desk.ask("AAPL")
        await desk.ask("AAPL")
        assert (len(desk.source.asked), desk.texts) == (1, ["today's splits are unknown"])
        desk.clock.seconds += ASK_AGAIN_SECONDS
        await desk.ask("AAPL")
        assert (len(desk.source.asked), len(desk.texts), desk.splits.is_without_split("AAPL")) == (2, 1, False)
        desk.source.fails = None
        desk.clock.seconds += ASK_AGAIN_SECONDS
        await desk.ask("AAPL")
        assert desk.texts[1:] == ["today's splits are known again"]
        assert desk.splits.ratio_of("AAPL") == 2

    asyncio.run(play())
