"""The streams without sockets: the program's own streams and the SDK's clients, in virtual time on one event loop.

The bench replaces the WebSocket by a pair of queues to the simulator's WebSocket application. It leaves out the
separate thread of the streams, because the order of events in two threads is not deterministic.
"""

import asyncio
import contextlib
import datetime as dt
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosedError
from websockets.legacy.exceptions import InvalidStatusCode

from faults.loop import LoopClock
from faults.patching import patched
from sellctl.alpaca import streams as adapter
from sellctl.alpaca.streams import AlpacaStreams
from sellctl.sim.faults import stream_faults
from sellctl.sim.host import ClientAddress, SimHost
from sellctl.sim.sim_time import SimTime
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.ws.hub import StreamHub

if TYPE_CHECKING:
    from sellctl.core.ports import StreamListener

QUOTE_SECONDS = 2.0  # seconds between two quotes per symbol while polls are frequent
IDLE_QUOTE_SECONDS = 300.0  # otherwise
Frame = bytes | str
PollingInterval = Callable[[dt.datetime], tuple[dt.timedelta, dt.datetime]]


class SingleLoopStreams(AlpacaStreams):
    """The program's streams on the program's event loop instead of a separate thread."""

    _main_task: "asyncio.Task[None] | None" = None

    def start(self, listener: "StreamListener") -> None:
        """Start connecting."""
        self._listener, self._home = listener, asyncio.get_running_loop()
        self._main_task = asyncio.ensure_future(self._main(threading.Event()))

    async def stop(self) -> None:
        """Disconnect at once."""
        if self._main_task and self._over:
            self._over.set()
            await self._main_task


@dataclass(slots=True)
class Socket:
    """One connection with the client interface of websockets and the server interface of ASGI."""

    to_server: "asyncio.Queue[dict[str, Any]]" = field(default_factory=asyncio.Queue)
    to_client: "asyncio.Queue[Frame | None]" = field(default_factory=asyncio.Queue)
    answered: "asyncio.Future[int]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    over: bool = False

    # --- the client ---------------------------------------------------------------------------------------------

    async def send(self, message: Frame | Iterable[bytes]) -> None:
        """Send one message, whole or in frames."""
        if self.over:
            raise ConnectionClosedError(None, None)
        whole = message if isinstance(message, bytes | str) else b"".join(message)
        self.to_server.put_nowait({"type": "websocket.receive", "text" if isinstance(whole, str) else "bytes": whole})

    async def recv(self) -> Frame:
        """The next message; messages sent before the connection ended are still delivered."""
        message = None if self.over and self.to_client.empty() else await self.to_client.get()
        if message is None:
            raise ConnectionClosedError(None, None)
        return message

    async def close(self) -> None:
        """Close the connection."""
        self.abort()

    # --- the server -------------------------------------------------------------------------------------------------

    async def receive(self) -> dict[str, Any]:
        """The client's next message."""
        return await self.to_server.get()

    async def answer(self, message: Any) -> None:
        """Handle an ASGI message of the server."""
        kind = message["type"]
        if kind == "websocket.send" and not self.over:
            self.to_client.put_nowait(message.get("text") or message["bytes"])
        elif kind in {"websocket.accept", "websocket.http.response.start"} and not self.answered.done():
            self.answered.set_result(message.get("status", 0))
        elif kind == "websocket.close":
            self.abort()

    def abort(self) -> None:
        """End the connection for both sides."""
        if not self.over:
            self.over = True
            self.to_client.put_nowait(None)
            self.to_server.put_nowait({"type": "websocket.disconnect"})

    def get_extra_info(self, _name: str) -> None:
        """Nothing, since there is no socket."""


class Streams:
    """The simulator's WebSocket application, which continues after each process, and the connections to it."""

    def __init__(self, exchange: Exchange, clock: LoopClock, seed: int) -> None:
        self._exchange = exchange
        self._clock = clock
        self._transports: dict[ClientAddress, asyncio.Transport] = {}
        self._hub = StreamHub(SimHost(exchange, SimTime(exchange.now, 0), self._transports.get))
        self._jitter = random.Random(seed)  # noqa: S311  a bench's seed, not a secret
        self._number = 0
        self._serving: set[asyncio.Future[None]] = set()

    @contextmanager
    def replaced(self) -> Iterator[None]:
        """Let the composition root create streams that run on its own event loop."""
        with patched(adapter, "AlpacaStreams", SingleLoopStreams):
            yield

    @contextmanager
    def in_virtual_time(self) -> Iterator[None]:
        """Route the SDK's connections to the simulator, and replace the host's clock and randomness."""
        from alpaca.data.live import websocket as data  # noqa: PLC0415  loads pandas, which only these days need
        from alpaca.trading import stream as trading  # noqa: PLC0415  likewise

        with ExitStack() as stack:
            for adapter, client in ((data, data.DataStream), (trading, trading.TradingStream)):
                stack.enter_context(patched(adapter, "websockets_legacy", self))
                stack.enter_context(patched(adapter, "asyncio", _AsyncioWithoutPolling))
                stack.enter_context(patched(client, "_reconnect_delay", self._delay()))
            stack.enter_context(patched(stream_faults, "time", self._clock))
            yield

    async def connect(self, url: str, *, extra_headers: dict[str, str], **_keepalive: object) -> Socket:
        """Connect, as the `connect` of websockets does."""
        self._number += 1
        socket, client = Socket(), ("127.0.0.1", self._number)
        headers = [(key.lower().encode(), value.encode()) for key, value in extra_headers.items()]
        scope = {"type": "websocket", "path": urlsplit(url).path, "headers": headers, "client": client}
        self._transports[client] = cast("asyncio.Transport", socket)
        serving = asyncio.ensure_future(self._serve(scope, socket))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        if status := await socket.answered:
            raise InvalidStatusCode(status, cast("Any", {}))
        return socket

    async def _serve(self, scope: dict[str, Any], socket: Socket) -> None:
        socket.to_server.put_nowait({"type": "websocket.connect"})
        try:
            await self._hub(scope, socket.receive, socket.answer)
        finally:
            socket.abort()

    async def keep_ticking(self, polling_interval: PollingInterval) -> None:
        """Send quotes, frequently while polls are frequent, and apply the faults of connections."""
        while True:
            self._hub.tick()
            interval, until = polling_interval(self._exchange.now)
            left = (until - self._exchange.now).total_seconds()
            often = interval.total_seconds() < IDLE_QUOTE_SECONDS
            await self._clock.sleep(QUOTE_SECONDS if often else min(IDLE_QUOTE_SECONDS, max(left, QUOTE_SECONDS)))

    async def close(self) -> None:
        """Wait for the server's ends after the program has disconnected."""
        if self._serving:
            await asyncio.wait(self._serving, timeout=1)

    def cut(self, loop: asyncio.AbstractEventLoop) -> None:
        """End all connections of a killed process at once, so that none ends later at an undefined time."""
        for task in [] if loop.is_closed() else asyncio.all_tasks(loop):
            coroutine = task.get_coro()
            if coroutine is not None and _is_streaming(coroutine):
                _close(coroutine)
        self._hub.trading.clear()
        self._hub.data.clear()
        self._transports.clear()
        self._serving.clear()

    def _delay(self) -> Callable[[Any, int], float]:
        def delay(one: Any, retries: int) -> float:
            least, most = one._reconnect_min_backoff, one._reconnect_max_backoff  # noqa: SLF001  as the SDK's own
            return float(min(least * 2 ** (retries - 1), most)) * (0.5 + self._jitter.random() / 2)

        return delay


_STREAM_FILES = (
    "/faults/streams.py",
    "/alpaca/streams.py",
    "/sim/ws/market_data.py",
    "/sim/ws/trade_updates.py",
    "/queues.py",
)


def _is_streaming(coroutine: Any) -> bool:
    """Whether the coroutine belongs to a connection, on either side."""
    code = getattr(coroutine, "cr_code", None)
    return code is not None and code.co_filename.endswith(_STREAM_FILES)


def _close(coroutine: Any) -> None:
    """Close a coroutine; repeated for those that await something in their cleanup."""
    for _ in range(4):
        with contextlib.suppress(RuntimeError):
            coroutine.close()
            return


class _AsyncioMeta(type):
    def __getattr__(cls, name: str) -> Any:
        return getattr(asyncio, name)


class _AsyncioWithoutPolling(metaclass=_AsyncioMeta):
    """asyncio without the SDK's check every five seconds whether it should stop, which slows down a virtual day."""

    @staticmethod
    async def wait_for(awaitable: Any, timeout: float | None) -> Any:  # noqa: ASYNC109  its name and place are asyncio's
        """As asyncio's, but without a timeout for the next frame: the bench does not use the SDK's own stop."""
        if getattr(awaitable, "cr_code", None) is Socket.recv.__code__:
            return await awaitable
        return await asyncio.wait_for(awaitable, timeout)
