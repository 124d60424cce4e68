"""`--until`: which instant a text means by the broker's clock, and what is refused."""

import datetime as dt

import pytest
from builders import HALF_DAY, TUESDAY, a_market, at, replace

from sellctl.core.errors import BrokerError, ConfigError
from sellctl.core.model.market import Calendar, Market, Session
from sellctl.core.until import HINT, end_of, until_of, until_text

FRIDAY = HALF_DAY  # the day after Thanksgiving 2026
NEXT_FRIDAY = dt.date(2026, 12, 4)
CALENDAR = Calendar(
    dt.date(2026, 1, 1),
    closed=(dt.date(2026, 11, 26),),
    odd=(Session(HALF_DAY, at("09:30", HALF_DAY), at("13:00", HALF_DAY)),),
)
TUESDAY_NOON = replace(a_market("12:00"), calendar=CALENDAR)


def on(day: dt.date, clock: str) -> Market:
    return replace(a_market(clock, day), calendar=CALENDAR, is_open=False, closes_at=None)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("today", at("16:00")),
        ("Today ", at("16:00")),
        ("friday", at("13:00", HALF_DAY)),
        ("FRI", at("13:00", HALF_DAY)),
        ("thu", at("16:00", dt.date(2026, 11, 26))),
        ("monday", at("16:00", dt.date(2026, 11, 30))),
        ("sunday", at("16:00", dt.date(2026, 11, 29))),
        ("15:30", at("15:30")),
        ("2026-12-04", at("16:00", NEXT_FRIDAY)),
        ("2026-11-27", at("13:00", HALF_DAY)),
        ("2026-12-04T10:15", at("10:15", NEXT_FRIDAY)),
        ("2026-12-04 10:15:30", at("10:15:30", NEXT_FRIDAY)),
        ("2026-12-04t15:15z", dt.datetime(2026, 12, 4, 15, 15, tzinfo=dt.UTC)),
        ("2026-12-04T10:15-05:00", at("10:15", NEXT_FRIDAY)),
    ],
)
def test_a_text_means_an_instant_in_new_york(text: str, means: dt.datetime) -> None:
    assert until_of(text, TUESDAY_NOON) == means


def test_a_weekday_is_today_until_its_close_and_then_next_weeks() -> None:
    assert until_of("tuesday", TUESDAY_NOON) == at("16:00")
    assert until_of("friday", on(FRIDAY, "12:59")) == at("13:00", FRIDAY)
    assert until_of("friday", on(FRIDAY, "13:00")) == at("16:00", NEXT_FRIDAY)


def test_without_a_calendar_a_day_closes_at_four_and_today_when_the_clock_says() -> None:
    assert until_of("friday", a_market("12:00")) == at("16:00", FRIDAY)
    assert until_of("today", a_market("12:00", HALF_DAY, closes="13:00")) == at("13:00", HALF_DAY)


def test_summer_time_is_new_yorks() -> None:
    july = dt.date(2026, 7, 14)
    assert until_of("15:30", replace(a_market("12:00", july), calendar=CALENDAR)).hour == 19
    assert until_of("15:30", TUESDAY_NOON).hour == 20


@pytest.mark.parametrize(
    ("text", "day", "clock"),
    [
        ("today", TUESDAY, "16:00"),
        ("12:00", TUESDAY, "12:00"),
        ("9:30", TUESDAY, "12:00"),
        ("2026-11-23", TUESDAY, "12:00"),
        ("2026-11-24T11:59:59", TUESDAY, "12:00"),
        ("0001-01-01", TUESDAY, "12:00"),
    ],
)
def test_a_time_that_has_passed_is_refused_with_the_time_that_it_is(text: str, day: dt.date, clock: str) -> None:
    with pytest.raises(ValueError, match=r"has passed: it is Tue 24 Nov 2026 1\d:00 ET now\.$"):
        until_of(text, on(day, clock))


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "f", "fr", "fridays", "tomorrow", "25:00", "12:60", "1530", "2026-13-01", "2026-02-30", "20261204",
        "2026-W49-5", "2026-12-04T25:00", "16:00 ET", "never", "12-04", "٢٠٢٦-١٢-٠٤", "\x1b[31m", "9" * 4096, "inf",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_the_ways_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="isn't a time") as refused:
        until_of(text, TUESDAY_NOON)
    assert str(refused.value).endswith(HINT)
    assert str(refused.value).isascii()
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("text", ["2037-01-01", "9999-12-31"])
def test_a_time_more_than_ten_years_ahead_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="more than ten years ahead"):
        until_of(text, TUESDAY_NOON)


def test_a_time_at_the_end_of_the_calendar_is_refused_without_an_overflow() -> None:
    for text in ("9999-12-31T23:59", "0001-01-01T00:00+14:00"):
        with pytest.raises(ValueError, match=r"isn't a time|ten years ahead|has passed"):
            until_of(text, TUESDAY_NOON)


def test_an_end_is_shown_with_its_date_and_zone() -> None:
    assert until_text(at("16:00", NEXT_FRIDAY)) == "Fri 04 Dec 2026 16:00 ET"


def test_an_end_names_the_option_and_needs_the_brokers_clock() -> None:
    assert end_of(None, None) is None
    assert end_of("15:30", TUESDAY_NOON) == at("15:30")
    for text, says in (("11:00", "has passed"), ("", "An empty text isn't a time."), ("soon", "soon isn't a time.")):
        with pytest.raises(ConfigError, match=says) as refused:
            end_of(text, TUESDAY_NOON, "--until")
        assert refused.value.sentence.startswith("--until: ")
    with pytest.raises(BrokerError, match=r"so the end is unknown\. Try again, or leave --until out\."):
        end_of("15:30", None, "--until")
