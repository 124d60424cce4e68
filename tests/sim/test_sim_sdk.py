"""A scripted session through every client and stream of the unmodified SDK; its models parse every answer."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import OptionsFeed
from alpaca.data.historical import OptionHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.live import OptionDataStream, StockDataStream
from alpaca.data.requests import (
    OptionChainRequest,
    OptionLatestQuoteRequest,
    OptionLatestTradeRequest,
    OptionSnapshotRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockSnapshotRequest,
)
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, PositionIntent, QueryOrderStatus, TimeInForce
from alpaca.trading.models import AccountConfiguration, Order
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetOptionContractsRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    OptionLegRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)
from sdk_clients import KEYS, Heard, a_trading_client, closing, heard_updates
from sim_clients import CALL, SCENARIO, a_server

from sellctl.sim.server import SimServer

HIGHER = "NVDA261218C00210000"
DAY, SELL, BUY = TimeInForce.DAY, OrderSide.SELL, OrderSide.BUY
SESSION = SCENARIO.replace("prices:\n", f"prices:\n  {HIGHER}: {{bid: 1.00, ask: 1.06}}\n")


@pytest.fixture
def server() -> Iterator[SimServer]:
    with a_server(SESSION) as running:
        yield running


@pytest.fixture
def trading(server: SimServer) -> Iterator[TradingClient]:
    with a_trading_client(server) as client:
        yield client


def sale(**fields: Any) -> LimitOrderRequest:
    """A resting limit that closes one contract."""
    terms = {"symbol": CALL, "qty": 1, "side": SELL, "time_in_force": DAY, "limit_price": 3.0, **fields}
    return LimitOrderRequest(**terms, position_intent=PositionIntent.SELL_TO_CLOSE)


def test_account_positions_and_configuration(trading: TradingClient) -> None:
    account = trading.get_account()
    assert (account.account_number, account.cash, account.options_trading_level) == ("PASIM0001", "100000", 3)
    assert {one.symbol: one.qty for one in trading.get_all_positions()} == {CALL: "4", "F": "100"}
    assert trading.get_open_position(CALL).avg_entry_price == "1.5"
    settings = trading.get_account_configurations()
    assert isinstance(settings, AccountConfiguration)
    settings.no_shorting = True
    assert trading.set_account_configurations(settings).no_shorting is True


def test_an_order_from_submission_to_the_look_up_by_client_order_id(trading: TradingClient) -> None:
    order = trading.submit_order(sale(client_order_id="mine"))
    assert trading.get_order_by_client_id("mine").id == order.id
    assert [one.id for one in trading.get_orders()] == [order.id]
    replaced = trading.replace_order_by_id(order.id, ReplaceOrderRequest(limit_price=2.5))
    assert (replaced.replaces, replaced.limit_price) == (order.id, "2.5")
    trading.cancel_order_by_id(replaced.id)
    assert trading.get_order_by_id(replaced.id).status == "canceled"
    everything = trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, symbols=[CALL], limit=500))
    assert {one.status.value for one in everything} == {"replaced", "canceled"}


def test_a_refusal_reaches_the_caller_with_its_body(trading: TradingClient) -> None:
    trading.submit_order(sale(qty=4))
    with pytest.raises(APIError) as caught:
        trading.submit_order(sale(qty=1))
    assert (caught.value.status_code, caught.value.code) == (403, 40310000)
    assert "insufficient qty available for order (requested: 1, available: 0)" in str(caught.value)


def test_every_kind_of_order(trading: TradingClient) -> None:
    stock = {"symbol": "F", "qty": 10, "side": SELL, "time_in_force": DAY}
    sent = [
        trading.submit_order(MarketOrderRequest(**stock)),
        trading.submit_order(StopOrderRequest(**stock, stop_price=11)),
        trading.submit_order(StopLimitOrderRequest(**stock, stop_price=11, limit_price=10.9)),
        trading.submit_order(TrailingStopOrderRequest(**stock, trail_percent=5)),
        trading.submit_order(LimitOrderRequest(**{**stock, "time_in_force": TimeInForce.GTC}, limit_price=13)),
        trading.submit_order(MarketOrderRequest(symbol="F", notional=120, side=SELL, time_in_force=DAY)),
    ]
    assert [one.type.value for one in sent] == ["market", "stop", "stop_limit", "trailing_stop", "limit", "market"]
    cancelled = trading.cancel_orders()
    assert {one.status for one in cancelled} == {200}


def test_brackets_oco_and_multi_leg_orders(trading: TradingClient) -> None:
    exits = {"take_profit": TakeProfitRequest(limit_price=13), "stop_loss": StopLossRequest(stop_price=11)}
    bracket = trading.submit_order(
        LimitOrderRequest(
            symbol="NVDA", qty=1, side=BUY, time_in_force=DAY, limit_price=100, order_class=OrderClass.BRACKET,
            take_profit=TakeProfitRequest(limit_price=120), stop_loss=StopLossRequest(stop_price=90),
        )
    )  # fmt: skip
    assert [leg.status.value for leg in bracket.legs] == ["held", "held"]
    oco = LimitOrderRequest(symbol="F", qty=10, side=SELL, time_in_force=DAY, order_class=OrderClass.OCO, **exits)
    assert trading.submit_order(oco).order_class == OrderClass.OCO
    legs = [
        OptionLegRequest(symbol=CALL, ratio_qty=1, side=BUY, position_intent=PositionIntent.BUY_TO_OPEN),
        OptionLegRequest(symbol=HIGHER, ratio_qty=1, side=SELL, position_intent=PositionIntent.SELL_TO_OPEN),
    ]
    spread = trading.submit_order(
        LimitOrderRequest(qty=1, order_class=OrderClass.MLEG, time_in_force=DAY, limit_price=1.1, legs=legs)
    )
    assert (spread.symbol, spread.side, len(spread.legs)) == (None, None, 2)
    assert trading.get_order_by_id(spread.id).filled_avg_price == "1.1"
    assert isinstance(trading.get_orders(GetOrdersRequest(nested=True))[0], Order)


def test_closing_positions(trading: TradingClient) -> None:
    part = trading.close_position(CALL, ClosePositionRequest(qty="1"))
    assert (part.qty, part.position_intent) == ("1", PositionIntent.SELL_TO_CLOSE)
    assert trading.close_position("F", ClosePositionRequest(percentage="50")).qty == "50"
    trading.submit_order(sale(qty=3))
    with pytest.raises(APIError):
        trading.close_position(CALL)
    rows = trading.close_all_positions(cancel_orders=False)
    assert {row.symbol: row.status for row in rows} == {CALL: 403, "F": 200}
    assert {row.status for row in trading.close_all_positions(cancel_orders=True)} == {200}
    assert trading.get_all_positions() == []


def test_clock_calendar_assets_and_contracts(trading: TradingClient) -> None:
    clock = trading.get_clock()
    assert (clock.is_open, clock.timestamp.isoformat()) == (True, "2026-11-25T11:00:00-05:00")
    span = GetCalendarRequest(start=dt.date(2026, 11, 25), end=dt.date(2026, 11, 27))
    assert [day.close.strftime("%H:%M") for day in trading.get_calendar(span)] == ["16:00", "13:00"]
    assert {one.symbol for one in trading.get_all_assets(GetAssetsRequest())} == {"F", "NVDA"}
    assert trading.get_asset("F").tradable
    request = GetOptionContractsRequest(underlying_symbols=["NVDA"], expiration_date_lte=dt.date(2027, 1, 1))
    contracts = trading.get_option_contracts(request).option_contracts
    assert [one.symbol for one in contracts or []] == [CALL, HIGHER]
    assert trading.get_option_contract(CALL).strike_price == 200
    assert trading.get("/clock", {"markets": "NYSE,OPRA"}, api_version="v3")["clocks"][1]["phase"] == "core"
    assert trading.get("/account/activities") == []


def test_exercise(trading: TradingClient, server: SimServer) -> None:
    with pytest.raises(APIError):
        trading.exercise_options_position(CALL)
    with server.hold() as exchange:
        exchange.inject("Q16", symbol="NVDA", ratio="1.1")
    server.advance(5)
    trading.exercise_options_position(CALL)
    assert trading.get_open_position("NVDA").qty == "400"


def test_stock_data(server: SimServer) -> None:
    client = StockHistoricalDataClient(**KEYS, url_override=server.url)
    quote = client.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="F"))["F"]
    assert (quote.bid_price, quote.ask_price) == (12, 12.01)
    assert client.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols=["F"]))["F"].price > 0
    assert client.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="F"))["F"].daily_bar is not None
    closing(client)


def test_option_data(server: SimServer) -> None:
    client = OptionHistoricalDataClient(**KEYS, url_override=server.url)
    assert client.get_option_latest_quote(OptionLatestQuoteRequest(symbol_or_symbols=CALL))[CALL].bid_price == 2
    assert client.get_option_latest_trade(OptionLatestTradeRequest(symbol_or_symbols=CALL))[CALL].price == 2.05
    shot = client.get_option_snapshot(OptionSnapshotRequest(symbol_or_symbols=CALL))[CALL]
    assert shot.greeks is not None
    assert 0 < shot.greeks.delta < 1
    chain = client.get_option_chain(OptionChainRequest(underlying_symbol="NVDA", strike_price_gte=205))
    assert list(chain) == [HIGHER]
    closing(client)


def test_trade_updates(server: SimServer, trading: TradingClient) -> None:
    heard = heard_updates(server)
    trading.submit_order(sale(qty=2, limit_price=2.0))
    updates = [heard.next() for _ in range(3)]
    assert [update.event for update in updates] == ["pending_new", "new", "fill"]
    assert (updates[-1].position_qty, updates[-1].price) == (2, 2)
    heard.end()


def test_stock_and_option_quotes(server: SimServer) -> None:
    stocks = StockDataStream(**KEYS, url_override=f"{server.stream_url}/v2/iex")
    options = OptionDataStream(
        **KEYS, feed=OptionsFeed.INDICATIVE, url_override=f"{server.stream_url}/v1beta1/indicative"
    )
    first = Heard(stocks, stocks.subscribe_quotes, "F")
    second = Heard(options, options.subscribe_quotes, CALL)
    assert (first.next().bid_price, second.next().bid_price) == (12, 2)
    second.end()
    first.end()
