"""`sellctl history`: decisions, orders, rejections and fills, newest first, and the check of the journal."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sellctl.commands.session import FormatOption, options_of
from sellctl.core.errors import ConfigError, JournalError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sellctl.journal.queries import AuditRow, Filters
    from sellctl.ui.formats import OutputFormat

COLUMNS = ("row", "at", "account", "symbol", "what", "reason", "detail", "order")
# A row's detail is the value of the first of these keys in its body; without one the whole body is shown.
_SUMMARY_KEYS = ("sentence", "why", "message", "sells", "denied", "cancels")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def history(
    ctx: typer.Context,
    symbol: Annotated[str | None, typer.Argument(help="Only this symbol.", show_default=False)] = None,
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only exits for this reason, e.g. stop_loss.")] = None,
    day: Annotated[str | None, typer.Option(help="Only this exchange date, e.g. 2025-08-26.")] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only orders whose end is not known yet.")] = False,
    check: Annotated[bool, typer.Option("--verify", help="Check that no row is missing or changed.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows on a page.")] = 50,
    before: Annotated[int | None, typer.Option(min=1, help="Continue below this row.")] = None,
    fmt: FormatOption = None,
) -> None:
    """Show decisions, orders, rejections and fills, newest first."""
    from sellctl.journal.queries import Filters

    path = journal_path(ctx)
    if check:
        _verify(path)
        return
    filters = Filters(
        symbol=(symbol or "").upper(),
        account=account or "",
        reason=reason or "",
        day=date_of(day),
        only_open=only_open,
        before=before,
        limit=limit,
    )
    _show(path, filters, fmt)


def journal_path(ctx: typer.Context) -> "Path":
    """The path of the journal in the state folder in use."""
    from sellctl.bootstrap import state_of

    return state_of(options_of(ctx)).journal


def date_of(text: str | None) -> str:
    """The date given with --day, in ISO format; "" without it. ConfigError when it is not a date."""
    try:
        return dt.date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise ConfigError(f"--day {text} is not a date.", hint="Write it as 2025-08-26.") from None


def _verify(path: "Path") -> None:
    from sellctl.journal.verify import verify

    result = verify(path)
    if result.fault:
        raise JournalError(result.sentence)
    typer.echo(result.sentence)


def _show(path: "Path", filters: "Filters", fmt: "OutputFormat | None") -> None:
    from sellctl.journal.queries import history as page
    from sellctl.ui.render import emit

    rows = page(path, filters)
    if not path.exists():
        typer.echo(f"The history is empty: there is no journal at {path} yet.", err=True)
    cells = [_cells(row) for row in rows]
    if fmt == "csv":
        cells = [[sanitize(cell) for cell in row] for row in cells]
    emit(COLUMNS, cells, fmt, title="history", document=[row.document() for row in rows])
    if len(rows) == filters.limit:
        typer.echo(f"More: sellctl history --before {rows[-1].seq}", err=True)


def _cells(row: "AuditRow") -> list[object]:
    detail = _detail(row.document()["body"])
    return [row.seq, row.at[:19], row.account, row.symbol, row.kind, row.reason, detail, row.client_order_id]


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
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell
