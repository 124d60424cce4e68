"""The simulator as a server: uvicorn in a thread of its own, on loopback only, with a ticker that keeps time moving."""

import asyncio
import contextlib
import datetime as dt
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sellctl.core.errors import ConfigError
from sellctl.sim.http.app import Exchanged, Face
from sellctl.sim.scenario.reader import Scenario, load_scenario
from sellctl.sim.sim_time import SimTime
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.ws.hub import Hub

LOOPBACK = "127.0.0.1"
TICK = 0.02  # seconds of the host between looks at what is due
BACKLOG = 128
UVICORN_TICK = 0.1  # uvicorn counts its looks in tenths of a second
START_TIMEOUT = 10.0


class _Server(uvicorn.Server):
    """Uvicorn's server, which ends when it is told to rather than at its next look, and cuts what is open."""

    _told: asyncio.Event | None = None
    _loop: asyncio.AbstractEventLoop | None = None

    def end(self) -> None:
        """Stop now, from any thread."""
        self.should_exit = self.force_exit = True
        if self._loop and self._told and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # it ended in this very moment
                self._loop.call_soon_threadsafe(self._told.set)

    def handle_exit(self, _sig: int, _frame: FrameType | None) -> None:
        """Ctrl-C and SIGTERM are good ends: serving is over and the status is 0."""
        self.end()

    async def main_loop(self) -> None:
        """Wait for the end; the looks in between keep the Date header right."""
        self._loop, self._told = asyncio.get_running_loop(), asyncio.Event()
        count = 0
        while not await self.on_tick(count):
            count += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), UVICORN_TICK)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cut everything at once."""
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for task in list(self.server_state.tasks):
            task.cancel()
        await asyncio.sleep(0.01)  # closed transports say so on the loop's next turns


class SimServer:
    """A simulated Alpaca on 127.0.0.1. `speed` 0 stands still until `advance_to` or the control endpoint moves time.

    Use it as a context manager, or call `start` and `stop`. Tests that reach into `exchange` while time runs by itself
    do so within `with server.hold() as exchange`.
    """

    def __init__(self, scenario: Scenario | None = None, *, port: int = 0, speed: float | None = None) -> None:
        self.scenario = scenario or load_scenario()
        exchange = self.scenario.exchange()
        pace = float(self.scenario.speed) if speed is None else speed
        self.face = Face(exchange, SimTime(exchange.now, pace))
        self.hub = Hub(self.face)
        self.face.streams = self.hub
        self._socket = listen(port)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(self._config())
        self._thread = threading.Thread(target=self._run, name="sellctl-sim", daemon=True)
        self._ready = threading.Event()

    @property
    def url(self) -> str:
        """The base of both REST APIs."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def stream_url(self) -> str:
        """The base of the streams."""
        return f"ws://{LOOPBACK}:{self.port}"

    @property
    def exchange(self) -> Exchange:
        """The exchange itself."""
        return self.face.exchange

    @property
    def requests(self) -> list[Exchanged]:
        """Every request so far, the control endpoint's left out."""
        return self.face.log

    @contextlib.contextmanager
    def hold(self) -> Iterator[Exchange]:
        """The exchange at the present instant, with nobody else touching it."""
        with self.face.lock:
            self.face.catch_up()
            yield self.face.exchange

    def advance_to(self, at: dt.datetime) -> None:
        """Move time forward."""
        with self.face.lock:
            self.face.time.move_to(at)
            self.face.catch_up()

    def advance(self, seconds: float) -> None:
        """Move time forward by simulated seconds."""
        self.advance_to(self.face.time.now() + dt.timedelta(seconds=seconds))

    def start(self) -> Self:
        """Serve in a thread; returns when it answers."""
        self.face.time.run_at(self.face.time.speed)
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT):
            raise RuntimeError("the simulator did not start")
        return self

    def stop(self) -> None:
        """Stop serving; open connections are cut."""
        self._server.end()
        if self._thread.is_alive():
            self._thread.join(START_TIMEOUT)
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def serve_here(self) -> None:
        """Serve in this thread until interrupted."""
        self.face.time.run_at(self.face.time.speed)
        self._run()

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            self.face,
            http=_protocol(self.face),
            ws="websockets-sansio",
            ws_max_size=2**24,
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=True,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )

    def _run(self) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self._main())

    async def _main(self) -> None:
        ticker = asyncio.create_task(self._tick())
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            ticker.cancel()

    async def _tick(self) -> None:
        while True:
            if self._server.started:
                self._ready.set()
            self.face.catch_up()
            self.hub.tick()
            await asyncio.sleep(TICK)


@contextlib.contextmanager
def opened(make: Callable[[], SimServer], port: int) -> Iterator[SimServer]:
    """A server that isn't serving yet; its socket is closed at the end. ConfigError when the port is taken."""
    try:
        server = make()
    except OSError as error:
        raise ConfigError(f"127.0.0.1:{port} can't be used: {error.strerror}.", hint="Take another --port.") from None
    try:
        yield server
    finally:
        server.stop()


def listen(port: int) -> socket.socket:
    """A listening socket on loopback; port 0 takes a free one."""
    # the protocol is named so that asyncio sends small answers at once (TCP_NODELAY)
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen(BACKLOG)  # who calls before uvicorn has started waits rather than being refused
    except OSError:
        listening.close()
        raise
    return listening


def _protocol(face: Face) -> type[asyncio.Protocol]:
    """Uvicorn's own HTTP protocol, which also remembers its transport so that a fault can reset it."""

    class Remembering(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if self.client:
                face.transports[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client:
                face.transports.pop(self.client, None)
            super().connection_lost(exc)

    return Remembering
