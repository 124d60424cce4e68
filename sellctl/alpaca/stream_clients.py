"""alpaca-py's stream clients, adapted to report errors. Imported only in the streams' own thread.

Importing it loads pandas, which is slow.

The SDK's clients reconnect forever, report errors only to their log, and stop silently when a subscription is not
entitled. This module is the only one that uses their private names (pinned to 0.44): `_start_ws`, `_dispatch`, `close`,
`_reconnect_delay`, `_handlers`, the two subscription messages, the parameters of its connection, and the endpoint with
its keys.
"""

import asyncio
import logging
import warnings
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # websockets.legacy, which the SDK is built on
    from alpaca.data.live.option import OptionDataStream
    from alpaca.data.live.stock import StockDataStream
    from alpaca.trading.stream import TradingStream
    from websockets.legacy.client import WebSocketClientProtocol
    from websockets.legacy.exceptions import InvalidStatusCode

if TYPE_CHECKING:
    from sellctl.alpaca.endpoints import Endpoint

# The SDK would log a traceback for every failed connection; the error is reported in a sentence instead.
for _name in ("alpaca.data.live.websocket", "alpaca.trading.stream"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class ConnectFailedError(Exception):
    """The connection failed. The SDK retries after it, unlike after some ValueErrors."""


class _WithoutRedirects(WebSocketClientProtocol):
    """Rejects redirects: the SDK would follow them and send the keys to the target host."""

    async def read_http_response(self) -> Any:
        """Status and headers. InvalidStatusCode for a redirect."""
        status, headers = await super().read_http_response()
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            raise InvalidStatusCode(status, headers)
        return status, headers


class _Base:
    """The common base of the clients: reports the state of the connection, and fails over to the next endpoint."""

    _endpoint: str
    _api_key: str
    _secret_key: str
    _ws: Any
    _websocket_params: Any
    _reconnect_min_backoff: float
    _reconnect_max_backoff: float
    _was_up: bool = False
    on_state: Callable[[str], None]  # "" when connected, else the error
    next_endpoint: Callable[[str], "Endpoint"]
    failed_rounds: Callable[[int], int]  # maps consecutive failures to completed rounds over all endpoints

    async def _start_ws(self) -> None:
        self._websocket_params = {**(self._websocket_params or {}), "create_protocol": _WithoutRedirects}
        try:
            await super()._start_ws()  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001  the SDK would try again without reporting any error
            reason = _describe(error)
            self.on_state(reason)
            self.use(self.next_endpoint(reason))
            raise ConnectFailedError("connecting failed") from None
        self._was_up = True
        self.on_state("")

    def use(self, endpoint: "Endpoint") -> None:
        """Connect to this endpoint from now on."""
        self._endpoint, self._api_key, self._secret_key = endpoint.url, endpoint.key, endpoint.secret

    async def close(self) -> None:
        """Close the connection, and report the loss of one that was up."""
        if self._was_up:
            self._was_up = False
            self.on_state("the connection was lost")
        await super().close()  # type: ignore[misc]

    async def reconnect(self) -> None:
        """Close the connection; the SDK then opens another."""
        if self._ws is not None:
            await self._ws.close()

    def _reconnect_delay(self, retries: int) -> float:
        """The delay before the next attempt: the first round through all endpoints is quick."""
        return float(super()._reconnect_delay(self.failed_rounds(retries)))  # type: ignore[misc]

    def set_back_off(self, shortest: float, longest: float) -> None:
        """Set the delay between two attempts, in seconds."""
        self._reconnect_min_backoff, self._reconnect_max_backoff = shortest, longest


class _MarketDataStream(_Base):
    """A market data stream. `on_frame` receives every frame, `on_error` every error code."""

    _handlers: dict[str, dict[str, Any]]
    on_frame: Callable[[dict[str, Any]], None]
    on_error: Callable[[int], None]

    async def _dispatch(self, msg: dict[str, Any]) -> None:
        if msg.get("T") == "error":
            self.on_error(int(msg.get("code") or 0))
        else:
            self.on_frame(msg)

    async def resubscribe(self, quotes: Collection[str], trades: Collection[str]) -> None:
        """Change the subscription from within the stream's own event loop, where the SDK's own method deadlocks."""
        for channel, wanted in (("quotes", quotes), ("trades", trades)):
            dropped = [symbol for symbol in self._handlers[channel] if symbol not in wanted]
            self._handlers[channel] = dict.fromkeys(wanted, _ignore)
            if dropped and self.is_up:
                await self._send_unsubscribe_msg(channel, dropped)  # type: ignore[attr-defined]
        if self.is_up:
            await self._send_subscribe_msg()  # type: ignore[attr-defined]

    @property
    def is_up(self) -> bool:
        """Whether the connection is open and authenticated."""
        return bool(self._running) and self._ws is not None  # type: ignore[attr-defined]


class StockStream(_MarketDataStream, StockDataStream):
    """Stock quotes and trades."""


class OptionStream(_MarketDataStream, OptionDataStream):
    """Option quotes."""


class OrderStream(_Base, TradingStream):
    """One account's order updates."""


async def _ignore(_message: object) -> None:
    """The handler per symbol that the SDK requires; `_dispatch` has already passed the frame on."""


# Alpaca's server messages.
_REASONS = {
    "auth failed": "the key is refused (402)",
    # alpaca-py's order stream says so for every answer to a login but "authorized"
    "failed to authenticate": "the login is refused: a wrong key, or another program uses its only connection",
    "connection limit exceeded": "another program uses the key's only connection (406)",
    "insufficient subscription": "the key isn't entitled to the feed (409)",
    "symbol limit exceeded": "too many symbols for the plan (405)",
    "auth timeout": "the login took too long (404)",
}


def _describe(error: Exception) -> str:
    """The error in plain words. The texts of other programs are not quoted: they may contain the key."""
    known = next((reason for text, reason in _REASONS.items() if text in str(error)), "")
    status = getattr(error, "status_code", None)
    if known or status:
        return known or f"the server answered HTTP {status}"
    if isinstance(error, asyncio.TimeoutError | OSError):
        return "the server can't be reached"
    return f"the connection failed ({type(error).__name__})"
