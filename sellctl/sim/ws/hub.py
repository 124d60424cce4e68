"""The WebSocket face: which stream a path is, and what all streams share: the hub that carries news to connections."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from sellctl.sim.faults.stream_faults import end_gaps
from sellctl.sim.market.price_paths import Level
from sellctl.sim.venue.orders import Event
from sellctl.sim.ws.connection import GoneError, Link
from sellctl.sim.ws.market_data import DataStream
from sellctl.sim.ws.trade_updates import TradingStream, update_of

if TYPE_CHECKING:
    from sellctl.sim.http.app import Face

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
TRADING_PATH = "/stream"
DATA_FEEDS = {
    "/v2/iex": "iex",
    "/v2/sip": "sip",
    "/v2/test": "test",
    "/v1beta1/indicative": "indicative",
    "/v1beta1/opra": "opra",
}
HISTORY = 100


class Hub:
    """Carries order events and quotes to the connections that want them."""

    def __init__(self, face: "Face") -> None:
        self.face = face
        self.trading: list[TradingStream] = []
        self.data: list[DataStream] = []
        self.history: list[tuple[str, dict[str, Any]]] = []
        self._quoted: dict[str, Any] = {}
        face.exchange.listeners.append(self._on_event)
        face.exchange.quote_listeners.append(self._on_quote)

    async def __call__(self, face: "Face", scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection to its end."""
        link = Link(face, scope, receive, send)
        with contextlib.suppress(GoneError):
            if link.path == TRADING_PATH:
                await self._serve(link, TradingStream(self, link), self.trading)
            elif link.path in DATA_FEEDS:
                await self._serve(link, DataStream(self, link, DATA_FEEDS[link.path]), self.data)
            else:
                await link.refuse(404)
        face.transports.pop(tuple(scope["client"]), None)

    async def _serve(self, link: Link, stream: Any, members: list[Any]) -> None:
        if not await self._lets_in(link):
            return
        members.append(stream)
        try:
            await _together(stream.listen(), stream.speak())
        finally:
            members.remove(stream)

    async def _lets_in(self, link: Link) -> bool:
        """Whether the handshake goes through: a gap (W12) or a refusal (W09 429) may stand in the way."""
        behaviours = self.face.exchange.behaviours
        gap = behaviours.is_on("W12")
        refused = gap is not None and "_until" in gap.params
        fault = None if refused else behaviours.is_on("W09")
        if fault is not None and int(fault["code"]) == 429 and behaviours.strike("W09", path=link.path):  # noqa: PLR2004  HTTP
            refused = True
        if refused:
            await link.refuse(429, b"too many connections")
        return not refused

    def _on_event(self, event: Event) -> None:
        message = update_of(event)
        if message is None:
            return
        self.history = [*self.history[-HISTORY:], (event.account, message)]
        for stream in self.trading:
            stream.offer(event.account, message)
        self._on_trade(event)

    def _on_trade(self, event: Event) -> None:
        if event.order and event.order["symbol"] and "price" in event.detail:
            for stream in self.data:
                stream.offer_trade(event.order["symbol"], event.detail["price"], event.detail["qty"])

    def _on_quote(self, symbol: str) -> None:
        self._quoted[symbol] = self._level(symbol)
        for stream in self.data:
            stream.offer_quote(symbol)

    def _level(self, symbol: str) -> Level | None:
        """What stands; of a moving price what stood at the last full second, so that it is told once a second."""
        exchange = self.face.exchange
        moves = exchange.market.moves(symbol)
        return exchange.market.level(symbol, exchange.now.replace(microsecond=0) if moves else exchange.now)

    def tick(self) -> None:
        """Once a look: moved paths go out as quotes, and misbehaviours of whole connections strike."""
        wanted = {symbol for stream in self.data for symbol in stream.watched()}
        with self.face.lock:
            for symbol in sorted(wanted):
                level = self._level(symbol)
                if level is not None and self._quoted.get(symbol) != level:
                    self._on_quote(symbol)
        end_gaps(self.face.exchange.behaviours)
        streams: list[TradingStream | DataStream] = [*self.trading, *self.data]
        for stream in streams:
            stream.strike_whole()


async def _together(*sides: Awaitable[None]) -> None:
    """Run both directions until one ends."""
    tasks = [asyncio.ensure_future(side) for side in sides]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
