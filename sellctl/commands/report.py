"""`sellctl report`: profit, slippage and duration of exits, per day, strategy and reason; per exit; or with plots."""

import sys
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from statistics import median
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
from sellctl.commands.session import FormatOption
from sellctl.core.errors import ConfigError
from sellctl.core.text import as_dollars
from sellctl.installation import missing_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sellctl.core.model.exit_record import Exit, LegFill, Part, SentOrder
    from sellctl.ui.formatting import Cell

_SLIPPAGE = ("slippage against mid", "against bid")
SUMMARY = ("day", "strategy", "reason", "exits", "filled", "P&L", *_SLIPPAGE, "seconds", "steps")
GROUP_KEYS = ("day", "strategy", "reason", "exits", "filled", "pl", "to_mid", "to_bid", "seconds", "steps")
EACH = ("began", "account", "mode", "symbol", "reason", "qty", "price", "P&L", *_SLIPPAGE, "seconds", "steps")
_EVERY_HOLDING = "(every holding)"  # exits without a strategy: the last day, a manual close, panic


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
    from sellctl.ui.render import JSON_VERSION, emit

    asked = journal_query(ctx, symbol, account, reason, day, since)
    found, mode_at = exits(asked.path, asked.filters), asked.recorded.mode_at
    if html is not None:
        _write(html, found, mode_at, overwrite=overwrite)
        return
    documents = [{**_document(one), "mode": mode_at(one.account, one.row)} for one in found]
    if each:
        rows = [_row(one, mode_at(one.account, one.row)) for one in found]
        emit(EACH, rows, fmt, title="Exits", document=documents)
    else:
        document = {"version": JSON_VERSION, "exits": documents, "groups": _groups(found)}
        emit(SUMMARY, shown_summary(found), fmt, title="Report", document=document)
    if not found:
        typer.echo("No exits recorded for these filters.", err=True)


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
        if not typer.confirm(f"{path} already exists. Replace it?", err=True):
            typer.echo("Nothing was written.", err=True)
            return
    try:
        replace_private(path, page(found, SUMMARY, shown_summary(found), mode_at).encode())
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}.", hint="Name another file.") from None
    typer.echo(f"{path}: {counted(len(found), 'exit')}", err=True)


def _key(one: "Exit") -> tuple[str, str, str]:
    return one.day, one.strategy or _EVERY_HOLDING, one.reason


def summary(found: "Sequence[Exit]") -> list[tuple[object, ...]]:
    """One row per day, strategy and reason, under SUMMARY."""
    grouped = groupby(sorted(found, key=_key), key=_key)
    return [(*key, *_figures(list(group))) for key, group in grouped]


def shown_summary(found: "Sequence[Exit]") -> list[tuple[object, ...]]:
    """The rows of `summary` for people, with dollars."""
    dollars: Mapping[str, Callable[[Any], object]] = {"P&L": _profit_cell, **dict.fromkeys(_SLIPPAGE, _dollars_cell)}
    return [
        tuple(dollars.get(column, _unchanged)(value) for column, value in zip(SUMMARY, row, strict=True))
        for row in summary(found)
    ]


def _unchanged(value: Any) -> object:
    return value


def _figures(group: "Sequence[Exit]") -> tuple[object, ...]:
    filled = [one for one in group if one.is_filled]
    seconds = [one.seconds for one in filled if one.seconds is not None]
    gains = [one.pnl for one in filled if one.pnl is not None]
    return (
        len(group),
        len(filled),
        round(sum(gains, Decimal(0)), 2) if gains else None,
        _mean([(one.against_mid, one.qty) for one in filled]),
        _mean([(one.against_bid, one.qty) for one in filled]),
        _tenths(median(seconds) if seconds else None),
        _tenths(sum(one.steps for one in group) / len(group)),
    )


def _mean(parts: "Sequence[tuple[Decimal | None, Decimal]]") -> Decimal | None:
    known = [(value, qty) for value, qty in parts if value is not None]
    weight = sum((qty for _, qty in known), Decimal(0))
    return round(sum((value * qty for value, qty in known), Decimal(0)) / weight, 4) if weight else None


def _profit_cell(amount: Decimal | None) -> "Cell | None":
    """A profit in dollars: -$200.00; empty where nothing has filled, or a price is unknown."""
    from sellctl.ui.formatting import profit_cell

    return None if amount is None else profit_cell(amount)


def _dollars_cell(price: Decimal | None) -> "Cell | None":
    """Dollars per share: $0.0283, -$0.04; empty where it is unknown."""
    from sellctl.ui.formatting import Cell, number_data

    return None if price is None else Cell(as_dollars(price), number_data(price), is_number=True)


def _tenths(value: float | None) -> Decimal | None:
    return None if value is None else round(Decimal(value), 1)


def _row(one: "Exit", mode: str) -> tuple[object, ...]:
    from sellctl.ui.contracts import name_cell
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
        _dollars_cell(_mean([(one.against_mid, Decimal(1))])),
        _dollars_cell(_mean([(one.against_bid, Decimal(1))])),
        _tenths(one.seconds),
        one.steps,
    )


def _document(one: "Exit") -> dict[str, object]:
    prices = {
        "entry": one.entry,
        "stop": one.stop,
        "target": one.target,
        "bid": one.bid,
        "mid": one.mid,
        "price": one.price,
        "pnl": one.pnl,
    }
    slippage = {"against_mid": one.against_mid, "against_bid": one.against_bid}
    return {
        "account": one.account,
        "symbol": one.symbol,
        "way": one.way,
        "strategy": one.strategy,
        "reason": one.reason,
        "what": one.kind.value,
        "why": one.why,
        "day": one.day,
        "began": one.began.isoformat(),
        "asked": f"{one.asked:f}",
        "filled": f"{one.qty:f}",
        **{name: _plain(value) for name, value in (prices | slippage).items()},
        "seconds": one.seconds,
        "steps": one.steps,
        "orders": [_order(order) for order in one.orders],
        "fills": [_fill(part) for part in one.parts],
        "fills_of_legs": [{"symbol": fill.symbol, **_fill(fill)} for fill in one.fills_of_legs],
    }


def _order(order: "SentOrder") -> dict[str, object]:
    """An order; `ended` is None while it works or its outcome is unknown."""
    return {
        "at": order.at.isoformat(),
        "symbol": order.symbol,
        "qty": _plain(order.qty),
        "price": _plain(order.price),
        "ended": order.ended or None,
    }


def _fill(fill: "Part | LegFill") -> dict[str, object]:
    return {"at": fill.at.isoformat(), "qty": _plain(fill.qty), "price": _plain(fill.price)}


def _groups(found: "Sequence[Exit]") -> list[dict[str, object]]:
    return [dict(zip(GROUP_KEYS, map(_plain, row), strict=True)) for row in summary(found)]


def _plain(value: object) -> object:
    return f"{value:f}" if isinstance(value, Decimal) else value
