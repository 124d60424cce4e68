"""`sellctl history`: what was decided, sent, refused and filled, newest first, and whether the record holds."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sellctl.commands.session import FormatOption
from sellctl.core.errors import ConfigError, JournalError
from sellctl.service.options import Options

if TYPE_CHECKING:
    from pathlib import Path

    from sellctl.journal.queries import Filters, Row
    from sellctl.ui.formats import OutputFormat

COLUMNS = ("row", "at", "account", "symbol", "what", "reason", "detail", "order")
# The first of these that a row's body holds says what happened; without one the body itself is shown.
_TELLING = ("sentence", "why", "message", "sells", "denied", "cancels")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def history(
    ctx: typer.Context,
    symbol: Annotated[str | None, typer.Argument(help="Only this symbol.", show_default=False)] = None,
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only exits for this reason, e.g. stop_loss.")] = None,
    day: Annotated[str | None, typer.Option(help="Only this exchange date, e.g. 2025-08-26.")] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only exits whose end nobody has seen yet.")] = False,
    check: Annotated[bool, typer.Option("--verify", help="Check that every row is there and as written.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows on a page.")] = 50,
    before: Annotated[int | None, typer.Option(min=1, help="Continue below this row.")] = None,
    fmt: FormatOption = None,
) -> None:
    """Show what was decided, sent, refused and filled, newest first."""
    from sellctl.journal.queries import Filters

    path = journal_path(ctx)
    if check:
        _verify(path)
        return
    wanted = Filters(
        symbol=(symbol or "").upper(),
        account=account or "",
        reason=reason or "",
        day=date_of(day),
        only_open=only_open,
        before=before,
        limit=limit,
    )
    _show(path, wanted, fmt)


def journal_path(ctx: typer.Context) -> "Path":
    """Where the journal of the state folder in use is."""
    from sellctl.core.config_manager import state_dir
    from sellctl.journal.schema import FILE_NAME

    options = ctx.find_object(Options)
    return state_dir(options.state_dir if options else None) / FILE_NAME


def date_of(text: str | None) -> str:
    """What --day says, checked; "" without it."""
    try:
        return dt.date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise ConfigError(f"--day {text} is no date.", hint="Write it as 2025-08-26.") from None


def _verify(path: "Path") -> None:
    from sellctl.journal.verify import verify

    decision = verify(path)
    if decision.fault:
        raise JournalError(decision.sentence)
    typer.echo(decision.sentence)


def _show(path: "Path", wanted: "Filters", fmt: "OutputFormat | None") -> None:
    from sellctl.journal.queries import history as page
    from sellctl.ui.render import emit

    rows = page(path, wanted)
    if not path.exists():
        typer.echo(f"The history is empty: there is no journal at {path} yet.", err=True)
    cells = [_cells(row) for row in rows]
    if fmt == "csv":
        cells = [[sanitize(cell) for cell in row] for row in cells]
    emit(COLUMNS, cells, fmt, title="history", document=[_document(row) for row in rows])
    if len(rows) == wanted.limit:
        typer.echo(f"More: sellctl history --before {rows[-1].seq}", err=True)


def _cells(row: "Row") -> list[object]:
    detail = _detail(row.body)
    return [row.seq, row.at[:19], row.account, row.symbol, row.kind, row.reason, detail, row.client_order_id]


def _detail(body: "Any") -> str:
    for key in _TELLING:
        if told := body.get(key):
            return _words(told if isinstance(told, str) else {key: told})
    return _words({key: value for key, value in body.items() if key != "frozen"})


def _words(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_words(each)}" for key, each in value.items())
    return ", ".join(map(_words, value)) if isinstance(value, list) else str(value)


def _document(row: "Row") -> dict[str, object]:
    """The row whole, but for a plan's frozen snapshot, which is for replay."""
    body = {key: value for key, value in row.body.items() if key != "frozen"}
    return {name: getattr(row, name) for name in row.__dataclass_fields__} | {"body": body}


def sanitize(cell: object) -> object:
    """Text that a spreadsheet would take for a formula gets a quote in front."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell
