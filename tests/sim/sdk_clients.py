"""The unmodified SDK against a served simulator: its trading client, and its streams in a thread."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from alpaca.trading.client import TradingClient
from alpaca.trading.stream import TradingStream

from sellctl.sim.server import SimServer

KEYS = {"api_key": "sim-main", "secret_key": "sim-secret"}


def closing(session: Any) -> None:
    """The SDK closes none of its connections."""
    session._session.close()  # noqa: SLF001  the SDK offers no other way


@contextlib.contextmanager
def a_trading_client(server: SimServer) -> Iterator[TradingClient]:
    """The SDK's trading client of the first account."""
    client = TradingClient(**KEYS, url_override=server.url)
    try:
        yield client
    finally:
        closing(client)


class Heard:
    """Runs a stream of the SDK in a thread and collects what it hands over."""

    def __init__(self, stream: Any, subscribe: Callable[..., None], *symbols: str) -> None:
        self.items: queue.Queue[Any] = queue.Queue()
        self._stream = stream

        async def take(item: Any) -> None:
            self.items.put(item)

        subscribe(take, *symbols)
        self._thread = threading.Thread(target=stream.run, daemon=True)
        self._thread.start()

    def next(self) -> Any:
        """The next item."""
        return self.items.get(timeout=5)

    def end(self) -> None:
        """Stop the stream as its own thread would: stop() alone can take five seconds."""
        asyncio.run_coroutine_threadsafe(self._end(), self._stream._loop).result(5)  # noqa: SLF001  no public way
        self._thread.join(10)

    async def _end(self) -> None:
        await self._stream.stop_ws()
        await self._stream.close()


def heard_updates(server: SimServer) -> Heard:
    """The SDK's stream of trade updates, which has subscribed."""
    stream = TradingStream(**KEYS, url_override=f"{server.stream_url}/stream")
    heard = Heard(stream, stream.subscribe_trade_updates)
    while not any(member.is_listening for member in tuple(server.hub.trading)):
        threading.Event().wait(0.01)
    return heard
