from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sellctl.alpaca.orders import exact_text, order_body
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.order import OrderType, PositionIntent, Side
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
