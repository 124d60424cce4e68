"""Max hold, before the close, time of day and days to expiry."""

import datetime as dt
from decimal import Decimal

import pytest
from builders import a_market, at, at_price, fires, replace

from sellctl.core.model.position import PositionState, Prices
from sellctl.core.rules.days_to_expiry import DaysToExpiry
from sellctl.core.rules.max_hold import MaxHold
from sellctl.core.rules.time_of_day import BeforeClose, ExitAt
from sellctl.core.sell_strategies.base_strategy import Rule

D = Decimal
NOON = a_market("12:00")


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
    held = replace(at_price("1.00", short=short), prices=Prices(), quote=None)
    assert fires(rule, held, a_market(fires_at))
    assert not fires(rule, held, a_market(not_at))


def test_time_held_counts_from_the_opening_fill_when_it_is_known() -> None:
    assert fires(MaxHold(dt.timedelta(days=1)), at_price("1.00", opened_at=at("12:00") - dt.timedelta(days=1)))
    assert not fires(MaxHold(dt.timedelta(seconds=1)), replace(at_price("1.00"), state=PositionState()))


@pytest.mark.parametrize(("days", "expected"), [(24, True), (25, True), (23, False)])
def test_days_to_expiry_counts_exchange_dates(days: int, *, expected: bool) -> None:
    assert fires(DaysToExpiry(days), at_price("1.00")) is expected
    assert not fires(DaysToExpiry(days), at_price("1.00", symbol="AAPL"))


@pytest.mark.parametrize(("price", "expected"), [("1.20", True), ("1.19", False)])
def test_days_to_expiry_with_gain_needs_both(price: str, *, expected: bool) -> None:
    assert fires(DaysToExpiry(30, D("0.2")), at_price(price)) is expected
    assert not fires(DaysToExpiry(10, D("0.2")), at_price(price))
