"""The chart of an exit: what is drawn, and axes that say each thing once."""

import datetime as dt
import re
from decimal import Decimal

import pytest

pytest.importorskip("sellctl.ui.exit_chart")

from builders import CALL, a_holding, replace

from sellctl.core.model.exit_record import Exit, Part, Point, SentOrder
from sellctl.ui.exit_chart import exit_chart, price_labels, profit_bars, quotes_of, time_labels

NOON = dt.datetime(2026, 11, 20, 17, 0, tzinfo=dt.UTC)


def at(seconds: float) -> dt.datetime:
    return NOON + dt.timedelta(seconds=seconds)


def an_exit(**more: object) -> Exit:
    """A stop that took two orders within a minute."""
    one = Exit(
        "main",
        CALL,
        "stop_loss",
        "2026-11-20",
        NOON,
        asked=Decimal(2),
        decided_on=a_holding(qty="2", entry="2.00"),
        stop=Decimal("1.60"),
        target=Decimal("2.20"),
        parts=(Part(at(40), Decimal(2), Decimal("1.52")),),
        path=(
            Point(at(0), Decimal("1.58"), Decimal("1.62")),
            Point(at(20), Decimal("1.55"), Decimal("1.60")),
            Point(at(35), None, None),
        ),
        orders=(
            SentOrder(at(2), CALL, Decimal(2), Decimal("1.58"), ended="canceled"),
            SentOrder(at(25), CALL, Decimal(2), Decimal("1.55"), ended="filled"),
        ),
        why="stop -20%: mid $1.60 is at or below the stop $1.60",
    )
    return replace(one, **more)  # type: ignore[arg-type]


def texts(svg: str) -> list[str]:
    return re.findall(r"<text [^>]*>([^<]*)</text>", svg)


def test_it_names_entry_stop_and_target_and_the_times_from_first_quote_to_fill() -> None:
    assert texts(exit_chart(an_exit())) == [
        "entry $2.00",
        "stop $1.60",
        "target $2.20",
        "$1.52",
        "12:00:00",
        "12:00:20",
        "12:00:40",
    ]


def test_it_marks_each_quote_order_and_fill() -> None:
    svg = exit_chart(an_exit())
    overlay = svg[svg.index("plot overlay") :]
    dots = [part.count("<circle") for part in re.split(r"series serie-\d", overlay)[1:9]]
    assert dots == [2, 2, 0, 0, 0, 0, 2, 1]  # bid, ask, the four levels, orders, fills


def test_it_brings_no_style_script_or_foreign_title() -> None:
    svg = exit_chart(an_exit())
    assert not re.search(r"<script|<style|pygal\.org|<title>Pygal", svg)
    assert f"<title>Prices of {CALL} around its exit</title>" in svg


def test_the_quotes_are_those_around_the_exit() -> None:
    before, after = Point(at(-3600), Decimal(1), Decimal(2)), Point(at(3600), Decimal(1), Decimal(2))
    one = an_exit(path=(before, *an_exit().path, after))
    assert [point.at for point in quotes_of(one)] == [at(0), at(20)]


def test_without_a_time_and_a_price_nothing_is_drawn() -> None:
    market = SentOrder(at(2), CALL, Decimal(2), None)
    assert exit_chart(an_exit(path=(), parts=(), orders=(market,))) == ""


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0.5, ["12:00:00"]),
        (1, ["12:00:00", "12:00:01"]),
        (40, ["12:00:00", "12:00:20", "12:00:40"]),
        (3600, ["12:00", "12:30", "13:00"]),
    ],
)
def test_no_time_is_twice_on_the_axis(seconds: float, labels: list[str]) -> None:
    found = time_labels(NOON, seconds)
    assert sorted({text for text, _ in found}) == [text for text, _ in found]
    assert found[0][0] == labels[0]
    assert set(labels) >= {text for text, _ in found}


def test_a_price_without_room_for_its_label_has_none() -> None:
    dots = {"entry": [(0.0, 2.0)], "stop": [(0.0, 1.99)], "target": [(0.0, 2.2)]}
    assert [text for text, _ in price_labels(dots, 1.0, 2.21)] == ["entry $2.00", "target $2.20", "$1.00"]


def test_the_bars_say_what_each_reason_made() -> None:
    shown = texts(profit_bars([("stop loss", Decimal(-270)), ("take profit", Decimal("854.5"))]))
    assert set(shown) == {"stop loss -$270.00", "take profit +$854.50", "$0"}
