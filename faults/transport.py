"""The SDK path: the real adapter on the SDK's own client, whose transport calls the simulator's HTTP face directly.

No sockets: one request is played to its end in a small loop of its own, whose time is the server's. How long that took
decides whether the client would have waited for it.
"""

import asyncio
import weakref
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import unquote

from faults.evidence import EvidenceChecker
from faults.life import Doors
from faults.loop import Turnstile, seconds
from sellctl.alpaca.connect import connect
from sellctl.alpaca.convert import UnreadableError
from sellctl.alpaca.transport import DEFAULT_TIMEOUTS, Received, Request
from sellctl.core.config.schema import AccountConfig, Config, EndpointsConfig
from sellctl.core.ports import Broker, QuoteSource
from sellctl.sim.host import SimHost
from sellctl.sim.http.app import SimulatorApp
from sellctl.sim.sim_time import SimTime
from sellctl.sim.venue.exchange import Exchange

HERE = "http://127.0.0.1:1"
_CLIENT = ("127.0.0.1", 1)
Message = MutableMapping[str, Any]


class _ServerLoop(asyncio.SelectorEventLoop):
    """A loop whose waiting costs nothing: `now` says how long the server would have taken."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(Turnstile(self._jump))

    def time(self) -> float:
        """Seconds of the server since the loop was made."""
        return self.now

    def _jump(self, by: float) -> None:
        self.now += by


@dataclass(slots=True)
class _Played:
    """What came of one request: status, headers and body as far as they got, and whether the connection was reset."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    whole: bool = False
    reset: bool = False
    took: float = 0.0
    silence: float = 0.0


class _Reset:
    """Stands for the socket: a fault may abort it."""

    def __init__(self, played: _Played) -> None:
        self._played = played

    def get_extra_info(self, _name: str) -> None:
        """There is no socket."""

    def abort(self) -> None:
        """The connection is reset."""
        self._played.reset = True


class InProcessTransport:
    """The adapter's Transport, which plays each request against the face."""

    def __init__(self, app: SimulatorApp, evidence: EvidenceChecker) -> None:
        self._app = app
        self._loop = _ServerLoop()
        weakref.finalize(self, self._loop.close)
        self._evidence = evidence

    async def send(self, request: Request, *, ahead: bool = False) -> Received:
        """One request, played to its end or to the client's patience; it takes no time, so it is always `ahead`."""
        del ahead
        self._note(request)
        self._app.host.time.move_to(self._app.host.exchange.now)
        played = self._play(request)
        limits = DEFAULT_TIMEOUTS
        if played.took >= limits.whole or played.silence >= limits.read:
            raise TimeoutError
        if played.reset or not played.whole:
            raise ConnectionResetError
        if len(played.body) > limits.body_bytes:
            raise UnreadableError(f"it is longer than {limits.body_bytes} bytes")
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in played.headers}
        return Received(played.status, headers, played.body)

    def close(self) -> None:
        """Nothing is open."""

    def _note(self, request: Request) -> None:
        """What I6 and I7 are asked of."""
        path = request.target.partition("?")[0]
        self._evidence.posts += request.method == "POST"
        everything = request.method == "DELETE" and not path.startswith("/v2/orders/")
        if everything or request.method in {"PATCH", "PUT"}:
            self._evidence.shortcuts.add(f"{request.method} {path}")

    def _play(self, request: Request) -> _Played:
        """The face's coroutine in the server's own loop, within whatever loop the program runs in."""
        played, outer = _Played(), asyncio.get_running_loop()
        self._app.host.transport_of = lambda _client: cast("asyncio.Transport", _Reset(played))
        asyncio.events._set_running_loop(None)  # noqa: SLF001  a loop within a loop, each with its own time
        try:
            self._loop.run_until_complete(_serve(self._app, request, played, self._loop))
        finally:
            asyncio.events._set_running_loop(outer)  # noqa: SLF001  likewise
        return played


async def _serve(app: SimulatorApp, request: Request, played: _Played, loop: _ServerLoop) -> None:
    started = last = loop.now
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await asyncio.sleep(DEFAULT_TIMEOUTS.read)
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal last
        played.silence, last = max(played.silence, loop.now - last), loop.now
        if message["type"] == "http.response.start":
            played.status, played.headers = message["status"], list(message["headers"])
        else:
            played.body += message.get("body", b"")
            played.whole = not message.get("more_body")

    await app(_scope(request), receive, send)
    played.took = loop.now - started
    if not played.whole:
        played.silence = max(played.silence, loop.now - last)


def _scope(request: Request) -> Message:
    path, _, query = request.target.partition("?")
    return {
        "type": "http",
        "method": request.method,
        "path": unquote(path),
        "query_string": query.encode("latin-1"),
        "headers": [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in request.headers],
        "client": _CLIENT,
    }


def over_the_sdk(exchange: Exchange, evidence: EvidenceChecker) -> Doors:
    """Doors through the real adapter. Each life has clients of its own; the simulator's face outlives them."""
    app = SimulatorApp(SimHost(exchange, SimTime(exchange.now, 0)))

    def doors(_wire: object) -> tuple[dict[str, Broker], QuoteSource]:
        connected = connect(_config(exchange), monotonic=_seconds_of(exchange))
        for client in connected._clients:  # noqa: SLF001  the bench puts its transport in the place of the network
            client.transport = InProcessTransport(app, evidence)
        return dict(connected.brokers), connected.quotes

    return doors


def _seconds_of(exchange: Exchange) -> Callable[[], float]:
    def monotonic() -> float:
        return seconds(exchange.now)

    return monotonic


def _config(exchange: Exchange) -> Config:
    endpoints = EndpointsConfig(trading=HERE, data=HERE)
    keys = {name: AccountConfig(books.key, books.secret) for name, books in exchange.accounts.items()}
    return Config(accounts={name: replace(account, endpoints=endpoints) for name, account in keys.items()})
