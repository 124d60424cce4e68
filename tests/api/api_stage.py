"""The control API around the real program against a simulated Alpaca, called in process as an ASGI server would."""

import asyncio
import contextlib
import datetime as dt
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders import replace
from fastapi import FastAPI

from sellctl.api.application import application
from sellctl.api.control import Control
from sellctl.api.lifespan import RUN_OPTIONS, ApiServices, build
from sellctl.api.tokens import Role, make_token
from sellctl.core.config.schema import (
    AccountConfig,
    ApiConfig,
    Config,
    EndpointsConfig,
    NotificationKind,
    NotifyConfig,
    SellModuleConfig,
    TelemetryConfig,
    WatchConfig,
)
from sellctl.core.config_manager import LoadedConfig
from sellctl.journal.queries import AuditRow, Filters, history
from sellctl.service.options import Options
from sellctl.sim.server import SimServer

SECRET = "0r5q1mWc9vTz4YkJb7LxNs2uHd8fGp3eAiRoQwXy"  # noqa: S105  a test's word
CANARY = "canary-4Zk9qTgXr2mWv8Lp"
Play = Callable[..., None]
PREFIX = "/api/v1/sell"
CALL = "AAPL261218C00200000"
HELD = f"""
start: "2026-11-24 12:00"
accounts:
  main:
    key: {CANARY}-key
    secret: {CANARY}-secret
    number: PA1
    positions: [{{symbol: {CALL}, qty: 3, entry: 1.00}}]
prices:
  {CALL}: [{{fixed: {{bid: 1.00, ask: 1.02}}}}]
"""
TARGET = HELD.replace("bid: 1.00, ask: 1.02", "bid: 1.20, ask: 1.22")


def a_token(role: str = "admin", subject: str = "tester", *, secret: str = SECRET, hours: float = 1) -> str:
    """A token that is valid from now on."""
    return make_token(secret, subject, Role(role), dt.timedelta(hours=hours), dt.datetime.now(dt.UTC))


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Api:
    """An application and a way to call it."""

    app: FastAPI
    services: ApiServices
    server: SimServer
    state: Path
    peer: str = "127.0.0.1"
    token: str = field(default_factory=a_token)

    @property
    def control(self) -> Control:
        return self.services.control

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.call("GET", PREFIX + path, **more)

    async def post(self, path: str, body: bytes = b"", **more: Any) -> Answer:
        return await self.call("POST", PREFIX + path, body=body, **more)

    async def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = "",
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        peer: str | None = None,
        receive: Callable[[], Awaitable[dict[str, Any]]] | None = None,
    ) -> Answer:
        """One request; `token` "" is this stage's own, None is no token."""
        given = {"host": "localhost:8090", **(headers or {})}
        if body:
            given.setdefault("content-length", str(len(body)))
            given.setdefault("content-type", "application/json")
        if token is not None:
            given["authorization"] = f"Bearer {token or self.token}"
        scope = a_scope(method, path, given, peer or self.peer)
        return await answered(self.app, scope, receive or whole(body))

    def rows(self, kind: str = "") -> list[AuditRow]:
        """The journal, oldest first."""
        found = history(self.control.runtime.state.journal, Filters(limit=10_000))
        return [row for row in reversed(found) if kind in {"", row.kind}]

    def sent(self) -> list[str]:
        """Every request that could change something at the broker."""
        return [f"{r.method} {r.path}" for r in self.server.requests if r.method not in {"GET", "HEAD"}]


def a_scope(method: str, path: str, headers: dict[str, str], peer: str = "127.0.0.1") -> dict[str, Any]:
    """A request's scope as an ASGI server makes it."""
    plain, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": plain,
        "raw_path": plain.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": (peer, 50_000),
        "server": ("127.0.0.1", 8090),
        "state": {},
    }


def whole(body: bytes) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Receives the body in one piece; then the connection stays open."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError

    return receive


async def answered(app: Any, scope: dict[str, Any], receive: Any) -> Answer:
    """The complete response of an application."""
    start: dict[str, Any] = {}
    chunks: list[bytes] = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            chunks.append(message.get("body", b""))

    await app(scope, receive, send)
    headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], headers, b"".join(chunks))


def a_config(server: SimServer, api: ApiConfig, sell: SellModuleConfig | None = None) -> LoadedConfig:
    """A configuration that points at the simulator."""
    endpoints = EndpointsConfig(trading=server.url, data=server.url)
    accounts = {a.name: AccountConfig(a.key, a.secret, endpoints=endpoints) for a in server.scenario.accounts}
    sell = sell or SellModuleConfig(check_interval=dt.timedelta(seconds=1))
    return LoadedConfig(Config(accounts=accounts, sell_module=sell, api=replace(api, secret=SECRET)), None, {}, ())


def notifying(config: Config, port: int) -> Config:
    """The configuration with a recipient of all notifications and of the heartbeat on this port."""
    entry = NotifyConfig(f"json://127.0.0.1:{port}/", tuple(NotificationKind))
    return replace(config, notify=(entry,), watch=WatchConfig(heartbeat=f"http://127.0.0.1:{port}/beat"))


def options_for(state: Path) -> Options:
    return Options(None, state, live=False, debug=False, log_file=None)


@contextlib.asynccontextmanager
async def on_air(
    server: SimServer,
    folder: Path,
    api: ApiConfig | None = None,
    sell: SellModuleConfig | None = None,
    *,
    body_seconds: float = 10,
    notified: int | None = None,
    prometheus: bool = False,
) -> AsyncIterator[Api]:
    """The application with a running lifespan. It watches only if the configuration says so.

    `notified` is the port of a recipient of all notifications and of the heartbeat.
    """
    state = folder / "state"
    loaded = a_config(server, api or ApiConfig(autostart=False, requests_a_second=10_000), sell)
    if notified is not None:
        loaded = replace(loaded, config=notifying(loaded.config, notified))
    if prometheus:
        loaded = replace(loaded, config=replace(loaded.config, telemetry=TelemetryConfig(prometheus=True)))
    services = build(loaded, options_for(state), replace(RUN_OPTIONS, streams=False))
    services.gate = replace(services.gate, body_seconds=body_seconds)
    for throttle in (services.gate.addresses, services.gate.subjects):
        throttle.monotonic = lambda: 0.0  # how many calls are allowed must not depend on the machine's speed
    app = application(services)
    try:
        async with app.router.lifespan_context(app):
            yield Api(app, services, server, state)
    finally:
        services.close()


async def until(true: Callable[[], object], seconds: float = 10) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  what it waits for has no event
            await asyncio.sleep(0.01)
