"""The unmodified SDK closes an iron condor as one order: it submits, reads, lists, streams, cancels and replaces it."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import (
    AssetClass,
    OrderClass,
    OrderSide,
    OrderStatus,
    PositionIntent,
    QueryOrderStatus,
    TimeInForce,
)
from alpaca.trading.models import Order
from alpaca.trading.requests import (
    GetOrderByIdRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    OptionLegRequest,
    ReplaceOrderRequest,
)
from sdk_clients import a_trading_client, heard_updates
from sim_clients import CALL, CONDOR, CONDOR_SCENARIO, HIGHER, a_server

from sellctl.sim.server import SimServer

TERMS = {"order_class": OrderClass.MLEG, "time_in_force": TimeInForce.DAY}
NESTED = GetOrderByIdRequest(nested=True)


@pytest.fixture
def server() -> Iterator[SimServer]:
    with a_server(CONDOR_SCENARIO) as running:
        yield running


@pytest.fixture
def trading(server: SimServer) -> Iterator[TradingClient]:
    with a_trading_client(server) as client:
        yield client


def legs() -> list[OptionLegRequest]:
    return [OptionLegRequest(symbol=s, ratio_qty=1, position_intent=PositionIntent(i)) for s, i in CONDOR.items()]


def close_condor(trading: TradingClient, limit: float, qty: int = 1, **fields: str) -> Order:
    order = trading.submit_order(LimitOrderRequest(qty=qty, limit_price=limit, legs=legs(), **TERMS, **fields))
    assert isinstance(order, Order)
    return order


def test_an_order_and_its_legs_are_read_back(trading: TradingClient) -> None:
    sent = close_condor(trading, 1.8, qty=2, client_order_id="mine")
    assert (sent.symbol, sent.side, sent.asset_class, sent.order_class) == (None, None, None, OrderClass.MLEG)
    assert [leg.side for leg in sent.legs or []] == [OrderSide.BUY, OrderSide.SELL] * 2
    done = trading.get_order_by_id(sent.id, NESTED)
    assert (done.status, done.filled_avg_price, done.filled_qty) == (OrderStatus.FILLED, "1.8", "2")
    assert [(leg.symbol, leg.status, leg.position_intent.value, leg.ratio_qty) for leg in done.legs] == [
        (symbol, OrderStatus.FILLED, intent, "1") for symbol, intent in CONDOR.items()
    ]
    assert trading.get_order_by_client_id("mine").id == sent.id
    assert trading.get_all_positions() == []


def test_lists_are_nested_or_flat(trading: TradingClient) -> None:
    sent = close_condor(trading, 1.2)
    nested = trading.get_orders(GetOrdersRequest(nested=True))
    flat = trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, symbols=[HIGHER]))
    assert [[leg.symbol for leg in order.legs] for order in nested] == [list(CONDOR)]
    assert [(order.id, order.legs) for order in flat] == [(sent.id, None)]
    assert {leg.asset_class for leg in nested[0].legs} == {AssetClass.US_OPTION}


def test_the_stream_tells_the_parents_events(server: SimServer, trading: TradingClient) -> None:
    heard = heard_updates(server)
    close_condor(trading, 1.8)
    updates = [heard.next() for _ in range(3)]
    heard.end()
    assert [update.event for update in updates] == ["pending_new", "new", "fill"]
    fill = updates[-1]
    assert (fill.price, fill.qty, fill.position_qty, fill.execution_id) == (1.8, 1, None, None)
    assert (fill.order.symbol, fill.order.asset_id) == (None, UUID(int=0))
    assert [leg.filled_avg_price for leg in fill.order.legs] == ["2.1", "1", "1.6", "0.9"]


def test_an_order_is_cancelled_as_a_whole_and_a_market_order_takes_the_natural_price(trading: TradingClient) -> None:
    resting = close_condor(trading, 1.2)
    with pytest.raises(APIError) as refused:
        trading.cancel_order_by_id(resting.legs[0].id)
    assert refused.value.status_code == 422
    trading.cancel_order_by_id(resting.id)
    ended = trading.get_order_by_id(resting.id, NESTED)
    assert {ended.status, *(leg.status for leg in ended.legs)} == {OrderStatus.CANCELED}
    market = trading.submit_order(MarketOrderRequest(qty=1, legs=legs(), **TERMS))
    assert trading.get_order_by_id(market.id).filled_avg_price == "1.8"
    assert trading.get_open_position(CALL).qty == "-1"


def test_a_replacement_of_a_closing_order_is_refused_as_users_report(trading: TradingClient) -> None:
    resting = close_condor(trading, 1.2, qty=2)
    with pytest.raises(APIError) as refused:
        trading.replace_order_by_id(resting.id, ReplaceOrderRequest(limit_price=1.3))
    assert (refused.value.status_code, refused.value.code) == (403, 40310000)
    working = CONDOR_SCENARIO.replace("rate_limit: 0", "rate_limit: 0, replace_closing_mleg: true")
    with a_server(working) as server, a_trading_client(server) as other:
        resting = close_condor(other, 1.2, qty=2)
        newer = other.replace_order_by_id(resting.id, ReplaceOrderRequest(limit_price=1.3))
        assert (newer.replaces, newer.limit_price) == (resting.id, "1.3")
        assert [leg.replaces for leg in newer.legs] == [leg.id for leg in resting.legs]
