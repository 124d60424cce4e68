"""The program as processes: killed, interrupted, two at once, with readers that go away, and with secrets to keep."""

import hashlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from stage import Play, Program, end_of
from stranger import Stranger, position

if TYPE_CHECKING:
    import subprocess

CALL = "AAPL261218C00200000"
KEY, SECRET = "PKCANARY7Q2ZL9XW4T1R", "CanaryWz8Jq3vB6nLk0YtR5sXe2HdGu9PfMaC1oI"
PATIENCE = 12.0
READS = [["positions"], ["positions", CALL], ["history"], ["config", "show"], ["run-once", "--dry-run"]]


def program_for(stranger: Stranger, folder: Path) -> Program:
    program = Program(folder)
    program.write(
        f"accounts:\n  main:\n    api_key: {KEY}\n    secret_key: {SECRET}\n"
        f"    endpoints: {{trading: '{stranger.url}', data: '{stranger.url}'}}\nsell_module: {{check_interval: 1}}\n"
    )
    return program


def one_stop(bid: float = 0.70, ask: float = 0.72, **more: Any) -> Stranger:
    return Stranger(position(CALL, 3, 1.0), {CALL: (bid, ask)}, keys=frozenset({KEY}), **more)


def until(what: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < ends, "it never came to pass"
        time.sleep(0.02)


def everything_in(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- killed and interrupted


@pytest.mark.parametrize("arrived", [True, False], ids=["after it arrived", "before it arrived"])
def test_a_run_that_is_killed_at_its_order_and_run_again_sells_once(tmp_path: Path, *, arrived: bool) -> None:
    running: list[subprocess.Popen[str]] = []

    def before(method: str, _path: str) -> tuple[int, Any] | None:
        if method != "POST" or not running:
            return None
        running.pop().kill()
        return None if arrived else (500, {})

    with one_stop(before=before) as stranger:
        program = program_for(stranger, tmp_path)
        process = program.spawn("run-once")
        running.append(process)
        assert end_of(process).status == -signal.SIGKILL
        said = program.run("run-once")
        assert (said.status, stranger.positions) == (0, {}), said.err
    assert [order["qty"] for order in stranger.orders] == ["3"]


@pytest.mark.parametrize("word", ["run-once", "positions"])
def test_ctrl_c_ends_a_command_with_one_sentence_and_status_130(tmp_path: Path, word: str) -> None:
    with one_stop(slowness=0.5) as stranger:
        process = program_for(stranger, tmp_path).spawn(word)
        until(stranger.asked.copy)
        process.send_signal(signal.SIGINT)
        said = end_of(process)
    assert said.status == 130
    assert [line for line in said.err.splitlines() if line.startswith("sellctl: interrupted.")]
    assert "Traceback" not in said.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_watch_that_is_told_to_stop_ends_cleanly_and_says_what_still_works(
    tmp_path: Path, number: signal.Signals
) -> None:
    with one_stop(new_for=1e6) as stranger:
        process = program_for(stranger, tmp_path).spawn("watch")
        until(lambda: stranger.orders)
        process.send_signal(number)
        said = end_of(process)
    assert said.status == 0, said.err
    assert f"Still open at the broker: sellctl's order for {CALL} in account main." in said.err
    assert "Traceback" not in said.err


# --- two at once


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Program]:
    """A program that a watch of the same state folder runs beside."""
    with one_stop(bid=1.0, ask=1.02) as stranger:
        program = program_for(stranger, tmp_path)
        process = program.spawn("watch", "--format", "json")
        until((program.state / "account-STRANGE1.holder").exists)
        yield program
        process.send_signal(signal.SIGTERM)
        assert end_of(process).status == 0


def test_a_second_writer_exits_6_and_says_who_is_first(watched: Program) -> None:
    said = watched.run("run-once")
    assert said.status == 6
    assert "`sellctl watch` (process " in said.err
    assert watched.run("run-once", "--if-busy", "skip").status == 0


def test_reading_commands_work_beside_a_watch(watched: Program) -> None:
    for words in READS:
        said = watched.run(*words)
        assert said.status == 0, said


def test_reading_commands_leave_the_state_folder_byte_for_byte(tmp_path: Path) -> None:
    with one_stop() as stranger:
        program = program_for(stranger, tmp_path)
        assert program.run("run-once").status == 0
        stranger.positions |= position(CALL, 3, 1.0)
        before = everything_in(program.state)
        assert before
        for words in (*READS, ["close", CALL, "--dry-run"], ["cancel-stale", "--dry-run"]):
            assert program.run(*words).status == 0
            assert everything_in(program.state) == before, words


def test_reading_commands_make_no_state_folder(tmp_path: Path) -> None:
    with one_stop() as stranger:
        program = program_for(stranger, tmp_path)
        for words in (["positions"], ["history"], ["run-once", "--dry-run"], ["cancel-stale", "--dry-run"]):
            assert program.run(*words).status == 0
            assert not program.state.exists(), words


# --- readers


@pytest.mark.parametrize("words", [*READS, ["config", "schema"], ["cancel-stale", "--dry-run"]], ids=" ".join)
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, words: list[str]) -> None:
    with one_stop(bid=1.0, ask=1.02) as stranger:
        process = program_for(stranger, tmp_path).spawn(*words)
        assert process.stdout
        process.stdout.close()
        process.stdout = None
        said = end_of(process)
    assert said.status == 0, said.err
    assert "Traceback" not in said.err
    assert "Broken pipe" not in said.err


def test_watch_in_json_is_one_object_a_line_and_ends_when_nobody_reads(tmp_path: Path) -> None:
    with one_stop(bid=1.0, ask=1.02) as stranger:
        process = program_for(stranger, tmp_path).spawn("watch", "--format", "json")
        assert process.stdout
        documents = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.stdout.close()
        process.stdout = None
        said = end_of(process)
    assert [document["version"] for document in documents] == [2, 2]
    assert said.status == 0, said.err
    assert "Traceback" not in said.err


# --- secrets


def test_a_secret_appears_nowhere(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    words = ("--debug", "--log-file", str(log))
    with one_stop() as stranger:
        program = program_for(stranger, tmp_path)
        said = [program.shell(*words, "run-once"), program.shell(*words, "config", "show")]
        stranger.keys = frozenset()
        said.append(program.shell(*words, "run-once"))
        stranger.keys = frozenset({KEY})
        stranger.before = lambda _method, path: (500, {"message": f"{KEY} {SECRET} {path}"})
        said.append(program.shell(*words, "run-once"))
    assert [each.status for each in said] == [0, 0, 3, 1]
    assert log.exists()
    told = "".join(f"{each.out}{each.err}" for each in said).encode()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != program.config)
    for secret in (KEY, SECRET):
        assert secret.encode() not in told
        assert secret.encode() not in kept


def test_a_log_and_a_state_folder_are_for_their_owner_only(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with one_stop() as stranger:
        program = program_for(stranger, tmp_path)
        program.shell("--log-file", str(log), "run-once")
    paths = [log, program.state, *program.state.rglob("*")]
    assert {path.name: path.stat().st_mode & 0o077 for path in paths} == {path.name: 0 for path in paths}


# --- one symbol


@pytest.mark.parametrize("fmt", ["table", "plain", "json", "csv", "markdown"])
def test_a_symbols_page_shows_todays_orders_in_every_format(tmp_path: Path, fmt: str) -> None:
    with one_stop() as stranger:
        program = program_for(stranger, tmp_path)
        assert program.run("run-once").status == 0
        stranger.positions |= position(CALL, 3, 1.0)
        said = program.run("positions", CALL.lower(), "--format", fmt)
    assert said.status == 0, said.err
    assert CALL in said.out
    assert "filled" in said.out
    if fmt == "json":
        [page] = said.document["positions"]
        assert (page["symbol"], page["orders"][0]["status"]) == (CALL, "filled")


@pytest.mark.parametrize(
    "words", [["positions", "TSLA"], ["close", "TSLA"], ["close", "TSLA", "--dry-run"]], ids=" ".join
)
def test_a_symbol_that_is_not_held_exits_2_and_sends_nothing(tmp_path: Path, words: list[str]) -> None:
    with one_stop() as stranger:
        said = program_for(stranger, tmp_path).run(*words)
    assert (said.status, stranger.sent) == (2, []), said.err
    assert "TSLA is not held in any account. `sellctl positions`" in said.err


def test_close_sells_one_position_and_no_other(tmp_path: Path) -> None:
    other = "AAPL261218C00210000"
    with one_stop(bid=1.0, ask=1.02) as stranger:
        stranger.positions |= position(other, 1, 1.0)
        stranger.quotes[other] = (0.1, 0.11)
        program = program_for(stranger, tmp_path)
        dry = program.run("close", CALL, "--dry-run", "--format", "json")
        assert (dry.status, stranger.sent) == (0, [])
        assert dry.document["plans"][0]["holdings"][0]["order"]["qty"] == "3"
        said = program.run("close", CALL.lower())
    assert (said.status, list(stranger.positions)) == (0, [other]), said.err


def test_history_names_the_reason_and_the_fill(tmp_path: Path) -> None:
    with one_stop() as stranger:
        program = program_for(stranger, tmp_path)
        program.run("run-once")
        said = program.run("history", "--format", "json")
    assert said.status == 0
    assert "stop" in said.out
    assert {"intent", "filled"} <= {row["kind"] for row in said.document}
    assert program.run("history", "--verify").status == 0


# --- the edges of the day


@pytest.mark.parametrize(("start", "sells"), [("2026-11-24 09:29:57", True), ("2026-11-24 15:59:56", False)])
def test_a_watch_sells_what_is_due_after_the_open_and_nothing_after_the_close(
    play: Play, start: str, *, sells: bool
) -> None:
    stage = play(
        f"""
        start: "{start}"
        accounts:
          main: {{key: k, secret: s, positions: [{{symbol: {CALL}, qty: 3, entry: 1.00}}]}}
        prices:
          {CALL}: [{{fixed: {{bid: 1.00, ask: 1.02}}}}, {{at: "+5s", fixed: {{bid: 1.20, ask: 1.22}}}}]
        """,
        "sell_module: {check_interval: 1}",
        speed=1,
    )
    process = stage.spawn("watch")
    if sells:
        until(lambda: stage.held(CALL) == 0)
    else:
        time.sleep(6)
    process.send_signal(signal.SIGTERM)
    said = end_of(process)
    assert said.status == 0, said.err
    assert (stage.held(CALL) == 0) is sells, said.err
