"""The parts of the bot by themselves: buttons, outbox, allow-list, commands, and calls into the watcher's loop."""

import asyncio
import threading

import pytest

from sellctl.chat.access import LINES, QUIET_SECONDS, Access, allows, person
from sellctl.chat.buttons import KEPT, Buttons
from sellctl.chat.handover import CALLS, Handover
from sellctl.chat.messages import Message, Outgoing, TapAnswer
from sellctl.chat.outbox import KEPT_SECONDS, Outbox
from sellctl.chat.requests import command_in, name_and_qty, name_and_rules, name_and_until
from sellctl.chat.texts import LONGEST, fitted
from sellctl.core.config.schema import ChatRole
from sellctl.core.errors import BusyError, ConfigError, SellctlError
from sellctl.service.rule_changes import RuleTexts


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# --- buttons ----------------------------------------------------------------------------------------------------------


def test_a_button_works_once() -> None:
    buttons: Buttons[str] = Buttons(Clock())
    (button,) = buttons.issue(42, [("Close", "close")], 60, exclusive=True)
    assert buttons.take(button.token, 42) == "close"
    assert buttons.take(button.token, 42) is None


def test_a_button_of_another_chat_does_nothing_and_still_works_in_its_own() -> None:
    buttons: Buttons[str] = Buttons(Clock())
    (button,) = buttons.issue(42, [("Close", "close")], 60, exclusive=True)
    assert buttons.take(button.token, 43) is None
    assert buttons.take(button.token, 42) == "close"


def test_a_button_expires() -> None:
    clock = Clock()
    buttons: Buttons[str] = Buttons(clock)
    first, second = (buttons.issue(42, [("Close", "close")], 60, exclusive=True)[0] for _ in range(2))
    clock.now += 60
    assert buttons.take(first.token, 42) == "close"
    clock.now += 0.1
    assert buttons.take(second.token, 42) is None


@pytest.mark.parametrize(("exclusive", "other"), [(True, None), (False, "no")])
def test_the_answer_to_a_question_ends_its_other_button_and_under_an_alert_both_work(
    exclusive: bool, other: str | None
) -> None:
    buttons: Buttons[str] = Buttons(Clock())
    yes, no = buttons.issue(42, [("Yes", "yes"), ("No", "no")], 60, exclusive=exclusive)
    assert buttons.take(yes.token, 42) == "yes"
    assert buttons.take(no.token, 42) == other


def test_what_a_button_sends_fits_into_telegrams_64_bytes_and_says_nothing() -> None:
    buttons: Buttons[str] = Buttons(Clock())
    tokens = {buttons.issue(42, [("Close AAPL", "close")], 60, exclusive=True)[0].token for _ in range(100)}
    assert len(tokens) == 100
    assert all(20 <= len(token.encode()) <= 64 and "AAPL" not in token for token in tokens)


def test_the_oldest_of_too_many_buttons_are_forgotten() -> None:
    buttons: Buttons[int] = Buttons(Clock())
    issued = [buttons.issue(42, [("Close", number)], 60, exclusive=True)[0].token for number in range(KEPT + 1)]
    assert buttons.take(issued[0], 42) is None
    assert buttons.take(issued[1], 42) == 1


# --- the outbox -------------------------------------------------------------------------------------------------------


def sent(outbox: Outbox) -> list[Outgoing]:
    """Everything in an outbox, delivered."""
    found = []
    while first := outbox.first():
        outbox.sent(first[0])
        found.append(first[1])
    return found


def test_messages_leave_in_their_order_and_stay_until_they_were_delivered() -> None:
    outbox = Outbox(Clock())
    outbox.put(Message(42, "one"))
    outbox.put(TapAnswer(42, "7"))
    assert outbox.first() == outbox.first()
    assert sent(outbox) == [Message(42, "one"), TapAnswer(42, "7")]


def test_a_full_outbox_drops_the_oldest_and_the_next_to_that_chat_says_so() -> None:
    outbox = Outbox(Clock(), size=3)
    for number in range(5):
        outbox.put(Message(42, f"alert {number}"))
    outbox.put(Message(43, "other"))
    texts = [each.text for each in sent(outbox) if isinstance(each, Message)]
    assert texts == ["(3 messages before this one were lost.)\nalert 3", "alert 4", "other"]


def test_a_message_that_was_dropped_while_it_was_being_sent_takes_no_other_with_it() -> None:
    outbox = Outbox(Clock(), size=1)
    outbox.put(Message(42, "one"))
    number = outbox.first()
    outbox.put(Message(42, "two"))
    assert number is not None
    outbox.sent(number[0])
    assert [each.text for each in sent(outbox) if isinstance(each, Message)] == [
        "(1 message before this one was lost.)\ntwo"
    ]


def test_what_could_not_be_delivered_for_an_hour_is_dropped() -> None:
    clock = Clock()
    outbox = Outbox(clock)
    outbox.put(Message(42, "old"))
    clock.now += KEPT_SECONDS + 1
    assert outbox.first() is None
    outbox.put(Message(42, "new"))
    assert sent(outbox) == [Message(42, "(1 message before this one was lost.)\nnew")]


# --- who is served ----------------------------------------------------------------------------------------------------


def test_a_chat_that_is_not_named_has_no_role_and_is_reported_once_in_ten_minutes() -> None:
    clock, lines = Clock(), list[str]()
    access = Access({42: ChatRole.VIEWER}, lines.append, clock)
    assert access.role_of(42, "Ann") is ChatRole.VIEWER
    for _ in range(3):
        assert access.role_of(7, "Bob\nERROR | forged \x1b[31m") is None
    (line,) = lines
    assert line.startswith("not answered: Bob ERROR | forged \\x1b[31m (chat 7) over Telegram, because telegram.chats ")
    clock.now += QUIET_SECONDS
    access.role_of(7, "Bob")
    assert len(lines) == 2


def test_many_strangers_cost_a_few_lines() -> None:
    clock, lines = Clock(), list[str]()
    access = Access({}, lines.append, clock)
    for chat in range(1000):
        access.role_of(chat, "x" * 4096)
    assert len(lines) == LINES
    assert max(map(len, lines)) < 150
    clock.now += QUIET_SECONDS
    access.role_of(5, "Bob")
    assert lines[LINES] == f"{1000 - LINES} more messages from chats that telegram.chats doesn't name"


def test_each_role_includes_those_before_it() -> None:
    roles = list(ChatRole)
    assert [[allows(role, needed) for needed in roles] for role in roles] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_a_person_without_a_name_has_a_chat_all_the_same() -> None:
    assert person(" ", 42) == "somebody (chat 42) over Telegram"


# --- what is written --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/close AAPL 2", ("close", "AAPL 2")),
        (" /Close@exits_bot   AAPL\n 2 ", ("close", "AAPL 2")),
        ("/help", ("help", "")),
        ("close AAPL", None),
        ("//close", None),
        ("", None),
        ("/", None),
    ],
)
def test_a_command_begins_with_a_slash_and_may_name_the_bot(text: str, found: tuple[str, str] | None) -> None:
    assert command_in(text) == found


@pytest.mark.parametrize(
    ("rest", "found"),
    [
        ("AAPL", ("AAPL", "")),
        ("AAPL 2", ("AAPL", "2")),
        ("AAPL 50%", ("AAPL", "50%")),
        ("AAPL 18 Dec 26 230 C", ("AAPL 18 Dec 26 230 C", "")),
        ("AAPL 18 Dec 26 230 C 2", ("AAPL 18 Dec 26 230 C", "2")),
        ("AAPL -1", ("AAPL", "-1")),
    ],
)
def test_a_quantity_stands_behind_the_name(rest: str, found: tuple[str, str]) -> None:
    assert name_and_qty(rest) == found


@pytest.mark.parametrize(
    ("rest", "found"),
    [
        ("AAPL", ("AAPL", "")),
        ("AAPL friday", ("AAPL", "friday")),
        ("AAPL until 15:30", ("AAPL", "15:30")),
        ("AAPL 18 Dec 26 230 C", ("AAPL 18 Dec 26 230 C", "")),
        ("AAPL 18 Dec 26 230 C today", ("AAPL 18 Dec 26 230 C", "today")),
        ("AAPL 2026-12-04", ("AAPL", "2026-12-04")),
    ],
)
def test_a_time_stands_behind_the_name(rest: str, found: tuple[str, str]) -> None:
    assert name_and_until(rest) == found


@pytest.mark.parametrize(
    ("rest", "name", "rules"),
    [
        ("AAPL stop 25%", "AAPL", RuleTexts(stop="25%")),
        ("AAPL Stop 25% TARGET 80%", "AAPL", RuleTexts(stop="25%", target="80%")),
        ("AAPL 18 Dec 26 230 C trail 10pt", "AAPL 18 Dec 26 230 C", RuleTexts(trail="10pt")),
        ('"AAPL 18 Dec 26 230 C" breakeven', "AAPL 18 Dec 26 230 C", RuleTexts(breakeven=True)),
        ("AAPL stop price 1.20 until friday", "AAPL", RuleTexts(stop="price 1.20", until="friday")),
        ("AAPL stop \u201cprice 1.20\u201d until 'friday'", "AAPL", RuleTexts(stop="price 1.20", until="friday")),
        ("AAPL until 2026-12-04 15:30 clear", "AAPL", RuleTexts(until="2026-12-04 15:30", clear=True)),
        ("QQQ-condor-261218 target $120/contract", "QQQ-condor-261218", RuleTexts(target="$120/contract")),
        ("stop stop 10PT", "stop", RuleTexts(stop="10pt")),
        ("AAPL", "AAPL", RuleTexts()),
    ],
)
def test_rules_stand_behind_the_name_each_with_its_value(rest: str, name: str, rules: RuleTexts) -> None:
    assert name_and_rules(rest) == (name, rules)


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("AAPL stpo 25%", "'stpo' is no rule."),
        ("AAPL stop 25% 80%", "'80%' is no rule."),
        ("AAPL stop", "stop needs a value."),
        ("AAPL stop 25% target", "target needs a value."),
        ("AAPL stop 25% stop 30%", "stop is given twice."),
        (f"AAPL {'x' * 4096}", "x…' is no rule."),
        ("AAPL \u202e", "'?' is no rule."),
    ],
)
def test_a_rule_that_cannot_be_read_is_one_sentence_with_an_example(rest: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        name_and_rules(rest)
    assert str(refused.value).endswith(f"{says} Write it like /set AAPL stop 25% target 80% until friday.")
    assert len(str(refused.value)) < 200


def test_a_long_text_is_shortened_to_what_telegram_takes_and_has_no_control_characters() -> None:
    text = fitted("one\x1b[31m\n" + "\N{ROCKET}" * 5000)
    assert text.startswith("one\\x1b[31m\n")
    assert text.endswith("... (shortened)")
    assert len(text.encode("utf-16-le")) // 2 <= LONGEST


# --- calls into the watcher's loop ------------------------------------------------------------------------------------


def in_another_loop(count: int = 1, *, blocked: threading.Event | None = None) -> list[object]:
    """The results of so many calls at once into a loop of another thread, which may be blocked meanwhile."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    done: list[int] = []

    def work(number: int) -> tuple[int, bool]:
        done.append(number)
        return number, threading.current_thread() is thread

    async def calls() -> list[object]:
        handover = Handover(loop, seconds=0.2 if blocked else 5)
        if blocked:
            loop.call_soon_threadsafe(blocked.wait)
        waiting = [asyncio.create_task(handover.call(lambda n=n: work(n))) for n in range(count)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        return [*results]

    try:
        results = asyncio.run(calls())
    finally:
        if blocked:
            blocked.set()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    return [*results, done]


def test_a_call_runs_in_the_watchers_loop_and_its_result_comes_back() -> None:
    assert in_another_loop(2) == [(0, True), (1, True), [0, 1]]


def test_a_call_that_the_watcher_does_not_begin_in_time_is_never_carried_out() -> None:
    error, done = in_another_loop(blocked=threading.Event())
    assert isinstance(error, BusyError)
    assert "nothing was done" in str(error)
    assert done == []


def test_of_too_many_calls_the_oldest_are_dropped() -> None:
    *results, done = in_another_loop(CALLS + 2, blocked=threading.Event())
    assert ["dropped" in str(each) for each in results].count(True) == 2
    assert all("dropped" in str(each) for each in results[:2])
    assert done == []


def test_a_call_to_a_loop_that_has_ended_says_so() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    handover = Handover(loop)
    handover.tell(lambda: None)
    with pytest.raises(SellctlError, match="The watcher has ended"):
        asyncio.run(handover.call(lambda: 1))
