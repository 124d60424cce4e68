"""The underlying reaches a level, or the option is in the money."""

from decimal import Decimal

import pytest
from builders import CALL, PUT, a_market, at_price, fires, replace

from sellctl.core.config.schema import (
    UnderlyingConfig,
)
from sellctl.core.model.position import Holding, Prices
from sellctl.core.rules.underlying import InTheMoney, UnderlyingTouch

D = Decimal
NOON = a_market("12:00")


def on(price: str, symbol: str = CALL) -> Holding:
    return replace(at_price("1.00", symbol=symbol), underlying=Prices(D(price), D(price), ""))


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
    assert not fires(InTheMoney(D(0)), at_price("1.00"))
    assert not fires(UnderlyingTouch(UnderlyingConfig(above=D(0))), at_price("1.00"))
