"""Exits read back from the journal, and the report made of them."""

import asyncio
import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
import typer
from builders import replace
from journal_builders import CALL, a_fill, a_holding, a_journal, a_plan, a_snapshot, a_step, intend, leaving
from typer.testing import CliRunner

from sellctl.commands.report import report
from sellctl.core.errors import ConfigError
from sellctl.core.model.plan import Reason, Trigger
from sellctl.journal.exits import exits
from sellctl.journal.location import JournalLocation
from sellctl.journal.queries import Filters
from sellctl.service.options import Options

app = typer.Typer()
app.command()(report)


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
def test_an_exit_is_all_orders_of_one_reason_measured_from_its_first_quote(
    place: JournalLocation, plan_first: bool
) -> None:
    a_history(place, plan_first=plan_first)
    (one,) = exits(place, Filters())
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


def test_the_stop_of_an_exit_is_the_one_that_was_reached(place: JournalLocation) -> None:
    prices = {
        Reason.STOP_LOSS: "1.20",
        Reason.TRAILING_STOP: "1.40",
        Reason.ROI_TABLE: "1.90",
        Reason.TAKE_PROFIT: "2.00",
    }
    triggers = tuple(Trigger(reason, Decimal(price), None) for reason, price in prices.items())
    journal = a_journal(place)
    decision = leaving(a_holding(), "sellctl-1")
    assert decision.signal is not None
    signal = replace(decision.signal, reason=Reason.TRAILING_STOP)
    intend(journal, "sellctl-1")
    asyncio.run(journal.plan_made(a_snapshot(a_holding()), a_plan(replace(decision, signal=signal, triggers=triggers))))
    (one,) = exits(place, Filters())
    assert (one.stop, one.target) == (Decimal("1.40"), Decimal("1.90"))


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
    for words in (["--reason", "zero_day"], ["--day", "2025-08-27"]):
        assert "No exits are recorded" in said(tmp_path, *words)[1]


@pytest.mark.parametrize("words", [["--account", "other"], ["--reason", "stoploss"], ["AAPL"]], ids=" ".join)
def test_an_account_a_reason_or_a_symbol_that_is_unknown_is_a_usage_error(tmp_path: Path, words: list[str]) -> None:
    a_history(tmp_path)
    with pytest.raises(ConfigError, match=r"There are: main|Did you mean stop_loss|AAPL is not in the journal"):
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
    assert "No exits are recorded" in said(tmp_path)[1]
    assert list(tmp_path.iterdir()) == []


def test_the_page_stands_alone_and_names_each_exit(tmp_path: Path) -> None:
    pytest.importorskip("sellctl.ui.exit_chart")
    a_history(tmp_path)
    target = tmp_path / "report.html"
    assert said(tmp_path, "--html", str(target))[1] == f"{target}: 1 exit\n"
    text = target.read_text(encoding="utf-8")
    assert text.count("<article") == 1
    assert all(word in text for word in ("SPY 29 Aug 25 500 C", "-$94.00", "P&amp;L by reason", "slippage against mid"))
    assert " src=" not in text
    assert 'href="http' not in text  # nothing is fetched when it is opened
    assert "<script" not in text


def test_a_file_that_exists_is_replaced_only_when_the_user_says_so(tmp_path: Path) -> None:
    pytest.importorskip("sellctl.ui.exit_chart")
    a_history(tmp_path)
    target = tmp_path / "mine.html"
    target.write_text("mine")
    with pytest.raises(ConfigError, match=r"mine.html already exists. Add --overwrite") as raised:
        said(tmp_path, "--html", str(target))
    assert (raised.value.exit_code, target.read_text()) == (2, "mine")
    said(tmp_path, "--html", str(target), "--overwrite")
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("sellctl.ui.exit_chart")
    a_history(tmp_path)
    with pytest.raises(ConfigError, match=r"none/report.html can't be written: No such file or directory."):
        said(tmp_path, "--html", str(tmp_path / "none" / "report.html"))


def test_the_report_shows_dollars_and_its_data_are_numbers(tmp_path: Path) -> None:
    a_history(tmp_path)
    shown = said(tmp_path, "--format", "plain")[0]
    assert "-$94.00" in shown
    assert "$0.0633" in shown
    (row,) = csv.DictReader(io.StringIO(said(tmp_path, "--each", "--format", "csv")[0]))
    assert (row["symbol"], row["P&L"], row["began"][:11]) == (CALL, "-94", "2025-08-26T")


def test_the_document_of_an_exit_says_what_became_of_it_and_has_its_orders(tmp_path: Path) -> None:
    a_history(tmp_path)
    (one,) = json.loads(said(tmp_path, "--each", "--format", "json")[0])
    assert (one["what"], one["why"]) == ("closed", "stop loss: -20%")
    assert [(order["qty"], order["price"], order["ended"]) for order in one["orders"]] == [("3", "1.25", None)] * 2


@pytest.mark.parametrize("words", [(), ("--each",)])
def test_the_report_fits_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    a_history(tmp_path)
    shown = said(tmp_path, *words, "--format", "table")[0]
    assert max(map(len, shown.splitlines())) <= 80
    assert "against bid $0.0133" in shown


def test_without_the_plotting_library_the_page_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_history(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "sellctl.ui.report_page", None)
    with pytest.raises(ConfigError, match="needs the extra report"):
        said(tmp_path, "--html", str(tmp_path / "report.html"))
