import datetime as dt
import os
import time
from collections.abc import Iterator

import pytest
from builders import (
    CALL,
    HALF_DAY,
    TODAYS_CALL,
    TODAYS_SPY_CALL,
    TUESDAY,
    a_holding,
    a_market,
    a_policy,
    a_snapshot,
    an_order,
    at,
    replace,
    the_decision,
)

from sellctl.core.config.schema import BroadEtfsConfig, SellModuleConfig, ZeroDayConfig
from sellctl.core.decision.policy import Policy
from sellctl.core.model.holding_time import days_left
from sellctl.core.model.market import Calendar
from sellctl.core.model.order import OrderType
from sellctl.core.model.plan import DecisionState, PositionDecision, Reason, Urgency

WEDNESDAY = dt.date(2026, 11, 25)


def on(clock: str, symbol: str = TODAYS_CALL, policy: Policy | None = None) -> PositionDecision:
    return the_decision(a_snapshot(a_holding(symbol), market=a_market(clock)), policy)


def urgency(decision: PositionDecision) -> Urgency | None:
    assert decision.signal is None or decision.signal.reason is Reason.ZERO_DAY
    return decision.signal.urgency if decision.signal else None


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("14:54:59", None),
        ("14:55", Urgency.TIME),
        ("15:01:59", Urgency.TIME),
        ("15:02", Urgency.PROTECTIVE),
        ("15:09:59", Urgency.PROTECTIVE),
        ("15:10", Urgency.FORCED),
        ("15:59:58", Urgency.FORCED),
    ],
)
def test_an_option_leaves_on_its_last_day_by_three_deadlines(clock: str, expected: Urgency | None) -> None:
    assert urgency(on(clock)) is expected


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("15:09:59", None),
        ("15:10", Urgency.TIME),
        ("15:17", Urgency.PROTECTIVE),
        ("15:24:59", Urgency.PROTECTIVE),
        ("15:25", Urgency.FORCED),
    ],
)
def test_broad_etfs_have_later_deadlines(clock: str, expected: Urgency | None) -> None:
    assert urgency(on(clock, TODAYS_SPY_CALL)) is expected


def test_an_adjusted_etf_root_keeps_the_earlier_deadlines() -> None:
    assert urgency(on("15:10", "SPY1261124C00600000")) is Urgency.FORCED


@pytest.mark.parametrize(
    ("clock", "expected"),
    [("11:54:59", None), ("11:55", Urgency.TIME), ("12:02", Urgency.PROTECTIVE), ("12:10", Urgency.FORCED)],
)
def test_a_half_day_moves_every_deadline(clock: str, expected: Urgency | None) -> None:
    market = a_market(clock, HALF_DAY, closes="13:00")
    assert urgency(the_decision(a_snapshot(a_holding("AAPL261127C00200000"), market=market))) is expected


@pytest.mark.parametrize(("clock", "leaves"), [("14:50", False), ("14:57", True)])
def test_an_ordinary_wednesday(clock: str, *, leaves: bool) -> None:
    market = a_market(clock, WEDNESDAY)
    assert bool(the_decision(a_snapshot(a_holding("AAPL261125C00200000"), market=market)).submit) is leaves


@pytest.fixture
def a_host_in(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize(
    "a_host_in", ["UTC", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe"], indirect=True
)
@pytest.mark.usefixtures("a_host_in")
def test_the_hosts_time_zone_is_irrelevant() -> None:
    assert urgency(on("14:54:59")) is None
    assert urgency(on("14:55")) is Urgency.TIME
    assert "the close at 16:00 ET" in on("14:55").sentence


def test_late_in_the_evening_utc_it_is_still_the_exchanges_today() -> None:
    evening = a_market("20:30", closes="23:59")  # 01:30 UTC of the next day
    assert evening.now.date() == TUESDAY + dt.timedelta(days=1)
    assert the_decision(a_snapshot(a_holding(TODAYS_CALL), market=evening)).state is not DecisionState.FAULT
    assert "expires today" in the_decision(a_snapshot(a_holding(TODAYS_CALL), market=evening)).sentence


def test_start_open_works_it_from_the_open_on() -> None:
    policy = a_policy(SellModuleConfig(zero_day=ZeroDayConfig(start=None)))
    assert urgency(on("09:30", policy=policy)) is Urgency.TIME
    assert urgency(on("09:30", TODAYS_SPY_CALL, policy)) is None
    both = SellModuleConfig(zero_day=ZeroDayConfig(start=None, broad_etfs=BroadEtfsConfig(start=None)))
    assert urgency(on("09:30", TODAYS_SPY_CALL, a_policy(both))) is Urgency.TIME


def test_switched_off_the_last_day_is_only_named() -> None:
    decision = on("15:30", policy=a_policy(SellModuleConfig(zero_day_handling=False)))
    assert decision.state is DecisionState.WATCHING
    assert "expires today, zero-day handling is off" in decision.sentence


def test_any_other_day_is_not_the_last_one() -> None:
    assert urgency(on("15:30", CALL)) is None


def test_an_option_whose_last_day_is_over_is_left_to_the_broker() -> None:
    decision = on("15:30", "AAPL261120C00200000")
    assert (decision.state, decision.submit) == (DecisionState.NOT_MANAGED, None)
    assert decision.sentence == "NOT MANAGED: expired on 2026-11-20: the broker settles it"


def test_the_sentence_counts_down_to_the_close() -> None:
    assert on("14:55").sentence.startswith("expires today: 65 min to the close at 16:00 ET (closing begins)")
    assert on("15:59:30").sentence.startswith("expires today: 30 s to the close at 16:00 ET (at any price)")


def test_before_that_the_sentence_says_from_when_it_is_closed() -> None:
    assert "expires today, closed from 14:55 ET on" in on("12:00").sentence


def test_past_the_calendars_close_while_the_clock_says_open_it_is_forced_and_says_so() -> None:
    market = a_market("13:30", HALF_DAY, closes="16:00", confirmed=False)
    early = type(market)(market.now, True, at("13:00", HALF_DAY), market.opened_at, confirmed=False)  # noqa: FBT003  as the market has it
    decision = the_decision(a_snapshot(a_holding("AAPL261127C00200000"), market=early))
    assert urgency(decision) is Urgency.FORCED
    assert "the close at 13:00 ET is past" in decision.sentence


def test_missing_quotes_never_block_it() -> None:
    decision = the_decision(a_snapshot(a_holding(TODAYS_CALL, bid=None, ask=None), market=a_market("15:10")))
    assert decision.submit is not None
    assert decision.submit.type is OrderType.MARKET


def test_an_unknown_calendar_does_not_block_it() -> None:
    market = a_market("15:10", confirmed=False)
    assert the_decision(a_snapshot(a_holding(TODAYS_CALL), market=market)).submit is not None


def test_the_last_day_is_judged_before_the_stop_and_both_are_told() -> None:
    decision = the_decision(a_snapshot(a_holding(TODAYS_CALL, bid="0.70", ask="0.72"), market=a_market("14:55")))
    assert decision.signal is not None
    assert (decision.signal.reason, decision.signal.urgency) == (Reason.ZERO_DAY, Urgency.PROTECTIVE)
    assert "stop -20%" in decision.sentence


def test_a_covered_call_is_left_alone_on_its_last_day() -> None:
    snapshot = a_snapshot(a_holding(TODAYS_CALL, short=True), a_holding("AAPL", "100"), market=a_market("15:30"))
    decision = the_decision(snapshot, symbol=TODAYS_CALL)
    assert decision.state is DecisionState.NOT_MANAGED
    assert "zero_day.shorts is off" in decision.sentence
    assert "covered by AAPL" in decision.sentence
    closing = a_policy(SellModuleConfig(zero_day=ZeroDayConfig(shorts=True)))
    assert the_decision(snapshot, closing, TODAYS_CALL).submit is not None


def test_an_uncovered_short_is_forced_out_on_its_last_day() -> None:
    snapshot = a_snapshot(a_holding(TODAYS_CALL, short=True, bid=None, ask=None), market=a_market("15:10"))
    decision = the_decision(snapshot)
    assert decision.signal is not None
    assert (decision.signal.reason, decision.signal.urgency) == (Reason.ZERO_DAY, Urgency.FORCED)
    assert decision.submit is not None


def test_of_a_short_only_what_options_cover_leaves_on_its_last_day() -> None:
    longer = "AAPL261124C00210000"
    snapshot = a_snapshot(
        a_holding(TODAYS_CALL, "2", short=True), a_holding("AAPL", "100"), a_holding(longer), market=a_market("15:30")
    )
    decision = the_decision(snapshot, symbol=TODAYS_CALL)
    assert decision.submit is not None
    assert decision.submit.qty == 1
    assert the_decision(snapshot, symbol=longer).state is DecisionState.DENIED  # the short leg goes first


def test_the_users_order_on_an_expiring_option_is_cancelled_at_the_final_deadline_only() -> None:
    resting = an_order(TODAYS_CALL, submitted=at("15:09:30"))
    holding = a_holding(TODAYS_CALL, available="0")
    early = the_decision(a_snapshot(holding, orders=(resting,), market=a_market("15:09:59")))
    late = the_decision(a_snapshot(holding, orders=(resting,), market=a_market("15:10")))
    assert (early.state, early.cancel_first) == (DecisionState.BLOCKED, ())
    assert [cancel.order for cancel in late.cancel_first] == [resting]


# Settled in the morning of Friday 20 November 2026, so that it trades for the last time on the Thursday.
THURSDAY, FRIDAY = dt.date(2026, 11, 19), dt.date(2026, 11, 20)
MORNING_CALL, EVENING_CALL = "SPX261120C06000000", "SPXW261120C06000000"


def on_day(day: dt.date, symbol: str, clock: str = "15:30", calendar: Calendar | None = None) -> PositionDecision:
    market = replace(a_market(clock, day), calendar=calendar)
    return the_decision(a_snapshot(a_holding(symbol), market=market))


@pytest.mark.parametrize("root", ["SPX", "NDX", "RUT", "DJX", "VIX", "VIXW"])
def test_an_index_option_that_settles_in_the_morning_leaves_on_the_day_before_it_expires(root: str) -> None:
    decision = on_day(THURSDAY, f"{root}261120C06000000")
    assert urgency(decision) is Urgency.FORCED
    assert "trades for the last time today (it settles on the morning of 2026-11-20)" in decision.sentence


@pytest.mark.parametrize("root", ["SPXW", "NDXP", "RUTW", "XSP", "OEX", "SPY"])
def test_an_option_that_settles_at_the_close_is_kept_on_the_day_before_and_leaves_on_the_day(root: str) -> None:
    symbol = f"{root}261120C06000000"
    assert urgency(on_day(THURSDAY, symbol)) is None
    assert urgency(on_day(FRIDAY, symbol)) is Urgency.FORCED


def test_on_its_expiration_date_an_option_that_settles_in_the_morning_is_left_to_the_broker() -> None:
    decision = on_day(FRIDAY, MORNING_CALL)
    assert (decision.state, decision.submit) == (DecisionState.NOT_MANAGED, None)
    ended = "stopped trading before its expiration on 2026-11-20"
    assert decision.sentence == f"NOT MANAGED: {ended}: the broker settles it"


def test_the_last_day_before_a_morning_settlement_skips_holidays() -> None:
    holiday = Calendar(dt.date(2026, 1, 1), closed=(THURSDAY,))
    assert urgency(on_day(dt.date(2026, 11, 18), MORNING_CALL, calendar=holiday)) is Urgency.FORCED


def test_days_to_expiry_count_to_the_last_trading_day() -> None:
    market = a_market("12:00", THURSDAY)
    assert days_left(a_holding(MORNING_CALL), market) == 0
    assert days_left(a_holding(EVENING_CALL), market) == 1
