"""What `history` and `report` tell a trader about real runs."""

import re
from pathlib import Path

import pytest
from e2e_scenes import a_day, at
from stage import CALL, Play, three_calls

TARGET = three_calls("1.10", "1.12")
MINE = f"orders: [{{symbol: {CALL}, side: sell, qty: 3, limit_price: 9, time_in_force: gtc, client_order_id: mine}}]"


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line)


def test_a_sale_at_the_target_is_one_row_with_its_dollars_and_its_reason(play: Play) -> None:
    stage = play(TARGET)
    assert stage.run("run-once").status == 0
    _, row = stage.run("history").out.splitlines()
    at_, contract, what, qty, price, gain, account, mode, why = cells(row)
    assert re.fullmatch(r"24 Nov 26 12:0\d:\d\d", at_)
    assert (contract, what, qty, account, mode) == ("AAPL 18 Dec 26 200 C", "closed", "3", "main", "PAPER")
    assert (price, gain) == ("1.10", "+$30.00")
    assert why.startswith("target +10%: bid $1.10 is at or above the target $1.10")


def test_the_raw_chain_has_the_order_its_answer_and_its_fill(play: Play) -> None:
    stage = play(TARGET)
    stage.run("run-once")
    kinds = {row["kind"] for row in stage.run("history", "--evidence", "--format", "json").document}
    assert kinds >= {"start", "plan", "intent", "accepted", "fill", "filled"}
    assert stage.run("history", "--format", "json").out == stage.run("history", "--evidence", "--format", "json").out


def test_an_exit_that_a_halt_keeps_back_is_a_row_and_says_so(play: Play) -> None:
    stage = play(TARGET)
    stage.run("halt", "--reason", "fed day")
    stage.run("run-once")
    _, row = stage.run("history").out.splitlines()
    _, _, what, qty, price, gain, *_, why = cells(row)
    assert (what, qty, price, gain) == ("not sent", "3", "-", "-")
    assert "halted (fed day)" in why


def test_an_exit_that_the_users_order_blocks_is_a_row_and_names_the_order(play: Play) -> None:
    stage = play(TARGET.replace("    number: PA1\n", f"    number: PA1\n    {MINE}\n"))
    stage.run("run-once")
    _, row = stage.run("history").out.splitlines()
    assert "blocked by your order: sell 3 limit $9.00" in row


def test_a_stale_order_that_was_cancelled_is_a_row_with_its_limit(play: Play) -> None:
    order = f"orders: [{{symbol: {CALL}, side: sell, qty: 3, limit_price: 9, client_order_id: mine}}]"
    scenario = three_calls().replace("    number: PA1\n", f"    number: PA1\n    {order}\n")
    stage = play(scenario)
    stage.server.advance(600)
    stage.run("run-once")
    _, row = stage.run("history").out.splitlines()
    _, contract, what, qty, *_, why = cells(row)
    assert (contract, what, qty) == ("AAPL 18 Dec 26 200 C", "cancelled stale", "3")
    assert why.endswith("min old, 3 min allowed (limit $9.00)")


def test_since_leaves_out_what_was_before(play: Play) -> None:
    stage = play(TARGET)
    stage.run("run-once")
    for command in ("history", "report"):
        assert "AAPL" in stage.run(command, "--since", "2026-11-24", "--format", "json").out
        assert "AAPL" not in stage.run(command, "--since", "2026-11-25", "--format", "json").out


@pytest.mark.parametrize("words", [["history"], ["report"], ["report", "--each"], ["config", "show"], ["strategies"]])
@pytest.mark.parametrize("width", [80, 120, 200])
def test_tables_stay_within_the_terminal(
    play: Play, monkeypatch: pytest.MonkeyPatch, words: list[str], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    stage = play(TARGET)
    stage.run("run-once")
    lines = stage.run(*words, "--format", "table").out.splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= width


def test_the_page_is_written_once_and_replaced_only_with_consent(play: Play, tmp_path: Path) -> None:
    pytest.importorskip("sellctl.ui.exit_chart")
    stage = play(a_day({CALL: (3, "1.00")}, {CALL: at("1.10", "1.12")}))
    stage.run("run-once")
    target = tmp_path / "exits.html"
    assert stage.run("report", "--html", str(target)).status == 0
    text = target.read_text(encoding="utf-8")
    assert all(word in text for word in ("+$30.00", "entry $1.00", "target $1.10", "AAPL 18 Dec 26 200 C"))
    target.write_text("mine")
    again = stage.run("report", "--html", str(target))
    assert (again.status, target.read_text()) == (2, "mine")
    assert again.err.count("already exists") == 1
    assert stage.run("report", "--html", str(target), "--yes").status == 0
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
