"""A broker that costs next to nothing: fixed answers over kept-alive HTTP, each after a given delay.

It answers only what a look asks for: clock, calendar, account, positions, open orders, latest option quotes, and takes
orders. What is measured against it is the client's own cost.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

NOW = "2026-11-24T12:00:00-05:00"
CALENDAR = [{"date": "2026-11-24", "open": "09:30", "close": "16:00", "session_open": "0400", "session_close": "2000"}]
CLOCK = {
    "timestamp": NOW,
    "is_open": True,
    "next_open": "2026-11-25T09:30:00-05:00",
    "next_close": "2026-11-24T16:00:00-05:00",
}


def symbol_of(number: int) -> str:
    """The option that stands for a number."""
    return f"AAPL261218C{number:08d}"


def position(symbol: str) -> dict[str, object]:
    """One long option, bought at 1.00."""
    return {
        "asset_id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",
        "symbol": symbol,
        "exchange": "",
        "asset_class": "us_option",
        "asset_marginable": True,
        "qty": "2",
        "avg_entry_price": "1",
        "side": "long",
        "market_value": "210",
        "cost_basis": "200",
        "unrealized_pl": "10",
        "unrealized_plpc": "0.05",
        "unrealized_intraday_pl": "0",
        "unrealized_intraday_plpc": "0",
        "current_price": "1.05",
        "lastday_price": "1",
        "change_today": "0.05",
        "qty_available": "2",
    }


class Book:
    """What is held: `accounts` keys named k0, k1 ... with `held` positions each out of `symbols` shared ones."""

    def __init__(self, held: int, symbols: int, due: float) -> None:
        self.held, self.symbols = held, symbols
        self.due = {symbol_of(number) for number in range(int(symbols * due))}
        self._positions: dict[str, bytes] = {}

    def positions(self, key: str) -> bytes:
        """An account's positions; accounts differ in where among the shared symbols they begin."""
        if key not in self._positions:
            start = int(key.removeprefix("k") or 0) * 7
            rows = [position(symbol_of((start + n) % self.symbols)) for n in range(self.held)]
            self._positions[key] = json.dumps(rows).encode()
        return self._positions[key]

    def quotes(self, symbols: list[str]) -> bytes:
        """Quotes that meet no rule, but for the symbols that are due."""
        rows = {}
        for symbol in symbols:
            bid = 1.20 if symbol in self.due else 1.05
            rows[symbol] = {"bp": bid, "ap": bid + 0.02, "bs": 1, "as": 1, "bx": "C", "ax": "C", "c": "A", "t": NOW}
        return json.dumps({"quotes": rows}).encode()


class Answering(asyncio.Protocol):
    """One connection: requests in, fixed answers out, in order."""

    def __init__(self, book: Book, delay: float) -> None:
        self._book, self._delay = book, delay
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to answer."""
        self._transport = transport  # type: ignore[assignment]  a TCP server makes no other

    def data_received(self, data: bytes) -> None:
        """Answer every whole request, after the delay."""
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            length = _length(head)
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            answer = self._answer(head.decode("latin-1"), rest[:length])
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._write, answer)
            else:
                self._write(answer)

    def _write(self, answer: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
            self._transport.write(head.encode() + answer)

    def _answer(self, head: str, body: bytes) -> bytes:
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        if method == "POST":
            return json.dumps(_accepted(json.loads(body))).encode()
        if path == "/v2/positions":
            return self._book.positions(_header(head, "apca-api-key-id"))
        if path == "/v2/account":
            return json.dumps({"account_number": f"PA{_header(head, 'apca-api-key-id')}", "status": "ACTIVE"}).encode()
        if path.startswith("/v1beta1/options/quotes"):
            return self._book.quotes(query["symbols"][0].split(","))
        return FIXED[path]()


def _accepted(order: dict[str, str]) -> dict[str, object]:
    return {
        **order,
        "id": order["client_order_id"],
        "status": "new",
        "filled_qty": "0",
        "order_class": "simple",
        "submitted_at": NOW,
        "created_at": NOW,
        "asset_class": "us_option",
        "order_type": order["type"],
    }


FIXED: dict[str, Callable[[], bytes]] = {
    "/v2/clock": lambda: json.dumps(CLOCK).encode(),
    "/v2/calendar": lambda: json.dumps(CALENDAR).encode(),
    "/v2/orders": lambda: b"[]",
}


def _length(head: bytes) -> int:
    return int(_header(head.decode("latin-1"), "content-length") or 0)


def _header(head: str, name: str) -> str:
    for line in head.split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.strip().lower() == name:
            return value.strip()
    return ""


async def serve(held: int, symbols: int, due: float, delay: float) -> None:
    """Serve until killed; the port is printed on the first line."""
    book = Book(held, symbols, due)
    server = await asyncio.get_running_loop().create_server(lambda: Answering(book, delay), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
