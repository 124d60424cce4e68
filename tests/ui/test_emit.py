import csv
import io
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from ui_cases import ANSI, HOSTILE, LONGEST, a_terminal

from sellctl.core.errors import SellctlError
from sellctl.ui.formats import OutputFormat
from sellctl.ui.render import emit

COLUMNS = ("symbol", "entry price", "why")
ROWS = [
    (LONGEST, Decimal("1.50"), "watching"),
    ("F", Decimal("1E+3"), "NOT MANAGED: rules cover options only"),
]
MANY = """
import sys
from sellctl.ui.formats import OutputFormat
from sellctl.ui.render import emit
emit(("n",), [(n,) for n in range(30_000)], OutputFormat.{fmt})
emit(("n",), [(1,)], OutputFormat.PLAIN)
sys.exit(10)
"""


def printed(capsys: pytest.CaptureFixture[str], fmt: OutputFormat | None, *rows: tuple[object, ...]) -> str:
    emit(COLUMNS, rows or ROWS, fmt, title="Things")
    return capsys.readouterr().out


def test_without_a_terminal_the_output_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, None) == printed(capsys, OutputFormat.PLAIN)


def test_on_a_terminal_it_is_a_table_with_its_title(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_terminal(monkeypatch, 80):
        lines = ANSI.sub("", printed(capsys, None)).splitlines()
    assert lines[0] == "Things"
    assert "─" in lines[2]


def test_plain_draws_no_lines_and_fills_no_cell_with_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, OutputFormat.PLAIN, ("F", None, ""))
    assert out.isascii()
    assert out.splitlines()[1].split() == ["F", "-", "-"]


def test_csv_has_a_header_and_exact_decimals(capsys: pytest.CaptureFixture[str]) -> None:
    header, first, second = csv.reader(io.StringIO(printed(capsys, OutputFormat.CSV)))
    assert header == ["symbol", "entry_price", "why"]
    assert [first[1], second[1]] == ["1.5", "1000"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\uff1d", " ="])
def test_csv_text_that_a_spreadsheet_would_run_gets_an_apostrophe(
    start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, row = csv.reader(io.StringIO(printed(capsys, OutputFormat.CSV, (f"{start}cmd|' /C calc'!A0", Decimal(-1), ""))))
    assert row[0].startswith("'")
    assert row[1] == "-1"


@pytest.mark.parametrize("fmt", list(OutputFormat))
def test_no_format_lets_a_terminal_obey_the_data(fmt: OutputFormat, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, fmt, (HOSTILE, None, f"{HOSTILE}\r\n\x9b2J\x7f"))
    assert not set(out) & set("\x1b\x07\x9b\x7f\r\u202e")


@pytest.mark.parametrize("fmt", [OutputFormat.TABLE, OutputFormat.PLAIN, OutputFormat.CSV])
def test_markup_in_the_data_is_data(fmt: OutputFormat, capsys: pytest.CaptureFixture[str]) -> None:
    assert "[red]boo[/red] :smile:" in printed(capsys, fmt, ("[red]boo[/red] :smile:", None, ""))


def test_markdown_cells_can_neither_end_early_nor_carry_html(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, OutputFormat.MARKDOWN, ("a|b", None, "<script>"))
    assert r"a\|b" in out
    assert r"\<script\>" in out


def test_json_round_trips_with_decimals_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(printed(capsys, OutputFormat.JSON, (HOSTILE, Decimal("0.10"), None)))
    assert rows == [{"symbol": HOSTILE, "entry_price": "0.1", "why": None}]


def test_json_prints_the_document_instead_when_there_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    emit(COLUMNS, ROWS, OutputFormat.JSON, document={"version": 1, "price": Decimal("1E-7")})
    assert json.loads(capsys.readouterr().out) == {"version": 1, "price": "0.0000001"}


@pytest.mark.parametrize(("fmt", "out"), [(OutputFormat.JSON, "[]\n"), (OutputFormat.CSV, "symbol,entry_price,why\n")])
def test_no_rows_are_still_a_document(fmt: OutputFormat, out: str, capsys: pytest.CaptureFixture[str]) -> None:
    emit(COLUMNS, [], fmt)
    assert capsys.readouterr().out == out


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    emit(COLUMNS, [], OutputFormat.TABLE, title="Things")
    assert capsys.readouterr().out == "Things\nnone\n"


@pytest.mark.parametrize("fmt", list(OutputFormat))
def test_an_ascii_terminal_gets_ascii(fmt: OutputFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "40")
    emit(COLUMNS, [("Zürich", 1, "a sentence that is much too long for forty columns")], fmt, title="Zürich")
    out.seek(0)
    assert out.read().isascii()


@pytest.mark.parametrize("fmt", ["TABLE", "CSV"])
def test_a_reader_that_leaves_early_is_no_error(fmt: str) -> None:
    with subprocess.Popen(  # noqa: S603  our own interpreter, our own words
        [sys.executable, "-c", MANY.format(fmt=fmt)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 10


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    out = os.fdopen(os.open("/dev/full", os.O_WRONLY), "w")
    monkeypatch.setattr(sys, "stdout", out)
    with pytest.raises(SellctlError, match="can't be written: No space left"):
        emit(COLUMNS, ROWS, OutputFormat.PLAIN)
    with pytest.raises(OSError, match="No space left"):
        out.close()


def test_rich_and_tabulate_load_only_when_something_is_drawn() -> None:
    code = (
        "import sys, sellctl.ui.render, sellctl.ui.screen; print([m for m in ('rich', 'tabulate') if m in sys.modules])"
    )
    run = subprocess.run(  # noqa: S603  likewise
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout == "[]\n"


def test_a_drawn_table_keeps_the_contract_where_no_symbol_stands_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    emit(("contract", "qty"), [("AAPL 18 Dec 26 230 C", 4)], OutputFormat.TABLE)
    emit(("symbol", "contract"), [("AAPL", "the stock")], OutputFormat.TABLE)
    shown = capsys.readouterr().out
    assert "AAPL 18 Dec 26 230 C" in shown
    assert "the stock" not in shown
