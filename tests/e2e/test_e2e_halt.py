import asyncio
import gc
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from stage import Play, Stage
from terminal import Terminal

from sellctl.bootstrap import RunOptions, assemble, load
from sellctl.commands.watch import watching
from sellctl.core.model.account_state import RunMode
from sellctl.service.options import Options
from sellctl.service.state_folder import StateFolder
from sellctl.ui.displays import LogOnly

CALL = "AAPL261218C00200000"
PUT = "MSFT261218P00400000"
HELD = """
    start: "2026-11-24 12:00"
    accounts:
      main:
        key: k
        secret: s
        number: PA1
        positions:
          - {symbol: AAPL261218C00200000, qty: 3, entry: 1.00}
          - {symbol: MSFT261218P00400000, qty: 1, entry: 2.00}
    prices:
      AAPL261218C00200000: [{fixed: {bid: 1.00, ask: 1.02}}]
      MSFT261218P00400000: [{fixed: {bid: 2.00, ask: 2.05}}]
"""
DUE = HELD.replace("bid: 1.00, ask: 1.02", "bid: 1.20, ask: 1.22")


@contextmanager
def a_watcher(stage: Stage, mode: RunMode = RunMode.ACT) -> Iterator[None]:
    """`sellctl watch` in a thread of its own, until the block ends."""
    options = Options(stage.config, stage.state, live=False, debug=False, log_file=None)
    runtime = assemble(load(options), options, RunOptions("watch", mode), lambda _event: None)
    started, runner = threading.Event(), asyncio.Runner()
    stop = asyncio.Event()

    class Started(LogOnly):
        def update(self, wait: float) -> None:
            started.set()
            super().update(wait)

    thread = threading.Thread(target=lambda: runner.run(watching(runtime, Started(), stop, lambda _open: None)))
    thread.start()
    try:
        assert started.wait(10)
        yield
    finally:
        runner.get_loop().call_soon_threadsafe(stop.set)
        thread.join(10)
        runner.close()
        runtime.close()


def test_a_watcher_searches_for_no_garbage_in_what_it_has_loaded(play: Play) -> None:
    gc.unfreeze()
    with a_watcher(play(HELD)):
        assert gc.get_freeze_count() > 0
    gc.unfreeze()


def until(stage: Stage, symbol: str, held: int) -> None:
    """Wait until a condition holds at the broker, at most a few seconds."""
    for _ in range(200):
        if stage.held(symbol) == held:
            return
        threading.Event().wait(0.02)
    pytest.fail(f"{symbol}: {stage.held(symbol)} held, {held} expected")


def test_a_reason_is_one_line_and_controls_no_terminal(play: Play) -> None:
    stage = play(HELD)
    assert stage.run("halt", "--reason", "earnings\nsellctl: Resumed.\x1b[2J").status == 0
    with Terminal(stage.arguments("close", CALL, "--dry-run"), stage.folder, columns=300) as terminal:
        assert terminal.end() == 5
        assert rb"(earnings sellctl: Resumed.\x1b[2J)" in terminal.output
        assert b"\x1b[2J" not in terminal.output


def test_an_error_controls_no_terminal(play: Play) -> None:
    stage = play(HELD)
    result = stage.shell("positions", "--account", "\x1b[2Jmain")
    assert (result.status, result.err) == (2, "sellctl: No account is called \\x1b[2Jmain. There are: main.\n")


def test_a_halt_stops_every_new_order_and_a_resume_allows_them_again(play: Play) -> None:
    stage = play(DUE)
    assert stage.run("halt", "--reason", "fed day").status == 0
    result = stage.run("run-once")
    assert "halted (fed day)" in result.out
    assert stage.sent() == []
    assert stage.run("resume", "--reason", "over").status == 0
    assert stage.run("run-once").status == 0
    assert stage.held(CALL) == 0


def test_a_halt_without_a_reason_keeps_that_of_the_halt_before(play: Play) -> None:
    stage = play(DUE)
    assert stage.run("halt", "--reason", "fed day").status == 0
    again = stage.run("halt")
    assert (again.status, "They were halted before, too: fed day." in again.err) == (0, True)
    assert "halted (fed day)" in stage.run("run-once").out
    assert stage.run("halt", "--reason", "a new one").status == 0
    assert "halted (a new one)" in stage.run("run-once").out


def test_a_resume_needs_a_reason(play: Play) -> None:
    stage = play(HELD)
    assert stage.run("halt").status == 0
    refused = stage.run("resume")
    assert refused.status == 2
    assert 'For example --reason "the feed is back".' in refused.err


def test_a_terminal_asks_for_the_reason_of_a_resume_and_takes_no_empty_one(play: Play) -> None:
    stage = play(HELD)
    assert stage.run("halt").status == 0
    with Terminal(stage.arguments("resume"), stage.folder) as terminal:
        terminal.wait_for("Why is it safe again?")
        terminal.answer("  \n")
        terminal.answer("the feed is back\n")
        assert terminal.end() == 0
    rows = stage.run("history", "--evidence", "--format", "json").document
    assert [row["body"]["reason"] for row in rows if row["kind"] == "resume"] == ["the feed is back"]


def test_a_halt_flag_that_cannot_be_read_counts_as_a_halt(play: Play) -> None:
    stage = play(DUE)
    stage.state.mkdir()
    (stage.state / "halted").write_bytes(b"\xff\x00garbage")
    stage.run("run-once")
    assert stage.sent() == []


def test_a_fifo_in_the_place_of_the_flag_halts_and_hangs_nothing(play: Play) -> None:
    stage = play(DUE)
    stage.state.mkdir(mode=0o700)
    os.mkfifo(stage.state / "halted")
    assert "halt flag can't be read" in stage.run("run-once").out
    assert stage.sent() == []


def test_a_halt_on_a_full_disk_halts_and_says_what_is_missing(play: Play) -> None:
    stage = play(DUE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        result = stage.run("halt", "--reason", "fed day")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert result.status == 0
    assert "the reason is not stored" in result.err
    assert "Halted: no new orders are sent." in result.err
    stage.run("run-once")
    assert stage.sent() == []


def test_a_halt_works_without_the_database(play: Play) -> None:
    stage = play(DUE)
    stage.state.mkdir()
    (stage.state / "journal.sqlite").write_bytes(b"not a database" * 100)
    assert stage.run("halt").status == 0
    assert StateFolder(stage.state).halted()


def test_a_panic_closes_everything_also_under_a_halt(play: Play) -> None:
    stage = play(HELD)
    stage.run("halt")
    assert stage.run("panic", "--yes").status == 0
    assert (stage.held(CALL), stage.held(PUT)) == (0, 0)
    assert "panic" in stage.run("history", "--format", "csv").out


def test_a_panic_without_yes_or_a_terminal_sends_nothing(play: Play) -> None:
    stage = play(HELD)
    assert stage.run("panic").status == 5
    assert stage.sent() == []


def test_close_is_carried_out_by_a_running_watcher(play: Play) -> None:
    stage = play(HELD)
    with a_watcher(stage):
        result = stage.run("close", CALL, "--yes")
        assert result.status == 0
        assert "passed to the running watcher" in result.err
        until(stage, CALL, 0)
    assert stage.held(PUT) == 1


def test_panic_is_carried_out_by_a_running_watcher(play: Play) -> None:
    stage = play(HELD)
    with a_watcher(stage):
        assert stage.run("panic", "--yes").status == 0
        until(stage, CALL, 0)
        until(stage, PUT, 0)


def test_the_first_run_with_real_money_shows_its_plan_and_requires_confirmation(play: Play) -> None:
    stage = play(DUE)
    stage.config.write_text(stage.config.read_text().replace("secret_key: s", "secret_key: s\n    paper: false"))
    result = stage.run("--live", "run-once")
    assert result.status == 5
    assert CALL in result.out
    assert stage.sent() == []
    assert stage.run("--live", "run-once", "--yes").status == 0
    assert stage.held(CALL) == 0
    assert stage.run("--live", "run-once").status == 0
