"""What the bot answers, and what it takes until something is closed."""

import pytest
from builders import CALL, CALL_TEXT, a_position
from desk_stage import ANN, BOB, CANARY, GROUP, STRANGER, Act, DeskStage

from sellctl.chat.desk import ALERT_SECONDS, COMMANDS_PER_MINUTE, CONFIRM_SECONDS, OLD_HALT_SECONDS, OLD_SECONDS
from sellctl.chat.messages import Command, Tap

BY_ANN = "Ann (chat 42) over Telegram"


def test_an_alert_leads_to_a_question_and_its_answer_to_a_request_that_names_the_person(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        stage.desk.alert("the stop is near", "main", CALL)
        alerts = stage.read()
        assert {each.chat: [button.label for button in each.buttons] for each in alerts} == {
            ANN: ["Close now", "Leave alone today"],
            BOB: [],
            GROUP: ["Close now", "Leave alone today"],
        }
        question = await stage.tap("Close now")
        assert f"main (PAPER)\nlong 3 {CALL_TEXT}\nat $1.00: estimated proceeds $300.00, P&L " in question
        assert stage.requests == []
        assert "Closing" in await stage.tap("Yes, close 3")
        assert stage.requests == [BY_ANN]

    act(scene)


def test_neither_button_of_a_question_works_twice(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        await stage.write(f"/close {CALL}")
        yes = stage.token("Yes")
        assert await stage.tap("No") == "Nothing was done."
        assert await stage.send(Tap(ANN, "Ann", yes, "1", 7)) == stage.written[-1:]
        assert stage.written[-1].text == "This button no longer works."
        await stage.write(f"/close {CALL}")
        await stage.tap("Yes")
        assert await stage.tap("Yes") == "This button no longer works."
        assert stage.requests == [BY_ANN]

    act(scene)


@pytest.mark.parametrize("chat", [BOB, GROUP, STRANGER])
def test_a_button_works_in_no_other_chat(act: Act, chat: int) -> None:
    async def scene(stage: DeskStage) -> None:
        await stage.write(f"/close {CALL}")
        answer = await stage.tap("Yes", chat, "Mallory", of=ANN)
        assert "Closing" not in answer
        assert (answer == "") is (chat == STRANGER)
        assert stage.requests == []
        assert "Closing" in await stage.tap("Yes")

    act(scene)


@pytest.mark.parametrize(("label", "seconds"), [("Close now", ALERT_SECONDS), ("Yes", CONFIRM_SECONDS)])
def test_a_button_that_is_too_old_does_nothing(act: Act, label: str, seconds: float) -> None:
    async def scene(stage: DeskStage) -> None:
        stage.desk.alert("the stop is near", "main", CALL)
        await stage.write(f"/close {CALL}")
        stage.seconds += seconds + 1
        assert await stage.tap(label) == "This button no longer works."
        assert stage.requests == []

    act(scene)


def test_what_has_changed_since_the_question_is_asked_again(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        await stage.write(f"/close {CALL}")
        stage.world.broker.held = (a_position(CALL, "2"),)
        await stage.poll_later()
        answer = await stage.tap("Yes, close 3")
        assert "Nothing was sent: the position has changed since this was asked." in answer
        assert f"long 2 {CALL_TEXT}" in answer
        assert stage.requests == []
        await stage.tap("Yes, close 2")
        assert stage.requests == [BY_ANN]

    act(scene)


def test_what_is_gone_by_the_answer_is_not_sent(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        await stage.write(f"/close {CALL}")
        stage.world.broker.held = ()
        for _ in range(5):
            await stage.poll_later()
        assert "is not held in any account" in await stage.tap("Yes")
        assert stage.requests == []

    act(scene)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("/close", "The name of a position is missing. Write it like /close AAPL, or /close AAPL 2."),
        ("/close AAPL 0", "closes nothing"),
        (f"/close {CALL} 4", "3"),
        (f"/close {CALL} 1.5", "whole"),
        (f"/close {CALL} -1", "closes nothing"),
        ("/close APPL", "APPL is not held in any account."),
        (f"/close {'A' * 4096}", "can't be a symbol"),
        ("/close <b>*_`[x](http://x.example)", "is not held in any account"),
        ("/close \u202eLPAA", "can't be a symbol"),
        (f"/exempt {CALL} 1999-01-01", "has passed"),
        ("/set", "The name of a position is missing. Write it like /set AAPL stop 25% target 80% until friday."),
        (f"/set {CALL}", "Nothing is to be set."),
        (f"/set {CALL} stpo 25%", "'stpo' is no rule. Write it like /set AAPL stop 25%"),
        (f"/set {CALL} stop 25", "stop: '25' has no unit."),
        (f"/set {CALL} stop 25% breakeven", "breakeven and stop both set the stop."),
        (f"/set {CALL} stop 25% until 1999-01-01", "has passed"),
        (f"/set {CALL} clear", "Nothing is set for"),
        ("/set APPL stop 25%", "APPL is not held in any account."),
        (f"/set {'A' * 4096} stop 25%", "can't be a symbol"),
        ("/explain", "The name of a position is missing."),
        ("/resume", "/resume is no command."),
        ("/panic", "/panic is no command."),
        ("hello", "Write /help for what can be asked."),
    ],
)
def test_what_cannot_be_done_is_one_clear_sentence(act: Act, text: str, answer: str) -> None:
    async def scene(stage: DeskStage) -> None:
        assert answer in await stage.write(text)
        assert stage.requests == []
        assert stage.lines == []

    act(scene)


def test_a_viewer_reads_and_does_nothing_else(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        assert f"{CALL_TEXT} +3; 1.00" in await stage.write("/positions", BOB)
        assert "rule: " in await stage.write(f"/explain {CALL}", BOB)
        assert "/close" not in await stage.write("/help", BOB)
        for text in (f"/close {CALL}", f"/set {CALL} stop 5%", f"/exempt {CALL}", f"/manage {CALL}", "/halt now"):
            assert "needs the role operator, and this chat has viewer." in await stage.write(text, BOB)
        assert stage.state.exempt() == frozenset()
        assert stage.state.halted() == ""

    act(scene)


def test_people_in_a_group_may_talk_to_each_other(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        assert await stage.write("shall we close AAPL?", GROUP) == ""
        assert "/close NAME" in await stage.write("/help@exits_bot", GROUP)

    act(scene)


def test_an_exemption_and_its_end_name_the_person_in_the_journal(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        assert f"{CALL} is exempt from the next check" in await stage.write(f"/exempt {CALL}")
        assert stage.state.exempt() == {CALL}
        assert f"{CALL} is managed" in await stage.write(f"/manage {CALL}")
        assert stage.state.exempt() == frozenset()
        kept = [(kind, detail["by"]) for _, kind, detail in stage.world.journal.notes if kind in {"exempt", "manage"}]
        assert kept == [("exempt", BY_ANN), ("manage", BY_ANN)]

    act(scene)


def test_leaving_a_position_alone_is_asked_with_what_is_held(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        stage.desk.alert("the stop is near", "main", CALL)
        stage.read()
        question = await stage.tap("Leave alone today")
        assert f"main (PAPER)\n{CALL_TEXT} +3" in question
        assert stage.state.exempt() == frozenset()
        assert "is exempt from the next check until Tue 24 Nov 2026 16:00 ET." in await stage.tap("Yes, leave")
        assert stage.state.exempt() == {CALL}

    act(scene)


def test_a_halt_has_its_reason_and_its_author(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        assert (await stage.write("/halt earnings\ntonight")).startswith("Halted: earnings tonight. No new orders")
        assert "earnings tonight" in stage.state.halted()
        notes = [detail for _, kind, detail in stage.world.journal.notes if kind == "halt"]
        assert [each["by"] for each in notes] == [BY_ANN]

    act(scene)


@pytest.mark.parametrize(
    ("text", "age", "is_done"),
    [
        ("/halt now", OLD_SECONDS + 1, True),
        ("/halt now", OLD_HALT_SECONDS + 1, False),
        (f"/exempt {CALL}", OLD_SECONDS + 1, False),
    ],
)
def test_what_was_written_long_ago_is_not_carried_out(act: Act, text: str, age: float, *, is_done: bool) -> None:
    async def scene(stage: DeskStage) -> None:
        answer = await stage.write(text, age=age)
        assert ("and was not carried out. Write it again if you still mean it." in answer) is not is_done
        assert bool(stage.state.halted() or stage.state.exempt()) is is_done

    act(scene)


def test_a_chat_has_so_many_requests_a_minute_and_no_other_chat_fewer(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        for _ in range(COMMANDS_PER_MINUTE):
            await stage.write("/help")
        assert await stage.write("/halt now") == "Too many requests in a minute: this one was not carried out."
        assert stage.state.halted() == ""
        assert "/close" in await stage.write("/help", GROUP)
        stage.seconds += 60
        assert "/close" in await stage.write("/help")

    act(scene)


def test_a_stranger_gets_no_answer(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        assert await stage.write("/positions", STRANGER, "Mallory") == ""
        assert await stage.send(Tap(STRANGER, "Mallory", "x", "1", 7)) == []
        stage.desk.refuse(Command(STRANGER, "Mallory", "/help", 0))
        assert stage.read() == []
        assert len(stage.lines) == 1

    act(scene)


def test_no_answer_has_a_secret_in_it(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        answer = await stage.write(f"/halt the key is {CANARY}")
        assert "the key is [redacted]" in answer

    act(scene)


def test_nothing_is_closed_while_nothing_is_watched(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        await stage.write(f"/close {CALL}")
        stage.desk.why_not = lambda: "Nothing is watched now."
        assert await stage.tap("Yes") == "Nothing is watched now."
        assert await stage.write(f"/close {CALL}") == "Nothing is watched now."
        assert await stage.write(f"/set {CALL} stop 5%") == "Nothing is watched now."
        assert stage.requests == []

    act(scene)


def test_a_journal_without_exits_has_an_empty_report(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        assert await stage.write("/report") == "No exits in the last seven days."
        assert await stage.write("/trades") == "No trades in the last seven days."

    act(scene)


# --- setting rules ----------------------------------------------------------------------------------------------------


def test_a_stop_is_shown_in_dollars_before_and_after_and_set_by_its_button_only(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        question = await stage.write(f"/set {CALL} stop 40% until friday")
        assert f"main (PAPER)\nlong 3 {CALL_TEXT}, entry $1.00\n" in question
        assert "stop loss: from $0.80 (-20.8%) to $0.60 (-40.6%)" in question
        assert "take profit: stays $1.10" in question
        assert "Warning: Its stop moves away from the price, from $0.80 to $0.60: $60.00 more can be lost." in question
        assert [button.label for button in stage.written[-1].buttons] == ["Set it", "Cancel"]
        assert (stage.changes, stage.override) == ([], "")
        answer = await stage.tap("Set it")
        assert f"Passed to the watcher, as {BY_ANN} has confirmed." in answer
        assert ": set" not in answer  # that is only said when it is on record
        assert [each.by for each in stage.changes] == [BY_ANN]
        await stage.poll_later()
        assert stage.override == f"stop 40% until Fri 27 Nov 2026 16:00 ET, set by {BY_ANN}"
        notes = [detail for _, kind, detail in stage.world.journal.notes if kind == "override"]
        assert [each["by"] for each in notes] == [BY_ANN]

    act(scene)


def test_a_tighter_stop_without_a_warning_asks_too(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        question = await stage.write(f"/set {CALL} stop 10%")
        assert question.startswith("Set this? It can be confirmed for 2 minutes.")
        assert "Warning" not in question
        assert await stage.tap("Cancel") == "Nothing was done."
        assert await stage.tap("Set it") == "This button no longer works."
        assert stage.changes == []

    act(scene)


def test_the_button_that_sets_works_once_and_in_its_chat(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        await stage.write(f"/set {CALL} stop 10%")
        for chat in (GROUP, BOB, STRANGER):
            await stage.tap("Set it", chat, "Mallory", of=ANN)
        assert stage.changes == []
        await stage.tap("Set it")
        assert await stage.tap("Set it") == "This button no longer works."
        assert len(stage.changes) == 1
        await stage.write(f"/set {CALL} stop 15%")
        stage.seconds += CONFIRM_SECONDS + 1
        assert await stage.tap("Set it") == "This button no longer works."
        assert len(stage.changes) == 1

    act(scene)


def test_a_stop_that_would_close_at_once_by_now_is_not_set_and_asked_again_with_that(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        await stage.write(f"/set {CALL} stop 10%")
        stage.world.quoted("0.86", "0.88")
        await stage.poll_later()
        answer = await stage.tap("Set it")
        assert "Nothing was set: what it does has changed since this was asked." in answer
        assert "Warning: It is closed at once: " in answer
        assert stage.changes == []
        await stage.tap("Set it")
        assert len(stage.changes) == 1

    act(scene)


def test_an_end_that_has_passed_until_the_tap_sets_nothing(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        await stage.write(f"/set {CALL} stop 10% until 12:01")
        stage.world.clock.seconds += 60
        await stage.poll_later()
        assert "has passed" in await stage.tap("Set it")
        assert stage.changes == []

    act(scene)


def test_what_was_set_by_somebody_else_meanwhile_is_not_overwritten_unseen(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        for chat, who, stop in ((ANN, "Ann", "10%"), (GROUP, "Bob", "15%")):
            await stage.write(f"/set {CALL} stop {stop}", chat, who)
        await stage.tap("Set it", GROUP, "Bob")
        await stage.poll_later()
        answer = await stage.tap("Set it")
        assert "has changed since this was asked" in answer
        assert "set by hand: from stop 15%, set by Bob (chat -100) over Telegram to stop 10%" in answer
        assert stage.override.startswith("stop 15%")

    act(scene)


def test_clearing_returns_to_the_rules_of_the_configuration(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        await stage.write(f"/set {CALL} breakeven target price 1.50")
        await stage.tap("Set it")
        await stage.poll_later()
        assert stage.override.startswith("stop at the entry price, target price 1.50")
        assert "stop loss: from $1.00" in await stage.write(f"/set {CALL} clear")
        await stage.tap("Set it")
        await stage.poll_later()
        assert stage.override == ""

    act(scene)
