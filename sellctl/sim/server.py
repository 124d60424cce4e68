"""The simulator as a server: uvicorn in its own thread, on loopback only, with a ticker that moves simulated time."""

import asyncio
import contextlib
import datetime as dt
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Self

import uvicorn

from sellctl.core.errors import ConfigError
from sellctl.sim.host import ClientAddress, SimHost
from sellctl.sim.http.app import SimulatorApp
from sellctl.sim.http.messages import LoggedRequest
from sellctl.sim.scenario.reader import Scenario, load_scenario
from sellctl.sim.sim_time import SimTime
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.ws.hub import StreamHub

LOOPBACK = "127.0.0.1"
TICK = 0.02  # seconds of the host between two moves of simulated time
BACKLOG = 128
UVICORN_TICK = 0.1  # uvicorn counts its ticks in tenths of a second
START_TIMEOUT = 10.0


class _Server(uvicorn.Server):
    """Uvicorn's server, which stops at once rather than at its next tick, and aborts open connections."""

    _stopping: asyncio.Event | None = None
    _loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """Stop at once, from any thread."""
        self.should_exit = self.force_exit = True
        if self._loop and self._stopping and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop closed in between
                self._loop.call_soon_threadsafe(self._stopping.set)

    def handle_exit(self, _sig: int, _frame: FrameType | None) -> None:
        """Stop on Ctrl-C or SIGTERM without an error, so that the exit status is 0."""
        self.stop()

    async def main_loop(self) -> None:
        """Wait for `stop`. Uvicorn's ticks go on, because they update the Date header."""
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        count = 0
        while not await self.on_tick(count):
            count += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), UVICORN_TICK)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close everything without waiting."""
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for task in list(self.server_state.tasks):
            task.cancel()
        await asyncio.sleep(0.01)  # closed transports report that in the next turns of the loop


class SimServer:
    """A simulated Alpaca on 127.0.0.1. With `speed` 0 time moves by `advance_to` and the control endpoint only.

    Use it as a context manager, or call `start` and `stop`. While time moves by itself, use `exchange` only within
    `with server.hold() as exchange`.
    """

    def __init__(self, scenario: Scenario | None = None, *, port: int = 0, speed: float | None = None) -> None:
        self.scenario = scenario or load_scenario()
        exchange = self.scenario.exchange()
        pace = float(self.scenario.speed) if speed is None else speed
        self.host = SimHost(exchange, SimTime(exchange.now, pace), self._transport_of)
        self.hub = StreamHub(self.host)
        self.app = SimulatorApp(self.host, self.hub)
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
        """The exchange. While time moves by itself, use `hold` instead."""
        return self.host.exchange

    @property
    def requests(self) -> list[LoggedRequest]:
        """Every request so far, except those to the control endpoint."""
        return self.app.log

    @contextlib.contextmanager
    def hold(self) -> Iterator[Exchange]:
        """The exchange at the present instant, with its lock held."""
        with self.host.lock:
            self.host.catch_up()
            yield self.host.exchange

    def advance_to(self, at: dt.datetime) -> None:
        """Move time forward."""
        with self.host.lock:
            self.host.time.move_to(at)
            self.host.catch_up()

    def advance(self, seconds: float) -> None:
        """Move time forward by simulated seconds."""
        self.advance_to(self.host.time.now() + dt.timedelta(seconds=seconds))

    def start(self) -> Self:
        """Serve in a thread; returns when the server is ready. RuntimeError when it isn't in time."""
        self.host.time.set_speed(self.host.time.speed)
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT):
            raise RuntimeError("the simulator did not start")
        return self

    def stop(self) -> None:
        """Stop serving; open connections are aborted."""
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join(START_TIMEOUT)
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def serve_here(self) -> None:
        """Serve in this thread until interrupted."""
        self.host.time.set_speed(self.host.time.speed)
        self._run()

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            self.app,
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

    def _transport_of(self, client: ClientAddress) -> asyncio.Transport | None:
        """The transport of a connection that uvicorn has open, HTTP or WebSocket."""
        connections: tuple[Any, ...] = tuple(self._server.server_state.connections)
        return next((one.transport for one in connections if one.client == client), None)

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
            self.host.catch_up()
            self.hub.tick()
            await asyncio.sleep(TICK)


@contextlib.contextmanager
def opened(make: Callable[[], SimServer], port: int) -> Iterator[SimServer]:
    """A server that isn't serving yet; stopped at the end of the block. ConfigError when the port is in use."""
    try:
        server = make()
    except OSError as error:
        raise ConfigError(f"127.0.0.1:{port} can't be used: {error.strerror}.", hint="Use another --port.") from None
    try:
        yield server
    finally:
        server.stop()


def listen(port: int) -> socket.socket:
    """A listening socket on loopback; port 0 uses a free one."""
    # asyncio sets TCP_NODELAY, so that small answers are sent at once, only on sockets that name IPPROTO_TCP
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen(BACKLOG)  # connections made before uvicorn has started wait instead of being refused
    except OSError:
        listening.close()
        raise
    return listening
