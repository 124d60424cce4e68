"""The chart of one exit: the recorded quotes, entry, stop and target, the orders and the fills, as inline SVG by pygal.

It has no style of its own: the page's style sheet draws it, so that it follows its colours in light and dark.
"""

import datetime as dt
import re
import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from typing import Any

import pygal  # type: ignore[import-untyped]  # it has no stubs
from pygal.style import Style  # type: ignore[import-untyped]  # it has no stubs

from sellctl.core.model.exit_record import Exit, Point
from sellctl.core.model.market import NEW_YORK
from sellctl.core.text import as_dollars
from sellctl.ui.formatting import profit

# pygal leaves an import hook without find_spec, which would make every later import warn.
sys.meta_path[:] = [hook for hook in sys.meta_path if type(hook).__name__ != "PluginImportFixer"]

WIDTH, HEIGHT = 400, 270
# What is drawn, in the order of pygal's classes serie-0, serie-1 and so on, which the style sheet names.
SERIES = ("bid", "ask", "entry", "stop", "target", "peak", "order", "fill")
LEVELS = ("entry", "stop", "target", "peak")
FEWEST_QUOTES = 2  # a path has at least so many
_BEFORE, _AFTER = dt.timedelta(minutes=10), dt.timedelta(minutes=1)
_LABEL_HEIGHT = 0.08  # of the axis: labels of prices that are closer than this would overlap
_MARGIN = 0.06  # of the range of prices, above and below
_BY_MINUTES = 600.0  # seconds: a longer axis has no seconds in its labels
_OWN = re.compile(r"<defs>.*?</defs>|<!--.*?-->", re.DOTALL)  # the styles, scripts and comments that pygal adds
_UNTITLED = "<title>Pygal</title>"
_BAR_HEIGHT = 34
_LABEL_SIZE = 14

Dot = tuple[float, float]


def quotes_of(one: Exit) -> list[Point]:
    """The quotes on record around an exit, oldest first."""
    begins, ends = one.began - _BEFORE, one.last_at + _AFTER
    return [point for point in one.path if begins <= point.at <= ends and _sides(point)]


def exit_chart(one: Exit) -> str:
    """The chart of an exit; "" when nothing about it has a time and a price."""
    quotes = quotes_of(one)
    orders = [(order.at, order.price) for order in one.orders if order.price is not None]
    fills = [(part.at, part.price) for part in one.parts if part.price is not None]
    times = [*(point.at for point in quotes), *(at for at, _ in (*orders, *fills))]
    if not times:
        return ""
    start = min(times)
    end = max((max(times) - start).total_seconds(), 1.0)
    levels = {name: getattr(one, name) for name in LEVELS}
    dots = {
        "bid": _dots(start, ((point.at, point.bid) for point in quotes)),
        "ask": _dots(start, ((point.at, point.ask) for point in quotes)),
        "order": _dots(start, orders),
        "fill": _dots(start, fills),
    } | {name: [(0.0, float(price)), (end, float(price))] for name, price in levels.items() if price is not None}
    return _drawn(dots, start, end, f"Prices of {one.symbol} around its exit")


def _drawn(dots: dict[str, list[Dot]], start: dt.datetime, end: float, title: str) -> str:
    prices = [price for each in dots.values() for _, price in each]
    low, high = min(prices), max(prices)
    margin = (high - low or abs(high) or 1.0) * _MARGIN
    chart = _chart(pygal.XY, WIDTH, HEIGHT, margin_right=28, show_x_guides=False)
    chart.range, chart.xrange = (low - margin, high + margin), (0, end)
    chart.x_labels = [{"label": text, "value": at} for text, at in time_labels(start, end)]
    chart.y_labels = [{"label": text, "value": price} for text, price in price_labels(dots, low, high)]
    for name in SERIES:
        is_level, is_mark = name in LEVELS, name in {"order", "fill"}
        chart.add(name, dots.get(name, []), show_dots=not is_level, stroke=not is_mark, dots_size=5 if is_mark else 2)
    return _rendered(chart, title)


def time_labels(start: dt.datetime, seconds: float) -> list[tuple[str, float]]:
    """The labels of the time axis, in New York: start, middle and end, each text once, with seconds since the start."""
    form = "%H:%M" if seconds >= _BY_MINUTES else "%H:%M:%S"
    found: dict[str, float] = {}
    for at in (0.0, seconds / 2, seconds):
        found.setdefault(f"{(start + dt.timedelta(seconds=at)).astimezone(NEW_YORK):{form}}", at)
    return list(found.items())


def price_labels(dots: dict[str, list[Dot]], low: float, high: float) -> list[tuple[str, float]]:
    """The labels of the price axis where there is room: the levels, then the highest and the lowest price."""
    wanted = [(name, dots[name][0][1]) for name in LEVELS if dots.get(name)]
    found: list[tuple[str, float]] = []
    for name, price in (*wanted, ("", high), ("", low)):
        if all(abs(price - other) > (high - low) * _LABEL_HEIGHT for _, other in found):
            found.append((f"{name} {_dollars(price)}".lstrip(), price))
    return found


def _dollars(price: float) -> str:
    return as_dollars(Decimal(f"{price:.4f}"))


def _sides(point: Point) -> list[Decimal]:
    return [price for price in (point.bid, point.ask) if price is not None and price.is_finite()]


def _dots(start: dt.datetime, prices: Iterable[tuple[dt.datetime, Decimal | None]]) -> list[Dot]:
    known = ((at, price) for at, price in prices if price is not None and price.is_finite())
    return [((at - start).total_seconds(), float(price)) for at, price in known]


def profit_bars(totals: Sequence[tuple[str, Decimal]]) -> str:
    """A bar per name with its profit in dollars."""
    chart = _chart(pygal.HorizontalBar, WIDTH, _BAR_HEIGHT * (len(totals) + 1))
    amounts = [float(total) for _, total in reversed(totals)]
    chart.x_labels = [f"{name} {profit(total)}" for name, total in reversed(totals)]
    chart.y_labels = [{"label": "$0", "value": 0.0}]
    chart.range = (min(0.0, *amounts), max(0.0, *amounts))
    chart.add("P&L", [{"value": each, "style": f"fill: var(--{'bad' if each < 0 else 'good'})"} for each in amounts])
    return _rendered(chart, "P&L by reason")


def _chart(kind: Any, width: int, height: int, **options: Any) -> Any:
    """A chart without legend and title. By the style pygal leaves room for labels."""
    style = Style(label_font_size=_LABEL_SIZE, major_label_font_size=_LABEL_SIZE)
    size = {"width": width, "height": height, "margin": 6}
    return kind(js=(), style=style, show_legend=False, no_data_text="", **size, **options)


def _rendered(chart: Any, title: str) -> str:
    svg = _OWN.sub("", str(chart.render(is_unicode=True, disable_xml_declaration=True)))
    return svg.replace(_UNTITLED, f"<title>{escape(title)}</title>", 1).replace("<svg ", '<svg role="img" ', 1)
