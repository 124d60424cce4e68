"""`trades`: a row per closed exit, and totals that say what they leave out."""

import datetime as dt
import re
from decimal import Decimal

from builders import CALL, a_holding, replace

from sellctl.core.model.exit_record import Exit, Part
from sellctl.core.model.position import PositionState
from sellctl.ui.formatting import as_cell
from sellctl.ui.trades import TRADE_COLUMNS, totals_lines, trade_rows, trades_document

NOON = dt.datetime(2026, 11, 24, 17, 0, tzinfo=dt.UTC)


def a_trade(price: str = "1.20", entry: str | None = "1.00", **more: object) -> Exit:
    holding = a_holding(entry=entry, state=PositionState(opened_at=NOON - dt.timedelta(hours=3, minutes=12)))
    part = Part(NOON, Decimal(1), Decimal(price))
    one = Exit("main", CALL, "take_profit", "2026-11-24", NOON, decided_on=holding, parts=(part,))
    return replace(one, **more)  # type: ignore[arg-type]


def shown(one: Exit) -> dict[str, str]:
    (row,) = trade_rows([(one, "paper")])
    return {name: as_cell(cell).text for name, cell in zip(TRADE_COLUMNS, row, strict=True)}


def test_a_trade_is_shown_in_new_york_with_dollars_percent_and_time_held() -> None:
    assert shown(a_trade()) == {
        "closed": "24 Nov 26 12:00:00",
        "symbol": CALL,
        "contract": "AAPL 18 Dec 26 200 C",
        "qty": "1",
        "entry": "1.00",
        "exit": "1.20",
        "P&L": "+$20.00",
        "gain": "+20.0%",
        "reason": "take_profit",
        "held": "3h 12m",
        "account": "main",
        "mode": "PAPER",
    }


def test_the_summer_time_of_new_york_counts() -> None:
    july = dt.datetime(2026, 7, 14, 16, tzinfo=dt.UTC)
    one = a_trade(parts=(Part(july, Decimal(1), Decimal(1)),))
    assert shown(one)["closed"] == "14 Jul 26 12:00:00"
    assert trades_document([(one, "paper")])["trades"][0]["closed"] == "2026-07-14T12:00:00-04:00"


def test_an_unknown_entry_makes_dollars_and_percent_unknown_and_the_totals_say_so() -> None:
    unknown = a_trade(entry=None)
    cells = shown(unknown)
    assert (cells["entry"], cells["P&L"], cells["gain"]) == ("unknown", "unknown", "unknown")
    assert cells["exit"] == "1.20"
    assert totals_lines([(a_trade(), "paper"), (unknown, "paper")]) == [
        "PAPER: 2 trades, P&L +$20.00 (1 of 2 known), win rate 100% (1 of 1)",
        "  average time held 3h 12m",
        "  best +$20.00 AAPL 18 Dec 26 200 C, worst +$20.00 AAPL 18 Dec 26 200 C",
        "  1 trade with an unknown entry or price is not counted in P&L, win rate, best and worst",
    ]
    part = trades_document([(unknown, "paper")])["trades"][0]
    assert (part["entry"], part["pnl"], part["gain"]) == (None, None, None)


def test_without_any_known_entry_no_total_is_a_number() -> None:
    first, _, third = totals_lines([(a_trade(entry=None), "paper")])
    assert "P&L unknown (0 of 1 known), win rate unknown" in first
    assert "not counted" in third


def test_real_money_is_never_added_to_paper() -> None:
    trades = [(a_trade("1.20"), "paper"), (a_trade("0.50"), "live")]
    lines = totals_lines(trades)
    assert [line for line in lines if "P&L" in line and "1 trade," in line] == [
        "LIVE: 1 trade, P&L -$50.00, win rate 0% (0 of 1)",
        "PAPER: 1 trade, P&L +$20.00, win rate 100% (1 of 1)",
    ]
    assert [each["mode"] for each in trades_document(trades)["totals"]] == ["live", "paper"]


def test_a_time_since_it_was_first_seen_is_no_exact_time() -> None:
    seen = a_holding(entry="1.00", state=PositionState(first_seen=NOON - dt.timedelta(seconds=42)))
    assert shown(a_trade(decided_on=seen))["held"] == "at least 42s"
    assert totals_lines([(a_trade(decided_on=seen), "")])[1] == "  average time held at least 42s"
    assert shown(a_trade(decided_on=None))["held"] == "unknown"
    just_seen = a_holding(entry="1.00", state=PositionState(first_seen=NOON))
    assert shown(a_trade(decided_on=just_seen))["held"] == "unknown"


def test_no_trades_have_no_totals() -> None:
    assert totals_lines([]) == []
    assert trades_document([]) == {"version": 2, "trades": [], "totals": []}


def test_a_symbol_from_elsewhere_prints_no_control_characters() -> None:
    cells = shown(a_trade(symbol="AA\x1b[2J", decided_on=None))
    assert not re.search(r"[\x00-\x1f]", "".join(cells.values()))
