"""Structures in tables, texts, documents and on the screen: one row each, with its legs beneath."""

import csv
import io
import json
from decimal import Decimal

import pytest
from builders import a_holding, a_market, a_policy, a_snapshot, replace
from structure_builders import CONDOR, call, put
from ui_cases import ANSI, a_terminal, drawn

from sellctl.core.config.schema import MatchConfig, RulesConfig, SellModuleConfig, StrategyConfig
from sellctl.core.decision.engine import decide
from sellctl.core.decision.explain import explained
from sellctl.core.model.gain import Amount
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.plan import DecisionState
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.model.view import AccountListing, AccountView, Mode, WatchView
from sellctl.core.watching.shown_structures import shown_structures
from sellctl.ui.documents import positions_listing, watch_document
from sellctl.ui.formats import OutputFormat
from sellctl.ui.formatting import as_cell
from sellctl.ui.render import emit
from sellctl.ui.rows import DETAIL_COLUMNS, POSITION_COLUMNS, positions_rows, structure_page
from sellctl.ui.screen import WatchScreen

NAME = "AAPL-iron_condor-261218-170-180-210-220"
MIDS = {
    put(170): ("1.00", "0.40"),
    put(180): ("2.00", "0.80"),
    call(210): ("2.00", "1.00"),
    call(220): ("1.00", "0.70"),
}


def a_book(**more: object) -> Snapshot:
    """Two condors, a covered call on MSFT, and a call that is alone."""
    legs = [
        a_holding(
            symbol, "2", entry, bid=f"{float(mid) - 0.02:.2f}", ask=f"{float(mid) + 0.02:.2f}", short=CONDOR[symbol] < 0
        )
        for symbol, (entry, mid) in MIDS.items()
    ]
    shares = a_holding("MSFT", "100", "400.00", bid="410.00", ask="410.02")
    written = a_holding(call(420, root="MSFT"), "1", "5.00", bid="4.00", ask="4.05", short=True)
    return replace(a_snapshot(*legs, shares, written, a_holding("TSLA261218C00400000")), **more)


def a_listing(*kinds: StructureKind, **more: object) -> AccountListing:
    rules = RulesConfig(take_profit=Amount(Decimal("0.8")))
    entry = StrategyConfig("mine", match=MatchConfig(structure=kinds or (StructureKind.IRON_CONDOR,)), rules=rules)
    policy, snapshot = a_policy(SellModuleConfig(strategies=(entry,))), a_book(**more)
    plan = explained(decide(snapshot, policy), snapshot, policy)
    return AccountListing("main", mode=Mode.PAPER, plan=plan, structures=shown_structures(plan, snapshot, policy))


def printed(fmt: OutputFormat | None, capsys: pytest.CaptureFixture[str]) -> str:
    emit(POSITION_COLUMNS, positions_rows([a_listing()]), fmt, title="Positions")
    return capsys.readouterr().out


def test_a_structure_is_followed_by_its_legs_and_what_is_alone_is_alone() -> None:
    rows = positions_rows([a_listing()])
    assert [getattr(row[2], "data", row[2]) for row in rows] == [
        NAME,
        put(170),
        put(180),
        call(210),
        call(220),
        "MSFT-covered_call-261218-420C",
        "MSFT",
        call(420, root="MSFT"),
        "TSLA261218C00400000",
    ]


def test_its_row_has_units_net_entry_net_price_gain_trigger_and_what_it_can_win_and_lose() -> None:
    row = [getattr(cell, "text", cell) for cell in positions_rows([a_listing()])[0]]
    assert row[3:9] == ["", "24", "-2", "2.00", "0.78", "+61.0%"]
    assert row[9:13] == ["+$244.00", "-$156.00", "watching", "target $0.40, 48.7% away"]
    assert str(row[13]).endswith(
        "no rule is met; $400.00 profit at most, $1,600.00 loss at most, breakeven at $178.00 and $212.00"
    )
    covered = [getattr(cell, "text", cell) for cell in positions_rows([a_listing()])[5]]
    assert covered[5:8] == ["+1", "395.00", "405.95"]
    assert "judged alone" in str(covered[13])


def test_at_80_columns_a_structure_has_its_short_name_and_its_legs_are_indented(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_terminal(monkeypatch, 80):
        out = ANSI.sub("", printed(None, capsys))
    lines = out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "…" not in out
    assert any(line.startswith("main     PAPER  AAPL iron condor ") for line in lines)
    assert any("  AAPL 18 Dec 26 170 P" in line for line in lines)
    assert NAME in "".join(lines).replace(" ", "")


def test_plain_text_and_csv_have_the_name_and_one_row_each(capsys: pytest.CaptureFixture[str]) -> None:
    plain = printed(OutputFormat.PLAIN, capsys).splitlines()
    assert plain[1].split()[2] == NAME
    assert plain[2].split()[2] == put(170)
    (head, first, *others) = csv.reader(io.StringIO(printed(OutputFormat.CSV, capsys)))
    assert first[head.index("symbol")] == NAME
    assert (first[head.index("qty")], first[head.index("gain")]) == ("-2", "0.61")
    assert len(others) == 8
    assert printed(OutputFormat.MARKDOWN, capsys).count("\n") == 11


def test_the_document_lists_positions_as_before_and_structures_besides() -> None:
    (account,) = positions_listing([a_listing()], "")["accounts"]
    assert len(account["holdings"]) == 7
    condor, covered = account["structures"]
    assert (condor["name"], condor["kind"], condor["units"], condor["judged_as_one"]) == (NAME, "iron_condor", 2, True)
    assert (condor["entry"], condor["now"], condor["gain"], condor["most_loss"]) == ("2", "0.78", "0.61", "1600")
    assert condor["legs"][1] == {
        "symbol": put(180),
        "contract": "AAPL 18 Dec 26 180 P",
        "side": "short",
        "qty": "2",
    }
    assert (condor["market_value"], condor["open_pnl"]) == ("-156", "244")
    assert (covered["most_profit"], covered["most_loss"], covered["own_name"]) == ("2500", "39500", None)
    assert json.loads(json.dumps(account)) == account


def test_a_loss_without_a_bound_says_so() -> None:
    straddle = [a_holding(each, "1", "5.00", bid="4.00", ask="4.05", short=True) for each in (call(200), put(200))]
    snapshot = a_snapshot(*straddle)
    plan = explained(decide(snapshot, a_policy()), snapshot, a_policy())
    listing = AccountListing(
        "main", mode=Mode.PAPER, plan=plan, structures=shown_structures(plan, snapshot, a_policy())
    )
    assert positions_listing([listing], "")["accounts"][0]["structures"][0]["most_loss"] == "unlimited"
    assert "$1,000.00 profit at most, unlimited loss, breakeven at $190.00 and $210.00" in str(
        positions_rows([listing])[0][-1]
    )


@pytest.mark.parametrize("width", [80, 200])
def test_the_screen_shows_the_structure_and_its_legs_within_its_width(width: int) -> None:
    listing, market = a_listing(), a_market()
    account = AccountView(a_book().account, Mode.PAPER, market, listing.plan, structures=listing.structures)
    view = WatchView(market.now, (account,))
    out = drawn(WatchScreen(view), width)
    assert all(len(line) <= width for line in out.splitlines())
    lines = [line for line in out.splitlines() if "condor" in line or "170 P" in line]
    assert lines[0].startswith("AAPL iron condor ")
    assert lines[1].startswith("  AAPL 18 Dec 26 170 P ")
    assert "NOT MANAGED" in out
    assert watch_document(view)["accounts"][0]["structures"][0]["name"] == NAME


def test_the_page_of_a_structure_has_everything_about_it(capsys: pytest.CaptureFixture[str]) -> None:
    listing = a_listing()
    emit(DETAIL_COLUMNS, structure_page(listing.structures[0], (), a_market(), listing), OutputFormat.PLAIN)
    out = capsys.readouterr().out
    for line in (
        "iron condor, 2 units",
        "short 2 AAPL 18 Dec 26 180 P, entry $2.00, bid $0.78, ask $0.82",
        "in 24 days (Fri 18 Dec 2026)",
        "credit $2.00",
        "bid $0.62, ask $0.78, net of its legs",
        "+61.0% at the ask, $0.78",
        "open P&L       +$244.00",
        "market value   -$156.00",
        "target at $0.40, 48.7% away",
    ):
        assert line in out


def test_a_structure_is_due_while_none_of_its_legs_has_an_order() -> None:
    listing = a_listing()
    (condor, *rest) = listing.structures
    legs = tuple(replace(leg, state=DecisionState.CLOSING) for leg in condor.legs)
    leaving = replace(condor, decision=replace(condor.decision, state=DecisionState.CLOSING), legs=legs)
    due = replace(listing, structures=(leaving, *rest), only_due=frozenset(condor.symbols))
    assert [as_cell(row[11]).text for row in positions_rows([due])[:5]] == ["due"] * 5
    partly = replace(due, only_due=frozenset(condor.symbols[1:]))
    assert as_cell(positions_rows([partly])[0][11]).text == "closing"
