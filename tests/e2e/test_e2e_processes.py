"""The program as processes: killed, interrupted, run twice at once, with closed pipes, and with secrets."""

import fcntl
import hashlib
import json
import os
import signal
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alternative_broker import AlternativeBroker, position
from stage import Play, Program, end_of, three_calls

from sellctl.core.model.instrument import contract_text

if TYPE_CHECKING:
    import subprocess

CALL = "AAPL261218C00200000"
KEY, SECRET = "PKCANARY7Q2ZL9XW4T1R", "CanaryWz8Jq3vB6nLk0YtR5sXe2HdGu9PfMaC1oI"
PATIENCE = 12.0
READS = [["positions"], ["positions", CALL], ["history"], ["config", "show"], ["run-once", "--dry-run"]]


def program_for(broker: AlternativeBroker, folder: Path) -> Program:
    program = Program(folder)
    program.write(
        f"accounts:\n  main:\n    api_key: {KEY}\n    secret_key: {SECRET}\n"
        f"    endpoints: {{trading: '{broker.url}', data: '{broker.url}'}}\nsell_module: {{check_interval: 1}}\n"
    )
    return program


def one_stop(bid: float = 0.70, ask: float = 0.72, **more: Any) -> AlternativeBroker:
    return AlternativeBroker(position(CALL, 3, 1.0), {CALL: (bid, ask)}, keys=frozenset({KEY}), **more)


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
def test_a_run_that_is_killed_while_sending_and_run_again_sells_once(tmp_path: Path, *, arrived: bool) -> None:
    running: list[subprocess.Popen[str]] = []

    def override(method: str, _path: str) -> tuple[int, Any] | None:
        if method != "POST" or not running:
            return None
        running.pop().kill()
        return None if arrived else (500, {})

    with one_stop(override=override) as broker:
        program = program_for(broker, tmp_path)
        process = program.spawn("run-once")
        running.append(process)
        assert end_of(process).status == -signal.SIGKILL
        result = program.run("run-once")
        assert (result.status, broker.positions) == (0, {}), result.err
    assert [order["qty"] for order in broker.orders] == ["3"]


@pytest.mark.parametrize("word", ["run-once", "positions"])
def test_ctrl_c_ends_a_command_with_one_sentence_and_status_130(tmp_path: Path, word: str) -> None:
    with one_stop(response_delay=0.5) as broker:
        process = program_for(broker, tmp_path).spawn(word)
        until(broker.requests.copy)
        process.send_signal(signal.SIGINT)
        result = end_of(process)
    assert result.status == 130
    assert [line for line in result.err.splitlines() if line.startswith("sellctl: interrupted.")]
    assert "Traceback" not in result.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_watch_that_is_stopped_ends_cleanly_and_lists_the_working_orders(
    tmp_path: Path, number: signal.Signals
) -> None:
    with one_stop(new_for=1e6) as broker:
        process = program_for(broker, tmp_path).spawn("watch")
        until(lambda: broker.orders)
        process.send_signal(number)
        result = end_of(process)
    assert result.status == 0, result.err
    assert f"Still open at the broker: sellctl's order for {contract_text(CALL)} in account main." in result.err
    assert "Traceback" not in result.err


def test_a_storm_of_signals_ends_a_watch_as_one_does(tmp_path: Path) -> None:
    with one_stop(bid=1.0, ask=1.02) as broker:
        program = program_for(broker, tmp_path)
        process = program.spawn("watch")
        until((program.state / "account-ALT1.holder").exists)
        while process.poll() is None:
            for number in (signal.SIGTERM, signal.SIGINT):
                process.send_signal(number)
            time.sleep(0.001)
        result = end_of(process)
    assert result.status == 0, result.err
    assert "Traceback" not in result.err


def test_a_watch_that_is_stopped_while_it_waits_for_the_request_budget_ends_with_0(play: Play) -> None:
    stage = play(three_calls() + "settings: {rate_limit: 5}\n")
    process = stage.spawn("watch")
    assert process.stderr
    said = next(line for line in process.stderr if "request budget is used up" in line)
    process.send_signal(signal.SIGTERM)
    assert end_of(process).status == 0, said


# --- two at once


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Program]:
    """A program with a running watch on the same state folder."""
    with one_stop(bid=1.0, ask=1.02) as broker:
        program = program_for(broker, tmp_path)
        process = program.spawn("watch", "--format", "json")
        until((program.state / "account-ALT1.holder").exists)
        yield program
        process.send_signal(signal.SIGTERM)
        assert end_of(process).status == 0


def test_a_second_writer_exits_6_and_names_the_first(watched: Program) -> None:
    result = watched.run("run-once")
    assert result.status == 6
    assert "`sellctl watch` (process " in result.err
    assert watched.run("run-once", "--if-busy", "skip").status == 0


def test_read_commands_work_during_a_watch(watched: Program) -> None:
    for arguments in READS:
        result = watched.run(*arguments)
        assert result.status == 0, result


def test_read_commands_do_not_change_the_state_folder(tmp_path: Path) -> None:
    with one_stop() as broker:
        program = program_for(broker, tmp_path)
        assert program.run("run-once").status == 0
        broker.positions |= position(CALL, 3, 1.0)
        before = everything_in(program.state)
        assert before
        for arguments in (*READS, ["close", CALL, "--dry-run"], ["cancel-stale", "--dry-run"]):
            assert program.run(*arguments).status == 0
            assert everything_in(program.state) == before, arguments


def test_read_commands_create_no_state_folder(tmp_path: Path) -> None:
    with one_stop() as broker:
        program = program_for(broker, tmp_path)
        for arguments in (["positions"], ["history"], ["run-once", "--dry-run"], ["cancel-stale", "--dry-run"]):
            assert program.run(*arguments).status == 0
            assert not program.state.exists(), arguments


# --- readers


@pytest.mark.parametrize("arguments", [*READS, ["config", "schema"], ["cancel-stale", "--dry-run"]], ids=" ".join)
def test_a_closed_pipe_is_not_an_error(tmp_path: Path, arguments: list[str]) -> None:
    with one_stop(bid=1.0, ask=1.02) as broker:
        process = program_for(broker, tmp_path).spawn(*arguments)
        assert process.stdout
        process.stdout.close()
        process.stdout = None
        result = end_of(process)
    assert result.status == 0, result.err
    assert "Traceback" not in result.err
    assert "Broken pipe" not in result.err


def test_watch_in_json_prints_one_object_per_line_and_fails_when_its_reader_has_gone(tmp_path: Path) -> None:
    with one_stop(bid=1.0, ask=1.02) as broker:
        process = program_for(broker, tmp_path).spawn("watch", "--format", "json")
        assert process.stdout
        documents = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.stdout.close()
        process.stdout = None
        result = end_of(process)
    assert [document["version"] for document in documents] == [2, 2]
    assert result.status == 1, result.err
    assert "nothing is watched any more: stdout can't be written: its reader has gone." in result.err
    assert "Traceback" not in result.err


# --- secrets


@contextmanager
def unread(process: "subprocess.Popen[str]", stream: Any) -> Iterator[None]:
    """The process with a small pipe that nobody reads; SIGTERM ends it all the same."""
    fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, 4096)
    try:
        yield
        process.send_signal(signal.SIGTERM)
        status = process.wait(15)
    finally:
        process.kill()
        output = process.communicate()
    assert status == 0, output


def test_a_reader_of_the_log_that_stalls_delays_neither_an_exit_nor_sigterm(tmp_path: Path) -> None:
    with one_stop() as broker:
        for strike in range(200_000, 260_000, 1_000):
            broker.positions |= position(f"AAPL261218C{strike:08}", 1, 1.0)
            broker.quotes[f"AAPL261218C{strike:08}"] = (1.20, 1.22)
        process = program_for(broker, tmp_path).spawn("watch")
        with unread(process, process.stderr):
            until(lambda: not broker.positions)


def test_a_reader_of_json_that_stalls_delays_neither_an_exit_nor_sigterm(tmp_path: Path) -> None:
    with one_stop(bid=1.0, ask=1.02) as broker:
        process = program_for(broker, tmp_path).spawn("watch", "--format", "json")
        with unread(process, process.stdout):
            until(lambda: len(broker.requests) > 20)
            broker.quotes[CALL] = (1.20, 1.22)
            until(lambda: not broker.positions)


def test_a_terminal_that_is_stopped_delays_neither_an_exit_nor_sigterm(tmp_path: Path) -> None:
    master, slave = os.openpty()
    with one_stop(bid=1.0, ask=1.02) as broker:
        process = program_for(broker, tmp_path).spawn("watch", stdout=slave)
        try:
            until(lambda: len(broker.requests) > 5)
            termios.tcflow(slave, termios.TCOOFF)  # Ctrl-S
            broker.quotes[CALL] = (1.20, 1.22)
            until(lambda: not broker.positions)
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0
        finally:
            process.kill()
            termios.tcflow(slave, termios.TCOON)
            process.communicate()
            os.close(slave)
            os.close(master)


def test_secrets_appear_in_no_output(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    arguments = ("--debug", "--log-file", str(log))
    with one_stop() as broker:
        program = program_for(broker, tmp_path)
        result = [program.shell(*arguments, "run-once"), program.shell(*arguments, "config", "show")]
        broker.keys = frozenset()
        result.append(program.shell(*arguments, "run-once"))
        broker.keys = frozenset({KEY})
        broker.override = lambda _method, path: (500, {"message": f"{KEY} {SECRET} {path}"})
        result.append(program.shell(*arguments, "run-once"))
    assert [each.status for each in result] == [0, 0, 3, 1]
    assert log.exists()
    output = "".join(f"{each.out}{each.err}" for each in result).encode()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != program.config)
    for secret in (KEY, SECRET):
        assert secret.encode() not in output
        assert secret.encode() not in kept


def test_only_the_owner_can_read_the_log_and_the_state_folder(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with one_stop() as broker:
        program = program_for(broker, tmp_path)
        program.shell("--log-file", str(log), "run-once")
    paths = [log, program.state, *program.state.rglob("*")]
    assert {path.name: path.stat().st_mode & 0o077 for path in paths} == {path.name: 0 for path in paths}


# --- one symbol


@pytest.mark.parametrize("fmt", ["table", "plain", "json", "csv", "markdown"])
def test_a_symbols_page_shows_todays_orders_in_every_format(tmp_path: Path, fmt: str) -> None:
    with one_stop() as broker:
        program = program_for(broker, tmp_path)
        assert program.run("run-once").status == 0
        broker.positions |= position(CALL, 3, 1.0)
        result = program.run("positions", CALL.lower(), "--format", fmt)
    assert result.status == 0, result.err
    assert CALL in result.out
    assert "filled" in result.out
    if fmt == "json":
        [page] = result.document["positions"]
        assert (page["symbol"], page["orders"][0]["status"]) == (CALL, "filled")


@pytest.mark.parametrize(
    "arguments", [["positions", "TSLA"], ["close", "TSLA"], ["close", "TSLA", "--dry-run"]], ids=" ".join
)
def test_a_symbol_that_is_not_held_exits_2_and_sends_nothing(tmp_path: Path, arguments: list[str]) -> None:
    with one_stop() as broker:
        result = program_for(broker, tmp_path).run(*arguments)
    assert (result.status, broker.sent) == (2, []), result.err
    assert "TSLA is not held in any account. `sellctl positions`" in result.err


def test_close_sells_one_position_and_no_other(tmp_path: Path) -> None:
    other = "AAPL261218C00210000"
    with one_stop(bid=1.0, ask=1.02) as broker:
        broker.positions |= position(other, 1, 1.0)
        broker.quotes[other] = (0.1, 0.11)
        program = program_for(broker, tmp_path)
        dry = program.run("close", CALL, "--dry-run", "--format", "json")
        assert (dry.status, broker.sent) == (0, [])
        assert dry.document["plans"][0]["holdings"][0]["order"]["qty"] == "3"
        result = program.run("close", CALL.lower(), "--yes")
    assert (result.status, list(broker.positions)) == (0, [other]), result.err


def test_history_names_the_reason_and_the_fill(tmp_path: Path) -> None:
    with one_stop() as broker:
        program = program_for(broker, tmp_path)
        program.run("run-once")
        result = program.run("history", "--format", "json")
    assert result.status == 0
    assert "stop" in result.out
    assert {"intent", "filled"} <= {row["kind"] for row in result.document}
    assert program.run("history", "--verify").status == 0


# --- open and close


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
    result = end_of(process)
    assert result.status == 0, result.err
    assert (stage.held(CALL) == 0) is sells, result.err
