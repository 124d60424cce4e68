"""The bot, the watcher and the simulated broker together: from an alert on the phone to a closed position."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from an_assistant import ASSISTANT, code_beside
from builders import CALL_TEXT
from stage import CALL, Play, Stage, end_of, three_calls
from telegram_server import ANN, TOKEN, FakeTelegram, Fault, a_telegram

pytest.importorskip("telegram")

PATIENCE = 60.0
SIGNS = "e2e-a3b3tUvNPhVoOBj4izU4k87WXdew6AZs0XdN3VSoPxo"
BOB = 43  # a viewer
QUIET = three_calls("1.00", "1.02")
WITHOUT_ENTRY = QUIET.replace("entry: 1.00", "entry: 0")  # no rule on it can be evaluated, which is an alert


@pytest.fixture
def fake() -> Iterator[FakeTelegram]:
    with a_telegram() as telegram:
        yield telegram


def bot(fake: FakeTelegram, rules: str = "") -> str:
    return f"""
        sell_module: {{check_interval: 1}}
        telegram: {{token: "{TOKEN}", api_url: "{fake.url}", chats: {{{ANN}: operator, {BOB}: viewer}}}}
        {rules}
    """


@contextmanager
def watching(stage: Stage, *arguments: str) -> Iterator[Callable[[], str]]:
    """A watcher that runs, and a function that ends it and returns its log."""
    process = stage.spawn(*arguments, "watch", "--format", "log")
    logs: list[str] = []

    def ended() -> str:
        if not logs:
            process.terminate()
            logs.append(end_of(process).err)
        return logs[0]

    try:
        yield ended
    finally:
        ended()


def audit(stage: Stage, kind: str) -> list[dict[str, Any]]:
    """What the journal says of one kind of entry."""
    rows = stage.run("history", "--evidence", "--format", "json").document
    return [row for row in rows if row["kind"] == kind]


def set_by_hand(stage: Stage) -> str | None:
    """What is set for the position, by `positions` in another process."""
    (position,) = stage.run("positions", CALL, "--format", "json").document["positions"]
    text: str | None = position["set_by_hand"]
    return text


def until(what: Callable[[], object], seconds: float = PATIENCE) -> None:
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_from_an_alert_to_a_closed_position_in_two_taps_and_the_journal_says_who(
    play: Play, fake: FakeTelegram
) -> None:
    stage = play(WITHOUT_ENTRY, bot(fake))
    with watching(stage) as ended:
        alert = fake.wait_for_text(CALL_TEXT)
        assert alert.startswith("PAPER main: ")
        fake.tap("Close now")
        question = fake.wait_for_text("Close this now?")
        assert stage.sent() == []
        assert "main (PAPER)" in question
        assert f"long 3 {CALL_TEXT}" in question
        assert "at $1.00: estimated proceeds $300.00, P&L ?" in question
        fake.tap("Yes, close 3")
        fake.wait_for_text("filled 3 of 3 at $1.00")
        assert stage.held(CALL) == 0
        assert fake.wait_for_text("Closing").startswith(f"Closing, as Ann (chat {ANN}) over Telegram has confirmed.")
        log = ended()
    assert len(stage.orders()) == 1
    assert f"close requested by Ann (chat {ANN}) over Telegram" in log
    assert TOKEN not in log
    assert [row["body"]["by"] for row in audit(stage, "request")] == [f"Ann (chat {ANN}) over Telegram"]


def test_a_viewer_gets_alerts_without_buttons_and_closes_nothing(play: Play, fake: FakeTelegram) -> None:
    stage = play(WITHOUT_ENTRY, bot(fake))
    with watching(stage):
        fake.wait_for_text(CALL_TEXT, BOB)
        assert [each.buttons for each in fake.messages if each.chat == BOB] == [{}]
        fake.write(f"/close {CALL}", BOB, "Bob")
        fake.wait_for_text("/close needs the role operator, and this chat has viewer.", BOB)
        fake.write("/positions", BOB, "Bob")
        assert CALL_TEXT in fake.wait_for_text("PAPER: 1 position", BOB)
    assert stage.sent() == []


def test_a_part_is_closed_by_command_and_the_estimate_has_its_profit(play: Play, fake: FakeTelegram) -> None:
    stage = play(three_calls("1.05", "1.07"), bot(fake))
    with watching(stage):
        fake.write(f"/close {CALL} 2")
        assert "at $1.05: estimated proceeds $210.00, P&L +$10.00" in fake.wait_for_text(f"long 2 of 3 {CALL_TEXT}")
        fake.tap("Yes, close 2 of 3")
        fake.wait_for_text("filled 2 of 2 at $1.05")
        fake.write("/trades")
        assert "PAPER" in fake.wait_for_text("2 of 3 at $1.05, +$10.00")
    assert stage.held(CALL) == 1


def test_from_an_alert_to_a_stop_of_ones_own_in_one_command_and_one_tap_and_the_journal_says_who(
    play: Play, fake: FakeTelegram
) -> None:
    stage, by = play(WITHOUT_ENTRY, bot(fake)), f"Ann (chat {ANN}) over Telegram"
    with watching(stage) as ended:
        fake.wait_for_text(CALL_TEXT)
        fake.write(f"/set {CALL_TEXT} stop price 0.50 until friday")
        question = fake.wait_for_text("Set this?")
        assert "main (PAPER)" in question
        assert "stop loss: from none to $0.50" in question
        assert set_by_hand(stage) is None
        token = fake.messages[-1].buttons["Set it"]
        fake.tap("Set it")
        assert fake.wait_for_text("Passed to the watcher").startswith(f"Passed to the watcher, as {by} has confirmed.")
        told = fake.wait_for_text(": set: ")
        assert told == f"main: {CALL_TEXT}: set: stop price 0.50 until Fri 27 Nov 2026 13:00 ET, set by {by}."
        assert set_by_hand(stage) == f"stop price 0.50 until Fri 27 Nov 2026 13:00 ET, set by {by}"
        fake.tap_token(token)
        fake.wait_for_text("This button no longer works.")
        log = ended()
    assert stage.sent() == []
    assert f"set by {by}: stop price 0.50" in log
    assert [row["body"]["by"] for row in audit(stage, "override")] == [by]


def test_what_the_bot_says_is_set_is_there_after_the_watcher_was_killed(play: Play, fake: FakeTelegram) -> None:
    stage = play(QUIET, bot(fake))
    process = stage.spawn("watch", "--format", "log")
    try:
        fake.write(f"/set {CALL} stop 15%")
        fake.wait_for_text("Set this?")
        fake.tap("Set it")
        fake.wait_for_text(": set: ")
    finally:
        process.kill()
        end_of(process)
    assert set_by_hand(stage) == f"stop 15%, set by Ann (chat {ANN}) over Telegram"


def test_a_position_is_left_alone_and_managed_again_from_the_chat_and_the_journal_says_who(
    play: Play, fake: FakeTelegram
) -> None:
    stage = play(WITHOUT_ENTRY, bot(fake))
    with watching(stage):
        fake.wait_for_text(CALL_TEXT)
        fake.tap("Leave alone today")
        fake.wait_for_text("main (PAPER)")
        fake.tap("Yes, leave")
        fake.wait_for_text("is exempt from the next check until Tue 24 Nov 2026 16:00 ET.")
        fake.write(f"/manage {CALL}")
        fake.wait_for_text(f"{CALL} is managed from the next check.")
    for kind in ("exempt", "manage"):
        ((by, symbol),) = [(row["body"]["by"], row["body"]["symbol"]) for row in audit(stage, kind)]
        assert (by, symbol) == (f"Ann (chat {ANN}) over Telegram", CALL)
    assert stage.sent() == []


def test_a_halt_from_the_chat_stops_new_orders_and_no_chat_lifts_it(play: Play, fake: FakeTelegram) -> None:
    stage = play(QUIET, bot(fake))
    with watching(stage):
        fake.write("/halt earnings tonight")
        fake.wait_for_text("Halted: earnings tonight.")
        fake.write("/resume all is well")
        fake.wait_for_text("/resume is no command.")
        fake.write(f"/close {CALL}")
        assert "halted (earnings tonight)" in fake.wait_for_text(f"{CALL} is not closed")
    assert stage.sent() == []
    assert "earnings tonight" in stage.run("positions").err
    assert [row["body"]["by"] for row in audit(stage, "halt")] == [f"Ann (chat {ANN}) over Telegram"]


@pytest.mark.parametrize(
    ("request_text", "question", "button"),
    [(f"/close {CALL}", "Close this now?", "Yes, close 3"), (f"/set {CALL} stop 10%", "Set this?", "Set it")],
)
def test_no_button_works_after_a_restart(
    play: Play, fake: FakeTelegram, request_text: str, question: str, button: str
) -> None:
    stage = play(QUIET, bot(fake))
    with watching(stage):
        fake.write(request_text)
        fake.wait_for_text(question)
    with watching(stage):
        fake.tap(button)
        fake.wait_for_text("This button no longer works.")
    assert stage.sent() == []
    assert set_by_hand(stage) is None


def test_a_stranger_gets_no_answer_and_a_line_in_the_log(play: Play, fake: FakeTelegram) -> None:
    stage = play(QUIET, bot(fake))
    with watching(stage) as ended:
        fake.write(f"/close {CALL}", 666, "Mallory")
        fake.tap_token("x", 666, name="Mallory")
        fake.wait_until_read()
        fake.write("/help")
        fake.wait_for_text("/positions")
        log = ended()
    assert fake.texts(666) == []
    assert log.count("not answered: Mallory (chat 666) over Telegram") == 1


@pytest.mark.parametrize("kind", ["hang", "429", "500", "garbage"])
def test_a_bot_api_that_fails_delays_no_exit_and_no_end(play: Play, fake: FakeTelegram, kind: str) -> None:
    fake.faults.append(Fault(kind, retry_after=600))
    stage = play(three_calls("1.20", "1.22"), bot(fake))
    with watching(stage) as ended:
        until(lambda: stage.held(CALL) == 0)
        until(lambda: fake.requests)
        log = ended()
    assert TOKEN not in log
    assert "internal error" not in log


def test_serve_has_the_bot_too_and_closes_nothing_while_nothing_is_watched(play: Play, fake: FakeTelegram) -> None:
    stage = play(QUIET, bot(fake, "api: {autostart: false}"))
    process = stage.spawn("serve", "--port", "0", env={"SELLCTL_API_SECRET": SIGNS})
    try:
        fake.write(f"/close {CALL}")
        fake.wait_for_text("Nothing is watched now (stopped), so nothing is done.")
    finally:
        process.terminate()
        end_of(process)
    assert stage.sent() == []


def test_the_token_is_shown_nowhere(play: Play, fake: FakeTelegram) -> None:
    stage = play(QUIET, bot(fake))
    shown = stage.run("config", "show")
    assert shown.status == 0
    assert "canary" not in shown.out + shown.err
    with watching(stage, "--debug") as ended:
        fake.write("/help")
        fake.wait_for_text("/positions")
        log = ended()
    assert "canary" not in log


def test_each_proposal_of_an_assistant_is_carried_out_when_it_is_confirmed_in_a_chat(
    play: Play, fake: FakeTelegram
) -> None:
    stage, ann = play(QUIET, bot(fake)), f"Ann (chat {ANN})"
    by = f"{ann} over Telegram, as {ASSISTANT} proposed"

    def ask(tool: str, **arguments: Any) -> None:
        fake.write(f"/confirm {code_beside(stage.config, stage.state, tool, **arguments)}")
        fake.wait_for(lambda it: [each for each in it.messages if each.text.startswith("Confirm this?")])

    def confirm(label: str, says: str) -> None:
        fake.tap(label)
        fake.wait_for_text(says)

    with watching(stage):
        ask("set", name=CALL, stop="15%")
        confirm("Set it", ": set: ")
        assert set_by_hand(stage) == f"stop 15%, set by {by}"
        ask("close", name=CALL, qty="2")
        confirm("Yes, close 2 of 3", "filled 2 of 2 at $1.00")
        assert stage.held(CALL) == 1
        ask("exempt", name=CALL, until="friday")
        confirm("Yes, leave", "is exempt from the next check until Fri 27 Nov 2026 13:00 ET.")
        ask("halt", reason="earnings")
        confirm("Yes, halt", "Halted: no new orders are sent.")
        assert "earnings" in stage.run("run-once").err
    rows = [row["body"] for row in audit(stage, "confirm")]
    assert sorted((row["action"], row["confirmed_by"], row["surface"]) for row in rows) == [
        (action, ann, "Telegram") for action in ("close", "exempt", "halt", "set")
    ]
    for kind in ("override", "request", "exempt", "halt"):
        assert [row["body"]["by"] for row in audit(stage, kind)] == [by], kind


def test_a_watcher_in_a_dry_run_confirms_no_close_and_leaves_its_code_for_another_surface(
    play: Play, fake: FakeTelegram
) -> None:
    stage = play(QUIET, bot(fake))
    process = stage.spawn("watch", "--dry-run", "--format", "log")
    try:
        code = code_beside(stage.config, stage.state, "close", name=CALL)
        fake.write(f"/confirm {code}")
        fake.wait_for_text("This is a dry run: it shows, and changes nothing.")
    finally:
        process.terminate()
        end_of(process)
    assert "A proposal is confirmed at a terminal." in stage.run("confirm", code).err
    assert stage.sent() == []
