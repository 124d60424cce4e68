"""The market data streams: handshake and error codes, subscriptions and limits, quotes and trades as array frames."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sellctl.sim import rejections
from sellctl.sim.faults.stream_faults import SLOW, Spoiler, strike_whole
from sellctl.sim.http.key_headers import KEY, SECRET
from sellctl.sim.market.assets import asset_of
from sellctl.sim.numbers import number
from sellctl.sim.ws.connection import Link, SyntaxFaultError

if TYPE_CHECKING:
    from sellctl.sim.ws.hub import Hub

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
    """One client on a market data stream."""

    def __init__(self, hub: "Hub", link: Link, feed: str) -> None:
        self._hub = hub
        self._link = link
        self._feed = feed
        self._is_option = feed in OPTION_FEEDS
        self._channels = OPTION_CHANNELS if self._is_option else STOCK_CHANNELS
        self._wanted: dict[str, set[str]] = {channel: set() for channel in self._channels}
        self._spoiler = Spoiler(link, hub.face.exchange.behaviours)

    # --- what the client says

    async def listen(self) -> None:
        """The handshake and every request after it."""
        await self._link.accept()
        if self._is_option and not self._link.packed:
            await self._error(412)
            await self._link.close()
            return
        await self._link.say([{"T": "success", "msg": "connected"}])
        if KEY in self._link.headers and not await self._let_in(self._header(KEY), self._header(SECRET)):
            return
        while await self._next():
            pass

    def _header(self, name: bytes) -> str:
        return self._link.headers.get(name, b"").decode("latin-1")

    async def _next(self) -> bool:
        """Read and answer one message; False when the connection is over."""
        patience = None if self._link.account else self._hub.face.exchange.settings.auth_timeout
        try:
            message = await self._link.read(patience)
        except TimeoutError:
            await self._error(404)
            await self._link.close()
            return False
        except SyntaxFaultError:
            await self._error(400)
            return True
        action = message.get("action") if isinstance(message, dict) else None
        if action == "auth":
            return await self._let_in(str(message.get("key")), str(message.get("secret")))
        if action not in {"subscribe", "unsubscribe"}:
            await self._error(400)
        elif not self._link.account:
            await self._error(401)
        else:
            await self._change(message, add=action == "subscribe")
        return True

    async def _let_in(self, key: str, secret: str) -> bool:
        """Check a login; False when the connection ends with it."""
        if self._link.account:
            await self._error(403)
            return True
        code = self._objection(key, secret)
        if code:
            await self._error(code)
            await self._link.close()
            return False
        await self._link.say([{"T": "success", "msg": "authenticated"}])
        return True

    def _objection(self, key: str, secret: str) -> int:
        """The error code that a login gets, 0 for none; then the connection is the account's."""
        exchange = self._hub.face.exchange
        try:
            account = exchange.account_of(key, secret)
        except rejections.RefusedError:
            return 402
        fault = exchange.behaviours.strike("W09", account=account.name, path=self._link.path)
        if fault:
            return int(fault["code"])
        granted = exchange.settings.sip if self._feed == "sip" else False
        paid = PAID_FEEDS.get(self._feed)
        if paid and not granted and not getattr(account, paid):
            return 409
        others = [one for one in self._hub.data if one is not self and one.is_same(account.name, self._is_option)]
        if len(others) >= exchange.settings.data_stream_connections:
            return 406
        self._link.account = account.name
        return 0

    def is_same(self, account: str, is_option: bool) -> bool:
        """Whether it takes the one connection that an account has on this kind of endpoint."""
        return self._link.account == account and self._is_option == is_option

    async def _change(self, message: dict[str, Any], *, add: bool) -> None:
        if unknown := set(message) - {"action", *self._channels}:
            await self._error(410 if unknown & set(STOCK_CHANNELS) else 400)
            return
        asked = {channel: set(message.get(channel) or ()) for channel in self._channels}
        if self._is_option and "*" in asked["quotes"]:
            await self._error(413)
            return
        after = {
            channel: (self._wanted[channel] | asked[channel] if add else self._wanted[channel] - asked[channel])
            for channel in self._channels
        }
        if add and self._is_over_limit(after):
            await self._error(405)  # what was subscribed before stays
            return
        if fault := self._hub.face.exchange.behaviours.strike("W09", account=self._link.account, path=self._link.path):
            await self._error(int(fault["code"]))
            return
        self._wanted = after
        lists = {channel: sorted(symbols) for channel, symbols in after.items()}
        await self._link.say([{"T": "subscription", **lists}])

    def _is_over_limit(self, after: dict[str, set[str]]) -> bool:
        settings = self._hub.face.exchange.settings
        if self._is_option:
            return len(after["quotes"]) > settings.option_stream_quotes
        if self._feed == "sip":
            return False
        symbols = set().union(*(after[channel] for channel in ("trades", "quotes")))
        return len(symbols) > settings.stock_stream_symbols

    async def _error(self, code: int) -> None:
        await self._link.say([{"T": "error", "code": code, "msg": ERRORS.get(code, "internal error")}])

    # --- what the client is told

    def watched(self) -> set[str]:
        """The symbols whose quotes, or trades at the mid, it wants."""
        symbols = self._wanted["quotes"] | self._wanted["trades"]
        if "*" not in symbols:
            return symbols
        return {one for one in self._hub.face.exchange.market.symbols if asset_of(one).is_option == self._is_option}

    def offer_quote(self, symbol: str) -> None:
        """Queue the symbol's present quote if this client wants it."""
        wanted = self._wanted["quotes"]
        if (symbol in wanted or "*" in wanted) and (message := self._quote(symbol)):
            self._link.put(message)

    def _quote(self, symbol: str) -> dict[str, Any] | None:
        exchange = self._hub.face.exchange
        shown = exchange.market.shown(symbol, exchange.now)
        if shown is None or asset_of(symbol).is_option != self._is_option:
            return None
        level = shown.level
        body = {
            "T": "q",
            "S": symbol,
            "bx": "V",
            "bp": float(shown.literal) if shown.literal else number(level.bid),
            "bs": level.bid_size if level.bid is not None else 0,
            "ax": "V",
            "ap": float(shown.literal) if shown.literal else number(level.ask),
            "as": level.ask_size if level.ask is not None else 0,
            "t": shown.at,
        }
        return {**body, "c": "A"} if self._is_option else {**body, "c": ["R"], "z": "C"}

    def offer_trade(self, symbol: str, price: str, qty: str) -> None:
        """Queue a trade print if this client wants it."""
        wanted = self._wanted["trades"]
        if (symbol not in wanted and "*" not in wanted) or asset_of(symbol).is_option != self._is_option:
            return
        now = self._hub.face.exchange.now
        body = {"T": "t", "S": symbol, "x": "V", "p": number(Decimal(price)), "s": int(Decimal(qty)), "t": now}
        extra = {"c": "I"} if self._is_option else {"i": int(now.timestamp()), "c": ["@"], "z": "C"}
        self._link.put({**body, **extra})

    async def speak(self) -> None:
        """Send what is queued; data frames are arrays and may hold several."""
        while True:
            items = await self._link.take()
            if SLOW in items:
                await self._error(407)
                await self._link.close()
                return
            await self._spoiler.carry(items, self._link.say)

    def strike_whole(self) -> None:
        """Misbehaviours of the whole connection."""
        strike_whole(self._link, self._hub.face.exchange.behaviours)
