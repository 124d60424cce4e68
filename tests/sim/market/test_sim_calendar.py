"""The rule-based calendar against an oracle, and the questions asked of it."""

import datetime as dt

import pytest

from sellctl.sim.market import calendar

UTC = dt.UTC


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=calendar.NEW_YORK).astimezone(UTC)


@pytest.mark.filterwarnings("ignore:Series.values returning")
def test_every_session_from_2015_to_2035_equals_the_oracles() -> None:
    exchange_calendars = pytest.importorskip("exchange_calendars")
    oracle = exchange_calendars.get_calendar("XNYS", start="2015-01-01", end="2035-12-31").schedule
    expected = [
        (opens.to_pydatetime(), closes.to_pydatetime()) for opens, closes in zip(oracle.open, oracle.close, strict=True)
    ]
    ours = [(day.opens_at, day.closes_at) for day in calendar.sessions(dt.date(2015, 1, 1), dt.date(2035, 12, 31))]
    assert ours == expected


@pytest.mark.parametrize(
    ("instant", "phase", "until"),
    [
        ("2026-11-25 03:00", "closed", "2026-11-25 04:00"),
        ("2026-11-25 04:00", "pre", "2026-11-25 09:30"),
        ("2026-11-25 09:30", "core", "2026-11-25 16:00"),
        ("2026-11-25 16:00", "post", "2026-11-25 20:00"),
        ("2026-11-25 20:00", "closed", "2026-11-27 04:00"),
        ("2026-11-27 12:59", "core", "2026-11-27 13:00"),
        ("2026-11-28 12:00", "closed", "2026-11-30 04:00"),
    ],
)
def test_the_phase_of_the_day_follows_holidays_and_half_days(instant: str, phase: str, until: str) -> None:
    assert calendar.phase_at(at(instant)) == (phase, at(until))


def test_the_open_belongs_to_the_session_and_the_close_does_not() -> None:
    assert calendar.is_open(at("2026-11-25 09:30"))
    assert not calendar.is_open(at("2026-11-25 16:00"))


def test_next_and_last_instants_skip_thanksgiving() -> None:
    evening = at("2026-11-25 18:00")
    assert calendar.next_open(evening) == at("2026-11-27 09:30")
    assert calendar.next_close(evening) == at("2026-11-27 13:00")
    assert calendar.last_close(at("2026-11-27 08:00")) == at("2026-11-25 16:00")


def test_a_summer_session_opens_at_13_30_utc_and_a_winter_one_at_14_30() -> None:
    for day, hour in ((dt.date(2026, 7, 6), 13), (dt.date(2026, 12, 7), 14)):
        hours = calendar.hours_on(day)
        assert hours is not None
        assert hours.opens_at == dt.datetime(day.year, day.month, day.day, hour, 30, tzinfo=UTC)
