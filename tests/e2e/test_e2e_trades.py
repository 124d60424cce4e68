"""`trades` after real runs, and the underlying as a filter of what the journal shows."""

import re
from decimal import Decimal

import pytest
from e2e_scenes import HIGHER, a_day, at
from stage import CALL, Play, Stage, three_calls

TARGET = three_calls("1.10", "1.12")
HEADER = "closed,symbol,contract,qty,entry,exit,P&L,gain,reason,held,account,mode"
NVDA = "NVDA261218C00500000"
NAME = "AAPL-vertical-261218-200-210C"
TWO = {CALL: (3, "1.00"), NVDA: (1, "5.00")}
TWO_PRICES = {CALL: at("1.10", "1.12"), NVDA: at("4.00", "4.10")}
SPREAD = "sell_module: {strategies: [{name: spreads, match: {structure: [vertical]}, rules: {take_profit: 10%}}]}\n"


def traded(play: Play) -> Stage:
    """A target on AAPL, and a loss on NVDA that was taken by hand."""
    stage = play(a_day(TWO, TWO_PRICES))
    stage.run("close", NVDA, "--yes")
    for _ in range(3):
        stage.run("run-once")
        stage.server.advance(15)
    assert (stage.held(CALL), stage.held(NVDA)) == (0, 0)
    return stage


def test_trades_shows_a_sale_and_its_totals(play: Play) -> None:
    stage = play(TARGET)
    assert stage.run("run-once").status == 0
    shown = stage.run("trades")
    head, row = shown.out.splitlines()
    assert head.split() == [
        "closed",
        "symbol",
        "contract",
        "qty",
        "entry",
        "exit",
        "P&L",
        "gain",
        "reason",
        "held",
        "account",
        "mode",
    ]
    closed, *cells = re.split(r"\s{2,}", row)
    assert re.fullmatch(r"24 Nov 26 12:0\d:\d\d", closed)
    assert cells[:8] == [CALL, "AAPL 18 Dec 26 200 C", "3", "1.00", "1.10", "+$30.00", "+10.0%", "take_profit"]
    assert cells[9:] == ["main", "PAPER"]
    assert "PAPER: 1 trade, P&L +$30.00, win rate 100% (1 of 1)\n  average time held" in shown.err
    document = stage.run("trades", "--format", "json").document
    assert document["trades"][0]["pnl"] == "30"
    assert document["trades"][0]["closed"].endswith("-05:00")
    assert document["totals"][0]["pnl"] == {"dollars": "30", "known": 1, "of": 1}
    header, line = stage.run("trades", "--format", "csv").out.splitlines()
    assert header == HEADER
    assert f",{CALL},AAPL 18 Dec 26 200 C,3,1,1.1,30,0.1,take_profit," in line


def test_dollars_are_those_of_report(play: Play) -> None:
    stage = traded(play)
    reported = stage.run("report", "--each", "--format", "json").document
    shown = stage.run("trades", "--format", "json").document["trades"]
    dollars = [{each["symbol"]: Decimal(each["pnl"]) for each in found} for found in (reported, shown)]
    assert dollars[0] == dollars[1]
    assert len(dollars[0]) == 2


@pytest.mark.parametrize(
    ("words", "symbols"),
    [
        (["aapl"], [CALL]),
        (["NVDA"], [NVDA]),
        ([CALL.lower()], [CALL]),
        (["AAPL 18 Dec 26 200 C"], [CALL]),
        (["--reason", "take_profit"], [CALL]),
        (["--since", "2026-11-25"], []),
        (["--account", "main", "NVDA"], [NVDA]),
    ],
)
def test_filters_narrow_trades_history_and_report(play: Play, words: list[str], symbols: list[str]) -> None:
    stage = traded(play)
    trades = stage.run("trades", *words, "--format", "json")
    assert [each["symbol"] for each in trades.document["trades"]] == symbols
    assert ("No trades are recorded for these filters." in trades.err) is not symbols
    assert [each["symbol"] for each in stage.run("report", "--each", *words, "--format", "json").document] == symbols
    rows = stage.run("history", *words, "--format", "json").document
    exits = (each for each in rows if each["kind"] != "request")  # a command is dated by the clock of its machine
    assert {each["symbol"] for each in exits if each["symbol"]} == set(symbols)
    assert stage.run("history", *words).out.count("24 Nov 26") == len(symbols)


@pytest.mark.parametrize("command", ["trades", "history", "report"])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("NVAD", "NVAD is not in the journal. Did you mean NVDA?"),
        ("zzz", "ZZZ is not in the journal. `sellctl history` lists what is."),
        ("A" * 4096, "AAAA... is not in the journal."),
        ("\x1b[2J", "\\x1b[2J is not in the journal."),
        ("[red]x", "[RED]X is not in the journal."),
    ],
)
def test_a_name_that_is_not_in_the_journal_is_an_error_with_the_one_that_was_meant(
    play: Play, command: str, name: str, hint: str
) -> None:
    stage = play(TARGET)
    stage.run("run-once")
    result = stage.run(command, name.replace("NVAD", "APAL"))
    assert result.status == 2
    assert hint.replace("NVAD", "APAL").replace("NVDA", "AAPL") in result.err
    assert len(result.err) < 300


def test_what_is_held_and_has_not_traded_has_no_trades_and_is_no_error(play: Play) -> None:
    stage = play(three_calls())
    stage.run("run-once")
    result = stage.run("trades", "AAPL")
    assert (result.status, result.out.splitlines()[1:]) == (0, [])
    assert "No trades are recorded for these filters." in result.err


def test_before_the_first_run_trades_says_that_there_is_no_journal(play: Play) -> None:
    result = play(TARGET).run("trades", "AAPL", "--format", "json")
    assert (result.status, result.document["trades"]) == (0, [])
    assert "The history is empty" in result.err


def test_a_structure_is_one_trade_by_its_name_its_leg_and_its_underlying(play: Play) -> None:
    held = {CALL: (2, "2.00"), HIGHER: (-2, "1.00")}
    stage = play(a_day(held, {CALL: at("2.48", "2.52"), HIGHER: at("0.98", "1.02")}), SPREAD)
    for _ in range(4):
        stage.run("run-once")
        stage.server.advance(15)
    assert (stage.held(CALL), stage.held(HIGHER)) == (0, 0)
    for name in (NAME.lower(), CALL, "AAPL"):
        (trade,) = stage.run("trades", name, "--format", "json").document["trades"]
        assert (trade["symbol"], trade["qty"]) == (NAME, "2")
    assert "AAPL vertical 18 Dec 26 200/210" in stage.run("trades").out


@pytest.mark.parametrize("width", [80, 120, 200])
def test_trades_fit_the_terminal_and_have_their_totals_below(
    play: Play, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = traded(play).run("trades", "--format", "table").out.splitlines()
    assert max(map(len, lines)) <= width
    below = " ".join(lines[-4:])
    assert "PAPER: 2 trades, P&L -$" in below
    assert "best +$30.00 AAPL 18 Dec 26 200 C" in below
    assert lines[0] == "Trades"
