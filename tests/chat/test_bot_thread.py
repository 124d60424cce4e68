"""The bot's thread on a service that fails, hangs and floods: nobody who gives it something waits."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from sellctl.chat.bot import REQUESTS, BotThread
from sellctl.chat.messages import ChatError, Command, FailureKind, Incoming, Message, Outgoing
from sellctl.chat.outbox import Outbox


@dataclass
class FakeService:
    """A chat service of which each method can be made to fail or hang. `arriving` is what people write."""

    arriving: list[Incoming] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)
    fails: dict[str, list[Exception]] = field(default_factory=dict)  # by method, one after the other
    hangs: set[str] = field(default_factory=set)
    confirmed: list[int] = field(default_factory=list)
    closed: bool = False
    offset: int = 0

    async def _asked(self, method: str) -> None:
        if self.fails.get(method):
            raise self.fails[method].pop(0)
        if method in self.hangs:
            await asyncio.Event().wait()

    async def name(self) -> str:
        await self._asked("name")
        return "exits_bot"

    async def updates(self, _offset: int | None) -> tuple[int | None, list[Incoming]]:
        await self._asked("updates")
        while not self.arriving:  # noqa: ASYNC110  a test fills it from another thread
            await asyncio.sleep(0.005)
        arrived, self.arriving = self.arriving, []
        self.offset += len(arrived)
        return self.offset, arrived

    async def confirm(self, offset: int) -> None:
        self.confirmed.append(offset)

    async def send(self, outgoing: Outgoing) -> None:
        await self._asked("send")
        if isinstance(outgoing, Message):
            self.delivered.append(outgoing.text)

    async def close(self) -> None:
        self.closed = True


@dataclass
class Echo:
    """Answers each message with its text, once `may_answer` is set."""

    outbox: Outbox
    refused: list[str] = field(default_factory=list)
    may_answer: threading.Event = field(default_factory=threading.Event)

    async def answer(self, incoming: Incoming) -> None:
        while not self.may_answer.is_set():  # noqa: ASYNC110  a test sets it from another thread
            await asyncio.sleep(0.005)
        self.outbox.put(Message(incoming.chat, getattr(incoming, "text", "")))

    def refuse(self, incoming: Incoming) -> None:
        self.refused.append(getattr(incoming, "text", ""))


@dataclass
class Running:
    """A bot that runs, and what it has reported."""

    service: FakeService
    outbox: Outbox
    echo: Echo
    lines: list[str]
    thread: BotThread

    def wait_for(self, found: Callable[[], Any]) -> None:
        ends_at = time.monotonic() + 10
        while not found():
            assert time.monotonic() < ends_at, (self.service, self.lines)
            threading.Event().wait(0.01)


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Start a bot on a service; by default it answers at once and tries again at once."""
    running: list[BotThread] = []

    def started(service: FakeService, *, answers: bool = True, retry: float = 0.01) -> Running:
        outbox, lines = Outbox(time.monotonic), list[str]()
        echo = Echo(outbox)
        if answers:
            echo.may_answer.set()
        thread = BotThread(lambda: service, outbox, echo, lines.append, (retry,))
        thread.start()
        running.append(thread)
        return Running(service, outbox, echo, lines, thread)

    yield started
    for thread in running:
        thread.close(5)


def a_message(text: str) -> Command:
    return Command(42, "Ann", text, 0.0)


def unreachable(sentence: str = "the connection failed") -> ChatError:
    return ChatError(sentence, FailureKind.UNREACHABLE)


def test_what_is_written_is_answered_in_its_order(start: Callable[..., Running]) -> None:
    bot = start(FakeService([a_message("one"), a_message("two")]))
    bot.wait_for(lambda: bot.service.delivered == ["one", "two"])


def test_a_service_that_fails_twice_is_reported_once_and_so_is_its_return(start: Callable[..., Running]) -> None:
    service = FakeService([a_message("hello")], fails={"updates": [unreachable() for _ in range(4)]})
    bot = start(service)
    bot.wait_for(lambda: service.delivered == ["hello"])
    assert bot.lines == [
        "Telegram: messages can't be read: the connection failed; trying again",
        "Telegram: messages are read again",
    ]


def test_a_single_lost_request_is_no_news(start: Callable[..., Running]) -> None:
    service = FakeService([a_message("hello")], fails={"updates": [unreachable()], "send": [unreachable()]})
    bot = start(service)
    bot.wait_for(lambda: service.delivered == ["hello"])
    assert bot.lines == []


def test_an_error_of_another_kind_shows_its_name_only_and_the_bot_goes_on(start: Callable[..., Running]) -> None:
    canaries = [ValueError("https://api.telegram.org/botcanary") for _ in range(2)]
    bot = start(FakeService([a_message("hello")], fails={"updates": list(canaries), "send": list(canaries)}))
    bot.wait_for(lambda: bot.service.delivered == ["hello"])
    assert "Telegram: messages can't be read: an internal error, ValueError; trying again" in bot.lines
    assert "canary" not in " ".join(bot.lines)


def test_a_message_waits_as_long_as_the_service_asks_and_is_sent_then(start: Callable[..., Running]) -> None:
    service = FakeService(fails={"send": [ChatError("it asks to wait 1 s", FailureKind.BUSY, 0.3)]})
    bot = start(service)
    began = time.monotonic()
    bot.outbox.put(Message(42, "alert"))
    bot.wait_for(lambda: service.delivered == ["alert"])
    assert time.monotonic() - began >= 0.3


def test_a_message_that_is_refused_is_given_up_and_holds_up_no_other_one(start: Callable[..., Running]) -> None:
    refusal = ChatError("the bot may not write to that chat", FailureKind.REFUSED)
    bot = start(FakeService(fails={"send": [refusal]}))
    bot.outbox.put(Message(43, "lost"))
    bot.outbox.put(Message(42, "alert"))
    bot.wait_for(lambda: bot.service.delivered == ["alert"])
    assert bot.lines == ["Telegram: a message to chat 43 was not delivered: the bot may not write to that chat"]


def test_while_the_service_hangs_nobody_who_sends_an_alert_waits_and_the_end_takes_no_longer_than_it_may(
    start: Callable[..., Running],
) -> None:
    bot = start(FakeService(hangs={"name", "send"}))
    began = time.monotonic()
    for number in range(1000):
        bot.outbox.put(Message(42, f"alert {number}"))
    assert time.monotonic() - began < 1
    assert len(bot.outbox) == bot.outbox.size
    began = time.monotonic()
    bot.thread.close(5)
    assert time.monotonic() - began < 3


def test_of_too_many_requests_the_oldest_are_refused(start: Callable[..., Running]) -> None:
    texts = [str(number) for number in range(REQUESTS + 3)]
    bot = start(FakeService([a_message(text) for text in texts]), answers=False)
    bot.wait_for(lambda: bot.echo.refused)
    bot.echo.may_answer.set()
    bot.wait_for(lambda: len(bot.service.delivered) + len(bot.echo.refused) == len(texts))
    assert bot.echo.refused == texts[:3]


def test_at_the_end_what_waits_is_delivered_and_what_was_read_is_confirmed(start: Callable[..., Running]) -> None:
    bot = start(FakeService([a_message("hello")]))
    bot.wait_for(lambda: bot.service.delivered == ["hello"])
    bot.outbox.put(Message(42, "stopped"))
    bot.thread.close(5)
    assert bot.service.delivered == ["hello", "stopped"]
    assert bot.service.confirmed == [1]
    assert bot.service.closed


def test_a_bot_that_cannot_be_made_is_reported_and_ends_alone() -> None:
    lines: list[str] = []

    def fails() -> FakeService:
        raise RuntimeError("canary")

    outbox = Outbox(time.monotonic)
    thread = BotThread(fails, outbox, Echo(outbox), lines.append)
    thread.start()
    thread.close(5)
    outbox.put(Message(42, "alert"))
    assert lines == ["Telegram: the bot has ended with an internal error, RuntimeError"]
