"""The HTTP server of the control API. It runs in the watcher's event loop and closes slow and excess connections."""

import asyncio
import signal
import socket
import ssl
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sellctl.api.access import check_exposed
from sellctl.api.application import application
from sellctl.api.control import State
from sellctl.core.errors import ConfigError, SellctlError
from sellctl.service.signals import on_first_signal
from sellctl.service.systemd import sd_notify

if TYPE_CHECKING:
    from collections.abc import Callable

    from sellctl.api.control import Control
    from sellctl.api.lifespan import ApiServices
    from sellctl.core.config.schema import ApiConfig
    from sellctl.core.config_manager import LoadedConfig

HEAD_SECONDS = 10.0  # the longest that the head of a request may take to arrive
MAX_CONNECTIONS = 200
MAX_HEAD_BYTES = 16_384
WATCHDOG_SECONDS = 10.0
SHUTDOWN_SECONDS = 2  # the longest that responses in progress may take at shutdown


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
    server = _Server(_settings(application(services), context))

    def end() -> None:
        control.begin_to_close()
        server.should_exit = True

    on_first_signal(end)
    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, services.reload)
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
    """Send WATCHDOG=1 while polls are made, or while no watcher is meant to run.

    When a running watcher hangs, it is no longer sent.
    """
    polls = -1
    while True:
        if control.state is not State.WATCHING or control.polls != polls:
            polls = control.polls
            sd_notify("READY=1", "WATCHDOG=1", f"STATUS={control.state}")
        await asyncio.sleep(WATCHDOG_SECONDS)


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers, because the watcher must handle signals first."""

    def capture_signals(self) -> Any:
        return nullcontext()


def _settings(app: Any, context: ssl.SSLContext | None) -> uvicorn.Config:
    more: dict[str, Any] = {} if context is None else {"ssl_context_factory": lambda _config, _default: context}
    return uvicorn.Config(
        app,
        http=LimitedProtocol,
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
    """Uvicorn's protocol with limits on a request's head, in time and size, and on the number of connections."""

    _in_head = True  # whether the head of the next request is incomplete
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Accept a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._start_deadline()

    def data_received(self, data: bytes) -> None:
        """Receive bytes. The size limit applies even before the head is complete."""
        super().data_received(data)
        if self.transport.is_closing() or not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
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
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            raise ValueError("the head of the request is too large")
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._cancel_deadline()
        super().connection_lost(exc)

    def _start_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
