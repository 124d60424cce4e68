"""The real adapter without sockets: its transport calls the simulator's HTTP application directly.

Each request is run to its end in a small event loop of its own, whose time is the server's. How long that took decides
whether the client would have waited for it.
"""

import asyncio
import weakref
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import unquote

from faults.evidence import EvidenceChecker
from faults.loop import VirtualSelector, seconds
from faults.network import MarketData
from faults.process_run import Connections
from sellctl.alpaca.connect import connect
from sellctl.alpaca.convert import UnreadableError
from sellctl.alpaca.transport import DEFAULT_LIMITS, DisconnectedError, HttpRequest, HttpResponse
from sellctl.core.config.schema import AccountConfig, Config, EndpointsConfig
from sellctl.core.ports import Broker
from sellctl.core.tracking.remembered_facts import RememberedFacts
from sellctl.sim.host import SimHost
from sellctl.sim.http.app import SimulatorApp
from sellctl.sim.sim_time import SimTime
from sellctl.sim.venue.exchange import Exchange

BASE_URL = "http://127.0.0.1:1"
_CLIENT = ("127.0.0.1", 1)
_KEY = "APCA-API-KEY-ID"
_DATA = ("/v2/stocks", "/v1beta1/", "/v1beta3/")  # data has a budget of its own
Message = MutableMapping[str, Any]


class _ServerLoop(asyncio.SelectorEventLoop):
    """An event loop that advances its own time instead of waiting; `now` is the server's time in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(VirtualSelector(self._jump))

    def time(self) -> float:
        """Seconds of the server since the loop was created."""
        return self.now

    def _jump(self, by: float) -> None:
        self.now += by


@dataclass(slots=True)
class _Reply:
    """The response as far as it was sent, whether the connection was reset, and its duration in server seconds."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    complete: bool = False
    reset: bool = False
    seconds_taken: float = 0.0
    silence: float = 0.0


class _Socket:
    """Replaces the socket, which a fault may abort."""

    def __init__(self, reply: _Reply) -> None:
        self._exchange = reply

    def get_extra_info(self, _name: str) -> None:
        """There is no real socket."""

    def abort(self) -> None:
        """Reset the connection."""
        self._exchange.reset = True


class InProcessTransport:
    """The adapter's Transport, which runs each request in the simulator's HTTP application."""

    def __init__(self, app: SimulatorApp, evidence: EvidenceChecker) -> None:
        self._app = app
        self._loop = _ServerLoop()
        weakref.finalize(self, self._loop.close)
        self._evidence = evidence

    async def send(self, request: HttpRequest, *, urgent: bool = False) -> HttpResponse:
        """Run one request to its end or to the client's deadline. It takes no time, so urgency has no effect."""
        del urgent
        self._note(request)
        self._app.host.time.move_to(self._app.host.exchange.now)
        reply = self._run(request)
        limits = DEFAULT_LIMITS
        if reply.seconds_taken >= limits.total or reply.silence >= limits.read:
            raise TimeoutError
        if reply.reset or not reply.complete:
            raise DisconnectedError
        if len(reply.body) > limits.body_bytes:
            raise UnreadableError(f"it is longer than {limits.body_bytes} bytes")
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in reply.headers}
        return HttpResponse(reply.status, headers, reply.body)

    def close(self) -> None:
        """Nothing is open."""

    def _note(self, request: HttpRequest) -> None:
        """Record what D9, I6, I7, K3 and R8 are checked against."""
        path = request.target.partition("?")[0]
        self._evidence.posts += request.method == "POST"
        key, now = dict(request.headers)[_KEY], self._app.host.exchange.now
        self._evidence.requests[f"{key} {'data' if path.startswith(_DATA) else 'trading'}"].append(now)
        if path == "/v2/positions":
            self._evidence.positions_asked[key].append(now)
        if path.endswith("/quotes/latest"):
            self._evidence.feeds_asked.append((now, request.target.rpartition("feed=")[2]))
        everything = request.method == "DELETE" and not path.startswith("/v2/orders/")
        if everything or request.method in {"PATCH", "PUT"}:
            self._evidence.shortcuts.add(f"{request.method} {path}")

    def _run(self, request: HttpRequest) -> _Reply:
        """Run the application in the server's event loop, inside the one that the program runs in."""
        reply, outer = _Reply(), asyncio.get_running_loop()
        self._app.host.transport_of = lambda _client: cast("asyncio.Transport", _Socket(reply))
        asyncio.events._set_running_loop(None)  # noqa: SLF001  a loop within a loop, each with its own time
        try:
            self._loop.run_until_complete(_serve(self._app, request, reply, self._loop))
        finally:
            asyncio.events._set_running_loop(outer)  # noqa: SLF001  likewise
        return reply


async def _serve(app: SimulatorApp, request: HttpRequest, reply: _Reply, loop: _ServerLoop) -> None:
    started = last = loop.now
    received = False

    async def receive() -> Message:
        nonlocal received
        if received:
            await asyncio.sleep(DEFAULT_LIMITS.read)
            return {"type": "http.disconnect"}
        received = True
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal last
        reply.silence, last = max(reply.silence, loop.now - last), loop.now
        if message["type"] == "http.response.start":
            reply.status, reply.headers = message["status"], list(message["headers"])
        else:
            reply.body += message.get("body", b"")
            reply.complete = not message.get("more_body")

    await app(_scope(request), receive, send)
    reply.seconds_taken = loop.now - started
    if not reply.complete:
        reply.silence = max(reply.silence, loop.now - last)


def _scope(request: HttpRequest) -> Message:
    path, _, query = request.target.partition("?")
    return {
        "type": "http",
        "method": request.method,
        "path": unquote(path),
        "query_string": query.encode("latin-1"),
        "headers": [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in request.headers],
        "client": _CLIENT,
    }


def through_adapter(exchange: Exchange, evidence: EvidenceChecker) -> Connections:
    """Brokers and quotes through the real adapter. Each process run has its own clients to one simulator."""
    app = SimulatorApp(SimHost(exchange, SimTime(exchange.now, 0)))

    def connections(facts: RememberedFacts) -> tuple[dict[str, Broker], MarketData]:
        connected = connect(_config(exchange), monotonic=_seconds_of(exchange), facts=facts, now=lambda: exchange.now)
        for client in connected._clients.values():  # noqa: SLF001  the bench replaces the network
            client.transport = InProcessTransport(app, evidence)
        return dict(connected.brokers), connected.quotes

    return connections


def _seconds_of(exchange: Exchange) -> Callable[[], float]:
    def monotonic() -> float:
        return seconds(exchange.now)

    return monotonic


def _config(exchange: Exchange) -> Config:
    endpoints = EndpointsConfig(trading=BASE_URL, data=BASE_URL)
    keys = {name: AccountConfig(books.key, books.secret) for name, books in exchange.accounts.items()}
    return Config(accounts={name: replace(account, endpoints=endpoints) for name, account in keys.items()})
