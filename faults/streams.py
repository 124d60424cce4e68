"""The streams without sockets: the program's own streams and the SDK's clients, in virtual time on the program's loop.

Two things are the bench's: the WebSocket, a pair of queues whose other end is the simulator's WebSocket face, and the
thread, which the program gives its streams and which is left out here, because two threads have no one order.
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

EVERY = 2.0  # seconds between two quotes of what moves, while polls are close together
RARELY = 300.0  # and while they are not
Frame = bytes | str
PollingInterval = Callable[[dt.datetime], tuple[dt.timedelta, dt.datetime]]


class HomeStreams(AlpacaStreams):
    """The program's streams on the program's own loop."""

    _main_task: "asyncio.Task[None] | None" = None

    def start(self, listener: "StreamListener") -> None:
        """Begin to connect."""
        self._listener, self._home = listener, asyncio.get_running_loop()
        self._main_task = asyncio.ensure_future(self._main(threading.Event()))

    async def stop(self) -> None:
        """Disconnect at once."""
        if self._main_task and self._over:
            self._over.set()
            await self._main_task


@dataclass(slots=True)
class Socket:
    """One connection: the client's end as websockets has it, and the server's as ASGI has it."""

    to_server: "asyncio.Queue[dict[str, Any]]" = field(default_factory=asyncio.Queue)
    to_client: "asyncio.Queue[Frame | None]" = field(default_factory=asyncio.Queue)
    answered: "asyncio.Future[int]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    over: bool = False

    # --- the client's end ---------------------------------------------------------------------------------------------

    async def send(self, message: Frame | Iterable[bytes]) -> None:
        """One message, whole or in frames."""
        if self.over:
            raise ConnectionClosedError(None, None)
        whole = message if isinstance(message, bytes | str) else b"".join(message)
        self.to_server.put_nowait({"type": "websocket.receive", "text" if isinstance(whole, str) else "bytes": whole})

    async def recv(self) -> Frame:
        """The next message; what was under way when the connection ended still comes."""
        message = None if self.over and self.to_client.empty() else await self.to_client.get()
        if message is None:
            raise ConnectionClosedError(None, None)
        return message

    async def close(self) -> None:
        """The client hangs up."""
        self.abort()

    # --- the server's -------------------------------------------------------------------------------------------------

    async def receive(self) -> dict[str, Any]:
        """The client's next message."""
        return await self.to_server.get()

    async def answer(self, message: Any) -> None:
        """What the server says."""
        kind = message["type"]
        if kind == "websocket.send" and not self.over:
            self.to_client.put_nowait(message.get("text") or message["bytes"])
        elif kind in {"websocket.accept", "websocket.http.response.start"} and not self.answered.done():
            self.answered.set_result(message.get("status", 0))
        elif kind == "websocket.close":
            self.abort()

    def abort(self) -> None:
        """The connection is gone, for both."""
        if not self.over:
            self.over = True
            self.to_client.put_nowait(None)
            self.to_server.put_nowait({"type": "websocket.disconnect"})

    def get_extra_info(self, _name: str) -> None:
        """There is no socket."""


class Streams:
    """One day's streams: the simulator's WebSocket face, which outlives every process, and the way to it."""

    def __init__(self, exchange: Exchange, clock: LoopClock, seed: int) -> None:
        self._exchange = exchange
        self._clock = clock
        self._transports: dict[ClientAddress, asyncio.Transport] = {}
        self._hub = StreamHub(SimHost(exchange, SimTime(exchange.now, 0), self._transports.get))
        self._jitter = random.Random(seed)  # noqa: S311  a bench's seed, not a secret
        self._number = 0
        self._serving: set[asyncio.Future[None]] = set()

    @contextmanager
    def our_connections(self) -> Iterator[None]:
        """The composition root makes the program's streams with this day's way to the simulator beneath them."""
        with patched(adapter, "AlpacaStreams", HomeStreams):
            yield

    @contextmanager
    def in_virtual_time(self) -> Iterator[None]:
        """While the program runs: the SDK's connections lead here, and nothing reads the host's clock or randomness."""
        from alpaca.data.live import websocket as data  # noqa: PLC0415  loads pandas, which only these days need
        from alpaca.trading import stream as trading  # noqa: PLC0415  likewise

        with ExitStack() as stack:
            for sdk, client in ((data, data.DataStream), (trading, trading.TradingStream)):
                stack.enter_context(patched(sdk, "websockets_legacy", self))
                stack.enter_context(patched(sdk, "asyncio", _Patient))
                stack.enter_context(patched(client, "_reconnect_delay", self._delay()))
            stack.enter_context(patched(stream_faults, "time", self._clock))
            yield

    async def connect(self, url: str, *, extra_headers: dict[str, str], **_keepalive: object) -> Socket:
        """What websockets' `connect` does."""
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

    async def keep_ticking(self, pace: PollingInterval) -> None:
        """Quotes of what moves, often while polls are, and the faults of whole connections."""
        while True:
            self._hub.tick()
            interval, until = pace(self._exchange.now)
            left = (until - self._exchange.now).total_seconds()
            often = interval.total_seconds() < RARELY
            await self._clock.sleep(EVERY if often else min(RARELY, max(left, EVERY)))

    async def close(self) -> None:
        """The program has hung up; the server sees to its end."""
        if self._serving:
            await asyncio.wait(self._serving, timeout=1)

    def cut(self, loop: asyncio.AbstractEventLoop) -> None:
        """The process is gone, and its connections with it: nothing of them is left to end by itself, at any time."""
        for task in [] if loop.is_closed() else asyncio.all_tasks(loop):
            coroutine = task.get_coro()
            if coroutine is not None and _is_streaming(coroutine):
                _end(coroutine)
        self._hub.trading.clear()
        self._hub.data.clear()
        self._transports.clear()
        self._serving.clear()

    def _delay(self) -> Callable[[Any, int], float]:
        def delay(one: Any, retries: int) -> float:
            least, most = one._reconnect_min_backoff, one._reconnect_max_backoff  # noqa: SLF001  as the SDK's own
            return float(min(least * 2 ** (retries - 1), most)) * (0.5 + self._jitter.random() / 2)

        return delay


_OURS = ("/faults/streams.py", "/alpaca/streams.py", "/sim/ws/market_data.py", "/sim/ws/trade_updates.py", "/queues.py")


def _is_streaming(coroutine: Any) -> bool:
    """Whether it is a part of a connection, on either side."""
    code = getattr(coroutine, "cr_code", None)
    return code is not None and code.co_filename.endswith(_OURS)


def _end(coroutine: Any) -> None:
    """What waits for something on its way out (the SDK sleeps there, the simulator gathers) is told again."""
    for _ in range(4):
        with contextlib.suppress(RuntimeError):
            coroutine.close()
            return


class _PatientMeta(type):
    def __getattr__(cls, name: str) -> Any:
        return getattr(asyncio, name)


class _Patient(metaclass=_PatientMeta):
    """asyncio for the SDK, but for one thing: it looks every five seconds whether it should stop, which costs a day."""

    @staticmethod
    async def wait_for(awaitable: Any, timeout: float | None) -> Any:  # noqa: ASYNC109  its name and place are asyncio's
        """As asyncio's, and without an end for the next frame: nobody stops these streams by the SDK's own way."""
        if getattr(awaitable, "cr_code", None) is Socket.recv.__code__:
            return await awaitable
        return await asyncio.wait_for(awaitable, timeout)
