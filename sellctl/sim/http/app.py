"""The ASGI application: a request is logged, let in by its key, counted, answered, and spoiled when told to be."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any
from urllib.parse import parse_qsl

from sellctl.sim import rejections
from sellctl.sim.faults.catalogue import Fault
from sellctl.sim.faults.http_faults import AFTER, BEFORE, FAULT_NAMES, spoil_reply
from sellctl.sim.http.closing import add_closing_routes
from sellctl.sim.http.control import add_control_routes
from sellctl.sim.http.key_headers import KEY, SECRET
from sellctl.sim.http.market_data import add_data_routes
from sellctl.sim.http.markets import add_market_routes
from sellctl.sim.http.rate_limits import RateLimits
from sellctl.sim.http.routing import Call, Reply, Routes
from sellctl.sim.http.trading import add_trading_routes
from sellctl.sim.sim_time import SimTime
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Streams = Callable[["Face", Scope, Receive, Send], Awaitable[None]]
CONTROL = "/sim"


@dataclass(slots=True)
class Exchanged:
    """One request as the log keeps it. `took` is the host's seconds."""

    seq: int
    at: str
    account: str
    method: str
    path: str
    query: str
    body: str
    status: int = 0
    fault: str = ""
    took: float = 0.0


@dataclass(slots=True)
class Face:
    """What the handlers share: the exchange under its lock, its time, limits and log."""

    exchange: Exchange
    time: SimTime
    lock: RLock = field(default_factory=RLock)
    log: list[Exchanged] = field(default_factory=list)
    limits: RateLimits = field(default_factory=RateLimits)
    routes: Routes = field(default_factory=Routes)
    control: Routes = field(default_factory=Routes)
    streams: Streams | None = None
    transports: dict[tuple[str, int], asyncio.Transport] = field(default_factory=dict)

    def __post_init__(self) -> None:
        add_trading_routes(self.routes)
        add_closing_routes(self.routes)
        add_market_routes(self.routes)
        add_data_routes(self.routes)
        add_control_routes(self.control, self)

    def catch_up(self) -> None:
        """Bring the exchange to the present instant of its time."""
        with self.lock:
            self.exchange.advance_to(self.time.now())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "websocket" and self.streams is not None:
            await self.streams(self, scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        body = await _read(receive)
        entry = self._entry(scope, body)
        if entry.path.startswith(CONTROL):
            await _answer(send, self._answer_control(entry, body))
            return
        account = self._account(scope)
        entry.account = account.name if isinstance(account, SimAccount) else ""
        fault = self._fault(entry)
        if fault and (act := BEFORE.get(fault.name)) and await act(self, scope, receive, send, fault):
            entry.fault = fault.name
            return
        reply = self._answer(entry, account, body)
        entry.status, entry.took = reply.status, time.perf_counter() - started
        if fault:
            entry.fault = fault.name
            reply = spoil_reply(reply, fault, entry.path)
            if (late := AFTER.get(fault.name)) and await late(self, scope, send, reply, fault):
                return
        await _answer(send, reply)

    def _entry(self, scope: Scope, body: bytes) -> Exchanged:
        entry = Exchanged(
            seq=len(self.log) + 1,
            at=self.time.now().isoformat(),
            account="",
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            body=body.decode("utf-8", "replace"),
        )
        if not entry.path.startswith(CONTROL):
            self.log.append(entry)
        return entry

    def _account(self, scope: Scope) -> SimAccount | rejections.RefusedError:
        headers = dict(scope["headers"])
        try:
            return self.exchange.account_of(
                headers.get(KEY, b"").decode("latin-1"), headers.get(SECRET, b"").decode("latin-1")
            )
        except rejections.RefusedError as refused:
            return refused

    def _fault(self, entry: Exchanged) -> Fault | None:
        if not self.exchange.behaviours.active:
            return None
        return self.exchange.behaviours.strike(
            *FAULT_NAMES, account=entry.account, path=entry.path, method=entry.method
        )

    def _answer(self, entry: Exchanged, account: SimAccount | rejections.RefusedError, body: bytes) -> Reply:
        with self.lock:
            self.exchange.advance_to(self.time.now())
            if isinstance(account, rejections.RefusedError):
                return Reply(account.status, account.body)
            limited, headers = self.limits.take(account.key, entry.path, self.exchange)
            reply = Reply(limited.status, limited.body) if limited else self._handle(entry, account, body)
            reply.headers.update(headers)
            return reply

    def _handle(self, entry: Exchanged, account: SimAccount, body: bytes) -> Reply:
        found = self.routes.find(entry.method, entry.path)
        if found is None:
            return Reply(404, {"message": "endpoint not found."})
        handler, args = found
        query = dict(parse_qsl(entry.query, keep_blank_values=True))
        try:
            return handler(Call(self.exchange, account, entry.method, entry.path, query, body, args))
        except rejections.RefusedError as refused:
            return Reply(refused.status, dict(refused.body))

    def _answer_control(self, entry: Exchanged, body: bytes) -> Reply:
        found = self.control.find(entry.method, entry.path)
        if found is None:
            return Reply(404, {"message": "no such control"})
        handler, args = found
        query = dict(parse_qsl(entry.query, keep_blank_values=True))
        nobody = SimAccount(name="", key="", secret="", number="")
        with self.lock:
            self.exchange.advance_to(self.time.now())
            try:
                return handler(Call(self.exchange, nobody, entry.method, entry.path, query, body, args))
            except rejections.RefusedError as refused:
                return Reply(refused.status, dict(refused.body))


async def _read(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


async def _answer(send: Send, reply: Reply) -> None:
    body = reply.encoded()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    own = {key.lower(): value for key, value in reply.headers.items()}
    if "content-type" in own:
        headers.pop(0)
    if reply.status == 204:  # noqa: PLR2004  no content has no length
        headers = []
    headers += [(key.encode(), value.encode()) for key, value in own.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
