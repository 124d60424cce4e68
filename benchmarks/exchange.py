"""An exchange with negligible cost for exits: accounts whose options reach a target or fall through a stop on command.

It answers with prepared rows, each answer after a given delay, and keeps a log of all requests. Its orders rest or fill
at once, as the benchmark chooses. What is offered for sale twice is refused, and reported.
"""

import datetime as dt
import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.canned import CALENDAR, START, Reply, Row, now, order_row, position
from benchmarks.request_log import Request, RequestLog

Query = Mapping[str, list[str]]
UNDERLYINGS = 40
# Bid and ask; every entry is 1.00. The spread of what is due is wide enough for four steps.
LEVELS = {"flat": ("1.05", "1.07"), "high": ("1.20", "1.28"), "low": ("0.70", "0.74")}
QTY = 2
_NEXT_OPEN, _NEXT_CLOSE = "2026-11-25T09:30:00-05:00", "2026-11-24T16:00:00-05:00"
_STALE_SINCE = START - dt.timedelta(hours=1)
_OPEN = "new"


def key_of(account: int) -> str:
    """The key of the account with a number."""
    return f"k{account}"


def symbol_of(number: int) -> str:
    """The option with a number: every account holds others, of underlyings that the accounts share."""
    letters = chr(ord("A") + number % UNDERLYINGS // 26) + chr(ord("A") + number % UNDERLYINGS % 26)
    return f"Q{letters}261218C{100_000 + number // UNDERLYINGS * 1_000:08d}"


class Streams(Protocol):
    """Where quotes and order updates are streamed."""

    @property
    def streamed(self) -> int:
        """How many symbols' quotes are streamed."""

    @property
    def listening(self) -> int:
        """How many accounts' order updates are streamed."""

    def send_quotes(self, quotes: Mapping[str, tuple[str, str]]) -> None:
        """Stream the bid and ask of each symbol, together."""

    def send_update(self, key: str, event: str, order: Row) -> None:
        """Stream one event of an order."""


@dataclass
class Exchange:
    """`accounts` accounts of `held` options each, all of them different, and one stale order each where asked for."""

    accounts: int
    held: int
    streams: Streams
    has_opra: bool = False
    fills: bool = False
    delay: float = 0.0
    limit: int = 200
    log: RequestLog = field(default_factory=RequestLog)
    refused: list[str] = field(default_factory=list)
    _levels: dict[str, str] = field(default_factory=dict)
    _due: dict[str, float] = field(default_factory=dict)  # symbol, and when its first order came; 0.0 before
    _moved_at: float = 0.0
    _orders: dict[str, dict[str, Row]] = field(default_factory=dict)  # by key and id
    _rows: dict[tuple[str, str, bool], str] = field(default_factory=dict)
    _positions: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.begin()

    # --- commands

    def command(self, arguments: list[str]) -> bytes:
        """Execute a command: its name, and its arguments as the method has them."""
        name, *values = arguments
        known: tuple[Callable[..., object], ...] = (self.begin, self.move, self.set, self.state, self.report)
        commands = {each.__name__: each for each in known}
        return json.dumps(commands[name](*values)).encode()

    def begin(self, stale: str = "0") -> None:
        """Begin anew: everything is held at the flat price, with `stale` old orders an account on its last options."""
        self.log, self.refused, self._levels, self._due, self._moved_at = RequestLog(), [], {}, {}, 0.0
        self._positions = {
            key_of(n): [symbol_of(n * self.held + at) for at in range(self.held)] for n in range(self.accounts)
        }
        self._orders = {key: {} for key in self._positions}
        for key, symbols in self._positions.items():
            for symbol in symbols[self.held - int(stale) :]:
                self._add_stale(key, symbol)

    def move(self, level: str, first: str, each: str) -> None:
        """Move `each` positions of every account, from its `first` on, to a level, and stream it. They are then due."""
        moved = [s for held in self._positions.values() for s in held[int(first) : int(first) + int(each)]]
        self._levels |= dict.fromkeys(moved, level)
        self._due = dict.fromkeys(moved, 0.0)
        self.log = RequestLog()
        self._moved_at = time.perf_counter()
        self.streams.send_quotes(dict.fromkeys(moved, LEVELS[level]))

    def set(self, name: str, value: str) -> None:
        """Set the `delay` of each answer in seconds, or whether every order `fills` at once."""
        if name == "delay":
            self.delay = float(value)
        else:
            self.fills = bool(int(value))

    def state(self) -> dict[str, int]:
        """How far it is: the number of due positions, of those with an order, of requests, and of streams."""
        arrived = sum(1 for at in self._due.values() if at)
        streams = {"streamed": self.streams.streamed, "listening": self.streams.listening}
        return {"due": len(self._due), "arrived": arrived, "requests": len(self.log.requests), **streams}

    def report(self, origin: str = "first request") -> dict[str, object]:
        """Times and requests. Times count from the first request, or with the origin `move` from the last move."""
        began = self._moved_at if origin == "move" else self.log.began
        first_orders = sorted(at - began for at in self._due.values() if at)
        return {
            "first_orders": first_orders,
            "refused": self.refused,
            "until": self.log.counted(began + first_orders[-1]) if first_orders else {},
            "whole": self.log.counted(),
            "busiest": self.log.busiest_minute(),
            "chain": self.log.chain(began),
        }

    # --- requests

    def answer(self, method: str, path: str, query: Query, key: str, body: bytes) -> Reply:
        """The response to a request."""
        arrived = time.perf_counter()
        match method, path:
            case "POST", "/v2/orders":
                reply = self._accept(key, json.loads(body), arrived)
            case "DELETE", _:
                reply = self._cancel(key, path.rpartition("/")[2])
            case _:
                reply = self._read(path, query, key)
        subject = json.loads(body)["symbol"] if method == "POST" else ""
        self.log.requests.append(Request(arrived, method, path, query, key, reply, subject))
        return reply

    def _read(self, path: str, query: Query, key: str) -> Reply:
        match path:
            case "/v2/positions":
                return Reply(self._held_by(key))
            case "/v2/orders":
                return _json(self._listed(key, query))
            case "/v2/orders:by_client_order_id":
                wanted = query["client_order_id"][0]
                found = [row for row in self._orders[key].values() if row["client_order_id"] == wanted]
                return _json(found[0]) if found else _error("404 Not Found", 40410000, "order not found")
            case "/v1beta1/options/quotes/latest":
                return self._quotes(query)
            case "/v2/options/contracts":
                return _json({"option_contracts": self._contracts(key, query), "next_page_token": None})
        return _json(_fixed(path, key))

    def _held_by(self, key: str) -> bytes:
        offered = {row["symbol"] for row in self._orders[key].values() if row["status"] == _OPEN}
        return f"[{','.join(self._position(s, is_offered=s in offered) for s in self._positions[key])}]".encode()

    def _position(self, symbol: str, *, is_offered: bool) -> str:
        wanted = (symbol, self._level(symbol), is_offered)
        if wanted not in self._rows:
            price = LEVELS[wanted[1]][0]
            value, cost = float(price) * QTY * 100, 1.0 * QTY * 100
            row = position(symbol, price, "0" if is_offered else str(QTY))
            profit = {"unrealized_pl": f"{value - cost:.2f}", "unrealized_plpc": f"{value / cost - 1:.4f}"}
            self._rows[wanted] = json.dumps(row | {"market_value": f"{value:.2f}", **profit})
        return self._rows[wanted]

    def _level(self, symbol: str) -> str:
        return self._levels.get(symbol, "flat")

    def _listed(self, key: str, query: Query) -> list[Row]:
        status, symbols = query.get("status", ["open"])[0], query.get("symbols", [""])[0]
        wanted = set(symbols.split(",")) if symbols else None
        after = dt.datetime.fromisoformat(query["after"][0]) if "after" in query else None
        rows: Iterable[Row] = self._orders[key].values()
        if status != "all":
            rows = (row for row in rows if (row["status"] == _OPEN) == (status == "open"))
        if wanted is not None:
            rows = (row for row in rows if row["symbol"] in wanted)
        if after is not None:
            rows = (row for row in rows if dt.datetime.fromisoformat(str(row["submitted_at"])) > after)
        listed = list(rows)[: int(query.get("limit", ["50"])[0])]
        return listed if query.get("direction") == ["asc"] else listed[::-1]

    def _quotes(self, query: Query) -> Reply:
        if not self.has_opra and query.get("feed", ["opra"]) == ["opra"]:
            return Reply(json.dumps({"message": "OPRA agreement is not signed"}).encode(), "403 Forbidden")
        at, rows = now(), []
        for symbol in query["symbols"][0].split(","):
            bid, ask = LEVELS[self._level(symbol)]
            rows.append(f'"{symbol}":{{"ap":{ask},"as":9,"ax":"C","bp":{bid},"bs":7,"bx":"C","c":"A","t":"{at}"}}')
        return Reply(f'{{"quotes":{{{",".join(rows)}}}}}'.encode())

    def _contracts(self, key: str, query: Query) -> list[Row]:
        """The account's own contracts of the underlyings; they stand for all contracts of these."""
        wanted = query.get("underlying_symbols", [""])[0].split(",")
        return [_contract(symbol) for symbol in self._positions[key] if symbol[:3] in wanted]

    # --- orders

    def _accept(self, key: str, order: Mapping[str, str], arrived: float) -> Reply:
        symbol = order["symbol"]
        if self._due.get(symbol) == 0.0:
            self._due[symbol] = arrived
        offered = any(row["symbol"] == symbol and row["status"] == _OPEN for row in self._orders[key].values())
        if offered or symbol not in self._positions[key]:
            self.refused.append(f"{key}: {symbol}")
            return _error("403 Forbidden", 40310000, "insufficient qty available for order")
        row = order_row({"client_order_id": str(uuid.uuid4()), **order})
        self._orders[key][str(row["id"])] = row
        reply = _json(row)
        self.streams.send_update(key, _OPEN, row)
        if self.fills:
            self._fill(key, row)
        return reply

    def _fill(self, key: str, row: Row) -> None:
        price = row.get("limit_price") or LEVELS[self._level(str(row["symbol"]))][0]
        row |= {"status": "filled", "filled_qty": row["qty"], "filled_avg_price": price, "filled_at": now()}
        self._positions[key].remove(str(row["symbol"]))
        self.streams.send_update(key, "fill", row)

    def _cancel(self, key: str, order_id: str) -> Reply:
        row = self._orders[key].get(order_id)
        if row is None:
            return _error("404 Not Found", 40410000, f"order not found for {order_id}")
        if row["status"] != _OPEN:
            return _error("422 Unprocessable Entity", 42210000, f"order is already in {row['status']} state")
        row |= {"status": "canceled", "canceled_at": now(), "updated_at": now()}
        self.streams.send_update(key, "canceled", row)
        return Reply(b"", "204 No Content")

    def _add_stale(self, key: str, symbol: str) -> None:
        """A day order by hand, an hour old."""
        body = {"symbol": symbol, "qty": str(QTY), "side": "sell", "type": "limit", "time_in_force": "day"}
        row = order_row({**body, "limit_price": "2", "client_order_id": str(uuid.uuid4())})
        at = _STALE_SINCE.isoformat()
        self._orders[key][str(row["id"])] = row | {"created_at": at, "submitted_at": at, "updated_at": at}


def _json(what: object) -> Reply:
    return Reply(json.dumps(what).encode())


def _error(status: str, code: int, message: str) -> Reply:
    return Reply(json.dumps({"code": code, "message": message}).encode(), status)


def _contract(symbol: str) -> Row:
    return {"symbol": symbol, "underlying_symbol": symbol[:3], "root_symbol": symbol[:3], "ppind": True}


def _fixed(path: str, key: str) -> object:
    """What is the same at all times."""
    match path:
        case "/v2/clock":
            return {"timestamp": now(), "is_open": True, "next_open": _NEXT_OPEN, "next_close": _NEXT_CLOSE}
        case "/v2/calendar":
            return CALENDAR
        case "/v2/account":
            return {"account_number": f"PA{key}", "status": "ACTIVE"}
        case "/v2/stocks/quotes/latest":
            return {"quotes": {}}
        case "/v1/corporate-actions":
            return {"corporate_actions": {}, "next_page_token": None}
    if path.startswith("/v2/options/contracts/"):
        return _contract(path.rpartition("/")[2])
    raise ValueError(f"the benchmark's exchange has no {path}")
