"""The exit report as one self-contained HTML page: a summary, P&L by reason, slippage, and the prices of each exit.

Charts are inline SVG drawn by pygal; the page loads nothing when it is opened.
"""

import datetime as dt
import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from typing import Any

import pygal  # type: ignore[import-untyped]  # it has no stubs
from pygal.style import CleanStyle  # type: ignore[import-untyped]  # it has no stubs

from sellctl.core.model.exit_record import Exit, Point
from sellctl.core.model.market import NEW_YORK
from sellctl.ui.formatting import profit

# pygal leaves an import hook without find_spec, which would make every later import warn.
sys.meta_path[:] = [hook for hook in sys.meta_path if type(hook).__name__ != "PluginImportFixer"]
MAX_PLOTS = 200  # only the newest exits get a chart; more would make the page too large for a browser
_BEFORE, _AFTER = dt.timedelta(minutes=10), dt.timedelta(minutes=1)
_HEAD = """<!doctype html><meta charset="utf-8"><title>sellctl report</title>
<style>body{font:15px system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
table{border-collapse:collapse}td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #ddd}
figure{margin:2rem 0}figcaption{font-weight:600}</style><h1>sellctl report</h1>"""
_NO_EXIT = "<p>No exits match.</p>"


def page(found: Sequence[Exit], columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The whole page. `rows` under `columns` are its summary table."""
    if not found:
        return _HEAD + _NO_EXIT
    drawn = [one for one in found if one.decided_on][-MAX_PLOTS:]
    parts = [_table(columns, rows), _pnl_by_reason(found), _slippage(found), *map(_one_exit, drawn)]
    return _HEAD + "".join(parts)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(column)}" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(_text(cell))}" for cell in row) for row in rows)
    return f"<table><tr>{head}{body}</table>"


def _text(cell: object) -> str:
    return "" if cell is None else f"{cell:f}" if isinstance(cell, Decimal) else str(cell)


def _pnl_by_reason(found: Sequence[Exit]) -> str:
    chart = _chart(pygal.Bar, show_legend=False, value_formatter=lambda value: profit(Decimal(value)))
    totals: dict[str, Decimal] = {}
    for one in found:
        if one.pnl is not None:
            totals[one.reason] = totals.get(one.reason, Decimal(0)) + one.pnl
    chart.x_labels = list(totals)
    chart.add("P&L", [float(total) for total in totals.values()])
    return _figure("P&L by reason, in dollars", chart)


def _slippage(found: Sequence[Exit]) -> str:
    chart = _chart(pygal.Box, box_mode="tukey")
    for reason in dict.fromkeys(one.reason for one in found):
        costs = [float(one.against_mid) for one in found if one.reason == reason and one.against_mid is not None]
        if costs:
            chart.add(f"{reason} ({len(costs)})", costs)
    return _figure("Slippage against the mid at the decision, in dollars per share (negative: better than mid)", chart)


def _one_exit(one: Exit) -> str:
    """The prices around one exit, with entry, stop, peak, the decision and the fills."""
    begins, ends = one.began - _BEFORE, (one.parts[-1].at if one.parts else one.began) + _AFTER
    path = [point for point in one.path if begins <= point.at <= ends]
    chart = _chart(pygal.DateTimeLine, x_value_formatter=_clock, dots_size=2, truncate_legend=-1)
    chart.add("bid", _side(path, "bid"))
    chart.add("ask", _side(path, "ask"))
    first, last = (path[0].at if path else one.began), (path[-1].at if path else one.began)
    last = max(last, one.parts[-1].at) if one.parts else last
    for name, level in (("entry", one.entry), ("stop", one.stop), ("peak", one.peak)):
        if level is not None:
            ends_of_line = [(first, float(level)), (max(last, first + dt.timedelta(seconds=1)), float(level))]
            chart.add(name, ends_of_line, show_dots=False, stroke_style={"dasharray": "4"})
    if one.bid is not None:
        chart.add("decision", [(one.began, float(one.bid))], stroke=False, dots_size=6)
    fills = [(part.at, float(part.price)) for part in one.parts if part.price is not None]
    chart.add("fills", fills, stroke=False, dots_size=6)
    gain = "" if one.pnl is None else f", {profit(one.pnl)}"
    day = one.began.astimezone(NEW_YORK)
    what = ", ".join(filter(None, (one.symbol, one.reason, one.way)))
    return _figure(f"{what}, {day:%Y-%m-%d %H:%M:%S} ET{gain}", chart)


def _side(path: Iterable[Point], name: str) -> list[tuple[dt.datetime, float | None]]:
    sides = ((point.at, getattr(point, name)) for point in path)
    return [(at, None if price is None or not price.is_finite() else float(price)) for at, price in sides]


def _clock(at: dt.datetime) -> str:
    return f"{at.replace(tzinfo=at.tzinfo or dt.UTC).astimezone(NEW_YORK):%H:%M:%S}"


def _chart(kind: Any, **options: Any) -> Any:
    """A chart without external scripts."""
    return kind(js=(), style=CleanStyle, height=320, width=960, no_data_text="nothing to show", **options)


def _figure(caption: str, chart: Any) -> str:
    drawing = chart.render(is_unicode=True, disable_xml_declaration=True)
    return f"<figure><figcaption>{escape(caption)}</figcaption>{drawing}</figure>"
