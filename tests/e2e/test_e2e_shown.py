"""What the reading commands show at all times: a halt, PAPER or LIVE, and an account that could not be read."""

import pytest
from stage import CALL, Play, Program, three_calls

from sellctl.core.model.instrument import contract_text
from sellctl.service.state_folder import StateFolder
from sellctl.ui.render import JSON_VERSION

TARGET = three_calls("1.10", "1.12")
QUIET = three_calls()
READS = [["positions"], ["positions", CALL], ["run-once", "--dry-run"], ["run-once"]]


def refused_everywhere(program: Program) -> None:
    """A configuration whose broker can't be reached."""
    endpoints = "{trading: 'http://127.0.0.1:9', data: 'http://127.0.0.1:9'}"
    program.write(f"accounts:\n  main: {{api_key: k, secret_key: s, endpoints: {endpoints}}}\n")


@pytest.mark.parametrize("arguments", READS, ids=" ".join)
def test_a_halt_is_shown_also_when_nothing_is_due(play: Play, arguments: list[str]) -> None:
    stage = play(QUIET)
    stage.run("halt", "--reason", "fed day")
    result = stage.run(*arguments)
    assert "HALTED: no new orders are sent (fed day)" in result.err
    assert result.status == 0


@pytest.mark.parametrize("arguments", [["positions"], ["run-once", "--dry-run"]], ids=" ".join)
def test_a_halt_is_in_the_document(play: Play, arguments: list[str]) -> None:
    stage = play(QUIET)
    assert stage.run(*arguments, "--format", "json").document["halted"] == ""
    stage.run("halt", "--reason", "fed day")
    assert stage.run(*arguments, "--format", "json").document["halted"] == "fed day"


def test_without_a_halt_nothing_is_said_of_one(play: Play) -> None:
    assert "HALT" not in play(QUIET).run("positions").err


@pytest.mark.parametrize("arguments", [["run-once"], ["run-once", "--dry-run"]], ids=" ".join)
def test_an_exit_that_a_halt_keeps_back_ends_a_run_with_5(play: Play, arguments: list[str]) -> None:
    stage = play(TARGET)
    stage.run("halt", "--reason", "fed day")
    result = stage.run(*arguments)
    assert result.status == 5
    assert f"Not sent: main: {contract_text(CALL)}: target +10%" in result.err
    (line,) = [line for line in result.err.splitlines() if line.startswith("Not sent: ")]
    assert line.endswith("; halted (fed day)")


def test_an_exit_that_an_order_of_the_users_blocks_ends_a_run_with_5(play: Play) -> None:
    order = (
        f"orders: [{{symbol: {CALL}, side: sell, qty: 3, limit_price: 9, time_in_force: gtc, client_order_id: mine}}]"
    )
    stage = play(TARGET.replace("    number: PA1\n", f"    number: PA1\n    {order}\n"))
    result = stage.run("run-once")
    assert (result.status, stage.held(CALL)) == (5, 3), result
    assert "blocked by your order" in result.err


def test_a_run_that_sends_what_is_due_ends_with_0(play: Play) -> None:
    stage = play(TARGET)
    assert (stage.run("run-once").status, stage.held(CALL)) == (0, 0)


@pytest.mark.parametrize(
    "arguments", [["positions"], ["run-once", "--dry-run"], ["close", CALL, "--dry-run"], ["strategies"]], ids=" ".join
)
def test_paper_stands_beside_the_account(play: Play, arguments: list[str]) -> None:
    out = play(QUIET).run(*arguments).out
    assert "PAPER" in out
    assert "LIVE" not in out


def test_live_stands_beside_the_account(play: Play) -> None:
    stage = play(QUIET)
    stage.config.write_text(stage.config.read_text().replace("secret_key: s", "secret_key: s\n    paper: false"))
    for arguments in (["positions"], ["positions", CALL], ["run-once", "--dry-run"], ["cancel-stale", "--dry-run"]):
        out = stage.run(*arguments).out
        assert "PAPER" not in out
        assert "LIVE" in out or arguments[0] == "cancel-stale"  # which has no order to list here


@pytest.mark.parametrize("arguments", [*READS, ["cancel-stale", "--dry-run"]], ids=" ".join)
def test_a_broker_that_cannot_be_reached_is_never_shown_as_none(play: Play, arguments: list[str]) -> None:
    stage = play(QUIET)
    refused_everywhere(stage)
    result = stage.run(*arguments, "--format", "table")
    assert result.status == 1
    assert "none" not in result.out
    if arguments[0] != "cancel-stale":
        assert "can't be reached" in " ".join(result.out.split())
        assert "PAPER" in result.out


def test_a_broker_that_cannot_be_reached_is_a_problem_in_the_document(play: Play) -> None:
    stage = play(QUIET)
    refused_everywhere(stage)
    document = stage.run("positions", "--format", "json").document
    [problem] = document["problems"]
    assert document["accounts"] == []
    assert (problem["account"], problem["mode"]) == ("main", "paper")
    assert "reached" in problem["problem"]


def test_the_history_tells_the_reason_of_a_halt_once(play: Play) -> None:
    stage = play(QUIET)
    stage.run("halt", "--reason", "fed day")
    assert "reason: fed day" not in stage.run("history", "--format", "csv").out


def test_the_document_of_the_configuration_has_the_version_of_every_document(play: Play) -> None:
    stage = play(QUIET)
    assert stage.run("config", "show", "--format", "json").document["version"] == JSON_VERSION


@pytest.mark.parametrize("arguments", [["positions"], ["run-once", "--dry-run"]], ids=" ".join)
def test_an_exit_of_which_no_order_works_is_due(play: Play, arguments: list[str]) -> None:
    stage = play(TARGET)
    table = stage.run(*arguments, "--format", "table").out
    assert "due" in table.split()
    assert "closing" not in table
    assert '"state": "closing"' in stage.run(*arguments, "--format", "json").out  # as programs know it
    assert stage.sent() == []


def test_the_page_of_a_position_says_that_its_exit_is_due(play: Play) -> None:
    page = play(TARGET).run("positions", CALL, "--format", "plain").out
    assert ["state", "due"] in [line.split() for line in page.splitlines()]


def test_positions_says_that_no_watcher_of_the_account_is_running(play: Play) -> None:
    stage = play(QUIET)
    assert "No watcher is running here" in stage.run("positions", "--format", "table").out
    watcher = StateFolder(stage.state)
    watcher.lock("PA1", "watch")
    try:
        assert "No watcher" not in stage.run("positions", "--format", "table").out
    finally:
        watcher.release()
