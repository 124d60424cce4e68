"""`sellctl report`: profit, slippage and duration of exits, per day, strategy and reason; per exit; or with plots."""

import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sellctl.commands.journal_filters import (
    AccountFilter,
    DayFilter,
    ReasonFilter,
    SinceFilter,
    SymbolArgument,
    journal_query,
)
from sellctl.commands.session import FormatOption, ask_yes_no, say
from sellctl.core.errors import ConfigError
from sellctl.core.text import as_dollars
from sellctl.installation import missing_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sellctl.core.model.exit_record import Exit
    from sellctl.ui.formatting import Cell

_SLIPPAGE = ("slippage against mid", "against bid")
SUMMARY = ("day", "strategy", "reason", "exits", "filled", "P&L", *_SLIPPAGE, "seconds", "steps")
EACH = ("began", "account", "mode", "symbol", "reason", "qty", "price", "P&L", *_SLIPPAGE, "seconds", "steps")


def report(
    ctx: typer.Context,
    symbol: SymbolArgument = None,
    account: AccountFilter = None,
    reason: ReasonFilter = None,
    day: DayFilter = None,
    since: SinceFilter = None,
    each: Annotated[bool, typer.Option("--each", help="One row per exit.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write an HTML page with plots to this file.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", "--yes", "-y", help="Replace that file if it exists.")
    ] = False,
    fmt: FormatOption = None,
) -> None:
    """Show the profit, slippage and duration of exits.

    Slippage is in dollars per share, against the mid and the bid at the decision (for a short: the mid and the ask); a
    negative number is a better price. For several exits it is the mean weighted by quantity, and `seconds` the median.
    The exit of a structure counts once, with units and net prices, whether it left as one order, in parts or by legs.
    """
    from sellctl.journal.exits import exits
    from sellctl.ui.exit_documents import exit_documents, exits_document
    from sellctl.ui.render import emit

    asked = journal_query(ctx, symbol, account, reason, day, since)
    found, mode_at = exits(asked.path, asked.filters), asked.recorded.mode_at
    if html is not None:
        _write(html, found, mode_at, overwrite=overwrite)
        return
    if each:
        rows = [_row(one, mode_at(one.account, one.row)) for one in found]
        emit(EACH, rows, fmt, title="Exits", document=exit_documents(found, mode_at))
    else:
        emit(SUMMARY, shown_summary(found), fmt, title="Report", document=exits_document(found, mode_at))
    if not found:
        say("No exits are recorded for these filters.")


def _write(path: "Path", found: "Sequence[Exit]", mode_at: "Callable[[str, int], str]", *, overwrite: bool) -> None:
    """Write the page. A file that exists is replaced only when the user says so."""
    from sellctl.private_files import replace_private
    from sellctl.ui.formatting import counted

    try:
        from sellctl.ui.report_page import page
    except ImportError:
        sentence, hint = missing_extra("report --html", "report")
        raise ConfigError(sentence, hint=hint) from None
    if not overwrite and path.exists():
        if not sys.stdin.isatty():
            raise ConfigError(f"{path} already exists.", hint="Add --overwrite to replace it, or name another file.")
        if not ask_yes_no(f"{path} already exists. Replace it?", done="written"):
            say("Nothing was written.")
            return
    try:
        replace_private(path, page(found, SUMMARY, shown_summary(found), mode_at).encode())
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}.", hint="Name another file.") from None
    say(f"{path}: {counted(len(found), 'exit')}")


def shown_summary(found: "Sequence[Exit]") -> list[tuple[object, ...]]:
    """The rows of `summary` for people, with dollars."""
    from sellctl.ui.exit_documents import summary

    dollars: Mapping[str, Callable[[Any], object]] = {"P&L": _profit_cell, **dict.fromkeys(_SLIPPAGE, _dollars_cell)}
    return [
        tuple(dollars.get(column, _unchanged)(value) for column, value in zip(SUMMARY, row, strict=True))
        for row in summary(found)
    ]


def _unchanged(value: Any) -> object:
    return value


def _profit_cell(amount: Decimal | None) -> "Cell | None":
    """A profit in dollars: -$200.00; empty where nothing has filled, or a price is unknown."""
    from sellctl.ui.formatting import profit_cell

    return None if amount is None else profit_cell(amount)


def _dollars_cell(price: Decimal | None) -> "Cell | None":
    """Dollars per share: $0.0283, -$0.04; empty where it is unknown."""
    from sellctl.ui.formatting import Cell, number_data

    return None if price is None else Cell(as_dollars(price), number_data(price), is_number=True)


def _row(one: "Exit", mode: str) -> tuple[object, ...]:
    from sellctl.ui.contracts import name_cell
    from sellctl.ui.exit_documents import mean, tenths
    from sellctl.ui.exit_rows import time_cell
    from sellctl.ui.formatting import mode_cell

    return (
        time_cell(one.began, same_year=False),
        one.account,
        mode_cell(mode),
        name_cell(one.symbol),
        one.reason,
        one.qty,
        _dollars_cell(None if one.price is None else round(one.price, 4)),
        _profit_cell(one.pnl),
        _dollars_cell(mean([(one.against_mid, Decimal(1))])),
        _dollars_cell(mean([(one.against_bid, Decimal(1))])),
        tenths(one.seconds),
        one.steps,
    )
