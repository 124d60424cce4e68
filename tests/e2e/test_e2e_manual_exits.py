"""`close` and `panic`: what they show before they ask, what became of it, and the exit status that follows from it."""

import os
import pty
import select
import time

import pytest
from stage import CALL, MAIN, Play, Stage, clean_environment, three_calls
from test_e2e_halt import HELD, PUT, a_watcher, until

from sellctl.core.model.instrument import contract_text

QUIET = three_calls()
CLOSED = three_calls(at="2026-11-24 17:00")
SHARES = QUIET.replace("entry: 1.00}", "entry: 1.00}, {symbol: AAPL, qty: 200, entry: 150}") + (
    "  AAPL: [{fixed: {bid: 155, ask: 155.02}}]\n"
)


def at_a_terminal(stage: Stage, *arguments: str, answer: str) -> tuple[int, str]:
    """The exit status of a command in a pseudo-terminal and all that it showed; `answer` is typed at its question."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(stage.folder)
        environment = clean_environment(stage.folder) | {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
        os.execve(MAIN[0], [*MAIN, *stage.arguments(*arguments)], environment)  # noqa: S606  our own interpreter
    shown, ends = b"", time.monotonic() + 30
    while time.monotonic() < ends:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            break
        if answer and b"[y/N]" in shown:
            os.write(terminal, f"{answer}\n".encode())
            answer = ""
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


# --- close: what is shown and asked


def test_close_shows_account_mode_quantity_and_proceeds_and_asks(play: Play) -> None:
    stage = play(QUIET)
    status, shown = at_a_terminal(stage, "close", CALL, answer="n")
    assert f"Close 3 {contract_text(CALL)} of main (PAPER)? [y/N]" in shown
    for text in ("account", "mode", "proceeds", "P&L", "+3", "$300.00", "sell 3 limit $1.00"):
        assert text in shown
    assert (status, stage.sent()) == (5, [])


def test_close_that_is_confirmed_says_at_what_price_it_was_filled(play: Play) -> None:
    stage = play(QUIET)
    status, shown = at_a_terminal(stage, "close", CALL, answer="y")
    assert (status, stage.held(CALL)) == (0, 0)
    last = next(line for line in reversed(shown.splitlines()) if contract_text(CALL) in line)
    assert " ".join(last.split()) == f"main PAPER {contract_text(CALL)} +3 3 1.00 filled"


def test_close_without_a_terminal_needs_yes(play: Play) -> None:
    stage = play(QUIET)
    result = stage.run("close", CALL)
    assert (result.status, stage.sent()) == (5, [])
    assert "Add --yes to confirm" in result.err
    assert stage.run("close", CALL, "--yes").status == 0
    assert stage.held(CALL) == 0


def test_close_shows_the_positions_also_with_yes(play: Play) -> None:
    assert "$300.00" in play(QUIET).run("close", CALL, "--yes").err


def test_a_dry_run_of_close_shows_the_same_and_ends(play: Play) -> None:
    stage = play(QUIET)
    dry = stage.run("close", CALL, "--dry-run", "--format", "plain")
    asked = stage.run("close", CALL)
    assert (dry.status, stage.sent()) == (0, [])
    assert dry.out in asked.err


def test_close_with_real_money_says_live_and_is_refused_before_it_asks_without_the_option(play: Play) -> None:
    stage = play(QUIET)
    stage.config.write_text(stage.config.read_text().replace("secret_key: s", "secret_key: s\n    paper: false"))
    result = stage.run("close", CALL, "--yes")
    assert (result.status, stage.sent()) == (5, [])
    assert "--live was not given" in result.err
    _, shown = at_a_terminal(stage, "--live", "close", CALL, answer="n")
    assert f"Close 3 {contract_text(CALL)} of main (LIVE)?" in shown


# --- close: what became of it


def test_close_of_what_is_not_held_is_an_error_with_the_symbol_that_was_meant(play: Play) -> None:
    stage = play(QUIET)
    for name, hint in (
        (CALL.replace("200000", "200001"), f"Did you mean {CALL}?"),
        ("AAPL", f"Options held on AAPL: {CALL}."),
    ):
        result = stage.run("close", name, "--yes")
        assert (result.status, stage.sent()) == (2, [])
        assert f"{name} is not held in any account. {hint}" in result.err
    assert stage.run("close", "", "--yes").status == 2


def test_close_of_what_is_not_held_is_an_error_also_beside_a_watcher(play: Play) -> None:
    stage = play(HELD)
    with a_watcher(stage):
        result = stage.run("close", "MSFT261218P00400001", "--yes")
    assert result.status == 2
    assert f"Did you mean {PUT}?" in result.err
    assert "passed to" not in result.err


@pytest.mark.parametrize("more", [["--yes"], ["--dry-run"]], ids=" ".join)
@pytest.mark.parametrize("watched", [False, True])
def test_close_while_the_market_is_closed_says_so_and_ends_with_5(
    play: Play, more: list[str], *, watched: bool
) -> None:
    stage = play(CLOSED)
    if watched:
        with a_watcher(stage):
            result = stage.run("close", CALL, *more)
    else:
        result = stage.run("close", CALL, *more)
    assert (result.status, stage.sent()) == (5, [])
    assert "the market is closed" in result.out
    assert "passed to" not in result.err


def test_close_of_an_exempt_position_says_so_and_ends_with_5(play: Play) -> None:
    stage = play(QUIET)
    stage.run("exempt", "AAPL")
    result = stage.run("close", CALL, "--yes")
    assert (result.status, stage.sent()) == (5, [])
    assert "exempt (by you)" in result.out
    assert f"{stage.line('manage', 'AAPL')}\n" in result.err


def test_close_under_a_halt_says_so_and_ends_with_5(play: Play) -> None:
    stage = play(QUIET)
    stage.run("halt", "--reason", "fed day")
    result = stage.run("close", CALL, "--yes")
    assert (result.status, stage.sent()) == (5, [])
    assert "halted (fed day)" in result.out
    assert "resume --reason" in result.err


def test_close_that_the_broker_refuses_says_why_and_is_no_success(play: Play) -> None:
    stage = play(QUIET)
    stage.inject_fault("H10", method="POST", path="/orders", times=None, message="no such luck")
    result = stage.run("close", CALL, "--yes", "--format", "json")
    assert (result.status, stage.held(CALL)) == (4, 3)
    [end] = result.document["exits"]
    assert (end["result"], end["filled"]) == ("refused", "0")
    assert "no such luck" in end["sentence"]


def test_close_beside_a_watcher_says_at_what_price_it_was_filled(play: Play) -> None:
    stage = play(HELD)
    with a_watcher(stage):
        result = stage.run("close", CALL, "--yes", "--format", "json")
        assert (result.status, stage.held(CALL), stage.held(PUT)) == (0, 0, 1)
    [end] = result.document["exits"]
    assert (end["result"], end["filled"], end["filled_price"], end["mode"]) == ("filled", "3", "1", "paper")
    assert "passed to the running watcher" in result.err
    assert "in use" not in result.err


def test_close_beside_a_watcher_whose_order_does_not_fill_says_that_it_works_and_ends_with_4(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sellctl.commands.manual_exit._FILL_TIMEOUT", 1.0)
    stage = play(HELD)
    stage.inject_fault("O05", times=None)
    with a_watcher(stage):
        result = stage.run("close", CALL, "--yes", "--format", "json")
    assert result.status == 4
    [end] = result.document["exits"]
    assert (end["result"], end["filled"]) == ("working", "0")
    assert "closed" in end["sentence"]


def test_a_symbol_on_another_underlying_is_not_what_was_meant(play: Play) -> None:
    result = play(QUIET).run("close", CALL.replace("AAPL", "TSLA"), "--yes")
    assert "Did you mean" not in result.err


# --- panic


def test_panic_names_account_positions_and_mode_in_its_question(play: Play) -> None:
    stage = play(HELD)
    status, shown = at_a_terminal(stage, "panic", answer="n")
    assert "Close 2 positions of main (PAPER) at any price? [y/N]" in shown
    for text in (contract_text(CALL), contract_text(PUT), "total", "$500.00"):
        assert text in shown
    assert (status, stage.sent()) == (5, [])


def test_a_dry_run_of_panic_closes_what_panic_closes_and_says_why_stock_stays(play: Play) -> None:
    stage = play(SHARES)
    dry = stage.run("panic", "--dry-run", "--format", "json").document
    sentences = {each["symbol"]: each["sentence"] for each in dry["exits"]}
    assert sentences["AAPL"].startswith("NOT MANAGED: rules cover options only; ")
    assert stage.run("panic", "--yes").status == 0
    assert (stage.held(CALL), stage.held("AAPL")) == (0, 200)


def test_panic_says_what_became_of_each_position(play: Play) -> None:
    ends = play(HELD).run("panic", "--yes", "--format", "json").document["exits"]
    assert {each["symbol"]: each["result"] for each in ends} == {CALL: "filled", PUT: "filled"}


def test_panic_beside_a_watcher_says_what_became_of_each_position(play: Play) -> None:
    stage = play(HELD)
    with a_watcher(stage):
        result = stage.run("panic", "--yes", "--format", "json")
        assert (result.status, stage.held(CALL), stage.held(PUT)) == (0, 0, 0)
    assert {each["result"] for each in result.document["exits"]} == {"filled"}


def test_panic_with_nothing_to_close_says_so_and_is_a_success(play: Play) -> None:
    stage = play(QUIET)
    assert stage.run("panic", "--yes").status == 0
    again = stage.run("panic", "--yes")
    assert again.status == 0
    assert "nothing is to be closed" in again.err


def test_panic_while_the_market_is_closed_says_so_and_ends_with_5(play: Play) -> None:
    stage = play(CLOSED)
    result = stage.run("panic", "--yes")
    assert (result.status, stage.sent()) == (5, [])
    assert "The market is closed" in result.err


def test_panic_that_can_read_no_account_says_so_and_shows_no_empty_table(play: Play) -> None:
    stage = play(QUIET)
    stage.write("accounts: {main: {api_key: k, secret_key: s, endpoints: {trading: 'http://127.0.0.1:9'}}}\n")
    for arguments in (["panic", "--dry-run"], ["panic", "--yes"]):
        result = stage.run(*arguments)
        assert (result.status, result.out) == (1, ""), result
        assert "can't be reached" in result.err


def test_panic_reaches_a_watcher_also_when_this_command_cannot_read_the_account(play: Play) -> None:
    stage = play(HELD)
    with a_watcher(stage):
        stage.write(f"{stage.config.read_text().replace(stage.server.url, 'http://127.0.0.1:9')}")
        result = stage.run("panic", "--yes")
        until(stage, CALL, 0)
        until(stage, PUT, 0)
    assert result.status == 1
    assert "main: passed to the running watcher" in result.err
