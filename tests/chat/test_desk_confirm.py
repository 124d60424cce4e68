"""/confirm in a chat: what an assistant has proposed is shown, and one of two buttons carries it out, once."""

from typing import Any

from an_assistant import ASSISTANT, code_for
from builders import CALL, CALL_TEXT, a_position
from desk_stage import ANN, BOB, GROUP, Act, DeskStage

from sellctl.chat.desk import CONFIRM_SECONDS
from sellctl.chat.messages import Tap
from sellctl.service.halt_flag import HaltOrigin
from sellctl.service.proposals import MOST_WRONG_CODES, Proposals

BY = f"Ann (chat 42) over Telegram, as {ASSISTANT} proposed"
GONE = "This button no longer works."


async def code_of(stage: DeskStage, tool: str, **arguments: Any) -> str:
    return await code_for(stage.verbs.runtime, tool, **arguments)


def confirmations(stage: DeskStage) -> list[Any]:
    return [
        (detail["proposed_by"], detail["confirmed_by"], detail["surface"])
        for _, kind, detail in stage.world.journal.notes
        if kind == "confirm"
    ]


def test_a_close_is_shown_with_account_quantity_and_estimates_and_its_button_closes_it(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        question = await stage.write(f"/confirm {await code_of(stage, 'close', name=CALL, qty='2')}")
        assert f"{ASSISTANT} proposed 0 s ago to:\nclose 2 of 3 {CALL_TEXT} of main (PAPER)" in question
        assert f"By now:\nmain (PAPER)\nlong 2 of 3 {CALL_TEXT}\nat $1.00: estimated proceeds $200.00" in question
        assert (stage.requests, confirmations(stage)) == ([], [])
        assert await stage.tap("Yes, close 2 of 3") == f"Passed to the watcher, as {BY}."
        assert stage.requests == [BY]
        assert confirmations(stage) == [(ASSISTANT, "Ann (chat 42)", "Telegram")]

    act(scene)


def test_rules_are_shown_with_prices_and_warnings_and_set_by_their_button(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        question = await stage.write(f"/confirm {await code_of(stage, 'set', name=CALL, stop='40%')}")
        assert "stop loss: from " in question
        assert "Warning: Its stop moves away from the price" in question
        assert stage.changes == []
        await stage.tap("Set it")
        assert [(each.by, each.change.stop) for each in stage.changes] == [(BY, "40%")]
        assert confirmations(stage) == [(ASSISTANT, "Ann (chat 42)", "Telegram")]

    act(scene)


def test_an_exemption_and_a_halt_are_made_by_their_buttons(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        exempt, halt = await code_of(stage, "exempt", name=CALL), await code_of(stage, "halt", reason="earnings")
        assert f"exempt {CALL_TEXT} of main (PAPER): no order" in await stage.write(f"/confirm {exempt}")
        assert stage.state.exempt() == frozenset()
        assert f"{CALL} is exempt from the next check." in await stage.tap(f"Yes, leave {CALL_TEXT} alone")
        assert stage.state.exempt() == {CALL}
        assert "halt all new orders (earnings)" in await stage.write(f"/confirm {halt}")
        assert stage.state.halted() == ""
        assert "Halted: no new orders are sent." in await stage.tap("Yes, halt all new orders")
        current = stage.state.current_halt()
        assert current
        assert (current.reason, current.by, current.origin) == ("earnings", BY, HaltOrigin.CHAT)
        assert confirmations(stage) == [(ASSISTANT, "Ann (chat 42)", "Telegram")] * 2

    act(scene)


def test_a_code_is_used_up_by_the_question_and_neither_of_its_buttons_works_twice(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        code = await code_of(stage, "close", name=CALL)
        await stage.write(f"/confirm {code}")
        yes = stage.token("Yes")
        assert await stage.tap("Cancel") == "Nothing was done."
        assert (await stage.send(Tap(ANN, "Ann", yes, "1", 7)))[-1].text == GONE
        assert "used already" in await stage.write(f"/confirm {code}")
        assert stage.requests == []

    act(scene)


def test_a_question_can_be_confirmed_in_its_chat_only_and_not_for_ever(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        await stage.write(f"/confirm {await code_of(stage, 'close', name=CALL)}")
        for chat in (BOB, GROUP):
            assert "Passed" not in await stage.tap("Yes", chat, "Mallory", of=ANN)
        stage.seconds += CONFIRM_SECONDS + 1
        assert await stage.tap("Yes") == GONE
        assert stage.requests == []

    act(scene)


def test_a_viewer_confirms_nothing_and_the_code_stays_valid(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        code = await code_of(stage, "close", name=CALL)
        assert "/confirm needs the role operator" in await stage.write(f"/confirm {code}", BOB, "Bob")
        assert "Confirm this?" in await stage.write(f"/confirm {code}")

    act(scene)


def test_what_has_changed_since_it_was_shown_or_proposed_is_not_done(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        rules = await code_of(stage, "set", name=CALL, stop="10%")
        await stage.write(f"/confirm {await code_of(stage, 'close', name=CALL)}")
        stage.world.broker.held = (a_position(CALL, "2"),)
        await stage.poll_later()
        assert "What is held has changed since it was shown. Ask for a new proposal." in await stage.tap("Yes, close 3")
        assert "has changed since it was proposed" in await stage.write(f"/confirm {rules}")
        assert (stage.requests, stage.changes) == ([], [])

    act(scene)


def test_a_code_that_is_wrong_missing_or_was_taken_at_the_terminal_is_one_sentence(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        code, taken = await code_of(stage, "halt", reason="earnings"), await code_of(stage, "halt", reason="earnings")
        terminal = Proposals(stage.state.path)
        terminal.take(taken)
        assert "used already" in await stage.write(f"/confirm {taken}")
        assert "The code is missing." in await stage.write("/confirm")
        for _ in range(MOST_WRONG_CODES):
            assert "No proposal has this code." in await stage.write("/confirm 0000-0000-0000")
        assert "wrong codes were tried" in await stage.write(f"/confirm {code}")
        assert terminal.find(code).reason == "earnings"

    act(scene)


def test_what_can_not_be_sent_now_has_no_buttons(act: Act) -> None:
    async def scene(stage: DeskStage) -> None:
        code = await code_of(stage, "close", name=CALL)
        stage.verbs.halt("fed day", "somebody")
        assert "It can't be closed now: " in await stage.write(f"/confirm {code}")
        assert not [each for each in stage.written if each.buttons]

    act(scene)
