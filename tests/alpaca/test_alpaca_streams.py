import asyncio
import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from alpaca_stand_in import KEY, SECRET, a_config
from builders import replace
from msgpack import Timestamp
from websockets.asyncio.server import ServerConnection, serve

from sellctl.alpaca.streams import (
    AlpacaStreams,
    Endpoint,
    _option_endpoints,
    _order_endpoints,
    _stock_endpoints,
    _StreamConnection,
    quote_of_frame,
    symbols_to_stream,
)
from sellctl.core.config.schema import AccountConfig, EndpointsConfig, OptionFeed, StockFeed
from sellctl.core.model.instrument import AssetClass, a_stock, an_option

AT = dt.datetime(2026, 11, 20, 15, 0, 0, 100_000, tzinfo=dt.UTC)
FRAME = {"T": "q", "S": "AAPL", "bp": 1.05, "ap": 1.1, "bs": 3, "as": 5, "t": Timestamp.from_datetime(AT)}


def an_account(**endpoints: str) -> AccountConfig:
    return AccountConfig(KEY, SECRET, endpoints=EndpointsConfig(**endpoints))


# --- frames


def test_a_frame_becomes_a_quote_with_exact_prices() -> None:
    quote = quote_of_frame(FRAME, "iex")
    assert quote is not None
    assert (quote.symbol, quote.bid, quote.ask, quote.at, quote.feed) == (
        "AAPL",
        Decimal("1.05"),
        Decimal("1.1"),
        AT,
        "iex",
    )


@pytest.mark.parametrize("nothing", [0, -1, None, "1", True, float("nan"), float("inf")])
def test_a_side_without_a_positive_price_is_unknown(nothing: object) -> None:
    quote = quote_of_frame({**FRAME, "bp": nothing}, "iex")
    assert quote is not None
    assert (quote.bid, quote.ask) == (None, Decimal("1.1"))


@pytest.mark.parametrize("wrong", [{"t": "2026-11-20T15:00:00Z"}, {"t": None}, {"S": ...}])
def test_an_unreadable_frame_is_no_quote(wrong: dict) -> None:
    frame = {key: value for key, value in {**FRAME, **wrong}.items() if value is not ...}
    assert quote_of_frame(frame, "iex") is None


def test_a_symbol_that_means_something_to_the_server_is_not_subscribed_to() -> None:
    held = [a_stock(symbol) for symbol in ("AAPL", "*", "BRK.B", "XYZ+", "=1+1")]
    assert symbols_to_stream(held, AssetClass.STOCK) == ("AAPL", "BRK.B")


# --- endpoints


@pytest.mark.parametrize(("paper", "host"), [(True, "paper-api"), (False, "api")])
def test_order_updates_come_from_the_trading_host(paper: bool, host: str) -> None:
    (endpoint,) = _order_endpoints(replace(an_account(), paper=paper))
    assert endpoint == Endpoint(f"wss://{host}.alpaca.markets/stream", KEY, SECRET)


def test_with_another_trading_address_order_updates_need_one_of_their_own() -> None:
    assert _order_endpoints(an_account(trading="http://127.0.0.1:1")) == []
    (endpoint,) = _order_endpoints(an_account(trading="http://127.0.0.1:1", trading_stream="ws://127.0.0.1:1/stream"))
    assert endpoint.url == "ws://127.0.0.1:1/stream"


def test_the_best_feed_is_tried_on_every_key_before_the_next() -> None:
    endpoints = [*_stock_endpoints([an_account(), an_account()], StockFeed.AUTO)]
    assert [endpoint.feed for endpoint in endpoints] == ["sip", "sip", "iex", "iex"]
    (only,) = _option_endpoints([an_account()], OptionFeed.INDICATIVE)
    assert only.url == "wss://stream.data.alpaca.markets/v1beta1/indicative"


def test_a_configured_stream_is_used_as_it_is_and_names_its_feed() -> None:
    (endpoint,) = _option_endpoints([an_account(option_stream="ws://127.0.0.1:1/v1beta1/opra/")], OptionFeed.AUTO)
    assert (endpoint.url, endpoint.feed) == ("ws://127.0.0.1:1/v1beta1/opra/", "opra")
    assert list(_stock_endpoints([an_account(data="http://127.0.0.1:1")], StockFeed.AUTO)) == []


def test_a_failed_endpoint_is_tried_again_after_the_rest_and_one_without_entitlement_never() -> None:
    first, second, third = (Endpoint(f"ws://{number}", "key", "secret") for number in range(3))
    connection = _StreamConnection("stock quotes", [first, second, third])
    assert connection.next_endpoint("the server can't be reached") == second
    assert connection.endpoints == [second, third, first]
    assert connection.next_endpoint("the key isn't entitled to the feed (409)") == third
    assert connection.endpoints == [third, first]
    assert [connection.next_endpoint("(409)"), connection.next_endpoint("(409)")] == [first, first]


def test_no_key_shows_in_the_representation_of_an_endpoint() -> None:
    assert KEY not in repr(_order_endpoints(an_account()))
    assert SECRET not in repr(_order_endpoints(an_account()))


def test_what_is_not_connected_yet_says_so() -> None:
    streams = AlpacaStreams(replace(a_config(""), accounts={"a": an_account()}))
    assert streams.problems == {"orders of a": "connecting"}
    assert streams.streamed == frozenset()


# --- redirects


@dataclass
class Listener:
    """Waits for the first state of a connection."""

    problem: asyncio.Future[str]

    def connection_changed(self, _name: str, problem: str) -> None:
        if not self.problem.done():
            self.problem.set_result(problem)

    def quotes_received(self, quotes: object) -> None: ...
    def trade_received(self, symbol: str, price: Decimal) -> None: ...
    def order_changed(self, account: str, symbol: str) -> None: ...


async def first_problem_at(port: int) -> str:
    """The first problem of an account whose order stream is at this port of the loopback."""
    here = f"127.0.0.1:{port}"
    account = an_account(trading=f"http://{here}", data=f"http://{here}", trading_stream=f"ws://{here}/")
    streams = AlpacaStreams(replace(a_config(""), accounts={"a": account}), back_off=(60, 60))
    listener = Listener(asyncio.get_running_loop().create_future())
    streams.start(listener)
    try:
        async with asyncio.timeout(20):
            return await listener.problem
    finally:
        await streams.stop()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_stream_follows_no_redirect_to_another_host(status: int) -> None:
    """The keys are sent after the handshake, to whoever is connected then."""
    visits: list[str] = []

    async def elsewhere(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append("another host")
        writer.close()

    async def scene() -> str:
        async with await asyncio.start_server(elsewhere, "127.0.0.1", 0) as other:
            location = f"ws://127.0.0.1:{other.sockets[0].getsockname()[1]}/stream"

            async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
                writer.close()

            async with await asyncio.start_server(redirect, "127.0.0.1", 0) as server:
                return await first_problem_at(server.sockets[0].getsockname()[1])

    assert asyncio.run(scene()) == f"the server answered HTTP {status}"
    assert visits == []


def test_the_wait_grows_with_each_round_through_all_endpoints_and_not_with_each_key() -> None:
    many = _StreamConnection("option quotes", [Endpoint(f"ws://{number}", "key", "secret") for number in range(10)])
    assert [many.failed_rounds(failures) for failures in (1, 9, 10, 19, 20, 35)] == [1, 1, 1, 1, 2, 3]
    alone = _StreamConnection("option quotes", [Endpoint("ws://0", "key", "secret")])
    assert [alone.failed_rounds(failures) for failures in (1, 2, 3)] == [1, 2, 3]


def test_the_problems_of_an_account_are_those_of_its_own_orders_and_of_no_other_account() -> None:
    streams = AlpacaStreams(replace(a_config(""), accounts={"a": an_account(), "b": an_account()}))
    assert streams.problems == {"orders of a": "connecting", "orders of b": "connecting"}
    assert streams.problems_of("a", {AssetClass.OPTION}) == {"orders of a": "connecting"}


def test_a_refused_login_to_the_order_stream_may_be_the_key_or_its_only_connection() -> None:
    """The SDK gives one reason for both: doctor called a good key refused, beside a running watcher."""

    async def refuse(connection: ServerConnection) -> None:
        await connection.recv()
        refusal = {"stream": "authorization", "data": {"status": "unauthorized", "action": "authenticate"}}
        await connection.send(json.dumps(refusal))
        await connection.wait_closed()

    async def scene() -> str:
        async with serve(refuse, "127.0.0.1", 0) as server:
            return await first_problem_at(server.sockets[0].getsockname()[1])

    assert asyncio.run(scene()) == "the login is refused: a wrong key, or another program uses its only connection"


# --- connections that other hosts need


@dataclass
class News(Listener):
    """Keeps the news of each connection."""

    problem: Any = None
    states: list[tuple[str, str]] = field(default_factory=list)

    def connection_changed(self, name: str, problem: str) -> None:
        self.states.append((name, problem))


def test_order_updates_are_streamed_of_the_accounts_that_are_followed_and_of_no_other() -> None:
    """Alpaca allows one connection per account: a host without the account must not have it."""
    connected: list[str] = []

    async def accept(connection: ServerConnection) -> None:
        connected.append(json.loads(await connection.recv())["data"]["key_id"])
        answer = {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}
        await connection.send(json.dumps(answer))
        await connection.wait_closed()
        connected.append("closed")

    async def scene() -> None:
        async with serve(accept, "127.0.0.1", 0) as server, asyncio.timeout(20):
            here = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            urls = {"trading": f"http://{here}", "data": f"http://{here}", "trading_stream": f"ws://{here}/"}
            accounts = {name: replace(an_account(**urls), api_key=name) for name in ("a", "b")}
            streams = AlpacaStreams(replace(a_config(""), accounts=accounts), handover=0)
            streams.follow_orders(["a"])
            streams.start(News())
            try:
                await until(lambda: streams.problems == {"orders of a": ""})
                streams.follow_orders(["b"])
                await until(lambda: streams.problems == {"orders of b": ""})
                await until(lambda: sorted(connected) == ["a", "b", "closed"])
                streams.follow_orders([])
                assert streams.problems == {}
                await until(lambda: connected.count("closed") == 2)
            finally:
                await streams.stop()

    asyncio.run(scene())


def test_when_nothing_is_held_any_more_the_quotes_connection_is_left_to_others_and_made_again_when_needed() -> None:
    """Alpaca allows one connection per key: a host that has handed its accounts over must not keep it."""
    connected: list[str] = []

    async def accept(connection: ServerConnection) -> None:
        connected.append("open")
        await connection.send(msgpack.packb([{"T": "success", "msg": "connected"}]))
        async for message in connection:
            asked = msgpack.unpackb(message) if isinstance(message, bytes) else json.loads(message)
            answer = {"T": "success", "msg": "authenticated"} if asked["action"] == "auth" else {"T": "subscription"}
            await connection.send(msgpack.packb([answer]))
        connected.append("closed")

    async def scene() -> None:
        async with serve(accept, "127.0.0.1", 0) as server, asyncio.timeout(20):
            here = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            urls = {"trading": f"http://{here}", "data": f"http://{here}", "option_stream": f"ws://{here}/"}
            streams = AlpacaStreams(replace(a_config(""), accounts={"a": an_account(**urls)}))
            streams.follow_orders([])
            streams.start(News())
            held = [an_option("AAPL261218C00200000")]
            try:
                for times in (1, 2):
                    streams.subscribe([each for each in held if each])
                    await until(lambda: streams.streamed == {"AAPL261218C00200000"})
                    streams.subscribe([])
                    await until(lambda: connected.count("closed") == times)  # noqa: B023  it is awaited here
                    assert (streams.streamed, streams.problems) == (frozenset(), {})
            finally:
                await streams.stop()
        assert connected == ["open", "closed"] * 2

    asyncio.run(scene())


async def until(true: Callable[[], object]) -> None:
    while not true():  # noqa: ASYNC110  what it waits for has no event
        await asyncio.sleep(0.01)
