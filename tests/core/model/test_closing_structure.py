"""The one order that closes a structure: the size of each leg is checked, and each leg is closed."""

from decimal import Decimal

import pytest
from builders import a_position, replace
from structure_builders import call, put

from sellctl.core.model.order import OrderType, PositionIntent, Side
from sellctl.core.model.plan import ClosedLeg, SizeError, SubmitOrder

NAME = "AAPL-vertical-261218-200-210C"


def a_leg(symbol: str, qty: str, *, ratio: str = "1", free: str = "") -> ClosedLeg:
    position = a_position(symbol, qty.removeprefix("-"), short=qty.startswith("-"))
    return ClosedLeg(position, Decimal(ratio), Decimal(free or qty.removeprefix("-")))


def an_order(*legs: ClosedLeg, units: str = "2", limit: str | None = "-1.20", short: bool = False) -> SubmitOrder:
    whole = replace(a_position(call(200), units, short=short).instrument, symbol=NAME)
    return SubmitOrder.closing_structure(
        replace(a_position(call(200), units, short=short), instrument=whole),
        legs,
        Decimal(units),
        client_order_id="sellctl-1",
        limit_price=None if limit is None else Decimal(limit),
    )


VERTICAL = (a_leg(call(200), "2"), a_leg(call(210), "-2"))


def test_each_leg_is_traded_on_its_closing_side() -> None:
    order = an_order(*VERTICAL)
    assert (order.symbol, order.side, order.qty, order.limit_price) == (NAME, Side.SELL, 2, Decimal("-1.20"))
    assert [(leg.symbol, leg.ratio, leg.side, leg.position_intent) for leg in order.legs] == [
        (call(200), 1, Side.SELL, PositionIntent.SELL_TO_CLOSE),
        (call(210), 1, Side.BUY, PositionIntent.BUY_TO_CLOSE),
    ]
    assert order.symbols == (call(200), call(210))


def test_a_structure_that_was_sold_is_bought_back_and_without_a_price_it_is_a_market_order() -> None:
    order = an_order(*VERTICAL, limit=None, short=True)
    assert (order.side, order.type, order.limit_price) == (Side.BUY, OrderType.MARKET, None)


def test_a_ratio_multiplies_the_units() -> None:
    order = an_order(a_leg(call(200), "2"), a_leg(call(210), "-4", ratio="2"))
    assert [order.qty_of(symbol) for symbol in order.symbols] == [2, 4]


@pytest.mark.parametrize(
    "legs",
    [
        (a_leg(call(200), "1"), a_leg(call(210), "-2")),  # more than is held
        (a_leg(call(200), "2"), a_leg(call(210), "-2", free="1")),  # more than is free
        (a_leg(call(200), "2"), a_leg(call(210), "-3", ratio="2")),  # more than is held at this ratio
        (a_leg(call(200), "4", ratio="2"), a_leg(call(210), "-4", ratio="2")),  # not in lowest terms
        (a_leg(call(200), "2"), a_leg(call(210), "-2", ratio="0.5")),
        (a_leg(call(200), "2"), a_leg(call(210), "-2", ratio="0")),
        (a_leg(call(200), "2"),),
        tuple(a_leg(put(strike), "2") for strike in (160, 170, 180, 190, 200)),
        (a_leg("AAPL", "200", ratio="1"), a_leg(call(210), "-2")),  # shares
    ],
)
def test_an_order_that_alpaca_or_the_holdings_do_not_allow_is_a_bug(legs: tuple[ClosedLeg, ...]) -> None:
    with pytest.raises(SizeError):
        an_order(*legs)


@pytest.mark.parametrize("units", ["0", "-1", "1.5", "NaN"])
def test_the_units_are_whole_and_above_zero(units: str) -> None:
    with pytest.raises(SizeError):
        SubmitOrder.closing_structure(
            a_position(call(200), "2"), VERTICAL, Decimal(units), client_order_id="sellctl-1", limit_price=None
        )
