"""The report as a page: what a reader finds on it."""

from decimal import Decimal

import pytest

pytest.importorskip("sellctl.ui.exit_chart")

from test_exit_chart import an_exit, at

from sellctl.core.model.exit_record import Exit, SentOrder
from sellctl.ui.formatting import profit_cell
from sellctl.ui.report_page import MAX_EXITS, page


def shown(*found: Exit, mode: str = "paper") -> str:
    return page(
        found, ("day", "P&L", "against bid"), [("2026-11-20", profit_cell(Decimal(-200)), None)], lambda *_: mode
    )


def test_an_exit_says_contract_account_time_result_and_why() -> None:
    text = shown(an_exit())
    for words in (
        "AAPL 18 Dec 26 200 C",
        "main PAPER, 20 Nov 26 12:00:40 ET",
        "closed 2 at $1.52",
        "stop -20%: mid $1.60 is at or below the stop $1.60",
        "<time>12:00:02 ET</time>order 2 at $1.58: cancelled",
        "<time>12:00:40 ET</time>filled 2 at $1.52",
    ):
        assert words in text


def test_money_is_written_as_dollars_and_one_exit_is_no_plural() -> None:
    text = shown(an_exit())
    assert '<span class="bad">-$96.00</span><span class="small">1 exit</span>' in text
    assert "-$200.00" in text
    assert "2 exits" in shown(an_exit(), an_exit())


def test_live_is_marked() -> None:
    assert '<p class="pill live">LIVE</p>' in shown(an_exit(), mode="live")


def test_an_unknown_profit_is_never_a_number() -> None:
    one = an_exit(decided_on=None)
    assert one.pnl is None
    text = shown(one)
    assert "P&amp;L unknown" in text
    assert "P&amp;L of 1 exit unknown" in text
    assert "$0.00" not in text


@pytest.mark.parametrize(
    ("path", "note"),
    [
        ((), "No price path was recorded."),
        (an_exit().path[:1], "No price path was recorded: only the quote of the decision."),
    ],
)
def test_where_no_price_path_was_recorded_it_says_so_and_draws_no_line(path: tuple[object, ...], note: str) -> None:
    text = shown(an_exit(path=path, stop=None, target=None, decided_on=None))
    assert note in text
    assert 'class="line reactive nofill"' not in text


def test_an_exit_that_was_not_filled_says_what_became_of_it() -> None:
    order = SentOrder(at(2), an_exit().symbol, Decimal(2), None, ended="refused", message="insufficient qty")
    text = shown(an_exit(parts=(), orders=(order,)))
    assert "<strong>rejected</strong>" in text
    assert "Alpaca refused the order: insufficient qty" in text
    assert "0 filled" in text


def test_text_from_elsewhere_is_escaped() -> None:
    text = shown(an_exit(why="<script>alert(1)</script>", symbol="<b>"))
    assert "<script" not in text
    assert "<b>" not in text


def test_of_very_many_exits_the_newest_are_drawn_and_it_says_so() -> None:
    text = shown(*[an_exit(row=row) for row in range(MAX_EXITS + 1)])
    assert text.count("<article") == MAX_EXITS
    assert f"the newest {MAX_EXITS} of {MAX_EXITS + 1}" in text


def test_without_an_exit_it_says_so() -> None:
    assert "No exits match." in shown()
