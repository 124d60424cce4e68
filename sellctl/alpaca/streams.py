"""The Stream port on Alpaca's WebSocket streams, all of them in one thread with one event loop.

One market data connection per asset class serves all accounts, since Alpaca allows one per key; order updates come per
account. Events are delivered on the caller's event loop, quotes in batches. What is not streamed is polled.
"""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from sellctl.alpaca.convert import is_ordinary_symbol
from sellctl.alpaca.endpoints import Endpoint
from sellctl.core.config.schema import AccountConfig, Config, OptionFeed, StockFeed
from sellctl.core.model.instrument import AssetClass, Instrument
from sellctl.core.model.market import Quote

if TYPE_CHECKING:
    from sellctl.alpaca.stream_clients import OptionStream, OrderStream, StockStream
    from sellctl.core.ports import StreamListener

_DATA: Final = "wss://stream.data.alpaca.markets"
_STOCKS: Final = "stock quotes"
_OPTIONS: Final = "option quotes"
# How many symbols one connection may subscribe to, per feed.
SYMBOL_LIMITS: Final = {"iex": 30, "delayed_sip": 30, "sip": 10_000, "indicative": 200, "opra": 1000}
# Seconds, jittered by the SDK. The longest is short, because Alpaca frees the connection of a program that has ended
# only after a while, and refuses the next one until then.
BACK_OFF: Final = (1.0, 10.0)
HANDOVER_SECONDS: Final = 1.0  # the host that had an account until now has ended its connection by then
_NOT_ENTITLED: Final = "(409)"
_TOO_MANY_SYMBOLS: Final = 405


@dataclass(slots=True)
class _StreamConnection:
    """One connection that should be up. Used in the streams' thread only; `error` may be read anywhere."""

    name: str
    endpoints: list[Endpoint]
    error: str = "connecting"  # "" when connected
    symbol_limit: int = 0  # 0: the feed's
    wanted: tuple[str, ...] = ()
    needed: asyncio.Event = field(default_factory=asyncio.Event)  # set once symbols were wanted
    streamed: frozenset[str] = frozenset()
    stream: "StockStream | OptionStream | OrderStream | None" = None

    def next_endpoint(self, error: str) -> Endpoint:
        """Fail over: an endpoint that the key is not entitled to is dropped, any other moves to the end."""
        first, *others = self.endpoints
        if others:
            self.endpoints = others if _NOT_ENTITLED in error else [*others, first]
        return self.endpoints[0]

    def failed_rounds(self, failures: int) -> int:
        """How often every endpoint has failed, at least 1: the wait grows with each round, not with each endpoint."""
        return max(failures // len(self.endpoints), 1)

    @property
    def feed(self) -> str:
        """The feed of the endpoint in use; empty for order updates."""
        return self.endpoints[0].feed

    def anew(self) -> "_StreamConnection":
        """The same connection before it was first used, with what was learnt about endpoints and symbols."""
        return _StreamConnection(self.name, self.endpoints, symbol_limit=self.symbol_limit)


class AlpacaStreams:
    """Quotes of all accounts and order updates per account. Quotes connect once symbols are wanted."""

    def __init__(
        self, config: Config, *, back_off: tuple[float, float] = BACK_OFF, handover: float = HANDOVER_SECONDS
    ) -> None:
        enabled = {name: account for name, account in config.accounts.items() if account.enabled}
        data = [enabled[name] for name in config.market_data.accounts or enabled if name in enabled]
        market = config.market_data
        self._orders = {
            name: _StreamConnection(f"orders of {name}", endpoints)
            for name, one in enabled.items()
            if (endpoints := _order_endpoints(one))
        }
        quotes = {
            AssetClass.STOCK: _StreamConnection(_STOCKS, list(_stock_endpoints(data, market.stock_feed))),
            AssetClass.OPTION: _StreamConnection(_OPTIONS, list(_option_endpoints(data, market.option_feed))),
        }
        self._quotes = {asset: connection for asset, connection in quotes.items() if connection.endpoints}
        self._followed = frozenset(self._orders)
        self._order_tasks: dict[str, asyncio.Task[None]] = {}
        self._quote_tasks: dict[AssetClass, asyncio.Task[None]] = {}
        self._back_off, self._handover = back_off, handover
        self._listener: StreamListener | None = None
        self._home: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._batch: list[Quote] = []
        self._lock = threading.Lock()

    @property
    def streamed(self) -> frozenset[str]:
        """Symbols whose quotes are being streamed now."""
        up = [connection.streamed for connection in self._quotes.values() if not connection.error]
        return frozenset(itertools.chain.from_iterable(up))

    @property
    def problems(self) -> Mapping[str, str]:
        """The error of every connection that should be up, by its name; "" when it is connected."""
        wanted = [connection for connection in self._quotes.values() if connection.wanted]
        orders = [connection for name, connection in self._orders.items() if name in self._followed]
        return {connection.name: connection.error for connection in (*orders, *wanted)}

    def problems_of(self, account: str, assets: Collection[AssetClass]) -> Mapping[str, str]:
        """Those of `problems` that concern one account: of its order updates, and of the quotes of these assets."""
        orders = [self._orders[account]] if account in self._followed else []
        quotes = [connection for asset, connection in self._quotes.items() if asset in assets and connection.wanted]
        return {connection.name: connection.error for connection in (*orders, *quotes)}

    def start(self, listener: "StreamListener") -> None:
        """Connect, in a thread of its own. Events are delivered on the running event loop."""
        self._listener, self._home = listener, asyncio.get_running_loop()
        if self._orders or self._quotes:
            ready = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(ready,), name="alpaca-streams", daemon=True)
            self._thread.start()
            ready.wait()

    def follow_orders(self, accounts: Collection[str]) -> None:
        """Stream the order updates of these accounts only; of all, if this is never called."""
        self._followed = frozenset(accounts) & self._orders.keys()
        self._in_thread(self._connect_orders(wait=self._handover))

    def subscribe(self, instruments: Sequence[Instrument]) -> None:
        """Stream the quotes of these instruments, as many of the first as the plan allows."""
        for asset in self._quotes:
            self._in_thread(self._want(asset, symbols_to_stream(instruments, asset)))

    def restart(self, why: str) -> None:
        """Reconnect the quote streams. `why` is reported as their error until they are connected."""
        for connection in self._quotes.values():
            if not connection.error and connection.streamed:
                self._on_state(connection, why)
                self._in_thread(_reconnect(connection))

    async def stop(self) -> None:
        """Disconnect without waiting for the SDK, which would wait for its next frame. `start` may be called again."""
        if self._loop is not None and self._over is not None and self._thread is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._over.set)
            await asyncio.to_thread(self._thread.join, 5)
        with self._lock:
            self._batch = []
        self._orders = {name: connection.anew() for name, connection in self._orders.items()}
        self._quotes = {asset: connection.anew() for asset, connection in self._quotes.items()}

    # --- the streams' thread

    def _run(self, ready: threading.Event) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._main(ready))

    async def _main(self, ready: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        ready.set()
        import_module("sellctl.alpaca.stream_clients")  # loads pandas: in this thread it delays nothing
        await self._connect_orders()
        self._quote_tasks = {asset: self._quote_task(connection) for asset, connection in self._quotes.items()}
        await self._over.wait()
        await _end(*self._order_tasks.values(), *self._quote_tasks.values())
        self._order_tasks, self._quote_tasks = {}, {}

    def _in_thread(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine on the streams' event loop; nothing when that is not running."""
        if self._loop is None or self._loop.is_closed():
            work.close()
            return
        asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _connect_orders(self, wait: float = 0.0) -> None:
        """Connect the accounts that are followed, after `wait` seconds, and disconnect those that aren't any more."""
        left = [name for name in self._order_tasks if name not in self._followed]
        ending = [self._order_tasks.pop(name) for name in left]
        for name in left:
            self._orders[name] = self._orders[name].anew()
        await _end(*ending)
        for name in sorted(self._followed - self._order_tasks.keys()):
            following = self._follow_orders(name, self._orders[name], wait)
            self._order_tasks[name] = asyncio.create_task(following)

    async def _follow_orders(self, name: str, connection: _StreamConnection, wait: float) -> None:
        from sellctl.alpaca.stream_clients import OrderStream  # noqa: PLC0415  loads pandas

        await asyncio.sleep(wait)
        endpoint = connection.endpoints[0]
        stream = OrderStream(endpoint.key, endpoint.secret, raw_data=True, url_override=endpoint.url)

        async def on_update(message: Mapping[str, Any]) -> None:
            order = (message.get("data") or {}).get("order") or {}
            self._tell(lambda listener: listener.order_changed(name, str(order.get("symbol") or "")))

        stream.subscribe_trade_updates(on_update)
        await self._serve(connection, stream)

    def _quote_task(self, connection: _StreamConnection) -> asyncio.Task[None]:
        return asyncio.create_task(self._follow_quotes(connection))

    async def _follow_quotes(self, connection: _StreamConnection) -> None:
        """Connect once symbols are wanted: without a subscription the SDK busy-loops."""
        from sellctl.alpaca.stream_clients import OptionStream, StockStream  # noqa: PLC0415  loads pandas

        await connection.needed.wait()
        endpoint = connection.endpoints[0]
        kind = StockStream if connection.name == _STOCKS else OptionStream
        stream = kind(endpoint.key, endpoint.secret, raw_data=True, url_override=endpoint.url)
        stream.on_frame = lambda message: self._on_frame(connection, message)
        stream.on_error = lambda code: self._on_error(connection, code)
        connection.stream = stream
        await self._subscribe(connection)
        await self._serve(connection, stream)

    async def _serve(self, connection: _StreamConnection, stream: "StockStream | OptionStream | OrderStream") -> None:
        """Keep the connection up until the task is cancelled."""
        connection.stream = stream
        stream.on_state = lambda error: self._on_state(connection, error)
        stream.next_endpoint = connection.next_endpoint
        stream.failed_rounds = connection.failed_rounds
        stream.set_back_off(*self._back_off)
        try:
            await stream._run_forever()  # noqa: SLF001  run() would start a loop of its own and print on stdout
        finally:
            stream.on_state = lambda _error: None
            await stream.close()

    # --- subscriptions

    async def _want(self, asset: AssetClass, symbols: tuple[str, ...]) -> None:
        connection = self._quotes[asset]
        if not symbols and connection.wanted:
            # Nothing is held any more: the key's only connection is left to a host that watches something.
            self._quotes[asset] = unused = connection.anew()
            await _end(self._quote_tasks[asset])
            self._quote_tasks[asset] = self._quote_task(unused)
            return
        connection.wanted = symbols
        if symbols:
            connection.needed.set()
        if connection.stream is not None:
            await self._subscribe(connection)

    async def _subscribe(self, connection: _StreamConnection) -> None:
        """Subscribe to as many of the wanted symbols as are allowed, the first ones first."""
        limit = connection.symbol_limit or SYMBOL_LIMITS.get(connection.feed, min(SYMBOL_LIMITS.values()))
        chosen = frozenset(connection.wanted[:limit])
        if chosen == connection.streamed or connection.stream is None:
            return
        connection.streamed = chosen
        trades = chosen if connection.feed == StockFeed.IEX.value else ()
        try:
            await connection.stream.resubscribe(sorted(chosen), sorted(trades))  # type: ignore[union-attr]
        except Exception:  # noqa: BLE001  mostly the connection has ended; the next call subscribes again
            connection.streamed = frozenset()

    # --- events

    def _on_frame(self, connection: _StreamConnection, message: Mapping[str, Any]) -> None:
        kind = message.get("T")
        if kind == "q":
            quote = quote_of_frame(message, connection.feed)
            if quote is not None:
                self._add_to_batch(quote)
        elif kind == "t" and (price := _amount(message.get("p"))):
            self._tell(lambda listener: listener.trade_received(str(message.get("S")), price))

    def _add_to_batch(self, quote: Quote) -> None:
        """Quotes that arrive together are delivered together."""
        with self._lock:
            self._batch.append(quote)
            first = len(self._batch) == 1
        if first:
            self._tell(self._deliver)

    def _deliver(self, listener: "StreamListener") -> None:
        with self._lock:
            batch, self._batch = self._batch, []
        listener.quotes_received(batch)

    def _on_error(self, connection: _StreamConnection, code: int) -> None:
        """Handle an error on an open connection: for too many symbols subscribe to half of them, else reconnect."""
        if code == _TOO_MANY_SYMBOLS:
            connection.symbol_limit = max(len(connection.streamed) // 2, 1)
            count, limit = len(connection.streamed), connection.symbol_limit
            error = f"{count} symbols are too many ({code}): the {limit} nearest are streamed"
            self._tell(lambda listener: listener.connection_changed(connection.name, error))
            self._in_thread(self._subscribe(connection))
        else:
            self._on_state(connection, f"error {code}")
            self._in_thread(_reconnect(connection))

    def _on_state(self, connection: _StreamConnection, error: str) -> None:
        """Report a connection's error, or "" that it is up; the same error only once."""
        if error and connection.error == error:
            return
        connection.error = error
        self._tell(lambda listener: listener.connection_changed(connection.name, error))

    def _tell(self, event: "Callable[[StreamListener], None]") -> None:
        """Call the listener on its own event loop, if that is still running."""
        if self._home is not None and self._listener is not None:
            with contextlib.suppress(RuntimeError):
                self._home.call_soon_threadsafe(event, self._listener)


def symbols_to_stream(instruments: Sequence[Instrument], asset: AssetClass) -> tuple[str, ...]:
    """The symbols of one asset class that a subscription may name; those of unusual form are polled."""
    return tuple(each.symbol for each in instruments if each.asset_class is asset and is_ordinary_symbol(each.symbol))


async def _end(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _reconnect(connection: _StreamConnection) -> None:
    if connection.stream is not None:
        await connection.stream.reconnect()


# --- endpoints


def _order_endpoints(account: AccountConfig) -> list[Endpoint]:
    """Where an account's order updates are; empty when only its trading endpoint is configured, and no stream."""
    ends = account.endpoints
    if ends.trading and not ends.trading_stream:
        return []
    host = "paper-api" if account.paper else "api"
    url = ends.trading_stream or f"wss://{host}.alpaca.markets/stream"
    return [Endpoint(url, account.api_key, account.secret_key)]


def _stock_endpoints(accounts: Sequence[AccountConfig], feed: StockFeed) -> Iterator[Endpoint]:
    feeds = (StockFeed.SIP, StockFeed.IEX) if feed is StockFeed.AUTO else (feed,)
    for one in feeds:
        for account in accounts:
            yield from _data_endpoint(
                account, account.endpoints.stock_stream, "v2", one.value, is_last=one is feeds[-1]
            )


def _option_endpoints(accounts: Sequence[AccountConfig], feed: OptionFeed) -> Iterator[Endpoint]:
    feeds = (OptionFeed.OPRA, OptionFeed.INDICATIVE) if feed is OptionFeed.AUTO else (feed,)
    for one in feeds:
        for account in accounts:
            named = account.endpoints.option_stream
            yield from _data_endpoint(account, named, "v1beta1", one.value, is_last=one is feeds[-1])


def _data_endpoint(
    account: AccountConfig, named: str | None, version: str, feed: str, *, is_last: bool
) -> Iterator[Endpoint]:
    """The endpoint of one feed. A configured URL is used as it is, once; its last part is the name of its feed."""
    if named and is_last:
        yield Endpoint(named, account.api_key, account.secret_key, named.rstrip("/").rpartition("/")[2])
    elif not named and not account.endpoints.data:
        yield Endpoint(f"{_DATA}/{version}/{feed}", account.api_key, account.secret_key, feed)


# --- frames


def quote_of_frame(message: Mapping[str, Any], feed: str) -> Quote | None:
    """The quote in a frame; None when it is unreadable, since the next poll brings the quote."""
    try:
        at = message["t"].to_datetime()
        bid, ask = _amount(message.get("bp")), _amount(message.get("ap"))
        return Quote(str(message["S"]), bid, ask, at, feed, _amount(message.get("bs")), _amount(message.get("as")))
    except (KeyError, AttributeError, ValueError, OverflowError):
        return None


def _amount(value: object) -> Decimal | None:
    """A positive number, exact; None for 0, which means that the side is not quoted, and for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    amount = Decimal(repr(value))
    return amount if amount.is_finite() and amount > 0 else None
