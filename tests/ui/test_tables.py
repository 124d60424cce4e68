import re
from decimal import Decimal

import pytest
from builders import CALL, TODAYS_CALL, a_holding, a_market, a_policy, an_order, at, at_price, our_order, replace
from ui_cases import (
    ANSI,
    LONGEST,
    STALE,
    a_decision,
    a_plan,
    a_second_account,
    a_terminal,
    an_afternoon,
    listed,
    under_way,
)

from sellctl.core.config.schema import Pullback, RulesConfig, SellModuleConfig, StrategyConfig, TrailingStopConfig
from sellctl.core.model.exit_record import HistoryEntry, HistoryKind
from sellctl.core.model.snapshot import AccountFacts
from sellctl.core.model.view import AccountListing, AccountView, Mode, WatchView, only_due
from sellctl.ui.exit_rows import HISTORY_COLUMNS, history_rows
from sellctl.ui.formats import OutputFormat
from sellctl.ui.formatting import as_cell, progress_to
from sellctl.ui.render import emit
from sellctl.ui.rows import (
    DETAIL_COLUMNS,
    ORDER_COLUMNS,
    PLAN_COLUMNS,
    POSITION_COLUMNS,
    TableRow,
    orders_rows,
    plan_rows,
    position_details,
    positions_rows,
)
from sellctl.ui.screen import screen_lines
from sellctl.ui.summaries import summary_lines

MAIN = AccountListing("main", mode=Mode.PAPER)
PLANS = (listed(an_afternoon()), listed(a_second_account(), Mode.LIVE))
LISTS = [
    (PLAN_COLUMNS, plan_rows(PLANS)),
    (POSITION_COLUMNS, positions_rows(PLANS)),
    (ORDER_COLUMNS, orders_rows([(MAIN, STALE), (MAIN, our_order(LONGEST, limit="2.25"))])),
]


def table(
    columns: tuple[str, ...],
    rows: list[TableRow],
    width: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    colour: bool = False,
) -> str:
    with a_terminal(monkeypatch, width, colour=colour):
        emit(columns, rows, None)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize(("columns", "rows"), LISTS)
def test_no_symbol_and_no_number_is_ever_cut(
    columns: tuple[str, ...],
    rows: list[TableRow],
    width: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = ANSI.sub("", table(columns, rows, width, capsys, monkeypatch))
    assert all(len(line) <= width for line in out.splitlines())
    assert "…" not in out
    words = out.split()
    for row in rows:
        assert {str(cell.text) for cell in row if hasattr(cell, "is_number") and cell.is_number} - {""} <= set(words)
        assert row[2] is None or as_cell(row[2]).drawn in " ".join(words)


@pytest.mark.parametrize("width", [80, 200])
def test_colour_only_repeats_what_the_text_says(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns, rows = LISTS[1]
    plain = table(columns, rows, width, capsys, monkeypatch)
    coloured = table(columns, rows, width, capsys, monkeypatch, colour=True)
    assert "\x1b[32m" in coloured
    assert "\x1b[3" not in plain
    assert ANSI.sub("", coloured) == ANSI.sub("", plain)


def test_a_wide_terminal_puts_a_position_on_one_line_and_a_narrow_one_its_sentence_beneath(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = positions_rows([listed(a_plan(a_holding("TSLA")))])
    wide = table(POSITION_COLUMNS, rows, 200, capsys, monkeypatch).splitlines()
    narrow = table(POSITION_COLUMNS, rows, 80, capsys, monkeypatch).splitlines()
    assert "TSLA" in wide[2]
    assert wide[2].split("NOT MANAGED", 1)[1].strip().startswith("NOT MANAGED: rules cover options only; ")
    assert narrow[2].endswith(" NOT MANAGED")
    assert all(line.startswith("    ") for line in narrow[3:])
    assert " ".join(" ".join(narrow[3:]).split()) == rows[0][-1]


def test_at_80_columns_a_contract_its_gain_in_dollars_and_its_state_stay_in_the_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = positions_rows([listed(a_plan(a_holding(CALL, "10", "1.00", bid="1.04", ask="1.06")))])
    _, _, line, *beneath = table(POSITION_COLUMNS, rows, 80, capsys, monkeypatch).splitlines()
    assert " ".join(line.split()) == "main PAPER AAPL 18 Dec 26 200 C 24 +10 1.04 +4.0% +$40.00 watching"
    assert beneath[0] == "    entry 1.00 · value $1,040.00 · nearest trigger target $1.10, 5.8% away"
    assert beneath[1].startswith("    +4% at the bid of $1.04")


def test_at_80_columns_the_line_of_a_simulated_account_still_ends_in_the_state(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = a_plan(a_holding(CALL, "10", "10.00", bid="10.40", ask="10.60"), a_holding("F", "100", "10", bid="11"))
    rows = positions_rows([listed(plan, Mode.SIMULATED)])
    _, _, *lines = table(POSITION_COLUMNS, rows, 80, capsys, monkeypatch).splitlines()
    assert any(re.fullmatch(r"main     SIMULATED  AAPL 18 Dec 26 200 C .* watching", line) for line in lines)
    assert any(re.fullmatch(r"main     SIMULATED  F .* NOT MANAGED", line) for line in lines)
    assert any("days 24" in line for line in lines)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_table_of_the_history_names_each_contract(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = HistoryEntry(1, at("15:50"), "main", CALL, "stop_loss", HistoryKind.CLOSED, "stop -20%", Decimal(3))
    rows = history_rows([closed], lambda _account, _row: "simulated")
    head, _, line, *_ = table(HISTORY_COLUMNS, rows, width, capsys, monkeypatch).splitlines()
    assert "contract" in head
    assert "AAPL 18 Dec 26 200 C" in line
    assert "SIMULATED" in line


def test_what_is_said_of_all_rows_stands_above_a_table_and_never_among_rows_for_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = positions_rows([listed(an_afternoon())])
    title = "\n".join(("Positions", *summary_lines([listed(an_afternoon())])))
    summary = "PAPER: 9 positions, 1 NOT MANAGED, open P&L -$1,337.78 (7 of 9 known), value $3,982.60 (7 of 9 known)"
    for fmt in (OutputFormat.PLAIN, OutputFormat.CSV, OutputFormat.MARKDOWN):
        emit(POSITION_COLUMNS, rows, fmt, title=title)
        out, err = capsys.readouterr()
        assert err == f"{summary}\n"
        assert "8 of 9" not in out
    with a_terminal(monkeypatch, 200):
        emit(POSITION_COLUMNS, rows, None, title=title)
    out, err = capsys.readouterr()
    assert ANSI.sub("", out).splitlines()[:2] == ["Positions", summary]
    assert err == ""


def test_paper_and_real_money_are_never_added_up() -> None:
    paper, simulated, live = (listed(a_second_account(), mode) for mode in (Mode.PAPER, Mode.SIMULATED, Mode.LIVE))
    assert summary_lines([paper, simulated, live, paper]) == [
        "PAPER: 4 positions, open P&L -$30.00, value $2,030.00",
        "SIMULATED: 2 positions, open P&L -$15.00, value $1,015.00",
        "LIVE: 2 positions, open P&L -$15.00, value $1,015.00",
    ]


def test_an_account_without_positions_or_a_plan_has_no_summary_and_nothing_known_is_unknown() -> None:
    assert summary_lines([AccountListing("main", mode=Mode.PAPER, problem="no answer")]) == []
    assert summary_lines([listed(a_plan())]) == []
    unknown = listed(a_plan(a_holding(bid=None, ask=None)))
    assert summary_lines([unknown]) == [
        "PAPER: 1 position, open P&L unknown (0 of 1 known), value unknown (0 of 1 known)"
    ]


def test_the_plan_shows_what_happens_and_why() -> None:
    said = {as_cell(row[2]).data: (str(row[7]), str(row[8])) for row in plan_rows([listed(an_afternoon())])[:9]}
    assert said[LONGEST][0] == "sell 1 limit $2.25"
    assert said[LONGEST][1].startswith("target +10%")
    assert said["NVDA261127P00180000"][0] == "wait"
    assert said["MSFT261218C00500000"][0] == "nothing"
    assert "blocked by your order" in said["MSFT261218C00500000"][1]
    assert said[CALL][0] == "nothing"


def test_stale_orders_and_unreadable_rows_stand_in_the_plan() -> None:
    *_, stale = plan_rows([listed(an_afternoon())])
    *_, fault = plan_rows([listed(a_second_account())])
    assert stale[7:] == ("cancel sell 3 limit $410.00", "8 min old, 3 min allowed")
    assert fault[8] == "XYZ could not be read: qty is 'abc'"


def test_the_nearest_trigger_comes_with_its_price_and_distance() -> None:
    row = positions_rows([listed(a_plan(a_holding(entry="1.00", bid="1.04", ask="1.06")))])[0]
    assert row[POSITION_COLUMNS.index("nearest trigger")] == "target $1.10, 5.8% away"


def test_a_reached_trigger_says_so() -> None:
    row = positions_rows([listed(a_plan(a_holding(entry="1.00", bid="1.20", ask="1.22")))])[0]
    assert row[POSITION_COLUMNS.index("nearest trigger")] == "target $1.10, reached"


TRAIL = a_policy(
    SellModuleConfig(
        strategies=(
            StrategyConfig(
                rules=RulesConfig(trailing_stop=TrailingStopConfig(Pullback(Decimal("0.1"), of_price=True)))
            ),
        )
    )
)


@pytest.mark.parametrize(
    ("bid", "peak", "short", "shown"),
    [
        ("1.20", "1.205", False, "trailing stop $1.0845, 9.6% away"),
        ("1.08", "1.205", False, "trailing stop $1.0845, reached"),
        ("0.80", "0.79", True, "trailing stop $0.869, 8.6% away"),
        ("0.87", "0.79", True, "trailing stop $0.869, reached"),
    ],
)
def test_a_stop_beyond_the_entry_is_reached_only_when_the_price_comes_back_to_it(
    bid: str, peak: str, shown: str, *, short: bool
) -> None:
    holding = at_price(bid, peak=Decimal(peak), short=short)
    plan = a_plan(holding, policy=TRAIL)
    quiet = replace(plan, decisions=tuple(replace(each, signal=None) for each in plan.decisions))
    row = positions_rows([listed(quiet)])[0]
    assert row[POSITION_COLUMNS.index("nearest trigger")] == shown


def test_the_progress_towards_a_stop_beyond_the_entry_starts_at_the_peak() -> None:
    decision = a_decision(at_price("1.40", peak=Decimal("1.50")), policy=TRAIL)
    (trigger,) = decision.triggers
    assert progress_to(decision, trigger) == Decimal(1) - (Decimal("1.40") - trigger.price) / Decimal("0.15")


def test_the_page_shows_everything_about_one_position() -> None:
    holding = a_holding(LONGEST, "5", "2.40", bid="1.85", ask="1.95", state=under_way())
    ours = our_order(LONGEST, qty="5", limit="1.90")
    done = our_order(LONGEST, qty="5", limit="1.95", status="canceled")
    decision = a_decision(holding, market=a_market("14:58"), orders=(ours,))
    page = position_details(decision, (ours, done), a_market("14:58"), MAIN)
    said = [(str(what), str(getattr(value, "text", value))) for what, value in page]
    assert said == [
        ("account", "main"),
        ("mode", "PAPER"),
        ("symbol", LONGEST),
        (
            "contract",
            "GOOGL1 18 Dec 26 200 C, expires in 24 days (Fri 18 Dec 2026); adjusted: it may not deliver 100 shares",
        ),
        ("quantity", "long 5, 5 free to close"),
        ("entry", "$2.40"),
        ("quote", "bid $1.85, ask $1.95, 0s old"),
        ("gain", "-22.9% at the bid, $1.85"),
        ("open P&L", "unknown"),
        ("market value", "unknown"),
        ("trigger", "stop at $1.92, reached"),
        ("trigger", "target at $2.64, 42.7% away"),
        ("exit in progress", "stop loss, order 2, sent 1s ago"),
        ("open order", "sell 5 limit $1.90, new, sent 24 Nov 11:59:00 ET by sellctl"),
        ("earlier order", "sell 5 limit $1.95, canceled, sent 24 Nov 11:59:00 ET by sellctl"),
        ("market", "open, 1h 02m left"),
        ("state", "closing, price 2 of 4"),
        ("what happens", "wait"),
        ("why", decision.sentence),
    ]


@pytest.mark.parametrize("width", [80, 200])
def test_the_page_fits_on_one_screen(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    holding = a_holding(LONGEST, "5", None, bid="1.85", ask=None)
    page = position_details(a_decision(holding), (), a_market(), MAIN)
    assert len(table(DETAIL_COLUMNS, page, width, capsys, monkeypatch).splitlines()) <= 24


def test_the_page_shows_what_is_unknown() -> None:
    unknown = a_decision(a_holding(entry=None, bid=None, ask=None, available=None))
    page = dict(position_details(unknown, (), a_market(), MAIN))
    assert page["entry"] == "?"
    assert page["quote"] == "none"
    assert page["quote problem"] == "no quote"
    assert page["quantity"] == "long 1, free quantity unknown"


def test_numbers_in_csv_are_numbers_and_unknown_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    plan = a_plan(a_holding(qty="3", entry="1.20", bid=None, ask=None, short=True))
    emit(POSITION_COLUMNS, positions_rows([listed(plan)]), OutputFormat.CSV)
    assert capsys.readouterr().out.splitlines()[1].startswith(f"main,paper,{CALL},AAPL 18 Dec 26 200 C,24,-3,1.2,,,,,")
    assert Decimal("1.2") == plan.decisions[0].holding.position.entry_price


@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.SIMULATED, Mode.LIVE])
def test_every_table_with_an_account_says_whether_its_money_is_real(mode: Mode) -> None:
    account = listed(an_afternoon(), mode)
    tables = (
        (PLAN_COLUMNS, plan_rows([account])),
        (POSITION_COLUMNS, positions_rows([account])),
        (ORDER_COLUMNS, orders_rows([(account, STALE)])),
    )
    for columns, rows in tables:
        assert columns[:2] == ("account", "mode")
        assert {getattr(row[1], "text", "") for row in rows} == {mode.value.upper()}


def test_an_account_that_could_not_be_read_is_a_row_with_its_problem_and_not_an_empty_table() -> None:
    unread = AccountListing("main", mode=Mode.PAPER, problem="the broker can't be reached")
    for rows in (plan_rows([unread]), positions_rows([unread])):
        texts = [str(getattr(cell, "text", cell)) for cell in rows[0]]
        assert {"main", "PAPER", "not read", "the broker can't be reached"} <= set(texts)


def test_an_unreadable_row_stands_among_the_positions() -> None:
    *_, fault = positions_rows([listed(a_second_account())])
    assert fault[-1] == "XYZ could not be read: qty is 'abc'"


def test_notes_below_a_row_are_never_broken_between_name_and_value(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = ("symbol", *(f"figure {number}" for number in range(1, 6)))
    lines = table(columns, [("AAPL261218C00200000", *range(10, 15))], 40, capsys, monkeypatch).splitlines()
    assert lines[2:] == [
        "AAPL261218C00200000        10        11",
        "    figure 3 12 · figure 4 13",
        "    figure 5 14",
    ]


def test_where_nothing_is_sent_an_exit_is_due_until_an_order_of_it_works() -> None:
    call = a_holding(CALL, "2", "1.00", bid="1.20", ask="1.22")
    put = a_holding(LONGEST, "5", "2.40", bid="1.85", ask="1.95", state=under_way())
    orders = (our_order(LONGEST, qty="5", limit="1.90"),)
    plan = a_plan(call, put, orders=orders)
    assert only_due(plan, ()) == {CALL, LONGEST}
    account = replace(listed(plan), only_due=only_due(plan, orders))
    assert {as_cell(row[2]).text: as_cell(row[6]).text for row in plan_rows([account])} == {
        CALL: "due",
        LONGEST: "closing 2/4",
    }
    listed_rows = positions_rows([account])
    assert {as_cell(row[2]).text: as_cell(row[11]).text for row in listed_rows} == {CALL: "due", LONGEST: "closing 2/4"}


def test_what_is_due_by_a_rule_without_a_price_names_that_rule_and_not_the_nearest_price() -> None:
    todays = a_holding(TODAYS_CALL, "2", "1.40", bid="1.45", ask="1.47")
    early, late = a_plan(todays, market=a_market("14:54")), a_plan(todays, market=a_market("14:56"))
    nearest = POSITION_COLUMNS.index("nearest trigger")
    assert as_cell(positions_rows([listed(early)])[0][nearest]).text.endswith(" away")
    assert as_cell(positions_rows([listed(late)])[0][nearest]).text == "due: last day"
    account = AccountView(AccountFacts("main", "PA1"), Mode.PAPER, a_market("14:56"), late)
    for width in (80, 200):
        drawn = screen_lines(WatchView(at("14:56"), (account,)), width)
        assert any(" last day " in "".join(text for text, _ in line) for line in drawn)


def test_what_is_due_by_a_price_shows_the_trigger_of_that_rule() -> None:
    plan = a_plan(a_holding(CALL, "2", "1.00", bid="1.10", ask="1.12"))
    nearest = POSITION_COLUMNS.index("nearest trigger")
    assert as_cell(positions_rows([listed(plan)])[0][nearest]).text == "target $1.10, reached"


def test_the_user_s_own_order_is_no_order_of_an_exit() -> None:
    plan = a_plan(a_holding(CALL, "2", "1.00", bid="1.20", ask="1.22"))
    assert only_due(plan, (an_order(CALL, qty="1", limit="9"),)) == {CALL}


def test_a_wait_for_the_positions_to_show_a_fill_is_not_due() -> None:
    (decision,) = a_plan(a_holding(CALL, "2", "1.00", bid="1.20", ask="1.22")).decisions
    plan = replace(a_plan(), decisions=(replace(decision, submit=None, unconfirmed=True),))
    assert only_due(plan, ()) == frozenset()
