"""Alpaca's streams as the core's Stream port: one thread with one loop for all of them, and nothing of it leaks out.

One market data connection an asset class serves all accounts, since Alpaca grants one a key; order updates come by
account. News cross over to the caller's loop in batches. What can't be streamed is polled: this only makes it faster.
"""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from sellctl.core.config.schema import AccountConfig, Config, OptionFeed, StockFeed
from sellctl.core.model.instrument import AssetClass, Instrument
from sellctl.core.model.market import Quote

if TYPE_CHECKING:
    from sellctl.alpaca.stream_clients import OptionStream, OrderStream, StockStream
    from sellctl.core.ports import StreamListener

_DATA: Final = "wss://stream.data.alpaca.markets"
_STOCKS: Final = "stock quotes"
_OPTIONS: Final = "option quotes"
# How many symbols a plan lets one connection subscribe to.
LIMITS: Final = {"iex": 30, "delayed_sip": 30, "sip": 10_000, "indicative": 200, "opra": 1000}
BACK_OFF: Final = (1.0, 30.0)  # seconds, jittered by the SDK
_NOT_GRANTED: Final = "(409)"
_TOO_MANY: Final = 405


@dataclass(frozen=True, slots=True)
class Door:
    """An address with a key."""

    url: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    feed: str = ""


@dataclass(slots=True)
class _Line:
    """One connection that there should be. Used in the streams' thread only, but for reading `trouble`."""

    name: str
    doors: list[Door]
    trouble: str = "connecting"
    limit: int = 0
    wanted: tuple[str, ...] = ()
    anything: asyncio.Event = field(default_factory=asyncio.Event)  # whether anything was ever wanted
    streamed: frozenset[str] = frozenset()
    stream: "StockStream | OptionStream | OrderStream | None" = None

    def next_door(self, trouble: str) -> Door:
        """Where to try next: a feed that isn't granted is given up, any other door is tried again after the rest."""
        first, *others = self.doors
        if others:
            self.doors = others if _NOT_GRANTED in trouble else [*others, first]
        return self.doors[0]

    @property
    def feed(self) -> str:
        return self.doors[0].feed


class AlpacaStreams:
    """The Stream port. It connects once there is something to want, and then for as long as it runs."""

    def __init__(self, config: Config, *, back_off: tuple[float, float] = BACK_OFF) -> None:
        enabled = {name: account for name, account in config.accounts.items() if account.enabled}
        data = [enabled[name] for name in config.market_data.accounts or enabled if name in enabled]
        market = config.market_data
        self._orders = {
            name: _Line(f"orders of {name}", doors) for name, one in enabled.items() if (doors := _order_doors(one))
        }
        quotes = {
            AssetClass.STOCK: _Line(_STOCKS, list(_stock_doors(data, market.stock_feed))),
            AssetClass.OPTION: _Line(_OPTIONS, list(_option_doors(data, market.option_feed))),
        }
        self._quotes = {asset: line for asset, line in quotes.items() if line.doors}
        self._back_off = back_off
        self._listener: StreamListener | None = None
        self._home: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._batch: list[Quote] = []
        self._lock = threading.Lock()

    # --- the port -----------------------------------------------------------------------------------------------------

    @property
    def streamed(self) -> frozenset[str]:
        """Symbols whose quotes are being streamed now."""
        up = [line.streamed for line in self._quotes.values() if not line.trouble]
        return frozenset(itertools.chain.from_iterable(up))

    @property
    def problems(self) -> Mapping[str, str]:
        """Every connection that there should be, and what is wrong with it; "" when nothing is."""
        wanted = [line for line in self._quotes.values() if line.wanted]
        return {line.name: line.trouble for line in (*self._orders.values(), *wanted)}

    def start(self, listener: "StreamListener") -> None:
        """Begin to connect, in a thread of its own."""
        self._listener, self._home = listener, asyncio.get_running_loop()
        if self._orders or self._quotes:
            ready = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(ready,), name="alpaca-streams", daemon=True)
            self._thread.start()
            ready.wait()

    def subscribe(self, instruments: Sequence[Instrument]) -> None:
        """Whose quotes to stream, the most wanted first."""
        for asset, line in self._quotes.items():
            symbols = tuple(each.symbol for each in instruments if each.asset_class is asset)
            self._in_thread(self._want(line, symbols))

    def restart(self, why: str) -> None:
        """Connect the quotes anew."""
        for line in self._quotes.values():
            if not line.trouble and line.streamed:
                self._down(line, why)
                self._in_thread(_cut(line))

    async def stop(self) -> None:
        """Disconnect at once, however long the SDK would wait for its next frame."""
        if self._loop is not None and self._over is not None and self._thread is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._over.set)
            await asyncio.to_thread(self._thread.join, 5)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self, ready: threading.Event) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._main(ready))

    async def _main(self, ready: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        ready.set()
        import_module("sellctl.alpaca.stream_clients")  # loads pandas, here where nobody waits for it
        tasks = [asyncio.create_task(self._follow_orders(name, line)) for name, line in self._orders.items()]
        tasks += [asyncio.create_task(self._follow_quotes(line)) for line in self._quotes.values()]
        await self._over.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _in_thread(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it in the streams' loop; nothing when that isn't there (any more)."""
        if self._loop is None or self._loop.is_closed():
            work.close()
            return
        asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _follow_orders(self, name: str, line: _Line) -> None:
        from sellctl.alpaca.stream_clients import OrderStream  # noqa: PLC0415  loads pandas

        door = line.doors[0]
        stream = OrderStream(door.key, door.secret, raw_data=True, url_override=door.url)

        async def heard(message: Mapping[str, Any]) -> None:
            order = (message.get("data") or {}).get("order") or {}
            self._tell(lambda listener: listener.order_changed(name, str(order.get("symbol") or "")))

        stream.subscribe_trade_updates(heard)
        await self._serve(line, stream)

    async def _follow_quotes(self, line: _Line) -> None:
        """Connect once something is wanted: without a subscription the SDK would spin a whole core."""
        from sellctl.alpaca.stream_clients import OptionStream, StockStream  # noqa: PLC0415  loads pandas

        await line.anything.wait()
        door = line.doors[0]
        kind = StockStream if line.name == _STOCKS else OptionStream
        stream = kind(door.key, door.secret, raw_data=True, url_override=door.url)
        stream.told = lambda message: self._hear(line, message)
        stream.failed = lambda code: self._fail(line, code)
        line.stream = stream
        await self._subscribe(line)
        await self._serve(line, stream)

    async def _serve(self, line: _Line, stream: "StockStream | OptionStream | OrderStream") -> None:
        """Keep a connection up until this is cancelled."""
        line.stream = stream
        stream.heard = lambda trouble: self._down(line, trouble) if trouble else self._up(line)
        stream.next_door = line.next_door
        stream.waits(*self._back_off)
        try:
            await stream._run_forever()  # noqa: SLF001  run() would start a loop of its own and print on stdout
        finally:
            stream.heard = lambda _trouble: None
            await stream.close()

    # --- what is wanted -----------------------------------------------------------------------------------------------

    async def _want(self, line: _Line, symbols: tuple[str, ...]) -> None:
        line.wanted = symbols
        if symbols:
            line.anything.set()
        if line.stream is not None:
            await self._subscribe(line)

    async def _subscribe(self, line: _Line) -> None:
        """Ask for the first so many; what is streamed already stays as long as it is held and there is room."""
        limit = line.limit or LIMITS.get(line.feed, min(LIMITS.values()))
        chosen = frozenset(line.wanted[:limit])
        if chosen == line.streamed or line.stream is None:
            return
        line.streamed = chosen
        trades = chosen if line.feed == StockFeed.IEX.value else ()
        with contextlib.suppress(Exception):  # a connection that ends meanwhile subscribes when it is up again
            await line.stream.now_wants(sorted(chosen), sorted(trades))  # type: ignore[union-attr]

    # --- what is heard ------------------------------------------------------------------------------------------------

    def _hear(self, line: _Line, message: Mapping[str, Any]) -> None:
        kind = message.get("T")
        if kind == "q":
            quote = quote_in(message, line.feed)
            if quote is not None:
                self._pass_on(quote)
        elif kind == "t" and (price := _amount(message.get("p"))):
            self._tell(lambda listener: listener.trade_received(str(message.get("S")), price))

    def _pass_on(self, quote: Quote) -> None:
        """Quotes that come in one go cross over together."""
        with self._lock:
            self._batch.append(quote)
            first = len(self._batch) == 1
        if first:
            self._tell(self._deliver)

    def _deliver(self, listener: "StreamListener") -> None:
        with self._lock:
            batch, self._batch = self._batch, []
        listener.quotes_received(batch)

    def _fail(self, line: _Line, code: int) -> None:
        """An error on a connection that stays up. Of too many symbols (405) fewer are asked for."""
        if code == _TOO_MANY:
            line.limit = max(len(line.streamed) // 2, 1)
            trouble = f"{len(line.streamed)} symbols are too many ({code}): the {line.limit} nearest are streamed"
            self._tell(lambda listener: listener.connection_changed(line.name, trouble))
            self._in_thread(self._subscribe(line))
        else:
            self._down(line, f"error {code}")
            self._in_thread(_cut(line))

    def _up(self, line: _Line) -> None:
        line.trouble = ""
        self._tell(lambda listener: listener.connection_changed(line.name, ""))

    def _down(self, line: _Line, trouble: str) -> None:
        """Say what is wrong, once until it is something else. A second failure says more than a lost connection."""
        if line.trouble != trouble:
            line.trouble = trouble
            self._tell(lambda listener: listener.connection_changed(line.name, trouble))

    def _tell(self, news: "Callable[[StreamListener], None]") -> None:
        """Tell the listener on its own loop, if that still runs."""
        if self._home is not None and self._listener is not None:
            with contextlib.suppress(RuntimeError):
                self._home.call_soon_threadsafe(news, self._listener)


async def _cut(line: _Line) -> None:
    if line.stream is not None:
        await line.stream.cut()


# --- from the configuration to doors ----------------------------------------------------------------------------------


def _order_doors(account: AccountConfig) -> list[Door]:
    """Where an account's order updates are; nowhere when trading goes elsewhere and no stream was named for it."""
    ends = account.endpoints
    if ends.trading and not ends.trading_stream:
        return []
    host = "paper-api" if account.paper else "api"
    url = ends.trading_stream or f"wss://{host}.alpaca.markets/stream"
    return [Door(url, account.api_key, account.secret_key)]


def _stock_doors(accounts: Sequence[AccountConfig], feed: StockFeed) -> Iterator[Door]:
    feeds = (StockFeed.SIP, StockFeed.IEX) if feed is StockFeed.AUTO else (feed,)
    for one in feeds:
        for account in accounts:
            yield from _data_door(account, account.endpoints.stock_stream, "v2", one.value, is_last=one is feeds[-1])


def _option_doors(accounts: Sequence[AccountConfig], feed: OptionFeed) -> Iterator[Door]:
    feeds = (OptionFeed.OPRA, OptionFeed.INDICATIVE) if feed is OptionFeed.AUTO else (feed,)
    for one in feeds:
        for account in accounts:
            named = account.endpoints.option_stream
            yield from _data_door(account, named, "v1beta1", one.value, is_last=one is feeds[-1])


def _data_door(account: AccountConfig, named: str | None, version: str, feed: str, *, is_last: bool) -> Iterator[Door]:
    """The door of one feed; an address of the account's own is taken as it is, once, and tells its feed at its end."""
    if named and is_last:
        yield Door(named, account.api_key, account.secret_key, named.rstrip("/").rpartition("/")[2])
    elif not named and not account.endpoints.data:
        yield Door(f"{_DATA}/{version}/{feed}", account.api_key, account.secret_key, feed)


# --- from frames to values --------------------------------------------------------------------------------------------


def quote_in(message: Mapping[str, Any], feed: str) -> Quote | None:
    """The quote in a frame; None when it can't be read: polling will tell."""
    try:
        at = message["t"].to_datetime()
        bid, ask = _amount(message.get("bp")), _amount(message.get("ap"))
        return Quote(str(message["S"]), bid, ask, at, feed, _amount(message.get("bs")), _amount(message.get("as")))
    except (KeyError, AttributeError, ValueError, OverflowError):
        return None


def _amount(value: object) -> Decimal | None:
    """A number as it was written; None for 0, which is Alpaca's word for no active side, and for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    amount = Decimal(repr(value))
    return amount if amount.is_finite() and amount > 0 else None
