"""`close` with a quantity, a limit and a patience: exactly that much, never beyond the limit, watched or not."""

import threading

import pytest
from e2e_scenes import CALL, a_day, at, ruled
from stage import Play, Stage
from test_e2e_halt import a_watcher
from test_e2e_manual_exits import at_a_terminal

from sellctl.core.model.instrument import contract_text

FIVE = a_day({CALL: (5, "1.00")}, {CALL: at("1.00", "1.02")})
SHARES = a_day({"AAPL": (10, "150")}, {"AAPL": at("155", "155.02")})
NAMED = contract_text(CALL)


def until_read_again(stage: Stage) -> None:
    """Wait until a watcher has read the positions twice more."""
    before = positions_read(stage)
    for _ in range(1000):
        if positions_read(stage) >= before + 2:
            return
        threading.Event().wait(0.02)
    pytest.fail("the watcher does not poll")


def positions_read(stage: Stage) -> int:
    return sum(request.path.endswith("/positions") for request in stage.server.requests)


@pytest.mark.parametrize("watched", [False, True])
def test_two_of_five_are_closed_and_never_two_more(play: Play, *, watched: bool) -> None:
    stage = play(FIVE, ruled('take_profit: "+500%"'))
    if watched:
        with a_watcher(stage):
            result = stage.run("close", CALL, "--qty", "2", "--yes", "--format", "json")
            assert "passed to the running watcher" in result.err
            until_read_again(stage)
    else:
        result = stage.run("close", CALL, "--qty", "2", "--yes", "--format", "json")
    [end] = result.document["exits"]
    assert (result.status, end["result"], end["qty"], end["held"], end["filled"]) == (0, "filled", "2", "5", "2")
    assert stage.held(CALL) == 3
    assert stage.run("run-once").status == 0
    assert (stage.held(CALL), [int(order.filled_qty) for order in stage.orders()]) == (3, [2])


def test_a_share_is_rounded_down_to_whole_contracts(play: Play) -> None:
    stage = play(FIVE)
    assert stage.run("close", CALL, "--qty", "50%", "--yes").status == 0
    assert stage.held(CALL) == 3


def test_shares_may_be_closed_in_fractions(play: Play) -> None:
    stage = play(SHARES)
    assert stage.run("close", "AAPL", "--qty", "2.5", "--yes").status == 0
    assert [f"{order.filled_qty:f}" for order in stage.orders()] == ["2.5"]


def test_the_dry_run_shows_the_part_its_proceeds_and_the_limit(play: Play) -> None:
    stage = play(FIVE)
    result = stage.run("close", CALL, "--qty", "2", "--limit", "1.05", "--dry-run", "--format", "json")
    [part] = result.document["exits"]
    assert (result.status, stage.sent()) == (0, [])
    assert (part["qty"], part["held"], part["limit"], part["price"]) == ("2", "5", "1.05", "1.05")
    assert (part["proceeds"], part["pnl"], part["mode"]) == ("210", "10", "paper")
    assert "closed manually, 2 of it, limit $1.05; sell 2 limit $1.05" in part["sentence"]
    shown = stage.run("close", CALL, "--qty", "2", "--dry-run", "--format", "plain").out
    assert "2 of +5" in shown


@pytest.mark.parametrize("watched", [False, True])
def test_a_limit_that_is_not_reached_stays_at_the_broker_and_is_said_to_work(
    play: Play, monkeypatch: pytest.MonkeyPatch, *, watched: bool
) -> None:
    monkeypatch.setattr("sellctl.commands.manual_exit._FILL_TIMEOUT", 1.0)
    monkeypatch.setattr("sellctl.core.scheduler.RUN_ONCE_SECONDS", 4.0)
    stage = play(FIVE)
    close = ("close", CALL, "--qty", "2", "--limit", "1.10", "--yes", "--format", "json")
    if watched:
        with a_watcher(stage):
            result = stage.run(*close)
    else:
        result = stage.run(*close)
    [end] = result.document["exits"]
    assert (result.status, end["result"], end["filled"]) == (4, "working", "0")
    [order] = stage.orders()
    assert (f"{order.limit_price:f}", int(order.qty), order.status) == ("1.10", 2, "new")


@pytest.mark.parametrize("style", ["smart", "market"])
@pytest.mark.parametrize("pace", ["profit", "forced"])
def test_no_patience_and_no_style_trades_beyond_the_limit(
    play: Play, monkeypatch: pytest.MonkeyPatch, pace: str, style: str
) -> None:
    monkeypatch.setattr("sellctl.core.scheduler.RUN_ONCE_SECONDS", 4.0)
    stage = play(FIVE, f"execution: {{style: {style}}}\n")
    result = stage.run("close", CALL, "--limit", "1.01", "--patience", pace, "--yes")
    assert (result.status, {f"{order.limit_price}" for order in stage.orders()}) == (4, {"1.01"})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--qty", "0"], "A quantity of '0' closes nothing."),
        (["--qty", "-1"], "A quantity of '-1' closes nothing."),
        (["--qty", "6"], f"main holds 5 of {CALL}, and 6 is more."),
        (["--qty", "1.5"], f"1.5 of {CALL} is not whole"),
        (["--qty", "some"], "'some' is no quantity."),
        (["--qty", "1e3"], "'1e3' is no quantity."),
        (["--qty", "10%"], f"10% of 5 {CALL} is less than one contract."),
        (["--qty", "101%"], "'101%' is more than all of it."),
        (["--limit", "0"], "A limit of '0' is no price."),
        (["--limit", "-2"], "A limit of '-2' is no price."),
        (["--limit", "nan"], "'nan' is no price."),
        (["--patience", "protectve"], "'protectve' is no patience. Did you mean protective?"),
    ],
)
def test_bad_input_is_one_sentence_and_sends_nothing(play: Play, arguments: list[str], sentence: str) -> None:
    stage = play(FIVE)
    result = stage.run("close", CALL, *arguments, "--yes")
    assert (result.status, stage.sent()) == (2, [])
    assert sentence in result.err


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        ("1.013", "The limit $1.013 is no multiple of the price increment $0.01: $1.02 is used."),
        ("2.00", "The limit $2.00 is 100% above the price now, $1.00."),
        ("0.50", "The limit $0.50 is 50% below the price now, $1.00."),
    ],
)
def test_an_unusual_limit_is_said_before_the_question_and_needs_yes_off_a_terminal(
    play: Play, limit: str, sentence: str
) -> None:
    stage = play(FIVE)
    result = stage.run("close", CALL, "--limit", limit)
    assert (result.status, stage.sent()) == (5, [])
    assert f"{sentence} Nothing was sent: this must be confirmed. Add --yes to confirm." in result.err


def test_a_quantity_of_what_two_accounts_hold_needs_the_account(play: Play) -> None:
    other = FIVE.replace(
        "      main:",
        "      income:\n        key: k2\n        secret: s2\n        number: PA2\n"
        f"        positions: [{{symbol: {CALL}, qty: 5, entry: 1.00}}]\n      main:",
    )
    stage = play(other)
    result = stage.run("close", CALL, "--qty", "2", "--yes")
    assert (result.status, stage.sent()) == (2, [])
    assert "Name one account for a quantity." in result.err
    assert stage.run("close", CALL, "--qty", "2", "--account", "income", "--yes").status == 0
    assert (stage.held(CALL, "income"), stage.held(CALL)) == (3, 5)


def test_the_journal_says_who_asked_for_how_much(play: Play) -> None:
    stage = play(FIVE)
    with a_watcher(stage):
        stage.run("close", CALL, "--qty", "2", "--limit", "0.99", "--yes")
    rows = stage.run("history", CALL, "--evidence", "--format", "json").out
    assert "at the command line" in rows


def test_the_question_names_the_part_and_the_limit(play: Play) -> None:
    stage = play(FIVE)
    status, shown = at_a_terminal(stage, "close", CALL, "--qty", "2", "--limit", "1.05", answer="n")
    assert f"Close 2 of 5 {NAMED} of main (PAPER) at $1.05 or more? [y/N]" in shown
    assert (status, stage.sent()) == (5, [])
