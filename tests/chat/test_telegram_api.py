"""The adapter of Telegram's Bot API, against one on loopback: what it reads, what it sends, how each failure ends."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from telegram_server import TOKEN, FakeTelegram, Fault, a_telegram

from sellctl.chat.messages import Button, ChatError, Command, FailureKind, Incoming, Message, Tap, TapAnswer

pytest.importorskip("telegram")

from sellctl.chat.telegram import BotApi  # it imports an extra

UseBot = Callable[[BotApi], Coroutine[Any, Any, Any]]


@pytest.fixture
def fake() -> Iterator[FakeTelegram]:
    with a_telegram() as telegram:
        yield telegram


def used(fake: FakeTelegram, use: UseBot, token: str = TOKEN) -> Any:
    """What `use` returns for a bot."""

    async def run() -> Any:
        api = BotApi(token, fake.url)
        try:
            return await use(api)
        finally:
            await api.close()

    return asyncio.run(run())


def read(fake: FakeTelegram) -> list[Incoming]:
    """What the bot reads at once."""
    _, arrived = used(fake, lambda api: api.updates(None))
    return list(arrived)


def failure(fake: FakeTelegram, use: UseBot, token: str = TOKEN) -> ChatError:
    with pytest.raises(ChatError) as caught:
        used(fake, use, token)
    return caught.value


def test_a_message_and_a_tap_are_read_and_confirmed_by_the_next_offset(fake: FakeTelegram) -> None:
    fake.write("/positions")
    fake.tap_token("abc", message=7)

    async def twice(api: BotApi) -> tuple[list[Incoming], list[Incoming]]:
        offset, arrived = await api.updates(None)
        return arrived, (await api.updates(offset))[1]

    (command, tap), again = used(fake, twice)
    assert isinstance(command, Command)
    assert (command.chat, command.who, command.text) == (42, "Ann", "/positions")
    assert isinstance(tap, Tap)
    assert (tap.chat, tap.token, tap.message) == (42, "abc", 7)
    assert again == []


def test_an_update_that_cannot_be_read_holds_up_no_other_one(fake: FakeTelegram) -> None:
    fake.deliver({"message": {"chat": "not a chat"}})
    fake.deliver({"callback_query": {"id": 5, "from": None, "data": {"a": 1}}})
    fake.deliver({"poll": [1, 2]})
    fake.deliver({"update_id": "x", "message": 7})
    fake.write("/help")
    assert [each.text for each in read(fake) if isinstance(each, Command)] == ["/help"]


def test_what_was_forwarded_or_written_by_a_bot_is_no_command(fake: FakeTelegram) -> None:
    origin = {"type": "hidden_user", "date": 1, "sender_user_name": "Bob"}
    fake.write("/halt", forward_origin=origin)
    fake.write("/halt", via_bot={"id": 9, "is_bot": True, "first_name": "Other"})
    fake.write("/halt", **{"from": {"id": 9, "is_bot": True, "first_name": "Other"}})
    assert read(fake) == []


def test_a_message_has_its_buttons_and_takes_the_place_of_an_earlier_one(fake: FakeTelegram) -> None:
    async def write(api: BotApi) -> None:
        await api.send(Message(42, "AAPL <b>&", (Button("Close now", "t1"),)))
        await api.send(TapAnswer(42, "1", "done"))
        await api.send(Message(42, "closed", replaces=fake.messages[0].number))

    used(fake, write)
    (message,) = fake.messages
    assert (message.text, message.buttons, message.edits) == ("closed", {}, 1)
    assert fake.answers == ["done"]
    assert all("parse_mode" not in given for _, given in fake.requests)


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        ("429", FailureKind.BUSY, "it asks to wait 7 s"),
        ("500", FailureKind.UNREACHABLE, "the connection failed"),
        ("html", FailureKind.UNREACHABLE, "the connection failed"),
        ("garbage", FailureKind.UNREACHABLE, "its answer can't be used (TelegramError)"),
        ("401", FailureKind.LOCKED_OUT, "it refuses the token"),
        ("409", FailureKind.LOCKED_OUT, "another process uses the same token"),
        ("403", FailureKind.REFUSED, "the bot may not write to that chat"),
    ],
)
def test_each_failure_says_what_to_do_next(fake: FakeTelegram, fault: str, kind: FailureKind, sentence: str) -> None:
    fake.faults.append(Fault(fault, retry_after=7))
    error = failure(fake, lambda api: api.send(Message(42, "hello")))
    assert (error.kind, str(error)) == (kind, sentence)
    assert error.retry_after == (7 if fault == "429" else 0)


def test_no_error_has_the_token_in_it(fake: FakeTelegram) -> None:
    fake.url = "http://127.0.0.1:1"
    for use in (lambda api: api.name(), lambda api: api.updates(None), lambda api: api.send(Message(42, "hello"))):
        error = failure(fake, use)
        assert error.kind is FailureKind.UNREACHABLE
        assert error.__cause__ is None
        assert "canary" not in f"{error!r}{error}"
