"""A stop preempts a walking target: however the cancel ends, the rest is sold once, by the stop."""

import datetime as dt
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from builders import replace

from benchmarks.execution import Contract, Stage
from sellctl.core.config.schema import Style
from sellctl.core.model.market import NEW_YORK
from sellctl.sim.market.price_paths import Fixed, Path, level
from sellctl.sim.settings import Settings
from sellctl.sim.venue.orders import SimOrder

CALL = "SPY261218C00600000"
NOON = dt.datetime(2026, 11, 24, 12, tzinfo=NEW_YORK).astimezone(dt.UTC)
CRASH = NOON + dt.timedelta(seconds=8)


def a_crash(**options: Any) -> Stage:
    """Three contracts well above their target, whose price collapses on the second step of the walk."""
    path = Path(
        [Fixed(NOON, level(Decimal("2.20"), Decimal("0.20"))), Fixed(CRASH, level(Decimal("0.40"), Decimal("0.04")))]
    )
    stage = Stage.of(
        [Contract("main", CALL, Decimal("1.00"), path)], Settings(rate_limit=0, **options), "12:00", Style.SMART
    )
    position = stage.exchange.accounts["main"].positions[CALL]
    position.qty = Decimal(3)
    return stage


def orders(stage: Stage) -> list[SimOrder]:
    return sorted(stage.exchange.accounts["main"].orders.values(), key=lambda order: order.created_at)


def ended(order: SimOrder) -> dt.datetime:
    return next(filter(None, (order.filled_at, order.canceled_at, order.failed_at, order.expired_at)))


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        (None, {}),
        ("O03", {"qty": 1, "times": 1}),  # a part fills first
        ("O04", {"times": 1}),  # it fills while it is cancelled
        ("H19", {"seconds": 10, "times": 1}),  # the cancel hangs
        ("O02", {"times": 1}),  # rejected after it was accepted
        (
            "H10",
            {"wash": True, "times": 1},
        ),  # refused as a wash trade
    ],
)
def test_a_stop_preempts_a_walking_target(fault: str | None, options: dict[str, Any]) -> None:
    stage = a_crash()
    if fault:
        stage.exchange.faults.inject(fault, **options)
    found = stage.play("12:01:30")
    assert stage.exchange.accounts["main"].qty_of(CALL) == 0
    assert sum(order.filled_qty for order in orders(stage)) == 3
    assert {one.reason for one in found} <= {"take_profit", "stop_loss"}
    assert all(later.created_at >= ended(earlier) for earlier, later in pairwise(orders(stage)))


def test_a_stop_that_does_not_fill_raises_alerts_until_it_does() -> None:
    stage = a_crash()
    stage.exchange.advance_to(CRASH)
    stage.exchange.market.halt(CALL, stage.exchange.now)
    stage.play("12:07:30")
    assert [minute for minute, _ in stage.critical] == ["12:00", "12:03", "12:06"]
    assert all("still not closed: stop" in text for _, text in stage.critical)


def test_while_trading_is_halted_one_order_rests_and_the_exit_continues_afterwards() -> None:
    stage = a_crash()
    stage.exchange.advance_to(CRASH)
    stage.exchange.market.halt(CALL, stage.exchange.now)
    stage.play("12:00:35")
    assert len(orders(stage)) <= 1
    assert stage.alerts["main"] == 1
    stage.exchange.market.resume(CALL)
    stage.play("12:01:30")
    assert stage.exchange.accounts["main"].qty_of(CALL) == 0


def test_a_target_that_does_not_fill_inside_the_spread_ends_at_the_bid() -> None:
    path = Path([Fixed(NOON, level(Decimal("2.20"), Decimal("0.20")))])
    stage = Stage.of(
        [replace(Contract("main", CALL, Decimal("1.00"), path))], Settings(rate_limit=0), "12:00", Style.SMART
    )
    (one,) = stage.play("12:00:45")
    assert (one.price, one.steps) == (Decimal("2.10"), 4)
    assert one.against_bid == 0


def a_slide_at_market() -> Stage:
    """A call below its stop, whose price falls a cent every two seconds; exits are market orders."""
    prices = [(NOON + dt.timedelta(seconds=2 * n), Decimal("0.70") - n * Decimal("0.01")) for n in range(45)]
    path = Path([Fixed(at, level(mid, Decimal("0.02"))) for at, mid in prices])
    contract = Contract("main", CALL, Decimal("1.00"), path)
    return Stage.of([contract], Settings(rate_limit=0), "12:00", Style.MARKET)


def test_a_market_order_that_hangs_at_the_broker_while_the_price_falls_is_renewed_and_told() -> None:
    stage = a_slide_at_market()
    stage.exchange.faults.inject("O05", times=1)
    stage.play("12:01")
    first, second = orders(stage)
    assert (first.status, second.status) == ("canceled", "filled")
    assert 15 <= (second.created_at - first.created_at).total_seconds() < 20
    assert stage.alerts["main"] == 1


def test_a_market_order_rests_through_a_trading_halt_and_fills_after_it() -> None:
    stage = a_slide_at_market()
    stage.exchange.market.halt(CALL, stage.exchange.now)
    stage.play("12:05")
    (resting,) = orders(stage)
    assert resting.is_open
    assert [minute for minute, _ in stage.critical] == ["12:00", "12:03"]
    stage.exchange.market.resume(CALL)
    stage.play("12:05:30")
    assert sum(order.filled_qty for order in orders(stage)) == 1
