"""The exchange's process: HTTP on one port, and on another the streams of quotes and of order updates."""

import asyncio
import datetime as dt
import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgpack  # type: ignore[import-untyped]  # it has no stubs
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.asyncio.server import serve as serve_streams
from websockets.exceptions import ConnectionClosed

from benchmarks.canned import CannedConnection, Row, now
from benchmarks.exchange import Exchange

ORDER_UPDATES = "/stream"
QUOTES = "/v1beta1/opra"


class OpenStreams:
    """The clients that stream. All of them may log in."""

    def __init__(self) -> None:
        self._quotes: dict[ServerConnection, set[str]] = {}
        self._updates: dict[str, set[ServerConnection]] = defaultdict(set)

    @property
    def streamed(self) -> int:
        """How many symbols' quotes are streamed."""
        return len(set().union(*self._quotes.values()))

    @property
    def listening(self) -> int:
        """How many accounts' order updates are streamed."""
        return sum(1 for clients in self._updates.values() if clients)

    def send_quotes(self, quotes: Mapping[str, tuple[str, str]]) -> None:
        """Stream the bid and ask of each symbol, together."""
        at = dt.datetime.fromisoformat(now())
        for client, symbols in self._quotes.items():
            frame = [_quote(symbol, *prices, at) for symbol, prices in quotes.items() if symbol in symbols]
            broadcast([client], msgpack.packb(frame, datetime=True))

    def send_update(self, key: str, event: str, order: Row) -> None:
        """Stream one event of an order."""
        if self._updates[key]:
            data = {"event": event, "timestamp": now(), "order": order}
            broadcast(self._updates[key], json.dumps({"stream": "trade_updates", "data": data}).encode())

    async def serve(self, client: ServerConnection) -> None:
        """Serve one client until it disconnects."""
        key = ""
        try:
            with suppress(ConnectionClosed):
                if client.request is not None and client.request.path == ORDER_UPDATES:
                    async for message in client:
                        key = await self._on_order_stream(client, json.loads(message), key)
                else:
                    await client.send(msgpack.packb([{"T": "success", "msg": "connected"}]))
                    async for message in client:
                        await self._on_quote_stream(client, msgpack.unpackb(message))
        finally:
            self._quotes.pop(client, None)
            self._updates[key].discard(client)

    async def _on_order_stream(self, client: ServerConnection, message: Mapping[str, Any], key: str) -> str:
        """Answer one message; returns the client's key."""
        if message["action"] == "authenticate":
            key = str(message["data"]["key_id"])
            answer = {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}
        else:
            self._updates[key].add(client)
            answer = {"stream": "listening", "data": {"streams": ["trade_updates"]}}
        await client.send(json.dumps(answer).encode())
        return key

    async def _on_quote_stream(self, client: ServerConnection, message: Mapping[str, Any]) -> None:
        if message["action"] == "auth":
            await client.send(msgpack.packb([{"T": "success", "msg": "authenticated"}]))
            return
        symbols = self._quotes.setdefault(client, set())
        change = symbols.update if message["action"] == "subscribe" else symbols.difference_update
        change(message.get("quotes", []))
        await client.send(msgpack.packb([{"T": "subscription", "quotes": sorted(symbols), "trades": []}]))


def _quote(symbol: str, bid: str, ask: str, at: dt.datetime) -> Row:
    prices = {"bp": float(bid), "bs": 7, "bx": "C", "ap": float(ask), "as": 9, "ax": "C"}
    return {"T": "q", "S": symbol, "c": "A", "t": at, **prices}


async def serve(accounts: int, held: int, *, has_opra: bool) -> None:
    """Print the two ports, then serve until killed."""
    streams = OpenStreams()
    exchange = Exchange(accounts, held, streams, has_opra)
    loop = asyncio.get_running_loop()
    http = await loop.create_server(lambda: CannedConnection(exchange), "127.0.0.1", 0, backlog=1000)
    async with serve_streams(streams.serve, "127.0.0.1", 0, compression=None, max_size=None) as stream_server:
        ports = [http.sockets[0].getsockname()[1], next(iter(stream_server.sockets)).getsockname()[1]]
        sys.stdout.write(f"{json.dumps(ports)}\n")
        sys.stdout.flush()
        await http.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), has_opra=sys.argv[3] == "opra"))
