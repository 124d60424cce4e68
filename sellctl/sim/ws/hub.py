"""Alpaca's streams over the exchange: the stream of each path, and the hub that sends events and quotes to them."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable
from typing import Any

from sellctl.sim.faults.stream_faults import end_gaps, gap_has_begun
from sellctl.sim.host import SimHost
from sellctl.sim.http.asgi import Receive, Scope, Send
from sellctl.sim.market.price_paths import TwoSidedQuote
from sellctl.sim.venue.orders import SimEvent
from sellctl.sim.ws.connection import ConnectionGoneError, WebSocketConnection
from sellctl.sim.ws.market_data import DataStream
from sellctl.sim.ws.trade_updates import TradingStream, update_of

TRADING_PATH = "/stream"
DATA_FEEDS = {
    "/v2/iex": "iex",
    "/v2/sip": "sip",
    "/v2/test": "test",
    "/v1beta1/indicative": "indicative",
    "/v1beta1/opra": "opra",
}
HISTORY = 100  # trade updates that can be replayed (W06)
TOO_MANY_CONNECTIONS = 429


class StreamHub:
    """The ASGI application of all streams: passes order events and quotes to the connections that subscribed."""

    def __init__(self, host: SimHost) -> None:
        self._host = host
        self._exchange = host.exchange
        self.trading: list[TradingStream] = []
        self.data: list[DataStream] = []
        self._history: deque[tuple[str, dict[str, Any]]] = deque(maxlen=HISTORY)
        self._quoted: dict[str, TwoSidedQuote | None] = {}
        self._exchange.listeners.append(self._on_event)
        self._exchange.quote_listeners.append(self._on_quote)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until it ends."""
        connection = WebSocketConnection(self._host, scope, receive, send)
        with contextlib.suppress(ConnectionGoneError):
            if connection.path == TRADING_PATH:
                trading = TradingStream(connection, self._exchange, self.trading, self._history)
                await self._serve(connection, trading, self.trading)
            elif connection.path in DATA_FEEDS:
                data = DataStream(connection, self._exchange, self.data, DATA_FEEDS[connection.path])
                await self._serve(connection, data, self.data)
            else:
                await connection.refuse(404)

    async def _serve(self, connection: WebSocketConnection, stream: Any, members: list[Any]) -> None:
        if self._refuses(connection.path):
            await connection.refuse(TOO_MANY_CONNECTIONS, b"too many connections")
            return
        members.append(stream)
        try:
            await _until_one_ends(stream.listen(), stream.write())
        finally:
            members.remove(stream)

    def _refuses(self, path: str) -> bool:
        """Whether the handshake is refused: during a gap (W12), or by W09 with code 429."""
        faults = self._exchange.faults
        gap = faults.find("W12")
        if gap is not None and gap_has_begun(gap):
            return True
        fault = faults.find("W09")
        if fault is None or int(fault["code"]) != TOO_MANY_CONNECTIONS:
            return False
        return faults.trigger("W09", path=path) is not None

    def _on_event(self, event: SimEvent) -> None:
        message = update_of(event)
        if message is None:
            return
        self._history.append((event.account, message))
        for stream in self.trading:
            stream.offer(event.account, message)
        if event.order and event.order["symbol"] and "price" in event.detail:
            for data_stream in self.data:
                data_stream.offer_trade(event.order["symbol"], event.detail["price"], event.detail["qty"])

    def _on_quote(self, symbol: str) -> None:
        self._quoted[symbol] = self._level(symbol)
        for stream in self.data:
            stream.offer_quote(symbol)

    def _level(self, symbol: str) -> TwoSidedQuote | None:
        """The quote in the book; for a moving price at the last full second, so that it is sent once per second."""
        market, now = self._exchange.market, self._exchange.now
        return market.level(symbol, now.replace(microsecond=0) if market.moves(symbol) else now)

    def tick(self) -> None:
        """Send the quotes of prices that have moved, and apply the faults of whole connections."""
        subscribed = {symbol for stream in self.data for symbol in stream.watched()}
        with self._host.lock:
            for symbol in sorted(subscribed):
                level = self._level(symbol)
                if level is not None and self._quoted.get(symbol) != level:
                    self._on_quote(symbol)
        end_gaps(self._exchange.faults)
        streams: list[TradingStream | DataStream] = [*self.trading, *self.data]
        for stream in streams:
            stream.apply_connection_faults()


async def _until_one_ends(*sides: Awaitable[None]) -> None:
    """Run both directions until one ends; the other is cancelled."""
    tasks = [asyncio.ensure_future(side) for side in sides]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
