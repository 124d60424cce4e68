"""The ROI table: the gain of the last step whose time has been held."""

import datetime as dt
from decimal import Decimal

import pytest
from builders import a_market, at, at_price, fires, replace
from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.config.schema import (
    RoiStep,
    TimeCounting,
)
from sellctl.core.model.market import Session, calendar_of
from sellctl.core.model.position import PositionState
from sellctl.core.rules.roi_table import RoiTable
from sellctl.sim.market.calendar import sessions

D = Decimal
NOON = a_market("12:00")


CALENDAR = calendar_of(
    [Session(day.date, day.opens_at, day.closes_at) for day in sessions(dt.date(2026, 11, 2), dt.date(2026, 12, 4))],
    dt.date(2026, 11, 2),
    dt.date(2026, 12, 4),
)
WEDNESDAY, THANKSGIVING, HALF, MONDAY = (dt.date(2026, 11, day) for day in (25, 26, 27, 30))


TABLE = tuple(RoiStep(dt.timedelta(minutes=m), D(gain)) for m, gain in ((0, "1"), (60, "0.5"), (120, "0.1")))


@pytest.mark.parametrize(
    ("clock", "met", "missed"),
    [("11:00", "2.00", "1.99"), ("11:59:59", "2.00", "1.99"), ("12:00", "1.50", "1.49"), ("15:00", "1.10", "1.09")],
)
def test_the_last_step_that_was_held_counts(clock: str, met: str, missed: str) -> None:
    assert fires(RoiTable(TABLE), at_price(met), a_market(clock))
    assert not fires(RoiTable(TABLE), at_price(missed), a_market(clock))


@given(minutes=st.integers(0, 290), steps=st.dictionaries(st.integers(0, 300), st.integers(1, 300), min_size=1))
def test_the_table_asks_for_the_gain_of_its_largest_key_not_above_the_minutes_held(
    minutes: int, steps: dict[int, int]
) -> None:
    table = tuple(RoiStep(dt.timedelta(minutes=m), D(gain) / 100) for m, gain in sorted(steps.items()))
    market = replace(a_market("11:00"), now=at("11:00") + dt.timedelta(minutes=minutes), calendar=CALENDAR)
    reached = [gain for m, gain in sorted(steps.items()) if m <= minutes]
    for hours in TimeCounting:
        threshold = RoiTable(table, hours).threshold(at_price("1.00"), market)
        assert threshold == (1 + D(reached[-1]) / 100 if reached else None)


def test_with_the_calendar_unknown_no_step_of_the_table_comes_early_and_its_label_says_so() -> None:
    rule = RoiTable(TABLE, TimeCounting.SESSION)
    held = replace(at_price("1.50"), state=PositionState(first_seen=at("10:00", WEDNESDAY)))
    monday = replace(a_market("12:00", MONDAY), calendar=CALENDAR)
    assert fires(rule, held, monday)
    assert not fires(rule, held, replace(monday, calendar=None))
    assert "calendar is unknown" in rule.label(held, replace(monday, calendar=None))
    assert "unknown" not in rule.label(held, monday)
