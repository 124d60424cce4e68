"""A broker with negligible cost: prepared responses over persistent HTTP connections, each after a given delay.

It serves what a poll requests (clock, calendar, account, positions, open orders, latest option quotes, contracts,
splits) and accepts orders, which rest. Prices change with every request, so that a client cannot reuse earlier results.
A measurement against it shows the client's own cost.
"""

import asyncio
import datetime as dt
import json
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

START = dt.datetime(2026, 11, 24, 17, 0, tzinfo=dt.UTC)  # noon in New York
CALENDAR = [{"date": "2026-11-24", "open": "09:30", "close": "16:00", "session_open": "0400", "session_close": "2000"}]
_BEGAN = time.monotonic()
_PRICES = (("1.05", "1.07"), ("1.06", "1.08"))  # bid and ask of a position, in turns; its entry is 1.00
_DUE_PRICES = (("1.20", "1.22"), ("1.20", "1.22"))  # above the target; constant, because an exit follows its quote
_HEAD = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
    "X-RateLimit-Limit: 1000000\r\n\r\n"  # no limit on the benchmark's polls
)
Row = dict[str, object]


def symbol_of(number: int) -> str:
    """The option symbol with a number."""
    return f"AAPL261218C{number:08d}"


def now() -> str:
    """The broker's time in ISO format."""
    return (START + dt.timedelta(seconds=time.monotonic() - _BEGAN)).isoformat()


def position(symbol: str, price: str, available: str) -> Row:
    """One long option position with all of Alpaca's fields."""
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
        "current_price": price,
        "lastday_price": "1",
        "change_today": "0.05",
        "qty_available": available,
    }


def order_row(order: Mapping[str, str]) -> Row:
    """A resting order with all of Alpaca's fields."""
    return {
        **order,
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, order["client_order_id"])),
        "created_at": now(),
        "submitted_at": now(),
        "updated_at": now(),
        "filled_at": None,
        "expired_at": None,
        "canceled_at": None,
        "asset_id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",
        "asset_class": "us_option",
        "notional": None,
        "filled_qty": "0",
        "filled_avg_price": None,
        "order_class": "simple",
        "order_type": order["type"],
        "stop_price": None,
        "status": "new",
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
    }


@dataclass
class Book:
    """The accounts, with keys k0, k1 ... and `held` positions each out of `symbols` shared symbols."""

    held: int
    symbols: int
    delay: float = 0.0
    requests: int = 0
    due: frozenset[str] = frozenset()
    orders: dict[str, dict[str, Row]] = field(default_factory=lambda: defaultdict(dict))
    _positions: dict[tuple[str, int], bytes] = field(default_factory=dict)
    _turns: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def command(self, arguments: list[str]) -> bytes:
        """Execute a command of the benchmark: `delay SECONDS`, `due SHARE`, or `requests`.

        Returns the number of requests since the last command.
        """
        if arguments[0] == "delay":
            self.delay = float(arguments[1])
        elif arguments[0] == "due":
            self.due = frozenset(symbol_of(number) for number in range(0, self.symbols, round(1 / float(arguments[1]))))
        requests, self.requests = self.requests, 0
        return str(requests).encode()

    def answer(self, method: str, path: str, query: Mapping[str, list[str]], key: str, body: bytes) -> bytes:
        """The body of the response to a request."""
        self.requests += 1
        if method == "POST":
            return self._accept(key, json.loads(body))
        if path == "/v2/positions":
            return self._held_by(key)
        if path == "/v2/orders":
            wanted = query.get("symbols", [""])[0].split(",")
            rows = [row for row in self.orders[key].values() if wanted == [""] or row["symbol"] in wanted]
            return json.dumps(rows).encode()
        if path == "/v1beta1/options/quotes/latest":
            return self._quotes(query["symbols"][0].split(","))
        if path == "/v2/options/contracts":
            return json.dumps(_contracts(query)).encode()
        return json.dumps(self._fixed(path, key)).encode()

    def _fixed(self, path: str, key: str) -> object:
        if path == "/v2/clock":
            opens, closes = "2026-11-25T09:30:00-05:00", "2026-11-24T16:00:00-05:00"
            return {"timestamp": now(), "is_open": True, "next_open": opens, "next_close": closes}
        if path == "/v2/calendar":
            return CALENDAR
        if path == "/v2/account":
            return {"account_number": f"PA{key}", "status": "ACTIVE"}
        if path == "/v1/corporate-actions":
            return {"corporate_actions": {}, "next_page_token": None}
        return {"symbol": path.rpartition("/")[2], "ppind": True}

    def _accept(self, key: str, order: Mapping[str, str]) -> bytes:
        row = self.orders[key][order["client_order_id"]] = order_row(order)
        self._positions = {of: rows for of, rows in self._positions.items() if of[0] != key}
        return json.dumps(row).encode()

    def _turn(self, what: str) -> int:
        self._turns[what] ^= 1
        return self._turns[what]

    def _held_by(self, key: str) -> bytes:
        """An account's positions; accounts start at different positions among the shared symbols."""
        turn = self._turn(key)
        if (key, turn) not in self._positions:
            held = [symbol_of((int(key[1:]) * 7 + n) % self.symbols) for n in range(self.held)]
            resting = {row["symbol"] for row in self.orders[key].values()}
            rows = [position(each, _PRICES[turn][0], "0" if each in resting else "2") for each in held]
            self._positions[key, turn] = json.dumps(rows).encode()
        return self._positions[key, turn]

    def _quotes(self, symbols: list[str]) -> bytes:
        turn = self._turn(symbols[0])
        rows = []
        for symbol in symbols:
            bid, ask = (_DUE_PRICES if symbol in self.due else _PRICES)[turn]
            rows.append(f'"{symbol}":{{"ap":{ask},"as":9,"ax":"C","bp":{bid},"bs":7,"bx":"C","c":"A","t":"@stamp@"}}')
        return f'{{"quotes":{{{",".join(rows)}}}}}'.replace("@stamp@", now()).encode()


def _contracts(query: Mapping[str, list[str]]) -> dict[str, object]:
    """One contract per underlying, as a page of a few rows."""
    expires = query["expiration_date"][0].replace("-", "")[2:]
    names = (f"{root}{expires}C00100000" for root in query["underlying_symbols"][0].split(","))
    return {"option_contracts": [{"symbol": name, "ppind": True} for name in names], "next_page_token": None}


class CannedConnection(asyncio.Protocol):
    """One connection, which answers requests in order."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = transport  # type: ignore[assignment]  # a TCP server makes no other

    def data_received(self, data: bytes) -> None:
        """Answer every complete request after the delay."""
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            fields = _fields(head.decode("latin-1"))
            length = int(fields.get("content-length", 0))
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            answer = self._answer(head.decode("latin-1"), fields, rest[:length])
            if self._book.delay:
                asyncio.get_running_loop().call_later(self._book.delay, self._write, answer)
            else:
                self._write(answer)

    def _write(self, answer: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(_HEAD.format(length=len(answer)).encode() + answer)

    def _answer(self, head: str, fields: Mapping[str, str], body: bytes) -> bytes:
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        split = urlsplit(target)
        path = unquote(split.path)
        if path.startswith("/bench/"):
            return self._book.command(path.split("/")[2:])
        return self._book.answer(method, path, parse_qs(split.query), fields.get("apca-api-key-id", ""), body)


def _fields(head: str) -> dict[str, str]:
    lines = (line.partition(":") for line in head.split("\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in lines}


async def serve(held: int, symbols: int) -> None:
    """Print the port on the first line, then serve until killed."""
    book = Book(held, symbols)
    server = await asyncio.get_running_loop().create_server(
        lambda: CannedConnection(book), "127.0.0.1", 0, backlog=1000
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
