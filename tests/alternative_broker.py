"""A second implementation of Alpaca's API, independent of the simulator, that uses the freedoms of the API differently.

It speaks HTTP/1.0 and closes each connection, orders keys differently, sends numbers as numbers, omits and adds fields,
sends no rate-limit headers, ignores the filters of order lists, and fills orders only some time after their acceptance.
"""

import datetime as dt
import json
import math
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
Answer = tuple[int, Any]
_ORDERS = "/v2/orders"


class _Server(ThreadingHTTPServer):
    """A server at which a burst of connections doesn't overflow the queue, which would leave requests unanswered."""

    daemon_threads = True
    request_queue_size = 128


@dataclass
class AlternativeBroker:
    """A broker with one account. `positions` are rows as they are sent; `quotes` are (bid, ask) by symbol.

    `accepted_for` and `new_for` are the seconds until an order becomes new, and then fills if it is marketable. The
    broker's clock starts at `start` (New York) and runs with the host's unless `clock_stopped`. `override` may return
    the response to a request.
    """

    positions: dict[str, dict[str, Any]]
    quotes: dict[str, tuple[float, float]]
    start: str = "2026-11-24T12:00:00"
    clock_stopped: bool = False
    accepted_for: float = 0.1
    new_for: float = 0.2
    keys: frozenset[str] = frozenset({"alternative-key"})
    orders: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    override: Callable[[str, str], Answer | None] = lambda _method, _path: None
    missing: Any = field(default_factory=lambda: {"message": "order not found"})
    submitted_status: int = 200
    calendar: bool = True
    response_delay: float = 0.0

    def __enter__(self) -> Self:
        self._started_at = time.monotonic()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def sent(self) -> list[str]:
        """Every request with a method that can change something."""
        return [request for request in self.requests if not request.startswith("GET")]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        broker = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_args: object) -> None:  # type: ignore[override]
                pass

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                key = self.headers.get("apca-api-key-id", "")
                time.sleep(broker.response_delay)
                status, answer = broker.answer(self.command, self.path, json.loads(body or b"{}"), key)
                self.send_response(status)
                if isinstance(answer, str):
                    self.send_header("Content-Type", "text/html")
                self.end_headers()
                if status != 204:
                    self.wfile.write(answer.encode() if isinstance(answer, str) else json.dumps(answer).encode())

            do_GET = do_POST = do_DELETE = answer  # noqa: N815  the names that http.server calls

        return Handler

    def now(self) -> dt.datetime:
        start = dt.datetime.fromisoformat(self.start).replace(tzinfo=NEW_YORK)
        return start + dt.timedelta(seconds=0 if self.clock_stopped else time.monotonic() - self._started_at)

    def answer(self, method: str, path: str, body: dict[str, Any], key: str) -> Answer:
        with self._lock:
            self.requests.append(f"{method} {path.partition('?')[0]}")
            if key not in self.keys:
                return 401, "Authorization Required"
            special = self.override(method, path)
            if special:
                return special
            self._advance_orders()
            return self._answer(method, urlsplit(path).path, parse_qs(urlsplit(path).query), body)

    def _answer(self, method: str, path: str, query: dict[str, list[str]], body: dict[str, Any]) -> Answer:
        simple: dict[str, Callable[[], Answer]] = {
            "/v2/clock": lambda: (200, self._clock()),
            "/v2/account": lambda: (200, {"cash": 1, "account_number": "ALT1", "status": "ACTIVE", "new": []}),
            "/v2/positions": lambda: (200, list(self.positions.values())),
            "/v2/calendar": lambda: (200, self._days()) if self.calendar else (404, "<h1>404</h1>"),
            _ORDERS: lambda: (200, [self._as_sent(order) for order in reversed(self.orders) if "_hidden" not in order]),
        }
        if method == "POST":
            return self.accept(body)
        if method == "DELETE":
            return self._cancel(path.rpartition("/")[2])
        if path == f"{_ORDERS}:by_client_order_id":
            wanted = query["client_order_id"][0]
            found = next((order for order in self.orders if order.get("client_order_id") == wanted), None)
            return (200, self._as_sent(found)) if found else (404, self.missing)
        if path.endswith("/quotes/latest"):
            return 200, {"quotes": {s: self._quote(s) for s in query["symbols"][0].split(",") if s in self.quotes}}
        return simple[path]() if path in simple else (404, {"error": "what?"})

    def _clock(self) -> dict[str, Any]:
        now = self.now()
        closes = now.replace(hour=16, minute=0, second=0, microsecond=0)
        opens = now.replace(hour=9, minute=30, second=0, microsecond=0)
        is_open = opens <= now < closes
        return {
            "next_close": (closes if now < closes else closes + dt.timedelta(days=1)).isoformat(),
            "next_open": (opens if now < opens else opens + dt.timedelta(days=1)).isoformat(),
            "phase": "core",
            "is_open": is_open,
            "timestamp": now.isoformat(timespec="microseconds")[:-6] + "123" + now.isoformat()[-6:],
        }

    def _days(self) -> list[dict[str, Any]]:
        days = [dt.date(2026, 11, 1) + dt.timedelta(days=n) for n in range(60)]
        return [{"close": "16:00", "open": "09:30", "date": f"{day}", "x": 1} for day in days if day.weekday() < 5]

    def _quote(self, symbol: str) -> dict[str, Any]:
        bid, ask = self.quotes[symbol]
        return {"t": self.now().astimezone(dt.UTC).isoformat().replace("+00:00", "Z"), "ap": ask, "bp": bid, "z": "?"}

    def accept(self, body: dict[str, Any]) -> Answer:
        self.bodies.append(body)
        known = next((order for order in self.orders if order.get("client_order_id") == body["client_order_id"]), None)
        if known:
            known["_at"] = min(known["_at"], time.monotonic())
            return 422, {"code": 40010001, "message": "client_order_id must be unique"}
        # A `_hidden` order is found by its id only, and continues once it is submitted again.
        at = math.inf if "_hidden" in body else time.monotonic()
        born = {"id": str(uuid.uuid4()), "_at": at, "submitted_at": self.now().isoformat()}
        order = {**body, **born, "status": "accepted", "filled_qty": 0}
        self.orders.append(order)
        return self.submitted_status, self._as_sent(order)

    def _cancel(self, order_id: str) -> Answer:
        order = next((order for order in self.orders if order["id"] == order_id), None)
        if order is None:
            return 404, {"message": "no such order"}
        if order["status"] in {"filled", "canceled"}:
            return 422, {"message": f'order is already in "{order["status"]}" state'}
        order["status"] = "canceled"
        return 200, {}

    def _advance_orders(self) -> None:
        for order in self.orders:
            age = time.monotonic() - order.get("_at", 0)
            if order["status"] == "accepted" and age > self.accepted_for:
                order["status"] = "new"
            if order["status"] == "new" and age > self.accepted_for + self.new_for and self._marketable(order):
                self._fill(order)

    def _marketable(self, order: dict[str, Any]) -> bool:
        bid, ask = self.quotes[order["symbol"]]
        if order["type"] == "market":
            return True
        limit = float(order["limit_price"])
        return limit <= bid if order["side"] == "sell" else limit >= ask

    def _fill(self, order: dict[str, Any]) -> None:
        bid, ask = self.quotes[order["symbol"]]
        order |= {"status": "filled", "filled_qty": float(order["qty"])}
        order |= {"filled_avg_price": bid if order["side"] == "sell" else ask}
        row = self.positions[order["symbol"]]
        left = float(row["qty"]) - float(order["qty"]) * (1 if order["side"] == "sell" else -1)
        row["qty"] = left
        if not left:
            del self.positions[order["symbol"]]

    @staticmethod
    def _as_sent(order: dict[str, Any]) -> dict[str, Any]:
        """The order with keys from z to a, an unknown field, and without internal fields."""
        return {"zz_new": {"a": None}} | {key: order[key] for key in sorted(order, reverse=True) if key[0] != "_"}


def position(symbol: str, qty: float, entry: float, **more: Any) -> dict[str, dict[str, Any]]:
    """One row of positions with the minimum of fields and its numbers as numbers."""
    asset = "us_option" if len(symbol) > 9 else "us_equity"
    side = "short" if qty < 0 else "long"
    return {symbol: {"side": side, "avg_entry_price": entry, "symbol": symbol, "asset_class": asset, "qty": qty} | more}
