from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sellctl.alpaca.orders import exact_text, order_body
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.order import OrderLeg, OrderType, PositionIntent, Side
from sellctl.core.model.plan import SubmitOrder


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_any_decimal_leaves_as_plain_text_that_reads_back_equal(value: Decimal) -> None:
    text = exact_text(value)
    assert Decimal(text) == value
    assert "E" not in text


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_never_sent(value: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        exact_text(Decimal(value))


def test_a_stock_order_carries_no_intent_and_a_market_order_no_price() -> None:
    order = SubmitOrder(
        "sellctl-1",
        "AAPL",
        AssetClass.STOCK,
        Side.SELL,
        Decimal("0.5"),
        OrderType.MARKET,
        None,
        PositionIntent.SELL_TO_CLOSE,
    )
    assert order_body(order) == {
        "symbol": "AAPL",
        "qty": "0.5",
        "side": "sell",
        "type": "market",
        "time_in_force": "day",
        "client_order_id": "sellctl-1",
    }


def test_a_multi_leg_order_names_symbols_sides_intents_and_ratios_in_its_legs_only() -> None:
    legs = (
        OrderLeg("AAPL261218C00200000", Decimal(1), Side.SELL, PositionIntent.SELL_TO_CLOSE),
        OrderLeg("AAPL261218C00210000", Decimal(2), Side.BUY, PositionIntent.BUY_TO_CLOSE),
    )
    order = SubmitOrder(
        "sellctl-1",
        "AAPL-ratio-261218-200-210x2C",
        AssetClass.OPTION,
        Side.SELL,
        Decimal(3),
        OrderType.LIMIT,
        Decimal("-1.20"),
        PositionIntent.SELL_TO_CLOSE,
        legs=legs,
    )
    assert order_body(order) == {
        "order_class": "mleg",
        "qty": "3",
        "type": "limit",
        "limit_price": "-1.20",
        "time_in_force": "day",
        "client_order_id": "sellctl-1",
        "legs": [
            {"symbol": legs[0].symbol, "ratio_qty": "1", "side": "sell", "position_intent": "sell_to_close"},
            {"symbol": legs[1].symbol, "ratio_qty": "2", "side": "buy", "position_intent": "buy_to_close"},
        ],
    }
