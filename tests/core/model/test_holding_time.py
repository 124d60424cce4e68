"""Time held within sessions, by the broker's calendar."""

import datetime as dt
from decimal import Decimal

import pytest
from builders import a_market, at, at_price, replace

from sellctl.core.model.holding_time import session_time_held
from sellctl.core.model.market import Session, calendar_of
from sellctl.core.model.position import PositionState
from sellctl.sim.market.calendar import sessions

D = Decimal
NOON = a_market("12:00")


CALENDAR = calendar_of(
    [Session(day.date, day.opens_at, day.closes_at) for day in sessions(dt.date(2026, 11, 2), dt.date(2026, 12, 4))],
    dt.date(2026, 11, 2),
    dt.date(2026, 12, 4),
)
WEDNESDAY, THANKSGIVING, HALF, MONDAY = (dt.date(2026, 11, day) for day in (25, 26, 27, 30))


@pytest.mark.parametrize(
    ("bought", "now", "minutes"),
    [
        (at("15:30", dt.date(2026, 11, 20)), at("10:00", dt.date(2026, 11, 23)), 60),  # a night and a weekend
        (at("15:30", WEDNESDAY), at("12:00", THANKSGIVING), 30),  # the holiday itself
        (at("15:30", WEDNESDAY), at("09:45", HALF), 45),
        (at("15:30", WEDNESDAY), at("10:00", MONDAY), 30 + 210 + 30),  # the half day is 3 h 30 min
        (at("12:59", HALF), at("15:30", HALF), 1),  # after its close
        (
            at("12:00", dt.date(2026, 10, 30)),
            at("10:00", dt.date(2026, 11, 2)),
            30,
        ),  # days before the calendar: unknown
    ],
)
def test_session_minutes_are_those_of_the_broker_s_calendar(
    bought: dt.datetime, now: dt.datetime, minutes: int
) -> None:
    held = replace(at_price("1.00"), state=PositionState(first_seen=bought))
    market = replace(a_market("10:00"), now=now, calendar=CALENDAR)
    assert session_time_held(held, market) == dt.timedelta(minutes=minutes)
