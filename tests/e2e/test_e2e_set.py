"""`sellctl set`: a position's own stop and target, beside a running watcher and without one."""

import json
import shlex
import signal
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from decimal import Decimal

import pytest
from stage import CALL, MAIN, Play, Stage, three_calls
from terminal import CTRL_D, Terminal
from test_e2e_halt import a_watcher

from sellctl.core.manual.verb import Verb
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.instrument import contract_text
from sellctl.service.command_inbox import CHECK_EVERY_SECONDS
from sellctl.service.state_folder import StateFolder
from sellctl.sim.market.price_paths import TwoSidedQuote

FALLEN = three_calls("0.85", "0.87")  # no rule of the configuration is due at a loss of 14%
ON_TIME = 1.0  # seconds beside a running watcher, until its order is sent
PATIENCE = 60.0


def until(is_so: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    ends_at = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < ends_at
        threading.Event().wait(0.02)


def what_is_set(stage: Stage) -> str | None:
    """What `positions` says is set by hand."""
    (position,) = stage.run("positions", CALL, "--format", "json").document["positions"]
    return position["set_by_hand"]


def test_it_is_set_without_a_watcher_and_the_next_run_follows_it(play: Play) -> None:
    stage = play(FALLEN)
    assert stage.run("set", CALL, "--stop", "50%", "--yes").status == 0
    assert (stage.sent(), stage.held(CALL)) == ([], 3)
    assert (what_is_set(stage) or "").startswith("stop 50%, set by ")
    assert stage.run("set", CALL, "--stop", "10%", "--yes").status == 0
    assert stage.sent() == []
    assert stage.run("run-once").status == 0
    assert stage.held(CALL) == 0


def test_a_running_watcher_follows_it_within_a_second(play: Play) -> None:
    stage = play(FALLEN)
    with a_watcher(stage):
        result = stage.run("set", CALL, "--target", "price 0.84", "--yes")
        told_at = time.monotonic()
        assert result.status == 0
        until(lambda: bool(stage.sent()))
        assert time.monotonic() - told_at < ON_TIME
    assert f"main: {contract_text(CALL)}: set." in result.err


def test_what_is_set_is_there_after_the_watcher_was_killed_right_afterwards(play: Play) -> None:
    stage = play(three_calls())
    watcher = stage.spawn("watch")
    try:
        until(lambda: any(stage.state.glob("account-*.holder")))
        assert stage.run("set", CALL, "--stop", "10%", "--until", "2026-12-04").status == 0
    finally:
        watcher.send_signal(signal.SIGKILL)
        watcher.communicate()
    assert (what_is_set(stage) or "").startswith("stop 10% until Fri 04 Dec 2026 16:00 ET, set by ")


def test_a_looser_stop_needs_a_confirmation_and_changes_nothing_without_it(play: Play) -> None:
    stage = play(three_calls())
    result = stage.run("set", CALL, "--stop", "40%")
    assert result.status == 5
    assert "$60.00 more can be lost" in result.err
    assert "Nothing was set: this must be confirmed. Add --yes to confirm." in result.err
    assert what_is_set(stage) is None


def test_what_closes_at_once_needs_a_confirmation(play: Play) -> None:
    stage = play(three_calls())
    for change in (("--stop", "price 2"), ("--target", "price 0.5"), ("--breakeven",)):
        if change == ("--breakeven",):
            stage = play(three_calls("0.95", "0.97"))
        result = stage.run("set", CALL, *change)
        assert result.status == 5, change
        assert "closed at once" in result.err
    assert stage.sent() == []


def test_a_dry_run_shows_it_and_sets_nothing(play: Play) -> None:
    stage = play(three_calls())
    result = stage.run("set", CALL, "--stop", "40%", "--dry-run", "--format", "json")
    (override,) = result.document["overrides"]
    assert (result.status, override["account"], override["mode"]) == (0, "main", "paper")
    assert [(each["reason"], each["price"]) for each in override["triggers"]] == [
        ("stop_loss", "0.6"),
        ("take_profit", "1.1"),
    ]
    assert "more can be lost" in override["warnings"][0]
    assert what_is_set(stage) is None


def test_clearing_it_returns_to_the_rules_of_the_configuration(play: Play) -> None:
    stage = play(three_calls())
    assert stage.run("set", CALL, "--stop", "15%").status == 0
    assert stage.run("set", CALL, "--clear", "--yes").status == 0
    assert what_is_set(stage) is None
    assert "Nothing is set for" in stage.run("set", CALL, "--clear").err


def test_the_journal_says_who_set_what_and_when(play: Play) -> None:
    stage = play(three_calls())
    stage.run("set", CALL, "--stop", "15%", "--target", "80%")
    rows = stage.run("history", "--evidence", "--format", "json").document
    (row,) = [each for each in rows if each["kind"] == "override"]
    assert "stop 15%, target 80%" in str(row)
    assert "at the command line" in str(row)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((CALL,), "Nothing is to be set."),
        ((CALL, "--stop", "2.4"), "'2.4' has no unit. Write 40%, $120/contract, $500/position or price 2.4."),
        ((CALL, "--stop", "$2.4"), "'$2.4' has no unit. Write $2.4/contract, $2.4/position or price $2.4."),
        ((CALL, "--stop", "500%"), "never reaches. Give less than 100%, or a price as 'price 2.40'."),
        ((CALL, "--stop", "-25%"), "stop: '-25%' isn't above 0."),
        ((CALL, "--stop", "10%", "--clear"), "Clearing leaves nothing to set."),
        ((CALL, "--stop", "10%", "--breakeven"), "--breakeven and --stop both set the stop."),
        ((CALL, "--stop", "10%", "--until", "yesterday"), "--until: yesterday isn't a time."),
        ((CALL, "--stop", "10%", "--until", "2020-01-01"), "has passed"),
        ((CALL.replace("200000", "200001"), "--stop", "10%"), f"Did you mean {CALL}?"),
        (("A" * 4096, "--stop", "10%"), "can't be a symbol."),
        (("[red]X[/]", "--stop", "10%"), "is not held in any account."),
    ],
)
def test_what_cannot_be_set_is_one_clear_sentence(play: Play, arguments: tuple[str, ...], says: str) -> None:
    stage = play(three_calls())
    result = stage.run("set", *arguments)
    assert (result.status, stage.sent()) == (2, [])
    assert says in result.err
    assert len(result.err) < 500


def test_two_people_at_once_are_both_on_record_and_the_last_one_counts(play: Play) -> None:
    stage = play(three_calls())
    with a_watcher(stage):
        for stop in ("15%", "10%"):
            assert stage.run("set", CALL, "--stop", stop).status == 0
        assert "stop 10%" in (what_is_set(stage) or "")
    rows = stage.run("history", "--evidence", "--format", "json").document
    assert len([each for each in rows if each["kind"] == "override"]) == 2


def a_price_beyond_the_new_target(stage: Stage) -> None:
    with stage.server.hold() as exchange:
        exchange.market.put(CALL, TwoSidedQuote(Decimal("1.07"), Decimal("1.09")), exchange.now)


def one_that_is_closed(stage: Stage) -> None:
    assert stage.run("close", CALL, "--qty", "1", "--yes").status == 0


def a_target_of_somebody_else(stage: Stage) -> None:
    assert stage.run("set", CALL, "--target", "80%").status == 0


@pytest.mark.parametrize("happens", [a_price_beyond_the_new_target, one_that_is_closed, a_target_of_somebody_else])
def test_what_does_something_else_by_the_answer_than_was_shown_is_not_set(
    play: Play, happens: Callable[[Stage], None]
) -> None:
    stage = play(three_calls())
    with Terminal(stage.arguments("set", CALL, "--stop", "40%", "--target", "6%"), stage.folder) as terminal:
        terminal.wait_for("Set it? [y/N]")
        happens(stage)
        held, sent = stage.held(CALL), len(stage.sent())
        terminal.answer("y\n")
        assert terminal.end() == 5
        said = " ".join(terminal.shown.split())
        assert "Nothing was set: what it does has changed since it was shown. Run it again." in said
    assert "stop" not in (what_is_set(stage) or "")
    assert (stage.held(CALL), len(stage.sent())) == (held, sent)


@pytest.mark.parametrize("watched", [False, True], ids=["here", "by a watcher"])
def test_after_its_question_it_says_only_that_it_is_set(play: Play, *, watched: bool) -> None:
    stage = play(three_calls())
    with a_watcher(stage) if watched else nullcontext():
        with Terminal(stage.arguments("set", CALL, "--stop", "40%"), stage.folder) as terminal:
            terminal.wait_for("Set it? [y/N]")
            terminal.answer("y\n")
            assert terminal.end() == 0
            assert terminal.shown.split("\n", 1)[1].strip() == f"main: {contract_text(CALL)}: set."
        assert (what_is_set(stage) or "").startswith("stop 40%")


def test_without_a_question_it_shows_once_what_it_has_set(play: Play) -> None:
    stage = play(three_calls())
    result = stage.run("set", CALL, "--stop", "15%")
    assert result.out.count("from $0.80 (-20.8%) to $0.85") == 1
    assert result.err == f"main: {contract_text(CALL)}: set.\n"


def test_its_document_is_the_only_thing_on_stdout_also_after_a_question(play: Play) -> None:
    stage = play(three_calls())
    line = f"{stage.line('set', CALL, '--stop', '40%', '--format', 'json')} > document.json".partition(" ")[2]
    program = " ".join(map(shlex.quote, MAIN))
    with Terminal((), stage.folder, program=("/bin/sh", "-c", f"exec {program} {line}")) as terminal:
        terminal.wait_for("Set it? [y/N]")
        terminal.answer("y\n")
        assert terminal.end() == 0
    document = json.loads((stage.folder / "document.json").read_text())
    assert [override["after"].partition(",")[0] for override in document["overrides"]] == ["stop 40%"]


def test_ctrl_d_at_its_question_sets_nothing(play: Play) -> None:
    stage = play(three_calls())
    with Terminal(stage.arguments("set", CALL, "--stop", "40%"), stage.folder) as terminal:
        terminal.wait_for("Set it? [y/N]")
        assert terminal.end_by(CTRL_D) == 130
        assert "interrupted. Nothing was set." in terminal.shown
    assert what_is_set(stage) is None


def test_at_80_columns_each_price_says_whether_it_is_the_old_one_or_the_new_one(play: Play) -> None:
    stage = play(three_calls())
    with Terminal(stage.arguments("set", CALL, "--stop", "40%", "--dry-run"), stage.folder) as terminal:
        assert terminal.end() == 0
        shown = " ".join(terminal.shown.split())
    assert "from $0.80 (-20.8%) to $0.60 (-40.6%)" in shown
    assert "stays $1.10 (+10%)" in shown


def test_the_contract_may_be_written_as_tables_show_it(play: Play) -> None:
    stage = play(three_calls())
    assert stage.run("set", contract_text(CALL), "--stop", "15%").status == 0


def test_a_dry_run_beside_it_leaves_requests_to_the_process_that_acts(play: Play) -> None:
    stage = play(FALLEN)
    with a_watcher(stage, RunMode.DRY_RUN):
        assert stage.run("set", CALL, "--stop", "15%").status == 0
        request = StateFolder(stage.state).ask(Verb.CLOSE, symbol=CALL, accounts=("main",), by="sellctl close")
        threading.Event().wait(3 * CHECK_EVERY_SECONDS)
        assert request.exists()
    assert stage.sent() == []
