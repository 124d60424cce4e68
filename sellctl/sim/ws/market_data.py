"""The market data streams: handshake and error codes, subscriptions and limits, quotes and trades as array frames."""

from decimal import Decimal
from typing import Any

from sellctl.sim import rejections
from sellctl.sim.faults.stream_faults import SLOW, FaultyWriter, apply_to_connection
from sellctl.sim.http.key_headers import KEY, SECRET
from sellctl.sim.market.assets import asset_of
from sellctl.sim.numbers import number
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.ws.connection import UnreadableFrameError, WebSocketConnection

ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    412: "option messages are only available in MsgPack format",
    413: "star subscription is not allowed for option quotes",
    500: "internal error",
}
OPTION_FEEDS = frozenset({"indicative", "opra"})
PAID_FEEDS = {"sip": "sip", "opra": "opra"}
OPTION_CHANNELS = ("trades", "quotes")
STOCK_CHANNELS = (
    "trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "corrections", "cancelErrors",
)  # fmt: skip


class DataStream:
    """One client on a market data stream. `peers` are all clients on these streams."""

    def __init__(
        self, connection: WebSocketConnection, exchange: Exchange, peers: list["DataStream"], feed: str
    ) -> None:
        self._peers = peers
        self._exchange = exchange
        self._connection = connection
        self._feed = feed
        self._is_option = feed in OPTION_FEEDS
        self._channels = OPTION_CHANNELS if self._is_option else STOCK_CHANNELS
        self._subscribed: dict[str, set[str]] = {channel: set() for channel in self._channels}
        self._writer = FaultyWriter(connection, exchange.faults)

    # --- requests from the client

    async def listen(self) -> None:
        """Handle the handshake and every request after it, until the connection ends."""
        await self._connection.accept()
        if self._is_option and not self._connection.packed:
            await self._error(412)
            await self._connection.close()
            return
        await self._connection.send([{"T": "success", "msg": "connected"}])
        if KEY in self._connection.headers and not await self._log_in(self._header(KEY), self._header(SECRET)):
            return
        while await self._next():
            pass

    def _header(self, name: bytes) -> str:
        return self._connection.headers.get(name, b"").decode("latin-1")

    async def _next(self) -> bool:
        """Read and answer one message; False when the connection is over."""
        wait_seconds = None if self._connection.account else self._exchange.settings.auth_timeout
        try:
            message = await self._connection.read(wait_seconds)
        except TimeoutError:
            await self._error(404)
            await self._connection.close()
            return False
        except UnreadableFrameError:
            await self._error(400)
            return True
        action = message.get("action") if isinstance(message, dict) else None
        if action == "auth":
            return await self._log_in(str(message.get("key")), str(message.get("secret")))
        if action not in {"subscribe", "unsubscribe"}:
            await self._error(400)
        elif not self._connection.account:
            await self._error(401)
        else:
            await self._change(message, add=action == "subscribe")
        return True

    async def _log_in(self, key: str, secret: str) -> bool:
        """Answer a login; False when that ends the connection."""
        if self._connection.account:
            await self._error(403)
            return True
        code = self._login_error(key, secret)
        if code:
            await self._error(code)
            await self._connection.close()
            return False
        await self._connection.send([{"T": "success", "msg": "authenticated"}])
        return True

    def _login_error(self, key: str, secret: str) -> int:
        """The error code of a login, or 0: the connection then belongs to the account."""
        try:
            account = self._exchange.account_of(key, secret)
        except rejections.RejectionError:
            return 402
        fault = self._exchange.faults.trigger("W09", account=account.name, path=self._connection.path)
        if fault:
            return int(fault["code"])
        granted = self._exchange.settings.sip if self._feed == "sip" else False
        paid = PAID_FEEDS.get(self._feed)
        if paid and not granted and not getattr(account, paid):
            return 409
        others = [one for one in self._peers if one is not self and one.is_same(account.name, self._is_option)]
        if len(others) >= self._exchange.settings.data_stream_connections:
            return 406
        self._connection.account = account.name
        return 0

    def is_same(self, account: str, is_option: bool) -> bool:
        """Whether it counts against the account's connections on this kind of endpoint."""
        return self._connection.account == account and self._is_option == is_option

    async def _change(self, message: dict[str, Any], *, add: bool) -> None:
        if unknown := set(message) - {"action", *self._channels}:
            await self._error(410 if unknown & set(STOCK_CHANNELS) else 400)
            return
        requested = {channel: set(message.get(channel) or ()) for channel in self._channels}
        if self._is_option and "*" in requested["quotes"]:
            await self._error(413)
            return
        after = {
            channel: (
                self._subscribed[channel] | requested[channel]
                if add
                else self._subscribed[channel] - requested[channel]
            )
            for channel in self._channels
        }
        if add and self._is_over_limit(after):
            await self._error(405)  # the earlier subscription stays
            return
        if fault := self._exchange.faults.trigger("W09", account=self._connection.account, path=self._connection.path):
            await self._error(int(fault["code"]))
            return
        self._subscribed = after
        lists = {channel: sorted(symbols) for channel, symbols in after.items()}
        await self._connection.send([{"T": "subscription", **lists}])

    def _is_over_limit(self, after: dict[str, set[str]]) -> bool:
        settings = self._exchange.settings
        if self._is_option:
            return len(after["quotes"]) > settings.option_stream_quotes
        if self._feed == "sip":
            return False
        symbols = set().union(*(after[channel] for channel in ("trades", "quotes")))
        return len(symbols) > settings.stock_stream_symbols

    async def _error(self, code: int) -> None:
        await self._connection.send([{"T": "error", "code": code, "msg": ERRORS.get(code, "internal error")}])

    # --- messages to the client

    def watched(self) -> set[str]:
        """The symbols whose quotes or trades it has subscribed to."""
        symbols = self._subscribed["quotes"] | self._subscribed["trades"]
        if "*" not in symbols:
            return symbols
        return {one for one in self._exchange.market.symbols if asset_of(one).is_option == self._is_option}

    def offer_quote(self, symbol: str) -> None:
        """Queue the symbol's present quote if this client has subscribed to it."""
        symbols = self._subscribed["quotes"]
        if (symbol in symbols or "*" in symbols) and (message := self._quote(symbol)):
            self._connection.put(message)

    def _quote(self, symbol: str) -> dict[str, Any] | None:
        published = self._exchange.market.published_quote(symbol, self._exchange.now)
        if published is None or asset_of(symbol).is_option != self._is_option:
            return None
        level = published.level
        body = {
            "T": "q",
            "S": symbol,
            "bx": "V",
            "bp": float(published.price_text) if published.price_text else number(level.bid),
            "bs": level.bid_size if level.bid is not None else 0,
            "ax": "V",
            "ap": float(published.price_text) if published.price_text else number(level.ask),
            "as": level.ask_size if level.ask is not None else 0,
            "t": published.at,
        }
        return {**body, "c": "A"} if self._is_option else {**body, "c": ["R"], "z": "C"}

    def offer_trade(self, symbol: str, price: str, qty: str) -> None:
        """Queue a trade if this client has subscribed to it."""
        symbols = self._subscribed["trades"]
        if (symbol not in symbols and "*" not in symbols) or asset_of(symbol).is_option != self._is_option:
            return
        now = self._exchange.now
        body = {"T": "t", "S": symbol, "x": "V", "p": number(Decimal(price)), "s": int(Decimal(qty)), "t": now}
        extra = {"c": "I"} if self._is_option else {"i": int(now.timestamp()), "c": ["@"], "z": "C"}
        self._connection.put({**body, **extra})

    async def write(self) -> None:
        """Send the queued messages; a data frame is an array of them."""
        while True:
            items = await self._connection.queued()
            if SLOW in items:
                await self._error(407)
                await self._connection.close()
                return
            await self._writer.write(items, self._connection.send)

    def apply_connection_faults(self) -> None:
        """Apply the faults of whole connections."""
        apply_to_connection(self._connection, self._exchange.faults)
