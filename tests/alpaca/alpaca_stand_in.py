"""A scripted HTTP server on loopback that stands in for Alpaca, and builders of its requests and answers.

Each path has its answers in turn; the last one repeats. Every request is kept as it came over the wire.
"""

import asyncio
import contextlib
import json
import threading
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from sellctl.alpaca.connect import connect
from sellctl.alpaca.transport import Limits
from sellctl.core.config.schema import AccountConfig, Config, EndpointsConfig, MarketDataConfig
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.order import OrderType, PositionIntent, Side
from sellctl.core.model.plan import SubmitOrder

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping

    from sellctl.alpaca.connect import Connected
    from sellctl.core.ports import Broker

KEY = "CANARYKEYPKX7"
SECRET = "CANARYSECRETzzz9"  # noqa: S105  a canary, searched for in errors and logs
SHORT = Limits(connect=1, read=0.3, total=0.45, body_bytes=100_000)
PATIENT = Limits(connect=2, read=5, total=10)


@dataclass(frozen=True)
class ReceivedRequest:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def symbols(self) -> list[str]:
        return self.query.get("symbols", "").split(",")


@dataclass(frozen=True)
class Answer:
    """One answer. `drip` sends the body byte by byte for ever; `hang` sends nothing at all."""

    body: bytes | str | list | dict | None = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    drip: bool = False
    drip_headers: bool = False
    cut: bool = False  # announces more than it sends
    reset: bool = False

    @property
    def bytes(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


OPTION = SubmitOrder(
    client_order_id="sellctl-abc",
    symbol="PTON240126C00000500",
    asset_class=AssetClass.OPTION,
    side=Side.SELL,
    qty=Decimal(1),
    type=OrderType.LIMIT,
    limit_price=Decimal("1.05"),
    position_intent=PositionIntent.SELL_TO_CLOSE,
)


class StandIn:
    """The server: `on(path, answers...)` scripts it, `requests` are those that arrived."""

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self.connections = 0
        self.ended = threading.Event()
        self._script: dict[str, list[Any]] = {}
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.stand_in = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.001,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def on(self, path: str, *answers: Any) -> Self:
        self._script[path] = list(answers)
        return self

    def to(self, path: str) -> list[ReceivedRequest]:
        return [request for request in self.requests if request.path == path]

    def answer(self, request: ReceivedRequest) -> Answer:
        self.requests.append(request)
        answers = self._script.get(request.path)
        if not answers:
            return Answer({"code": 40410000, "message": "order not found"}, 404)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer(request) if callable(answer) else answer


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    stand_in: StandIn

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that closes the connection is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 2
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.stand_in.connections += 1

    def log_message(self, *_: object) -> None:
        """Silent."""

    def _handle(self) -> None:
        split = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(split.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        request = ReceivedRequest(self.command, split.path, query, dict(self.headers.items()), body)
        self._send(self.server.stand_in.answer(request))

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815  http.server's names

    def _send(self, answer: Answer) -> None:
        ended = self.server.stand_in.ended
        self.close_connection = answer.hang or answer.drip or answer.drip_headers or answer.cut or answer.reset
        if answer.hang:
            ended.wait(2)
        if answer.hang or answer.reset:
            return
        if answer.drip_headers:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            self._drip()
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.bytes) + (10 if answer.cut else 0)))
        self.end_headers()
        if answer.drip:
            self._drip()
        elif answer.status != 204:
            self.wfile.write(answer.bytes)

    def _drip(self) -> None:
        with contextlib.suppress(OSError):
            while not self.server.stand_in.ended.wait(0.02):
                self.wfile.write(b" ")


# --- the other side


def a_config(*urls: str, paper: bool = True, **market_data: Any) -> Config:
    """One account an address, named a, b, c ..., each with a key pair of its own."""
    accounts = {
        name: AccountConfig(
            api_key=KEY + name, secret_key=SECRET + name, paper=paper, endpoints=EndpointsConfig(trading=url, data=url)
        )
        for name, url in zip("abcdefgh", urls, strict=False)
    }
    return Config(accounts=accounts, market_data=MarketDataConfig(**market_data))


@contextlib.contextmanager
def connected(*urls: str, limits: Limits = PATIENT, **market_data: Any) -> "Iterator[Connected]":
    """Adapters to these addresses, closed at the end."""
    adapters = connect(a_config(*urls, **market_data), limits)
    try:
        yield adapters
    finally:
        adapters.close()


def run(coroutine: "Coroutine[Any, Any, Any]") -> Any:
    return asyncio.run(coroutine)


def caught(coroutine: "Coroutine[Any, Any, Any]") -> Exception:
    """The error that a call ends in."""
    try:
        answer = run(coroutine)
    except Exception as error:  # noqa: BLE001  whatever it is, the test looks at it
        return error
    raise AssertionError(f"no error, but {answer!r}")


def read(broker: "Broker") -> Exception:
    """The error that a read ends in."""
    return caught(broker.positions())


def submit(broker: "Broker") -> Exception:
    """The error that an order ends in."""
    return caught(broker.submit(OPTION))


def cancel(broker: "Broker") -> Exception:
    """The error that a cancel ends in."""
    return caught(broker.cancel("id-0001"))


def look_up(broker: "Broker") -> Exception:
    """The error that a look-up by our own id ends in."""
    return caught(broker.order_by_client_id("sellctl-abc"))


PATHS = {
    read: "/v2/positions",
    submit: "/v2/orders",
    cancel: "/v2/orders/id-0001",
    look_up: "/v2/orders:by_client_order_id",
}


def an_order_row(number: int = 1, **fields: Any) -> dict[str, Any]:
    """An order as Alpaca shows it."""
    return {
        "id": f"id-{number:04}",
        "client_order_id": f"theirs-{number}",
        "symbol": "AAPL",
        "asset_class": "us_equity",
        "qty": "1",
        "filled_qty": "0",
        "side": "sell",
        "type": "limit",
        "order_class": "",
        "time_in_force": "day",
        "limit_price": "1.05",
        "stop_price": None,
        "status": "new",
        "submitted_at": "2026-11-20T15:00:00.123456789Z",
        "legs": None,
    } | fields


def a_position_row(**fields: Any) -> dict[str, Any]:
    """A position as Alpaca shows it."""
    return {
        "asset_id": "904837e3",
        "symbol": "PTON240126C00000500",
        "exchange": "",
        "asset_class": "us_option",
        "qty": "2",
        "avg_entry_price": "6.05",
        "side": "long",
        "market_value": "1068",
        "current_price": "5.34",
        "qty_available": "2",
    } | fields


def a_quote_row(**fields: Any) -> dict[str, Any]:
    """A latest quote as the market data API shows it."""
    return {
        "ap": 1.1,
        "as": 5,
        "ax": "N",
        "bp": 1.05,
        "bs": 3,
        "bx": "C",
        "c": "A",
        "t": "2026-11-20T15:00:00.1Z",
    } | fields


def quotes_for(request: ReceivedRequest) -> Answer:
    """A quote for each symbol that was requested."""
    return Answer({"quotes": {symbol: a_quote_row() for symbol in request.symbols}})


def without(row: "Mapping[str, Any]", *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}
