"""alpaca-py's streams with their traps disarmed. Imported in the streams' own thread only: it loads pandas.

The SDK runs its loop for ever, tells errors to its log alone, and gives up without a word where a subscription isn't
granted. Here stand the touches of its private names (pinned to 0.44): `_start_ws`, `_dispatch`, `close`, `_handlers`,
the two subscription messages, and the door that it connects to.
"""

import asyncio
import logging
import warnings
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # websockets.legacy, which the SDK is built on
    from alpaca.data.live.option import OptionDataStream
    from alpaca.data.live.stock import StockDataStream
    from alpaca.trading.stream import TradingStream

if TYPE_CHECKING:
    from sellctl.alpaca.streams import Door

# What the SDK logs of a failure is a traceback; the words are ours.
for _name in ("alpaca.data.live.websocket", "alpaca.trading.stream"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class RefusedError(Exception):
    """The server or the way to it said no; never what the SDK would take as a reason to give up for good."""


class _Base:
    """What our streams share: they report, and they take the next door when one stays shut."""

    _endpoint: str
    _api_key: str
    _secret_key: str
    _ws: Any
    _reconnect_min_backoff: float
    _reconnect_max_backoff: float
    _was_up: bool = False
    heard: Callable[[str], None]  # "" is up, else what is wrong
    next_door: Callable[[str], "Door"]

    async def _start_ws(self) -> None:
        try:
            await super()._start_ws()  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001  whatever it is, the SDK would try again without a word
            what = _words(error)
            self.heard(what)
            self.go_through(self.next_door(what))
            raise RefusedError("refused") from None
        self._was_up = True
        self.heard("")

    def go_through(self, door: "Door") -> None:
        """Connect there from now on."""
        self._endpoint, self._api_key, self._secret_key = door.url, door.key, door.secret

    async def close(self) -> None:
        if self._was_up:
            self._was_up = False
            self.heard("the connection was lost")
        await super().close()  # type: ignore[misc]

    async def cut(self) -> None:
        """End the connection, which lets the SDK make another."""
        if self._ws is not None:
            await self._ws.close()

    def waits(self, least: float, most: float) -> None:
        """How long it waits between two tries."""
        self._reconnect_min_backoff, self._reconnect_max_backoff = least, most


class _Data(_Base):
    """A market data stream; `told` hears every frame, `failed` every error code."""

    _handlers: dict[str, dict[str, Any]]
    told: Callable[[dict[str, Any]], None]
    failed: Callable[[int], None]

    async def _dispatch(self, msg: dict[str, Any]) -> None:
        if msg.get("T") == "error":
            self.failed(int(msg.get("code") or 0))
        else:
            self.told(msg)

    async def now_wants(self, quotes: Collection[str], trades: Collection[str]) -> None:
        """Change the subscription, from within its own loop: the SDK's own way deadlocks there."""
        for channel, wanted in (("quotes", quotes), ("trades", trades)):
            had = self._handlers[channel]
            gone = [symbol for symbol in had if symbol not in wanted]
            self._handlers[channel] = dict.fromkeys(wanted, _nobody)
            if gone and self.is_up:
                await self._send_unsubscribe_msg(channel, gone)  # type: ignore[attr-defined]
        if self.is_up:
            await self._send_subscribe_msg()  # type: ignore[attr-defined]

    @property
    def is_up(self) -> bool:
        """Whether there is a connection that was let in."""
        return bool(self._running) and self._ws is not None  # type: ignore[attr-defined]


class StockStream(_Data, StockDataStream):
    """The stream of stock quotes."""


class OptionStream(_Data, OptionDataStream):
    """The stream of option quotes."""


class OrderStream(_Base, TradingStream):
    """The stream of one account's order updates."""


async def _nobody(_message: object) -> None:
    """The handler that the SDK wants; frames are heard before it."""


_CODES = {
    "auth failed": "the key is refused (402)",
    "failed to authenticate": "the key is refused",
    "connection limit exceeded": "another program uses the key's only connection (406)",
    "insufficient subscription": "the feed isn't granted (409)",
    "symbol limit exceeded": "the plan allows fewer symbols (405)",
    "auth timeout": "the login took too long (404)",
}


def _words(error: Exception) -> str:
    """What is wrong, without quoting a foreign text: it may hold what was sent."""
    known = next((words for text, words in _CODES.items() if text in str(error)), "")
    status = getattr(error, "status_code", None)
    if known or status:
        return known or f"the server answered HTTP {status}"
    if isinstance(error, asyncio.TimeoutError | OSError):
        return "the server can't be reached"
    return f"it doesn't connect ({type(error).__name__})"
