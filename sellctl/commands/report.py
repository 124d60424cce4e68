"""`sellctl report`: profit, slippage and duration of exits, per day, strategy and reason; per exit; or with plots."""

from decimal import Decimal
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.session import FormatOption, RecordedAccount, RecordedName, RecordedReason
from sellctl.core.errors import ConfigError
from sellctl.installation import missing_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sellctl.core.model.exit_record import Exit, LegFill, Part

_SLIPPAGE = ("slippage against mid", "against bid")
SUMMARY = ("day", "strategy", "reason", "exits", "filled", "P&L", *_SLIPPAGE, "seconds", "steps")
GROUP_KEYS = ("day", "strategy", "reason", "exits", "filled", "pl", "to_mid", "to_bid", "seconds", "steps")
EACH = ("began", "account", "mode", "symbol", "reason", "qty", "price", "P&L", *_SLIPPAGE, "seconds", "steps")
_EVERY_HOLDING = "(every holding)"  # exits without a strategy: the last day, a manual close, panic


def report(
    ctx: typer.Context,
    symbol: RecordedName = None,
    account: RecordedAccount = None,
    reason: RecordedReason = None,
    day: Annotated[str | None, typer.Option(help="Only this exchange date, e.g. 2025-08-26.")] = None,
    each: Annotated[bool, typer.Option("--each", help="One row per exit.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write an HTML page with plots to this file.")] = None,
    fmt: FormatOption = None,
) -> None:
    """Show the profit, slippage and duration of exits.

    Slippage is in dollars per share, against the mid and the bid at the decision (for a short: the mid and the ask); a
    negative number is a better price. For several exits it is the mean weighted by quantity, and `seconds` the median.
    The exit of a structure counts once, with units and net prices, whether it left as one order, in parts or by legs.
    """
    from sellctl.commands.history import date_of, journal_path, known_filters, own_names
    from sellctl.core.structures.names import name_or_symbol
    from sellctl.journal.exits import exits
    from sellctl.journal.queries import Filters
    from sellctl.ui.render import JSON_VERSION, emit

    path = journal_path(ctx)
    filters = Filters(
        symbol=name_or_symbol(symbol or ""),
        names=own_names(ctx, path, symbol or ""),
        account=account or "",
        reason=reason or "",
        day=date_of(day),
    )
    recorded = known_filters(ctx, path, filters.account, filters.reason)
    found = exits(path, filters)
    if html is not None:
        _write(html, found)
        return
    documents = [{**_document(one), "mode": recorded.mode_at(one.account, one.row)} for one in found]
    if each:
        rows = [_row(one, recorded.mode_at(one.account, one.row).upper()) for one in found]
        emit(EACH, rows, fmt, title="Exits", document=documents)
    else:
        document = {"version": JSON_VERSION, "exits": documents, "groups": _groups(found)}
        emit(SUMMARY, summary(found), fmt, title="Report", document=document)
    if not found:
        typer.echo("No exits recorded for these filters.", err=True)


def _write(path: "Path", found: "Sequence[Exit]") -> None:
    try:
        from sellctl.ui.report_page import page
    except ImportError:
        sentence, hint = missing_extra("report --html", "report")
        raise ConfigError(sentence, hint=hint) from None
    path.write_text(page(found, SUMMARY, summary(found)), encoding="utf-8")
    typer.echo(f"{path}: {len(found)} {'exit' if len(found) == 1 else 'exits'}", err=True)


def _key(one: "Exit") -> tuple[str, str, str]:
    return one.day, one.strategy or _EVERY_HOLDING, one.reason


def summary(found: "Sequence[Exit]") -> list[tuple[object, ...]]:
    """One row per day, strategy and reason, under SUMMARY."""
    grouped = groupby(sorted(found, key=_key), key=_key)
    return [(*key, *_figures(list(group))) for key, group in grouped]


def _figures(group: "Sequence[Exit]") -> tuple[object, ...]:
    filled = [one for one in group if one.is_filled]
    seconds = [one.seconds for one in filled if one.seconds is not None]
    gains = [one.pnl for one in filled if one.pnl is not None]
    return (
        len(group),
        len(filled),
        _money(sum(gains, Decimal(0)) if gains else None),
        _mean([(one.against_mid, one.qty) for one in filled]),
        _mean([(one.against_bid, one.qty) for one in filled]),
        _tenths(median(seconds) if seconds else None),
        _tenths(sum(one.steps for one in group) / len(group)),
    )


def _mean(parts: "Sequence[tuple[Decimal | None, Decimal]]") -> Decimal | None:
    known = [(value, qty) for value, qty in parts if value is not None]
    weight = sum((qty for _, qty in known), Decimal(0))
    return round(sum((value * qty for value, qty in known), Decimal(0)) / weight, 4) if weight else None


def _money(value: Decimal | None) -> Decimal | None:
    return None if value is None else round(value, 2)


def _tenths(value: float | None) -> Decimal | None:
    return None if value is None else round(Decimal(value), 1)


def _row(one: "Exit", mode: str) -> tuple[object, ...]:
    return (
        one.began.isoformat()[:19],
        one.account,
        mode,
        one.symbol,
        one.reason,
        one.qty,
        None if one.price is None else round(one.price, 4),
        _money(one.pnl),
        _mean([(one.against_mid, Decimal(1))]),
        _mean([(one.against_bid, Decimal(1))]),
        _tenths(one.seconds),
        one.steps,
    )


def _document(one: "Exit") -> dict[str, object]:
    prices = {"entry": one.entry, "bid": one.bid, "mid": one.mid, "price": one.price, "pnl": one.pnl}
    slippage = {"against_mid": one.against_mid, "against_bid": one.against_bid}
    return {
        "account": one.account,
        "symbol": one.symbol,
        "way": one.way,
        "strategy": one.strategy,
        "reason": one.reason,
        "day": one.day,
        "began": one.began.isoformat(),
        "asked": f"{one.asked:f}",
        "filled": f"{one.qty:f}",
        **{name: _plain(value) for name, value in (prices | slippage).items()},
        "seconds": one.seconds,
        "steps": one.steps,
        "fills": [_fill(part) for part in one.parts],
        "fills_of_legs": [{"symbol": fill.symbol, **_fill(fill)} for fill in one.fills_of_legs],
    }


def _fill(fill: "Part | LegFill") -> dict[str, object]:
    return {"at": fill.at.isoformat(), "qty": _plain(fill.qty), "price": _plain(fill.price)}


def _groups(found: "Sequence[Exit]") -> list[dict[str, object]]:
    return [dict(zip(GROUP_KEYS, map(_plain, row), strict=True)) for row in summary(found)]


def _plain(value: object) -> object:
    return f"{value:f}" if isinstance(value, Decimal) else value
