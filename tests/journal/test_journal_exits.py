"""Exits read back from the journal, and the report made of them."""

import asyncio
import csv
import io
import json
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
import typer
from builders import replace
from journal_builders import CALL, a_body, a_holding, a_journal, a_plan, a_snapshot, an_order, leaving
from typer.testing import CliRunner

from sellctl.commands.report import report
from sellctl.core.errors import ConfigError
from sellctl.core.model.intent import IntendedOrder
from sellctl.core.model.position import Holding, Prices
from sellctl.journal.exits import exits
from sellctl.journal.queries import Filters
from sellctl.journal.schema import FILE_NAME
from sellctl.journal.store import SqliteJournal
from sellctl.service.options import Options

app = typer.Typer()
app.command()(report)


def quoted(holding: Holding, bid: str = "1.20", ask: str = "1.30") -> Holding:
    return replace(holding, prices=Prices(Decimal(bid), Decimal(ask), ""))


def a_step(
    journal: SqliteJournal, client_order_id: str, step: int = 1, bid: str = "1.20", *, plan_first: bool = False
) -> None:
    """One order of an exit: its intent and its plan, of which older journals have the plan first."""
    decision = leaving(quoted(a_holding(bid=bid), bid), client_order_id)
    assert decision.signal is not None
    signal = replace(decision.signal, holding=decision.holding, strategy="one")
    order, plan = an_order(client_order_id), a_plan(replace(decision, signal=signal))

    async def write() -> None:
        records = [
            partial(journal.intend, "main", (IntendedOrder(order, a_body(order), signal, step),), ()),
            partial(journal.plan_made, a_snapshot(decision.holding), plan),
        ]
        for record in reversed(records) if plan_first else records:
            await record()

    asyncio.run(write())


def a_fill(journal: SqliteJournal, client_order_id: str, total: str, average: str) -> None:
    words = {"order_id": f"id-{client_order_id}", "symbol": CALL, "filled_qty": total, "filled_avg_price": average}
    journal.record_fill("main", client_order_id, words)


def a_history(folder: Path, *, plan_first: bool = False) -> None:
    """A stop that took two orders: one contract by the first, two by the second in two fills."""
    journal = a_journal(folder)
    a_step(journal, "sellctl-1", plan_first=plan_first)
    a_fill(journal, "sellctl-1", "1", "1.22")
    a_step(journal, "sellctl-2", 2, bid="1.16", plan_first=plan_first)
    a_fill(journal, "sellctl-2", "1", "1.16")
    a_fill(journal, "sellctl-2", "2", "1.17")
    journal.close()


def said(folder: Path, *words: str) -> tuple[str, str]:
    options = Options(None, folder, live=False, debug=False, log_file=None)
    result = CliRunner().invoke(app, list(words), obj=options)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0
    return result.stdout, result.stderr


@pytest.mark.parametrize("plan_first", [True, False], ids=["its plans recorded before its orders", "and after"])
def test_an_exit_is_all_orders_of_one_reason_measured_from_its_first_quote(tmp_path: Path, plan_first: bool) -> None:
    a_history(tmp_path, plan_first=plan_first)
    (one,) = exits(tmp_path / FILE_NAME, Filters())
    assert (one.symbol, one.reason, one.strategy, one.steps) == (CALL, "stop_loss", "one", 2)
    assert (one.qty, one.price) == (Decimal(3), (Decimal("1.22") + 2 * Decimal("1.17")) / 3)
    assert [(part.qty, part.price) for part in one.parts] == [
        (Decimal(1), Decimal("1.22")),
        (Decimal(1), Decimal("1.16")),
        (Decimal(1), Decimal("1.18")),
    ]
    assert (one.entry, one.bid, one.mid) == (Decimal("1.50"), Decimal("1.20"), Decimal("1.25"))
    assert one.pnl == (Decimal("1.22") + 2 * Decimal("1.17") - 3 * Decimal("1.50")) * 100
    assert round(one.against_mid or 0, 4) == Decimal("0.0633")
    assert round(one.against_bid or 0, 4) == Decimal("0.0133")
    assert one.seconds is not None
    assert one.seconds > 0


def test_the_report_stands_in_every_format(tmp_path: Path) -> None:
    a_history(tmp_path)
    (row,) = csv.DictReader(io.StringIO(said(tmp_path, "--format", "csv")[0]))
    assert (row["reason"], row["strategy"], row["exits"], row["filled"]) == ("stop_loss", "one", "1", "1")
    assert (Decimal(row["P&L"]), Decimal(row["slippage_against_mid"])) == (Decimal(-94), Decimal("0.0633"))
    document = json.loads(said(tmp_path, "--format", "json")[0])
    assert document["groups"][0]["pl"] == "-94.00"
    assert document["exits"][0]["steps"] == 2
    for words in (["--format", "plain"], ["--format", "markdown", "--each"], ["--format", "table"]):
        assert "stop_loss" in said(tmp_path, *words)[0]


def test_filters_narrow_the_report_and_an_empty_one_says_so(tmp_path: Path) -> None:
    a_history(tmp_path)
    assert "stop_loss" in said(tmp_path, CALL, "--reason", "stop_loss", "--day", "2025-08-26")[0]
    for words in (["--reason", "zero_day"], ["--day", "2025-08-27"], ["AAPL"]):
        assert "No exits recorded" in said(tmp_path, *words)[1]


@pytest.mark.parametrize("words", [["--account", "other"], ["--reason", "stoploss"]], ids=" ".join)
def test_an_account_or_a_reason_that_is_unknown_is_a_usage_error(tmp_path: Path, words: list[str]) -> None:
    a_history(tmp_path)
    with pytest.raises(ConfigError, match=r"There are: main|Did you mean stop_loss"):
        said(tmp_path, *words)


def test_a_list_of_exits_has_the_mode_of_their_accounts(tmp_path: Path) -> None:
    a_history(tmp_path)
    (row,) = csv.DictReader(io.StringIO(said(tmp_path, "--each", "--format", "csv")[0]))
    assert (row["account"], row["mode"]) == ("main", "")  # its start is not on record


def test_without_a_journal_and_a_configuration_the_report_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ALPACA_API_KEY", "APCA_API_KEY_ID", "SELLCTL_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="sellctl init"):
        said(tmp_path / "none")


def test_without_a_journal_the_report_is_empty_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_API_KEY", "PK")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "s")
    monkeypatch.chdir(tmp_path)
    assert "No exits recorded" in said(tmp_path)[1]
    assert list(tmp_path.iterdir()) == []


def test_the_page_stands_alone_and_names_each_exit(tmp_path: Path) -> None:
    pytest.importorskip("pygal")
    a_history(tmp_path)
    target = tmp_path / "report.html"
    said(tmp_path, "--html", str(target))
    text = target.read_text(encoding="utf-8")
    assert text.count("<figure>") == 3
    assert all(word in text for word in (CALL, "P&amp;L by reason", "Slippage", "entry", "decision", "fills"))
    assert " src=" not in text
    assert 'href="http' not in text  # nothing is fetched when it is opened


def test_without_the_plotting_library_the_page_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_history(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "sellctl.ui.report_page", None)
    with pytest.raises(ConfigError, match="pygal"):
        said(tmp_path, "--html", str(tmp_path / "report.html"))
