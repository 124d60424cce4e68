"""Rows of `history`: what happened on the accounts, a row per exit, for `render.emit`."""

import datetime as dt
from collections.abc import Callable, Iterable
from decimal import Decimal

from sellctl.core.model.exit_record import Exit, HistoryEntry, HistoryKind
from sellctl.core.model.market import NEW_YORK
from sellctl.core.model.plan import reason_name
from sellctl.ui.contracts import name_cell, readable_name
from sellctl.ui.formatting import (
    Cell,
    Tone,
    gain_cell,
    mode_cell,
    number,
    number_data,
    price_cell,
    profit_cell,
)

# A terminal that is too narrow moves the last short ones below the row.
HISTORY_COLUMNS = ("time (ET)", "contract", "what", "qty", "price", "P&L", "account", "mode", "why")
_TONES = {
    HistoryKind.NOT_SENT: Tone.WARN,
    HistoryKind.BLOCKED: Tone.WARN,
    HistoryKind.REJECTED: Tone.BAD,
    HistoryKind.NOT_FILLED: Tone.WARN,
}


def history_rows(entries: Iterable[HistoryEntry], mode_at: Callable[[str, int], str]) -> list[tuple[object, ...]]:
    """One row per entry, under HISTORY_COLUMNS. `mode_at` is the mode of an account at a row."""
    every = list(entries)
    same_year = len({entry.at.astimezone(NEW_YORK).year for entry in every}) == 1
    return [_row(entry, mode_at(entry.account, entry.row), same_year=same_year) for entry in every]


def _row(entry: HistoryEntry, mode: str, *, same_year: bool) -> tuple[object, ...]:
    is_filled = entry.kind in {HistoryKind.CLOSED, HistoryKind.PARTLY_CLOSED}
    return (
        time_cell(entry.at, same_year=same_year),
        name_cell(entry.symbol),
        Cell(entry.kind.value, entry.kind.value, _TONES.get(entry.kind, Tone.PLAIN)),
        qty_cell(entry.qty, entry.held),
        price_cell(entry.price) if is_filled else None,
        profit_cell(entry.pnl) if is_filled else None,
        entry.account,
        mode_cell(mode),
        entry.why,
    )


def last_closed_text(name: str, one: Exit, today: dt.date) -> str:
    """When and why something was closed last, as a sentence, with its gain: "stop, -45.0%"."""
    at = one.last_at.astimezone(NEW_YORK)
    day = f"{at.day} {at:%b}{'' if at.year == today.year else f' {at:%Y}'}"
    part = "" if one.qty >= one.held else f"{number(one.qty)} of {number(one.held)} of "
    what = "it" if one.symbol == name else readable_name(one.symbol)
    gain = "" if one.gain is None else f", {gain_cell(one.gain).text}"
    return f"sellctl closed {part}{what} last on {day} at {at:%H:%M} ET ({reason_name(one.reason)}{gain})."


def time_cell(at: dt.datetime, *, same_year: bool) -> Cell:
    """A day and time in New York; as data in UTC and ISO 8601.

    A drawn table has no seconds, and no year where all rows are of the `same_year`.
    """
    local = at.astimezone(NEW_YORK)
    day = f"{local.day:>2} {local:%b}"
    year = "" if same_year else f" {local:%y}"
    return Cell(f"{day} {local:%y %H:%M:%S}", at.isoformat()[:19], short=f"{day}{year} {local:%H:%M}")


def qty_cell(qty: Decimal | None, held: Decimal | None) -> Cell:
    """A quantity; with what was held, where less was closed: "1 of 3"."""
    if qty is None:
        return Cell("", None)
    rest = "" if held is None or qty >= held else f" of {number(held)}"
    return Cell(f"{number(qty)}{rest}", number_data(qty), is_number=True)
