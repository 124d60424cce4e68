"""`sellctl history`: decisions, orders, rejections and fills, newest first, and the check of the journal."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sellctl.commands.session import FormatOption, RecordedAccount, RecordedName, RecordedReason, options_of
from sellctl.core.errors import ConfigError, JournalError
from sellctl.core.text import did_you_mean
from sellctl.service.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sellctl.core.config.schema import Config
    from sellctl.journal.queries import AuditRow, Filters, Recorded
    from sellctl.ui.formats import OutputFormat

COLUMNS = ("row", "at", "account", "mode", "symbol", "what", "reason", "detail", "order")
# A row's detail is the value of the first of these keys in its body; without one the whole body is shown.
_SUMMARY_KEYS = ("sentence", "why", "message", "sells", "denied", "cancels", "reason")
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")


def history(
    ctx: typer.Context,
    symbol: RecordedName = None,
    account: RecordedAccount = None,
    reason: RecordedReason = None,
    day: Annotated[str | None, typer.Option(help="Only this exchange date, e.g. 2025-08-26.")] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only orders whose end is not known yet.")] = False,
    check: Annotated[bool, typer.Option("--verify", help="Check that no row is missing or changed.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows on a page.")] = 50,
    before: Annotated[int | None, typer.Option(min=1, help="Continue below this row.")] = None,
    fmt: FormatOption = None,
) -> None:
    """Show decisions, orders, rejections and fills, newest first.

    A leg's symbol also shows its structures' orders, and a structure's name the orders of its legs or parts, if it left
    by them.
    """
    from sellctl.core.structures.names import name_or_symbol
    from sellctl.journal.queries import Filters

    path = journal_path(ctx)
    if check:
        _verify(path)
        return
    recorded = known_filters(ctx, path, account or "", reason or "")
    filters = Filters(
        symbol=name_or_symbol(symbol or ""),
        names=own_names(ctx, path, symbol or ""),
        account=account or "",
        reason=reason or "",
        day=date_of(day),
        only_open=only_open,
        before=before,
        limit=limit,
    )
    _show(path, filters, recorded, fmt)


def known_filters(ctx: typer.Context, path: "Path", account: str, reason: str) -> "Recorded":
    """What the journal knows of accounts, after a check of these filters.

    ConfigError when an account is neither on record nor configured, when a reason is none, or when there is neither a
    journal nor a configuration that could lead to one.
    """
    from sellctl.core.model.plan import Reason
    from sellctl.journal.queries import recorded

    found, config = recorded(path), _configuration(ctx, path)
    configured = frozenset(config.accounts) if config else frozenset[str]()
    if not path.exists():
        typer.echo(f"The history is empty: there is no journal at {path} yet. A run that acts writes it.", err=True)
    accounts, reasons = found.accounts | configured, found.reasons | set(Reason)
    if account and account not in accounts:
        hint = did_you_mean(account, accounts) or f"There are: {', '.join(sorted(accounts)) or 'none'}."
        raise ConfigError(f"No account is called {account}.", hint=hint)
    if reason and reason not in reasons:
        hint = did_you_mean(reason, reasons) or "`sellctl strategies --precedence` lists all."
        raise ConfigError(f"{reason} is no reason of an exit.", hint=hint)
    return found


def own_names(ctx: typer.Context, path: "Path", name: str) -> tuple[str, ...]:
    """The names that sellctl may have given the structure that the user calls so; none when nothing is called so."""
    from sellctl.core.decision.policy import named_structures
    from sellctl.core.structures.named import possible_names

    config = _configuration(ctx, path) if name else None
    named = named_structures(config.sell_module) if config else ()
    meant = next((each for each in named if each.name and each.name.lower() == name.strip().lower()), None)
    if meant and not meant.legs:
        sentence = f"{meant.name} is named by its order, whose legs only the broker knows."
        raise ConfigError(sentence, hint="Use the name that sellctl gives it: `sellctl positions` shows it.")
    return tuple(sorted(possible_names(meant))) if meant else ()


def _configuration(ctx: typer.Context, path: "Path") -> "Config | None":
    """The configuration. A journal can be read without one: None; ConfigError when there is neither."""
    from sellctl.core.config_manager import ConfigManager

    options = ctx.find_object(Options)
    try:
        return ConfigManager(options.config if options else None).load().config
    except ConfigError:
        if path.exists():
            return None
        raise


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


def _show(path: "Path", filters: "Filters", recorded: "Recorded", fmt: "OutputFormat | None") -> None:
    from sellctl.journal.queries import history as page
    from sellctl.ui.render import emit

    rows = page(path, filters)
    if path.exists() and not rows:
        typer.echo("Nothing is recorded for these filters.", err=True)
    modes = [recorded.mode_at(row.account, row.seq) for row in rows]
    cells = [_cells(row, mode) for row, mode in zip(rows, modes, strict=True)]
    if fmt == "csv":
        cells = [[sanitize(cell) for cell in row] for row in cells]
    documents = [{**row.document(), "mode": mode} for row, mode in zip(rows, modes, strict=True)]
    emit(COLUMNS, cells, fmt, title="History", document=documents)
    if len(rows) == filters.limit:
        typer.echo(f"More: sellctl history --before {rows[-1].seq}", err=True)


def _cells(row: "AuditRow", mode: str) -> list[object]:
    detail = _detail(row.document()["body"])
    return [
        row.seq,
        row.at[:19],
        row.account,
        mode.upper(),
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
