"""Every rule at, just below and just above its threshold, for a long and for a short."""

import datetime as dt
from decimal import Decimal

import pytest
from builders import CALL, PUT, a_holding, a_market, at, replace
from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.config.schema import (
    Amount,
    Counts,
    Hours,
    LockStep,
    MatchConfig,
    Per,
    Pullback,
    RoiStep,
    ScaleStep,
    SideKind,
    UnderlyingConfig,
)
from sellctl.core.model.holding_time import session_time_held
from sellctl.core.model.market import Market, Session, calendar_of
from sellctl.core.model.position import Holding, PositionState, Prices
from sellctl.core.rules.breakeven import Breakeven
from sellctl.core.rules.days_to_expiry import DaysToExpiry
from sellctl.core.rules.max_hold import MaxHold
from sellctl.core.rules.profit_lock import ProfitLock
from sellctl.core.rules.roi_table import RoiTable
from sellctl.core.rules.scale_out import ScaleOut
from sellctl.core.rules.stop_loss import StopLoss
from sellctl.core.rules.take_profit import TakeProfit
from sellctl.core.rules.time_of_day import BeforeClose, ExitAt
from sellctl.core.rules.trailing_stop import TrailingStop
from sellctl.core.rules.underlying import InTheMoney, UnderlyingTouch
from sellctl.core.sell_strategies.base_strategy import Rule
from sellctl.core.sell_strategies.matching import fits
from sellctl.sim.market.calendar import sessions

D = Decimal
NOON = a_market("12:00")


def holding(price: str, *, short: bool = False, symbol: str = CALL, qty: str = "2", **facts: object) -> Holding:
    """A position from 1.00 whose bid and ask are both `price`."""
    state = PositionState(first_seen=at("11:00"), original_qty=D(qty), **facts)  # type: ignore[arg-type]
    held = a_holding(symbol, qty, "1.00", bid=price, ask=price, short=short, state=state)
    return replace(held, prices=Prices(D(price), D(price), ""))


def fires(rule: Rule, held: Holding, market: Market = NOON) -> bool:
    return rule.evaluate(held, market) is not None


# rule, long price that is met, one that isn't quite, and the same two for a short
AMOUNTS = [
    (TakeProfit(Amount(D("0.5"))), "1.50", "1.49", "0.50", "0.51"),
    (TakeProfit(Amount(D(50), Per.CONTRACT)), "1.50", "1.49", "0.50", "0.51"),
    (TakeProfit(Amount(D(100), Per.POSITION)), "1.50", "1.49", "0.50", "0.51"),
    (TakeProfit(Amount(D("1.5"), Per.PRICE)), "1.50", "1.49", "1.50", "1.51"),
    (StopLoss(Amount(D("0.4"))), "0.60", "0.61", "1.40", "1.39"),
    (StopLoss(Amount(D(40), Per.CONTRACT)), "0.60", "0.61", "1.40", "1.39"),
    (StopLoss(Amount(D(80), Per.POSITION)), "0.60", "0.61", "1.40", "1.39"),
    (StopLoss(Amount(D("0.6"), Per.PRICE)), "0.60", "0.61", "0.60", "0.59"),
]


@pytest.mark.parametrize(("rule", "met", "missed", "short_met", "short_missed"), AMOUNTS)
def test_an_amount_from_entry_fires_at_its_threshold_and_not_before(
    rule: Rule, met: str, missed: str, short_met: str, short_missed: str
) -> None:
    assert fires(rule, holding(met))
    assert not fires(rule, holding(missed))
    assert fires(rule, holding(short_met, short=True))
    assert not fires(rule, holding(short_missed, short=True))


@pytest.mark.parametrize(("rule", "met", "missed", "short_met", "short_missed"), AMOUNTS)
def test_without_a_price_no_amount_fires(rule: Rule, met: str, missed: str, short_met: str, short_missed: str) -> None:
    for price in (met, missed, short_met, short_missed):
        assert not fires(rule, replace(holding(price), prices=Prices()))


def test_dollars_of_a_stock_are_dollars_a_share() -> None:
    stock = holding("1.50", symbol="AAPL")
    assert fires(TakeProfit(Amount(D("0.5"), Per.CONTRACT)), stock)
    assert fires(TakeProfit(Amount(D(1), Per.POSITION)), stock)
    assert not fires(TakeProfit(Amount(D("1.01"), Per.POSITION)), stock)


# --- stops that follow the peak ---------------------------------------------------------------------------------------

POINTS, SHARE = Pullback(D("0.10")), Pullback(D("0.10"), of_price=True)
PEAKS = [
    # rule, peak, met, missed, short peak, met, missed
    (TrailingStop(POINTS, D("0.4")), "1.50", "1.40", "1.41", "0.50", "0.60", "0.59"),
    (TrailingStop(POINTS, D("0.4")), "1.40", "1.30", "1.31", "0.60", "0.70", "0.69"),
    (TrailingStop(SHARE, D("0.4")), "1.50", "1.35", "1.36", "0.50", "0.55", "0.54"),
    (TrailingStop(Pullback(D("0.5")), D("0.4"), floor=D("0.3")), "1.50", "1.30", "1.31", "0.50", "0.70", "0.69"),
    (TrailingStop(Pullback(D("0.5")), D("0.4"), max_pullback=SHARE), "1.50", "1.35", "1.36", "0.50", "0.55", "0.54"),
    (Breakeven(D("0.25")), "1.25", "1.00", "1.01", "0.75", "1.00", "0.99"),
    (Breakeven(D("0.25"), D("0.05")), "1.30", "1.05", "1.06", "0.70", "0.95", "0.94"),
    (ProfitLock((LockStep(D("0.2"), D("0.05")),)), "1.20", "1.05", "1.06", "0.80", "0.95", "0.94"),
]


@pytest.mark.parametrize("row", PEAKS)
def test_a_stop_that_follows_the_peak_fires_at_its_threshold(row: tuple[Rule, str, str, str, str, str, str]) -> None:
    rule, peak, met, missed, short_peak, short_met, short_missed = row
    assert fires(rule, holding(met, peak=D(peak)))
    assert not fires(rule, holding(missed, peak=D(peak)))
    assert fires(rule, holding(short_met, short=True, peak=D(short_peak)))
    assert not fires(rule, holding(short_missed, short=True, peak=D(short_peak)))


@pytest.mark.parametrize("rule", [row[0] for row in PEAKS])
def test_unarmed_it_never_fires(rule: Rule) -> None:
    assert not fires(rule, holding("0.50"))
    assert not fires(rule, holding("0.50", peak=D("1.19")))
    assert not fires(rule, holding("1.50", short=True, peak=D("0.81")))


def test_the_higher_rung_of_a_profit_lock_holds() -> None:
    lock = ProfitLock((LockStep(D("0.2"), D("0.05")), LockStep(D("0.5"), D("0.3"))))
    assert not fires(lock, holding("1.29", peak=D("1.49")))
    assert fires(lock, holding("1.30", peak=D("1.50")))


PRICE = st.decimals(min_value="0.05", max_value="9", places=2)


@given(prices=st.lists(PRICE, min_size=1, max_size=30), short=st.booleans(), of_price=st.booleans())
def test_a_trail_only_ever_moves_towards_the_gain(prices: list[Decimal], *, short: bool, of_price: bool) -> None:
    rule = TrailingStop(Pullback(D("0.2"), of_price=of_price), D("0.1"))
    peak, before = prices[0], None
    for price in prices:
        peak = min(peak, price) if short else max(peak, price)
        stop = rule.threshold(holding("1.00", short=short, peak=peak), NOON)
        if before is not None:
            assert stop is not None
            assert stop <= before if short else stop >= before
        before = stop


@given(peak=PRICE, short=st.booleans(), of_price=st.booleans())
def test_at_its_own_peak_no_trail_fires(peak: Decimal, *, short: bool, of_price: bool) -> None:
    rule = TrailingStop(Pullback(D("0.01"), of_price=of_price))
    assert not fires(rule, holding(str(peak), short=short, peak=peak))


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "fires_at", "not_at"),
    [
        (MaxHold(dt.timedelta(hours=1)), "12:00", "11:59:59"),
        (BeforeClose(dt.timedelta(minutes=10)), "15:50", "15:49:59"),
        (ExitAt(dt.time(15, 30)), "15:30", "15:29:59"),
    ],
)
@pytest.mark.parametrize("short", [False, True])
def test_a_time_rule_fires_at_its_time_and_needs_no_price(
    rule: Rule, fires_at: str, not_at: str, *, short: bool
) -> None:
    held = replace(holding("1.00", short=short), prices=Prices(), quote=None)
    assert fires(rule, held, a_market(fires_at))
    assert not fires(rule, held, a_market(not_at))


def test_time_held_counts_from_the_opening_fill_when_it_is_known() -> None:
    assert fires(MaxHold(dt.timedelta(days=1)), holding("1.00", opened_at=at("12:00") - dt.timedelta(days=1)))
    assert not fires(MaxHold(dt.timedelta(seconds=1)), replace(holding("1.00"), state=PositionState()))


@pytest.mark.parametrize(("days", "expected"), [(24, True), (25, True), (23, False)])
def test_days_to_expiry_counts_exchange_dates(days: int, *, expected: bool) -> None:
    assert fires(DaysToExpiry(days), holding("1.00")) is expected
    assert not fires(DaysToExpiry(days), holding("1.00", symbol="AAPL"))


@pytest.mark.parametrize(("price", "expected"), [("1.20", True), ("1.19", False)])
def test_days_to_expiry_with_gain_needs_both(price: str, *, expected: bool) -> None:
    assert fires(DaysToExpiry(30, D("0.2")), holding(price)) is expected
    assert not fires(DaysToExpiry(10, D("0.2")), holding(price))


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
    held = replace(holding("1.00"), state=PositionState(first_seen=bought))
    market = replace(a_market("10:00"), now=now, calendar=CALENDAR)
    assert session_time_held(held, market) == dt.timedelta(minutes=minutes)


def test_with_the_calendar_unknown_no_step_of_the_table_comes_early_and_its_label_says_so() -> None:
    rule = RoiTable(TABLE, Hours.SESSION)
    held = replace(holding("1.50"), state=PositionState(first_seen=at("10:00", WEDNESDAY)))
    monday = replace(a_market("12:00", MONDAY), calendar=CALENDAR)
    assert fires(rule, held, monday)
    assert not fires(rule, held, replace(monday, calendar=None))
    assert "calendar is unknown" in rule.label(held, replace(monday, calendar=None))
    assert "unknown" not in rule.label(held, monday)


# --- the ROI table ----------------------------------------------------------------------------------------------------

TABLE = tuple(RoiStep(dt.timedelta(minutes=m), D(gain)) for m, gain in ((0, "1"), (60, "0.5"), (120, "0.1")))


@pytest.mark.parametrize(
    ("clock", "met", "missed"),
    [("11:00", "2.00", "1.99"), ("11:59:59", "2.00", "1.99"), ("12:00", "1.50", "1.49"), ("15:00", "1.10", "1.09")],
)
def test_the_last_step_that_was_held_counts(clock: str, met: str, missed: str) -> None:
    assert fires(RoiTable(TABLE), holding(met), a_market(clock))
    assert not fires(RoiTable(TABLE), holding(missed), a_market(clock))


@given(minutes=st.integers(0, 290), steps=st.dictionaries(st.integers(0, 300), st.integers(1, 300), min_size=1))
def test_the_table_asks_for_the_gain_of_its_largest_key_not_above_the_minutes_held(
    minutes: int, steps: dict[int, int]
) -> None:
    table = tuple(RoiStep(dt.timedelta(minutes=m), D(gain) / 100) for m, gain in sorted(steps.items()))
    market = replace(a_market("11:00"), now=at("11:00") + dt.timedelta(minutes=minutes), calendar=CALENDAR)
    reached = [gain for m, gain in sorted(steps.items()) if m <= minutes]
    for hours in Hours:
        threshold = RoiTable(table, hours).threshold(holding("1.00"), market)
        assert threshold == (1 + D(reached[-1]) / 100 if reached else None)


# --- scale-out --------------------------------------------------------------------------------------------------------

SLICES = ScaleOut((ScaleStep(D("0.5"), D("0.5")), ScaleStep(D(1), D("0.25"))))


@pytest.mark.parametrize(
    ("price", "held", "sells"),
    [
        ("1.49", "8", None),
        ("1.50", "8", 4),
        ("1.50", "6", 2),
        ("1.50", "4", None),
        ("2.00", "4", 2),
        ("2.00", "2", None),
    ],
)
def test_a_slice_sells_what_is_left_of_it_and_never_twice(price: str, held: str, sells: int | None) -> None:
    once = replace(holding(price, qty=held), state=PositionState(original_qty=D(8)))
    signal = SLICES.evaluate(once, NOON)
    assert (None if signal is None else signal.qty) == sells


def test_a_fill_that_the_position_does_not_show_yet_counts_as_sold() -> None:
    stale = replace(holding("1.50", qty="8"), state=PositionState(original_qty=D(8), qty_left=D(4)))
    assert SLICES.evaluate(stale, NOON) is None


def test_less_than_one_contract_sells_nothing_and_shares_are_divided() -> None:
    assert SLICES.evaluate(holding("1.50", qty="1"), NOON) is None
    signal = SLICES.evaluate(holding("1.50", qty="1", symbol="AAPL"), NOON)
    assert signal is not None
    assert signal.qty == D("0.5")


# --- the underlying ---------------------------------------------------------------------------------------------------


def on(price: str, symbol: str = CALL) -> Holding:
    return replace(holding("1.00", symbol=symbol), underlying=Prices(D(price), D(price), ""))


@pytest.mark.parametrize(("price", "expected"), [("210", True), ("209.99", False), ("190.01", False), ("190", True)])
def test_a_touch_of_the_underlying(price: str, *, expected: bool) -> None:
    assert fires(UnderlyingTouch(UnderlyingConfig(D(210), D(190))), on(price)) is expected


@pytest.mark.parametrize(
    ("symbol", "price", "expected"),
    [(CALL, "201", True), (CALL, "200.99", False), (PUT, "199", True), (PUT, "199.01", False)],
)
def test_in_the_money_by_a_dollar(symbol: str, price: str, *, expected: bool) -> None:
    assert fires(InTheMoney(D(1)), on(price, symbol)) is expected


def test_an_unknown_underlying_fires_nothing() -> None:
    assert not fires(InTheMoney(D(0)), holding("1.00"))
    assert not fires(UnderlyingTouch(UnderlyingConfig(above=D(0))), holding("1.00"))


# --- matching ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (MatchConfig(), True),
        (MatchConfig(underlying=("AAPL",)), True),
        (MatchConfig(underlying=("SPY",)), False),
        (MatchConfig(symbol=(CALL,), side=SideKind.LONG), True),
        (MatchConfig(symbol=(CALL,), side=SideKind.SHORT), False),
        (MatchConfig(dte=Counts(None, 24)), True),
        (MatchConfig(dte=Counts(None, 23)), False),
        (MatchConfig(size=Counts(2, 2)), True),
        (MatchConfig(size=Counts(3)), False),
        (MatchConfig(tag=("bot-",)), True),
        (MatchConfig(tag=("hand-",)), False),
    ],
)
def test_a_match_fits_when_every_key_fits(match: MatchConfig, *, expected: bool) -> None:
    assert fits(match, holding("1.00", opening_order_id="bot-17"), NOON) is expected
