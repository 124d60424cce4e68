"""Rows, totals and the document of `trades`: closed exits as people read them, for `render.emit`."""

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from sellctl.core.model.exit_record import Exit, TradeTotals, trade_totals
from sellctl.core.model.instrument import contract_text
from sellctl.core.model.market import NEW_YORK
from sellctl.ui.contracts import name_cell, readable_name
from sellctl.ui.exit_rows import qty_cell
from sellctl.ui.formatting import (
    Cell,
    counted,
    duration,
    gain_cell,
    mode_cell,
    number,
    number_data,
    price_cell,
    profit,
    profit_cell,
    ratio_data,
)
from sellctl.ui.render import JSON_VERSION
from sellctl.ui.summaries import total_text

# A terminal that is too narrow moves the last short ones below the row.
TRADE_COLUMNS = (
    "closed",
    "symbol",
    "contract",
    "qty",
    "entry",
    "exit",
    "P&L",
    "gain",
    "reason",
    "held",
    "account",
    "mode",
)
_UNKNOWN = Cell("unknown", None, is_number=True)
Trade = tuple[Exit, str]  # with the mode of its account when it was recorded


def trade_rows(trades: Sequence[Trade]) -> list[tuple[object, ...]]:
    """One row per trade, under TRADE_COLUMNS."""
    same_year = len({one.last_at.astimezone(NEW_YORK).year for one, _ in trades}) == 1
    return [_row(one, mode, same_year=same_year) for one, mode in trades]


def _row(one: Exit, mode: str, *, same_year: bool) -> tuple[object, ...]:
    return (
        _closed_cell(one.last_at, same_year=same_year),
        Cell(one.symbol, one.symbol, short=name_cell(one.symbol).drawn),
        readable_name(one.symbol),
        qty_cell(one.qty, one.held),
        _UNKNOWN if one.entry is None else price_cell(one.entry),
        _UNKNOWN if one.price is None else price_cell(one.price),
        _UNKNOWN if one.pnl is None else profit_cell(one.pnl),
        _UNKNOWN if one.gain is None else gain_cell(one.gain),
        one.reason,
        _held_cell(one),
        one.account,
        mode_cell(mode),
    )


def _closed_cell(at: dt.datetime, *, same_year: bool) -> Cell:
    """A day and time in New York; as data in ISO 8601, with the offset."""
    local = at.astimezone(NEW_YORK)
    day, year = f"{local.day:>2} {local:%b}", "" if same_year else f" {local:%y}"
    return Cell(f"{day} {local:%y %H:%M:%S}", local.isoformat(timespec="seconds"), short=f"{day}{year} {local:%H:%M}")


def _held_cell(one: Exit) -> Cell:
    """The time held; with "at least" where the opening fill is unknown; as data in seconds."""
    span = one.time_held
    if span is None or (not one.knows_opening and span < dt.timedelta(seconds=1)):  # it closed when it was first seen
        return _UNKNOWN
    return Cell(_span_text(span, is_exact=one.knows_opening), _seconds(span), is_number=True)


def _span_text(span: dt.timedelta, *, is_exact: bool) -> str:
    return f"{'' if is_exact else 'at least '}{duration(span)}"


def _seconds(span: dt.timedelta) -> str:
    return number(Decimal(int(span.total_seconds())))


def totals_lines(trades: Sequence[Trade]) -> list[str]:
    """The totals as lines, per mode: real money is never added to paper."""
    return [line for mode, totals in _totals_by_mode(trades) for line in _lines_of(mode, totals)]


def _totals_by_mode(trades: Sequence[Trade]) -> list[tuple[str, TradeTotals]]:
    modes = sorted({mode for _, mode in trades})
    return [(mode, trade_totals(one for one, of in trades if of == mode)) for mode in modes]


def _lines_of(mode: str, totals: TradeTotals) -> Iterable[str]:
    start = f"{mode.upper()}: " if mode else ""
    known = totals.pnl.known
    rate = totals.win_rate
    win_rate = "unknown" if rate is None else f"{round(rate * 100)}% ({totals.won} of {known})"
    figures = (
        counted(totals.trades, "trade"),
        total_text("P&L", totals.pnl, signed=True),
        f"win rate {win_rate}",
    )
    yield f"{start}{', '.join(figures)}"
    yield f"  average time held {_average_text(totals)}"
    if totals.best and totals.worst:
        yield f"  best {_named(totals.best)}, worst {_named(totals.worst)}"
    if missing := totals.trades - known:
        counts = f"{counted(missing, 'trade')} with an unknown entry or price {'is' if missing == 1 else 'are'}"
        yield f"  {counts} not counted in P&L, win rate, best and worst"


def _average_text(totals: TradeTotals) -> str:
    if totals.time_held is None:
        return "unknown"
    of = "" if totals.timed == totals.trades else f" ({totals.timed} of {totals.trades} known)"
    return f"{_span_text(totals.time_held, is_exact=totals.is_exact)}{of}"


def _named(one: Exit) -> str:
    return f"{'unknown' if one.pnl is None else profit(one.pnl)} {readable_name(one.symbol)}"


def trades_document(trades: Sequence[Trade]) -> dict[str, Any]:
    """The trades and their totals per mode as a versioned object; what is unknown is null."""
    return {
        "version": JSON_VERSION,
        "trades": [_trade_part(one, mode) for one, mode in trades],
        "totals": [_totals_part(mode, totals) for mode, totals in _totals_by_mode(trades)],
    }


def _trade_part(one: Exit, mode: str) -> dict[str, Any]:
    contract = contract_text(one.symbol)
    return {
        "closed": one.last_at.astimezone(NEW_YORK).isoformat(),
        "account": one.account,
        "mode": mode,
        "symbol": one.symbol,
        "contract": None if contract == one.symbol else contract,
        "what": one.kind.value,
        "qty": number(one.qty),
        "held_qty": number(one.held),
        "entry": number_data(one.entry),
        "exit": number_data(one.price),
        "pnl": number_data(one.pnl),
        "gain": ratio_data(one.gain),
        "reason": one.reason,
        "held_seconds": None if one.time_held is None else int(one.time_held.total_seconds()),
        "held_since_opening": one.knows_opening,
    }


def _totals_part(mode: str, totals: TradeTotals) -> dict[str, Any]:
    return {
        "mode": mode,
        "trades": totals.trades,
        "pnl": {"dollars": number_data(totals.pnl.dollars), "known": totals.pnl.known, "of": totals.pnl.count},
        "won": totals.won,
        "win_rate": ratio_data(totals.win_rate),
        "held_seconds": None if totals.time_held is None else int(totals.time_held.total_seconds()),
        "held_known": totals.timed,
        "held_since_opening": totals.is_exact,
        "best": _extreme_part(totals.best),
        "worst": _extreme_part(totals.worst),
    }


def _extreme_part(one: Exit | None) -> dict[str, Any] | None:
    return None if one is None else {"symbol": one.symbol, "pnl": number_data(one.pnl)}
