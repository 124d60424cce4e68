"""The HTTP server of the control API. It runs in the watcher's event loop and closes slow and excess connections."""

import asyncio
import socket
import ssl
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sellctl.api.access import check_exposed
from sellctl.api.application import application
from sellctl.api.control import State
from sellctl.core.errors import ConfigError, SellctlError
from sellctl.service.signals import on_first_signal, on_hangup
from sellctl.service.systemd import sd_notify

if TYPE_CHECKING:
    from collections.abc import Callable

    from sellctl.api.control import Control
    from sellctl.api.lifespan import ApiServices
    from sellctl.core.config.schema import ApiConfig
    from sellctl.core.config_manager import LoadedConfig

WATCHDOG_SECONDS = 10.0
SHUTDOWN_SECONDS = 2  # the longest that responses in progress may take at shutdown


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on connections."""

    head_seconds: float = 10.0  # the longest that the head of a request, or a TLS handshake, may take
    unread_seconds: float = 30.0  # the longest that a client may leave a response unread
    head_bytes: int = 16_384
    connections: int = 200
    connections_per_address: int = 100


def listen(api: "ApiConfig", port: int | None = None) -> socket.socket:
    """A listening socket at api.host.

    SafetyRefusalError when other machines could reach it unencrypted, ConfigError when the address can't be bound.
    """
    check_exposed(api)
    host = "127.0.0.1" if api.host == "localhost" else api.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio disables Nagle's algorithm only on sockets that name the protocol.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, api.port if port is None else port))
        listening.listen()
    except OSError as error:
        listening.close()
        hint = "Use another api.port, or stop the program that listens there."
        raise ConfigError(
            f"{host}:{api.port if port is None else port} can't be used: {error.strerror}.", hint=hint
        ) from None
    return listening


def url_of(listening: socket.socket, api: "ApiConfig") -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"{'https' if api.tls_cert else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def tls_context(loaded: "LoadedConfig") -> ssl.SSLContext | None:
    """TLS 1.2 or newer with the configured files; None without files. ConfigError when they can't be used."""
    api = loaded.config.api
    if not api.tls_cert or not api.tls_key:
        return None
    folder = loaded.path.absolute().parent if loaded.path else Path()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(folder / Path(api.tls_cert).expanduser(), folder / Path(api.tls_key).expanduser())
    except (OSError, RuntimeError, ValueError) as error:  # an SSLError is an OSError
        hint = "Both must be PEM files, and the key must belong to the certificate."
        raise ConfigError(f"api.tls_cert and api.tls_key can't be used: {error}.", hint=hint) from None
    return context


async def serve(services: "ApiServices", listening: socket.socket, context: ssl.SSLContext | None) -> None:
    """Serve until SIGINT or SIGTERM, or until the watcher ends with an error."""
    control = services.control
    server = LimitedServer(application(services), context, Limits())

    def end() -> None:
        control.begin_to_close()
        server.should_exit = True

    on_first_signal(end)
    on_hangup(services.reload)
    background_tasks = [
        asyncio.create_task(_end_on_fault(control.failed, end)),
        asyncio.create_task(_notify_watchdog(control)),
    ]
    try:
        await server.serve(sockets=[listening])
    finally:
        sd_notify("STOPPING=1")
        for task in background_tasks:
            task.cancel()
    if not server.started:
        raise SellctlError("The control API did not start.", hint="See the log.")


async def _end_on_fault(failed: asyncio.Event, end: "Callable[[], None]") -> None:
    """End the process when the watcher has failed, so that a service manager can restart it."""
    await failed.wait()
    end()


async def _notify_watchdog(control: "Control") -> None:
    """Send WATCHDOG=1 while polls are made, or while no watcher is meant to run; not when a running watcher hangs.

    The health of the state folder is renewed with it, unless no account can be watched.
    """
    polls = -1
    while True:
        if control.state is not State.WATCHING or control.polls != polls:
            polls = control.polls
            sd_notify("READY=1", "WATCHDOG=1", f"STATUS={control.state}")
            if control.state is not State.WATCHING or control.runtime.is_healthy:
                control.runtime.state.renew_health()
        await asyncio.sleep(WATCHDOG_SECONDS)


class LimitedServer(uvicorn.Server):
    """Uvicorn with limits, and without its own signal handlers, because the watcher must handle signals first."""

    def __init__(self, app: Any, context: ssl.SSLContext | None, limits: Limits) -> None:
        super().__init__(_settings(app, context, limits))
        self._limits = limits

    def capture_signals(self) -> Any:
        """Leave the handlers as they are."""
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen with a limit on the time of a TLS handshake; uvicorn's own start leaves it at a minute."""
        await super().startup(sockets=[])
        config, loop = self.config, asyncio.get_running_loop()
        protocol: Any = config.http_protocol_class
        new_protocol = partial(protocol, config, self.server_state, self.lifespan.state)
        limit = None if config.ssl is None else self._limits.head_seconds
        for listening in sockets or []:
            self.servers.append(
                await loop.create_server(
                    new_protocol, sock=listening, ssl=config.ssl, backlog=config.backlog, ssl_handshake_timeout=limit
                )
            )


def _settings(app: Any, context: ssl.SSLContext | None, limits: Limits) -> uvicorn.Config:
    more: dict[str, Any] = {} if context is None else {"ssl_context_factory": lambda _config, _default: context}
    return uvicorn.Config(
        app,
        http=type("Protocol", (LimitedProtocol,), {"limits": limits}),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # Access reads X-Forwarded-For itself, and only from api.proxies
        timeout_keep_alive=5,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        **more,
    )


class LimitedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol with limits on a request's head, on unread responses and on the number of connections."""

    limits = Limits()
    _in_head = True  # whether the head of the next request is incomplete
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _made_at = 0.0

    def connection_made(self, transport: Any) -> None:
        """Accept a connection. When there are too many, one without a request in progress is closed for it."""
        super().connection_made(transport)
        self._made_at = self.loop.time()
        self._start_deadline()
        connections: list[Any] = list(self.connections)  # all of this class
        of_this_address = [each for each in connections if _address_of(each) == _address_of(self)]
        if len(of_this_address) > self.limits.connections_per_address:
            _close_oldest(of_this_address)
        elif len(connections) > self.limits.connections:
            _close_oldest(connections)

    @property
    def is_idle(self) -> bool:
        """Whether no request is in progress: the head of the next one has not arrived completely."""
        return self.cycle is None or bool(self.cycle.response_complete)

    @property
    def age(self) -> float:
        """Seconds since the connection was made."""
        return self.loop.time() - self._made_at

    def data_received(self, data: bytes) -> None:
        """Receive bytes. The size limit applies even before the head is complete."""
        super().data_received(data)
        if self.transport.is_closing() or not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > self.limits.head_bytes:
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """The first byte of a request has arrived."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._start_deadline()

    def on_headers_complete(self) -> None:
        """The head is complete. ValueError, which the parser answers with status 400, when it is too large."""
        self._in_head = False
        self._cancel_deadline()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > self.limits.head_bytes:
            raise ValueError("the head of the request is too large")
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """The client reads more slowly than a response is sent; a client that stops reading is disconnected."""
        super().pause_writing()
        self._cancel_reading()
        self._reading = self.loop.call_later(self.limits.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        self._cancel_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._cancel_deadline()
        self._cancel_reading()
        super().connection_lost(exc)

    def close_now(self) -> None:
        """Close the connection, and don't count it any more."""
        self.connections.discard(self)
        self.transport.abort()

    def _start_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.limits.head_seconds, self.transport.abort)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cancel_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None


def _address_of(connection: LimitedProtocol) -> str:
    return connection.client[0] if connection.client else ""


def _close_oldest(connections: "list[LimitedProtocol]") -> None:
    """Close the oldest connection without a request in progress, at worst the one that was just made.

    So half-open connections, however many, can't keep out a client that sends its request at once.
    """
    max((each for each in connections if each.is_idle), key=lambda each: each.age).close_now()
