"""`sellctl history` reads and never writes; its exit status says whether the record holds."""

import asyncio
import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import typer
from click.testing import Result
from journal_builders import (
    CALL,
    HIGHER,
    VERTICAL,
    a_fill,
    a_holding,
    a_journal,
    a_plan,
    a_snapshot,
    a_step,
    an_intended_order,
    an_intended_structure,
    as_attacker,
    denied,
    intend,
)
from msgspec.structs import replace
from structure_builders import a_multi_leg_order
from typer.testing import CliRunner

from sellctl.commands import history as command
from sellctl.core.errors import ConfigError, JournalError
from sellctl.core.model.plan import CancelOrder
from sellctl.service.options import Options
from sellctl.ui.exit_rows import HISTORY_COLUMNS
from sellctl.ui.formats import OutputFormat

LOWER = "SPY250829C00490000"
BELOW = "SPY-vertical-250829-490-500C"
app = typer.Typer()
app.command()(command.history)


@pytest.fixture(autouse=True)
def no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALPACA_API_KEY", "ALPACA_SECRET_KEY", "APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "SELLCTL_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with a denied plan, an intent and a note that looks like a formula."""
    folder = tmp_path / "state"
    journal = a_journal(folder)
    holding = a_holding()
    asyncio.run(journal.plan_made(a_snapshot(holding), a_plan(denied(holding, "the spread 0.40 is above 0.25"))))
    intend(journal)
    journal.note("main", "halt", {"sentence": "=HYPERLINK(1)", "reason": "panic"})
    journal.close()
    return folder


def run(state: Path, *arguments: str) -> Result:
    options = Options(config=None, state_dir=state, live=False, debug=False, log_file=None)
    return CliRunner().invoke(app, arguments, obj=options)


def rows(state: Path, *arguments: str) -> list[dict[str, Any]]:
    result = run(state, *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_evidence_tells_the_time_of_new_york_to_people_and_utc_to_programs(state: Path) -> None:
    instant = dt.datetime.fromisoformat(rows(state, "--evidence")[0]["at"])
    assert instant.utcoffset() == dt.timedelta(0)
    local = instant.astimezone(ZoneInfo("America/New_York"))
    assert f"{local:%d %b %y %H:%M:%S} ET" in run(state, "--evidence").stdout
    assert instant.isoformat()[:19] in run(state, "--evidence", "--format", "csv").stdout


@pytest.mark.parametrize("option", ["--before", "--limit"])
def test_a_number_above_all_rows_leaves_none_out(state: Path, option: str) -> None:
    assert rows(state, option, str(10**30)) == rows(state)


def test_the_newest_stands_first(state: Path) -> None:
    assert [row["kind"] for row in rows(state)] == ["halt", "intent", "refusal", "plan"]


def test_json_leaves_the_packed_snapshot_out(state: Path) -> None:
    assert rows(state)[-1]["body"] == {"denied": ["SPY250829C00500000"]}


@pytest.mark.parametrize(
    ("filters", "kinds"),
    [
        (["spy250829c00500000"], ["intent", "refusal"]),
        (["--account", "main"], ["halt", "intent", "refusal", "plan"]),
        (["--reason", "stop_loss"], ["intent", "refusal"]),
        (["--day", "2025-08-26", "--limit", "2"], ["halt", "intent"]),
        (["--since", "2025-08-26", "--limit", "1"], ["halt"]),
        (["--since", "2025-08-27"], []),
        (["--before", "3"], ["refusal", "plan"]),
        (["--open"], ["intent"]),
    ],
)
def test_filters_narrow_it(state: Path, filters: list[str], kinds: list[str]) -> None:
    assert [row["kind"] for row in rows(state, *filters)] == kinds


@pytest.mark.parametrize("fmt", list(OutputFormat))
def test_every_format_prints(state: Path, fmt: OutputFormat) -> None:
    assert "halt" in run(state, "--evidence", "--format", fmt).stdout


@pytest.mark.parametrize("option", ["--day", "--since"])
def test_a_day_that_is_no_date_is_a_usage_error(state: Path, option: str) -> None:
    assert f"{option} yesterday is not a date" in str(run(state, option, "yesterday").exception)


@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        (["--account", "mian"], "No account is called mian. Did you mean main?"),
        (["--account", "zzz"], "No account is called zzz. There are: main."),
        (["--reason", "stoploss"], "stoploss is no reason of an exit. Did you mean stop_loss?"),
        (["--reason", "zzz"], "zzz is no reason of an exit. `sellctl strategies --precedence` lists all."),
    ],
)
def test_an_account_or_a_reason_that_is_unknown_is_a_usage_error(
    state: Path, filters: list[str], sentence: str
) -> None:
    error = run(state, *filters).exception
    assert isinstance(error, ConfigError)
    assert (str(error), error.exit_code) == (sentence, 2)


def test_a_reason_without_an_exit_on_record_says_that_nothing_is_recorded(state: Path) -> None:
    result = run(state, "--reason", "zero_day")
    assert (result.exit_code, result.stderr) == (0, "Nothing is recorded for these filters.\n")


def test_paper_or_live_is_what_the_account_was_when_the_row_was_written(state: Path) -> None:
    journal = a_journal(state)
    journal.run_started("1", "hash", {"main": "paper"})
    journal.note("main", "request", {})
    journal.run_started("1", "hash", {"main": "live"})
    journal.note("main", "request", {})
    journal.close()
    assert [row["mode"] for row in rows(state, "--account", "main")][:3] == ["live", "paper", ""]
    shown = run(state, "--account", "main", "--format", "csv").stdout.splitlines()
    assert [line.split(",")[3] for line in shown[:4]] == ["mode", "live", "paper", ""]


def test_without_a_journal_the_history_says_so_when_there_is_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_API_KEY", "PK")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "s")
    result = run(tmp_path / "none", "--format", "json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert "The history is empty" in result.stderr
    assert not (tmp_path / "none").exists()


def test_without_a_journal_and_a_configuration_it_says_what_to_do(tmp_path: Path) -> None:
    error = run(tmp_path / "none").exception
    assert isinstance(error, ConfigError)
    assert "sellctl init" in str(error)
    assert not (tmp_path / "none").exists()


def test_verify_passes_and_says_how_many_rows(state: Path) -> None:
    assert run(state, "--verify").stdout == "journal intact: 4 entries\n"


@pytest.mark.parametrize("statement", ["UPDATE audit SET body = '{}' WHERE seq = 4", "DELETE FROM audit WHERE seq = 4"])
def test_verify_fails_and_names_the_row(state: Path, statement: str) -> None:
    as_attacker(state / "journal.sqlite", statement)
    result = run(state, "--verify")
    assert isinstance(result.exception, JournalError)
    assert "row 4" in str(result.exception)
    assert result.exception.exit_code == 1


def test_text_that_looks_like_a_formula_is_quoted() -> None:
    assert [command.sanitize(cell) for cell in ("=1", "+1", "-1", "@x", "fine", 3)] == [
        "'=1",
        "'+1",
        "'-1",
        "'@x",
        "fine",
        3,
    ]


# --- a row per exit ---------------------------------------------------------------------------------------------------


@pytest.fixture
def traded(tmp_path: Path) -> Path:
    """A state folder with a stop that took two orders."""
    folder = tmp_path / "traded"
    journal = a_journal(folder)
    journal.run_started("1", "hash", {"main": "paper"})
    a_step(journal, "sellctl-1")
    a_fill(journal, "sellctl-1", "1", "1.22")
    a_step(journal, "sellctl-2", 2)
    a_fill(journal, "sellctl-2", "2", "1.17")
    journal.close()
    return folder


def test_the_history_is_a_row_per_exit_in_new_york_with_its_dollars_and_why(traded: Path) -> None:
    head, row = run(traded).stdout.splitlines()
    assert tuple(re.split(r"\s{2,}", head)) == HISTORY_COLUMNS
    first, *cells = re.split(r"\s{2,}", row)
    assert re.fullmatch(r"26 Aug 25 12:00:\d\d", first)
    assert cells == ["SPY 29 Aug 25 500 C", "closed", "3", "1.1867", "-$94.00", "main", "PAPER", "stop loss: -20%"]


@pytest.mark.parametrize("words", [["--evidence"], ["--format", "csv"], ["--format", "json"], ["--open"]], ids=" ".join)
def test_the_raw_chain_stays_where_scripts_read_it(traded: Path, words: list[str]) -> None:
    shown = run(traded, *words).stdout
    assert "intent" in shown
    assert "sellctl-2" in shown


def test_the_history_fits_80_columns(traded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = run(traded, "--format", "table").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(lines[-2].split()) == "26 Aug 12:00 SPY 29 Aug 25 500 C closed 3 1.1867 -$94.00 main PAPER"
    assert lines[-1] == "    why stop loss: -20%"


def test_pages_of_exits_go_on_where_the_last_one_ended(traded: Path) -> None:
    journal = a_journal(traded)
    intend(journal, "sellctl-3", account="other")
    journal.close()
    first = run(traded, "--limit", "1")
    assert "other" in first.stdout
    (row,) = re.findall(r"More: sellctl history --before (\d+)", first.stderr)
    assert "main" in run(traded, "--limit", "1", "--before", row).stdout


# --- structures -------------------------------------------------------------------------------------------------------


@pytest.fixture
def structures(tmp_path: Path) -> Path:
    """A state folder with a vertical that left as one order, and before it another that left by legs."""
    folder = tmp_path / "state"
    journal = a_journal(folder)
    for number, leg in enumerate((LOWER, CALL), 1):
        order = an_intended_order(f"sellctl-{number}", symbol=leg)
        signal = replace(order.signal, structure=BELOW)
        asyncio.run(journal.intend("main", [replace(order, signal=signal)], ()))
        journal.outcome("main", f"sellctl-{number}", "canceled", {})
    intend(journal, "sellctl-3")  # the call by itself
    asyncio.run(journal.intend("main", [an_intended_structure("sellctl-4")], ()))
    working = a_multi_leg_order({CALL: 1, HIGHER: -1}, "3", client_order_id="sellctl-4")
    asyncio.run(journal.intend("main", [], [CancelOrder(working, "to reprice")]))
    journal.close()
    return folder


@pytest.mark.parametrize("written", [str, str.upper, str.lower])
def test_a_structures_name_in_capitals_or_not_shows_its_order_and_its_cancel(
    structures: Path, written: Callable[[str], str]
) -> None:
    found = rows(structures, written(VERTICAL))
    assert [(row["kind"], row["symbol"]) for row in found] == [("cancel", VERTICAL), ("intent", VERTICAL)]


def test_a_structure_that_left_by_legs_shows_the_orders_of_its_legs_and_no_other_ones(structures: Path) -> None:
    found = rows(structures, BELOW)
    assert [(row["client_order_id"], row["kind"]) for row in found] == [
        ("sellctl-2", "canceled"),
        ("sellctl-2", "intent"),
        ("sellctl-1", "canceled"),
        ("sellctl-1", "intent"),
    ]


def test_a_legs_symbol_shows_the_orders_of_its_structures_too(structures: Path) -> None:
    assert [row["client_order_id"] for row in rows(structures, HIGHER)] == ["sellctl-4", "sellctl-4"]
    found = [row["client_order_id"] for row in rows(structures, CALL.lower())]
    assert found == ["sellctl-4", "sellctl-4", "sellctl-3", "sellctl-2", "sellctl-2"]


def test_pages_of_a_leg_go_on_where_the_last_one_ended(structures: Path) -> None:
    first = rows(structures, CALL, "--limit", "2")
    then = rows(structures, CALL, "--limit", "2", "--before", str(first[-1]["seq"]))
    assert [row["client_order_id"] for row in (*first, *then)] == ["sellctl-4", "sellctl-4", "sellctl-3", "sellctl-2"]
