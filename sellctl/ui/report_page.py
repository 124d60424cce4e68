"""The exit report as one self-contained HTML page in the style of the control page: a summary, and a card per exit.

The page loads nothing when it is opened, and it has no script.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from html import escape
from importlib.resources import files

from sellctl.core.model.exit_record import Exit, SentOrder
from sellctl.core.model.market import NEW_YORK
from sellctl.core.text import as_dollars
from sellctl.ui.contracts import readable_name
from sellctl.ui.exit_chart import FEWEST_QUOTES, exit_chart, profit_bars, quotes_of
from sellctl.ui.formatting import Cell, are_numbers, as_cell, clock, counted, number, profit, sanitize

MAX_EXITS = 200  # only the newest exits get a card; more would make the page too large for a browser
_STYLES = ("api/page/page.css", "ui/report_page.css")
_KEY = (
    ("bid", "", "bid"),
    ("ask", "", "ask"),
    ("entry", "dashed", "entry"),
    ("stop", "dashed", "stop"),
    ("target", "dashed", "target"),
    ("peak", "dashed", "best price before"),
    ("order", "dot", "order at its limit"),
    ("fill", "dot full", "fill"),
)
_ENDS = {
    "canceled": "cancelled",
    "refused": "refused by Alpaca",
    "rejected": "rejected by Alpaca",
    "not_sent": "not sent",
}

ModeAt = Callable[[str, int], str]


def page(found: Sequence[Exit], columns: Sequence[str], rows: Iterable[Sequence[object]], mode_at: ModeAt) -> str:
    """The whole page. `rows` under `columns` are its summary; `mode_at` tells paper from live by account and row."""
    parts = [*_summary(found, columns, rows), *_exits(found, mode_at)] if found else ["<p>No exits match.</p>"]
    return f"{_head(found, mode_at)}<main>{''.join(parts)}</main>\n"


def _head(found: Sequence[Exit], mode_at: ModeAt) -> str:
    modes = sorted({mode for one in found if (mode := mode_at(one.account, one.row))})
    pills = "".join(f'<p class="pill {mode}">{mode.upper()}</p>' for mode in modes)
    days = sorted({one.day for one in found})
    span = " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""
    style = "".join(files("sellctl").joinpath(name).read_text(encoding="utf-8") for name in _STYLES)
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>sellctl report</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark">\n<style>\n{style}</style>\n'
        f'<header><div class="brand"><h1>sellctl report</h1>{pills}</div><p id="state">{span}</p></header>\n'
    )


def _summary(found: Sequence[Exit], columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    gains = [one.pnl for one in found if one.pnl is not None]
    filled = [one for one in found if one.is_filled]
    unknown = len(filled) - len(gains)
    notes = [f"{len(filled)} filled"] if len(filled) < len(found) else []
    notes += [f"P&L of {counted(unknown, 'exit')} unknown"] if unknown else []
    total = _profit(sum(gains, Decimal(0)) if gains else None)
    text = escape(", ".join((counted(len(found), "exit"), *notes)))
    yield f'<ul class="cards totals"><li>{total}<span class="small">{text}</span></ul>'
    totals: dict[str, Decimal] = {}
    for one in found:
        if one.pnl is not None:
            totals[one.reason] = totals.get(one.reason, Decimal(0)) + one.pnl
    if totals:
        bars = profit_bars([(reason.replace("_", " "), total) for reason, total in totals.items()])
        yield f'<section><h2>P&amp;L by reason</h2><figure class="wide">{bars}</figure></section>'
    yield f"<section><h2>By day, strategy and reason</h2>{_table(columns, rows)}</section>"


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    cells = [[as_cell(value) for value in row] for row in rows]
    numbers = [are_numbers(row[index] for row in cells) for index in range(len(columns))]
    classes = [' class="number"' if is_number else "" for is_number in numbers]
    head = "".join(f'<th scope="col"{name}>{escape(each)}' for each, name in zip(columns, classes, strict=True))
    body = "".join(f"<tr>{''.join(_cells(columns, numbers, row))}" for row in cells)
    return f"<table><thead><tr>{head}</thead><tbody>{body}</tbody></table>"


def _cells(columns: Sequence[str], numbers: Sequence[bool], row: Sequence[Cell]) -> Iterator[str]:
    for index, (column, is_number, cell) in enumerate(zip(columns, numbers, row, strict=True)):
        classes = " ".join(filter(None, ("number" if is_number else "", cell.tone)))
        tag = "td" if index else 'th scope="row"'
        yield f'<{tag} class="{classes}" data-label="{escape(column)}">{escape(_text(cell))}'


def _text(cell: Cell) -> str:
    return cell.text or "—"


def _profit(amount: Decimal | None) -> str:
    if amount is None:
        return '<span class="small">P&amp;L unknown</span>'
    return f'<span class="{"bad" if amount < 0 else "good"}">{profit(amount)}</span>'


def _exits(found: Sequence[Exit], mode_at: ModeAt) -> Iterator[str]:
    shown = found[-MAX_EXITS:]
    rest = f" (the newest {len(shown)} of {len(found)})" if len(shown) < len(found) else ""
    key = "".join(f'<li><i class="{name} {form}"></i>{text}' for name, form, text in _KEY)
    yield f'<section><h2>Exits{rest}</h2><ul class="key">{key}</ul>'
    yield '<p class="small">The dots on bid and ask are the quotes on record: those at which something was decided.</p>'
    yield '<div class="exits">'
    yield from (_exit(one, mode_at(one.account, one.row)) for one in reversed(shown))
    yield "</div></section>"


def _exit(one: Exit, mode: str) -> str:
    where = " ".join(filter(None, (one.account, mode.upper())))
    gain = _profit(one.pnl) if one.is_filled else ""
    lines = "".join(f"<li><time>{time}</time>{escape(text)}" for time, text in _events(one))
    day = f"{one.last_at.astimezone(NEW_YORK):%d %b %y}".lstrip("0")
    return (
        f"<article class='exit'><h3>{escape(readable_name(one.symbol))} {gain}</h3>"
        f'<p class="small">{escape(where)}, {day} {clock(one.last_at)}</p>'
        f"<p><strong>{escape(_result(one))}</strong>: {escape(sanitize(one.sentence))}</p>"
        f"<figure>{exit_chart(one)}<figcaption>{escape(_path_note(one))}</figcaption></figure><ol>{lines}</ol></article>"
    )


def _result(one: Exit) -> str:
    """Closed 3 at $1.20; partly closed 1 of 3 at $1.20; not filled."""
    if not one.is_filled:
        return one.kind.value
    rest = "" if one.qty >= one.held else f" of {number(one.held)}"
    price = "an unknown price" if one.price is None else as_dollars(one.price)
    return f"{one.kind.value} {number(one.qty)}{rest} at {price}{one.way and f', {one.way}'}"


def _path_note(one: Exit) -> str:
    """What is said about the path of prices where there is none."""
    quotes = len(quotes_of(one))
    if quotes >= FEWEST_QUOTES:
        return ""
    return "No price path was recorded" + (": only the quote of the decision." if quotes else ".")


def _events(one: Exit) -> list[tuple[str, str]]:
    """The orders and the fills of an exit with their times, oldest first."""
    events = [(order.at, _order_text(order, one.symbol)) for order in one.orders]
    events += [
        (part.at, f"filled {number(part.qty)} at {_price(part.price)}") for part in one.parts if not part.by_legs
    ]
    events += [
        (f.at, f"filled {number(f.qty)} {readable_name(f.symbol)} at {_price(f.price)}") for f in one.fills_of_legs
    ]
    return [(clock(at), text) for at, text in sorted(events, key=lambda event: event[0])]


def _order_text(order: SentOrder, symbol: str) -> str:
    what = "" if order.symbol == symbol else f" {readable_name(order.symbol)}"
    price = "" if order.price is None else f" at {as_dollars(order.price)}"
    ended = _ENDS.get(order.ended, order.ended) or "working, or its outcome is unknown"
    return f"order {number(order.qty)}{what}{price}: {ended}"


def _price(price: Decimal | None) -> str:
    return "an unknown price" if price is None else as_dollars(price)
