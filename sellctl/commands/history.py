"""`sellctl history`: what happened, a row per exit; or the raw chain of evidence, and the check of the journal."""

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sellctl.commands.journal_filters import (
    AccountFilter,
    DayFilter,
    JournalQuery,
    ReasonFilter,
    SinceFilter,
    SymbolArgument,
    journal_path,
    journal_query,
)
from sellctl.commands.session import FormatOption, print_line, say
from sellctl.core.errors import JournalError
from sellctl.ui.formats import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sellctl.journal.location import JournalLocation
    from sellctl.journal.queries import AuditRow

COLUMNS = ("row", "at", "account", "mode", "symbol", "what", "reason", "detail", "order")
# A row's detail is the value of the first of these keys in its body; without one the whole body is shown.
_SUMMARY_KEYS = ("sentence", "why", "message", "sells", "denied", "cancels", "reason")
_MOST = 2**53  # rows: more than any journal has, and few enough for its database
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")
_FOR_PROGRAMS = frozenset({OutputFormat.JSON, OutputFormat.CSV})


def history(
    ctx: typer.Context,
    symbol: SymbolArgument = None,
    account: AccountFilter = None,
    reason: ReasonFilter = None,
    day: DayFilter = None,
    since: SinceFilter = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="The raw chain: plans, orders, answers, fills, refusals.")
    ] = False,
    only_open: Annotated[
        bool, typer.Option("--open", help="Only the evidence of orders whose end is not known yet.")
    ] = False,
    check: Annotated[bool, typer.Option("--verify", help="Check that no row is missing or changed.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows on a page.")] = 50,
    before: Annotated[int | None, typer.Option(min=1, help="Continue below this row.")] = None,
    fmt: FormatOption = None,
) -> None:
    """Show what happened, one row per exit, newest first.

    It also has what was due and not sent, and the orders that were cancelled. Times are New York's in tables, and UTC
    in json and csv. With --evidence, and with --format json or csv, it is the raw chain: a row per plan, order, answer
    and fill; `report --each` has the exits for programs. A leg's symbol also shows its structures, and a structure's
    name the orders of its legs or parts, if it left by them.
    """
    if check:
        _verify(journal_path(ctx))
        return
    asked = journal_query(ctx, symbol, account, reason, day, since)
    below = None if before is None else min(before, _MOST)
    filters = replace(asked.filters, only_open=only_open, before=below, limit=min(limit, _MOST))
    asked = replace(asked, filters=filters)
    show = _show_evidence if evidence or only_open or fmt in _FOR_PROGRAMS else _show_exits
    more = show(asked, fmt)
    if more is not None:
        option = "--evidence " if evidence else ""
        print_line(f"More: sellctl history {option}--before {more}")


def _verify(path: "JournalLocation") -> None:
    from sellctl.journal.verify import verify

    result = verify(path)
    if result.fault:
        raise JournalError(result.sentence)
    typer.echo(result.sentence)


def _show_exits(asked: JournalQuery, fmt: OutputFormat | None) -> int | None:
    """Print a page of exits. Returns the row below which the next page begins; None when this one isn't full."""
    from sellctl.journal.exit_history import exit_history
    from sellctl.ui.exit_rows import HISTORY_COLUMNS, history_rows
    from sellctl.ui.render import emit

    found = exit_history(asked.path, asked.filters)
    _say_if_empty(asked.path, found)
    newest_first = sorted(found, key=lambda entry: entry.at, reverse=True)
    emit(HISTORY_COLUMNS, history_rows(newest_first, asked.recorded.mode_at), fmt, title="History")
    return found[-1].row if len(found) == asked.filters.limit else None


def _show_evidence(asked: JournalQuery, fmt: OutputFormat | None) -> int | None:
    """Print a page of audit rows. Returns as `_show_exits` does."""
    from sellctl.journal.queries import history as page
    from sellctl.ui.render import emit

    rows = page(asked.path, asked.filters)
    _say_if_empty(asked.path, rows)
    modes = [asked.recorded.mode_at(row.account, row.seq) for row in rows]
    cells = [_cells(row, mode) for row, mode in zip(rows, modes, strict=True)]
    if fmt == OutputFormat.CSV:
        cells = [[sanitize(cell) for cell in row] for row in cells]
    documents = [{**row.document(), "mode": mode} for row, mode in zip(rows, modes, strict=True)]
    emit(COLUMNS, cells, fmt, title="Evidence", document=documents)
    return rows[-1].seq if len(rows) == asked.filters.limit else None


def _say_if_empty(path: "JournalLocation", found: tuple[object, ...]) -> None:
    from sellctl.journal.location import exists

    if exists(path) and not found:
        say("Nothing is recorded for these filters.")


def _cells(row: "AuditRow", mode: str) -> list[object]:
    from sellctl.ui.formatting import Cell, full_moment, mode_cell

    detail = _detail(row.document()["body"])
    return [
        row.seq,
        Cell(full_moment(dt.datetime.fromisoformat(row.at)), row.at[:19]),
        row.account,
        mode_cell(mode),
        row.symbol,
        row.kind,
        row.reason,
        detail,
        row.client_order_id,
    ]


def _detail(body: "Mapping[str, Any]") -> str:
    for key in _SUMMARY_KEYS:
        if value := body.get(key):
            return _text(value if isinstance(value, str) else {key: value})
    return _text(body)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_text(each)}" for key, each in value.items())
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)


def sanitize(cell: object) -> object:
    """The cell, with an apostrophe in front of text that a spreadsheet would read as a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_PREFIXES) else cell
