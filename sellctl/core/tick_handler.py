"""Handles streamed events: quotes lead to a decision on their underlyings, an order update to an early poll.

A stop or a jump that is to be confirmed has its second quote requested in time, in case none is streamed: it leads to a
decision as a streamed one does.

A decision on a tick uses the last poll's positions and orders, the newest quotes, and what is certain of today's
orders, so that no request precedes the order. Once an order was sent on an underlying, its view is stale until the
next poll; after a cancel, that of its symbol. Others are not affected, whatever a poll or another exit is waiting for.
Without streams, only polls decide.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec.structs import replace

from sellctl.core.errors import BrokerError
from sellctl.core.events import EventPublisher
from sellctl.core.market_clock import MarketClock
from sellctl.core.model.event import EventKind
from sellctl.core.model.instrument import Instrument, underlying_of
from sellctl.core.model.market import Market, Quote
from sellctl.core.model.plan import Plan
from sellctl.core.model.position import Holding
from sellctl.core.ports import Clock, Stream
from sellctl.core.price_tracker import QUOTED_ASSET_CLASSES, PriceTracker
from sellctl.core.sell_watcher import BUG_HINT, SellWatcher, TickView
from sellctl.core.tracking.quote_history import Source
from sellctl.core.watching.trigger_prices import FARTHEST, distances

_LOG = logging.getLogger(__name__)
ORDER_NEWS_SECONDS = 0.1  # order updates come in bursts: one poll follows each burst
_EXECUTING = "executing a tick"

SECOND_QUOTES_APART = 0.1  # seconds between two requests of second quotes: those due meanwhile share the next one
SECOND_QUOTES_TOGETHER = 0.02  # seconds; those due so soon after the first share its request

_Awaited = tuple[str, str, bool]  # an account, a symbol that it holds, and whether its price has jumped


@dataclass(slots=True)
class TickHandler:
    """Listens to the streams for all accounts. Every method runs on the event loop of `watch`."""

    watchers: Sequence[SellWatcher]
    stream: Stream
    prices: PriceTracker
    market_clock: MarketClock
    clock: Clock
    publish: EventPublisher
    _wake: Callable[[str], None] = lambda _account: None
    _instruments: dict[str, Instrument] = field(default_factory=dict)
    _held_by: dict[str, tuple[SellWatcher, ...]] = field(default_factory=dict)
    _distances: dict[str, Mapping[str, Decimal]] = field(default_factory=dict)  # by account and symbol
    _disconnected: set[str] = field(default_factory=set)
    _pending_wakes: set[str] = field(default_factory=set)
    # What waits for a second quote, and when that is due.
    _second_quotes: dict[_Awaited, tuple[SellWatcher, float]] = field(default_factory=dict)
    _second_quotes_at: float = float("-inf")  # when they were last requested
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def open(self, wake: Callable[[str], None]) -> None:
        """Start the streams. `wake` requests an early read of an account, or of all when its name is ""."""
        self._wake = wake
        self.stream.follow_orders([watcher.name for watcher in self.watchers])
        self.stream.start(self)

    async def close(self) -> None:
        """Stop the streams, and wait for plans that are being carried out."""
        await self.stream.stop()
        executing = [task for task in self._tasks if task.get_name() == _EXECUTING]
        for task in self._tasks.difference(executing):
            task.cancel()
        self._pending_wakes.clear()  # else those that were cancelled would never be requested again
        self._second_quotes.clear()  # likewise
        await asyncio.gather(*executing, return_exceptions=True)
        for watcher in self.watchers:
            watcher.orders_streamed(is_connected=False)

    def set_watchers(self, watchers: Sequence[SellWatcher]) -> None:
        """Set the accounts, when some come and go. A tick acts on none that has left."""
        self.watchers = watchers
        self.stream.follow_orders([watcher.name for watcher in watchers])
        self._held_by = {
            symbol: tuple(each for each in holders if any(each is watcher for watcher in watchers))
            for symbol, holders in self._held_by.items()
        }
        self._second_quotes = {
            what: waiting
            for what, waiting in self._second_quotes.items()
            if any(waiting[0] is watcher for watcher in watchers)
        }
        for watcher in watchers:
            if watcher.state.polled_at is None:
                watcher.orders_streamed(is_connected=self.streams_orders_of(watcher.name))

    @property
    def is_live(self) -> bool:
        """Whether every expected connection is up."""
        problems = self.stream.problems
        return bool(problems) and not any(problems.values())

    def streams_orders_of(self, account: str) -> bool:
        """Whether the updates of the account's orders are being streamed."""
        return self.stream.problems.get(_orders_of(account)) == ""

    # --- after each poll ----------------------------------------------------------------------------------------------

    async def polled(self) -> None:
        """Prepare for ticks. An error is published and does not stop the polls."""
        try:
            await self._prepare()
        except Exception as error:  # noqa: BLE001  a bug here must not stop the polls
            self._publish_fault(error)

    async def _prepare(self) -> None:
        """Update which account holds which symbol, and stream those nearest to their triggers."""
        nearest: dict[str, Decimal] = {}
        held_by: dict[str, tuple[SellWatcher, ...]] = {}
        instruments: dict[str, Instrument] = {}
        self._distances = {watcher.name: _distances_of(watcher) for watcher in self.watchers}
        for watcher, instrument in self._quoted():
            symbol = instrument.symbol
            instruments[symbol] = instrument
            held_by[symbol] = (*held_by.get(symbol, ()), watcher)
            nearest[symbol] = min(self._distance(watcher, symbol), nearest.get(symbol, FARTHEST))
        self._held_by, self._instruments = held_by, instruments
        self.stream.subscribe([self._instruments[symbol] for symbol in sorted(nearest, key=lambda s: (nearest[s], s))])
        if self.prices.pop_lagging_streams(self.stream.streamed):
            self.stream.restart("silent although prices move")

    def _quoted(self) -> Iterator[tuple[SellWatcher, Instrument]]:
        for watcher in self.watchers:
            snapshot = watcher.state.snapshot
            for holding in snapshot.holdings if snapshot else ():
                if holding.position.instrument.asset_class in QUOTED_ASSET_CLASSES:
                    yield watcher, holding.position.instrument

    def _distance(self, watcher: SellWatcher, symbol: str) -> Decimal:
        return self._distances.get(watcher.name, {}).get(symbol, FARTHEST)

    # --- events of the streams ----------------------------------------------------------------------------------------

    def quotes_received(self, quotes: Sequence[Quote]) -> None:
        """Store new quotes and decide on their underlyings."""
        newest = {quote.symbol: quote for quote in quotes if quote.symbol in self._instruments}
        replaced = self.prices.accept(newest, self._instruments, Source.STREAM)
        received_at = self.clock.monotonic()
        market = self._market()
        if market is None or not market.is_open:
            return
        for symbol in (newest.keys() - replaced) & self.prices.jumped:
            for watcher in self._held_by.get(symbol, ()):
                self._request_second_quote(watcher, symbol, received_at, has_jumped=True)
        arrived = [symbol for symbol in newest if symbol in replaced]  # a set's order differs from process to process
        for watcher, underlyings in self._by_account((w, s) for s in arrived for w in self._held_by.get(s, ())):
            self._decide(watcher, underlyings, market, received_at)

    def trade_received(self, symbol: str, price: Decimal) -> None:
        """Store the price of a stock's trade, which may confirm a stop."""
        self.prices.record_trade(symbol, price)

    def order_changed(self, account: str, symbol: str) -> None:
        """An order changed: what is known of its symbol's orders isn't certain any more. Poll the account."""
        for watcher in self.watchers:
            if watcher.name == account:
                watcher.order_changed(symbol)
        self._wake_in(ORDER_NEWS_SECONDS, account, account)

    def connection_changed(self, name: str, problem: str) -> None:
        """A connection came up or went down; polling continues in either case."""
        for watcher in self.watchers:
            if name == _orders_of(watcher.name):
                watcher.orders_streamed(is_connected=not problem)
        if problem:
            self._disconnected.add(name)
            self.publish("", EventKind.DEGRADED, f"{name}: {problem}; polling instead", failed=True)
            return
        kind = EventKind.RECOVERED if name in self._disconnected else EventKind.NOTE
        self._disconnected.discard(name)
        self.publish("", kind, f"{name}: stream connected")
        self._wake_in(ORDER_NEWS_SECONDS, "stream connected", "")  # events of the meantime were missed: poll

    # --- inside -------------------------------------------------------------------------------------------------------

    def _by_account(self, held: Iterable[tuple[SellWatcher, str]]) -> Iterator[tuple[SellWatcher, tuple[str, ...]]]:
        """Each account that holds any of these symbols, with their underlyings: one decision is for all of them."""
        watchers = dict[str, SellWatcher]()
        underlyings = dict[str, dict[str, None]]()
        for watcher, symbol in held:
            watchers[watcher.name] = watcher
            underlyings.setdefault(watcher.name, {})[self._instruments[symbol].underlying] = None
        for name, watcher in watchers.items():
            yield watcher, tuple(underlyings[name])

    def _decide(
        self, watcher: SellWatcher, underlyings: Collection[str], market: Market, received_at: float
    ) -> frozenset[str]:
        """Decide on these underlyings by quotes received then. Return those whose view holds no more.

        After an internal error, which is published, the account is read; no other account is affected.
        """
        try:
            return self._decided(watcher, underlyings, market, received_at)
        except Exception as error:  # noqa: BLE001  a bug here must not keep the exits of others from being sent
            self._publish_fault(error)
            self._wake(watcher.name)
            return frozenset()

    def _decided(
        self, watcher: SellWatcher, underlyings: Collection[str], market: Market, received_at: float
    ) -> frozenset[str]:
        view = self._view(watcher, underlyings, market)
        if view is None:
            return frozenset(underlyings)
        plan = watcher.decide(view.snapshot)
        due = watcher.due_on_tick(view, plan)
        lacking = {underlying_of(symbol) for symbol in watcher.lacks_certain_orders(due)}
        if lacking:
            self._wake(watcher.name)
        ready = watcher.due_on_tick(view, plan, lacking) if lacking else due
        if ready.acts:
            self._execute(watcher, view, plan, lacking)
        for decision in due.decisions:
            if decision.unconfirmed:
                self._request_second_quote(watcher, decision.holding.symbol, received_at)
            else:
                self._second_quotes.pop((watcher.name, decision.holding.symbol, False), None)
        return frozenset(underlyings) - view.underlyings

    def _view(self, watcher: SellWatcher, underlyings: Collection[str], market: Market) -> TickView | None:
        """The last poll's view with the newest quotes; None while no tick may act."""
        view = watcher.view_for_tick(underlyings)
        if view is None:
            return None
        holdings = tuple(self._with_newest_quote(holding) for holding in view.snapshot.holdings)
        return replace(view, snapshot=replace(view.snapshot, market=market, holdings=holdings))

    def _with_newest_quote(self, holding: Holding) -> Holding:
        symbol, prices = holding.symbol, self.prices
        window, wide, trade = prices.window(symbol), prices.wide_for(symbol), prices.last_trade(symbol)
        state = replace(holding.state, window=window, wide_for=wide, last_trade=trade)
        return replace(holding, quote=prices.newest(symbol), state=state)

    def _execute(self, watcher: SellWatcher, view: TickView, plan: Plan, withheld: Collection[str]) -> None:
        """Carry out the plan of a view, except on `withheld` underlyings."""

        async def execute() -> None:
            await watcher.act_on_tick(view, plan, withheld)
            if not watcher.is_sending:  # else the last order asks for the read, which then shows them all
                self._wake(watcher.name)

        self._keep(asyncio.create_task(execute(), name=_EXECUTING))

    def _request_second_quote(
        self, watcher: SellWatcher, symbol: str, received_at: float, *, has_jumped: bool = False
    ) -> None:
        """Request a second quote of a symbol in time, which confirms or refutes the one received then.

        Those of one message are requested together, however long the decisions on it took.
        """
        is_idle = not self._second_quotes
        due_at = received_at + self.prices.confirmation_delay_for(has_jumped=has_jumped)
        self._second_quotes.setdefault((watcher.name, symbol, has_jumped), (watcher, due_at))
        if is_idle:
            self._keep(asyncio.create_task(self._poll_second_quotes()))

    async def _poll_second_quotes(self) -> None:
        """Begin a request for the second quotes that are due, until nothing waits for any.

        It begins earlier by the time that an answer takes, so that the answer arrives when they are due.
        """
        while self._second_quotes:
            early, now = self.prices.round_trip, self.clock.monotonic()
            next_at = min(due_at for _, due_at in self._second_quotes.values()) - early
            next_at = max(next_at, self._second_quotes_at + SECOND_QUOTES_APART)
            if next_at > now:  # one that is due earlier may be added meanwhile
                await self.clock.sleep(min(next_at - now, SECOND_QUOTES_APART))
                continue
            latest = now + early + SECOND_QUOTES_TOGETHER
            due = {awaited: each for awaited, each in self._second_quotes.items() if each[1] <= latest}
            for awaited in due:
                del self._second_quotes[awaited]
            self._second_quotes_at = now
            held = [(watcher, symbol) for (_, symbol, _), (watcher, _) in due.items()]
            not_before = max(due_at for _, due_at in due.values())
            self._keep(asyncio.create_task(self._decide_on_second_quotes(held, not_before)))

    async def _decide_on_second_quotes(self, held: Sequence[tuple[SellWatcher, str]], not_before: float) -> None:
        """After an internal error the accounts are read: their polls decide, and contain what concerns one of them."""
        try:
            await self._decide_again(held, not_before)
        except Exception as error:  # noqa: BLE001  a bug here must not keep a stop from being confirmed
            self._publish_fault(error)
            for watcher, _ in held:
                self._wake(watcher.name)

    async def _decide_again(self, held: Sequence[tuple[SellWatcher, str]], not_before: float) -> None:
        """Request the quotes of these symbols, and decide on them as on ones that are streamed at that instant."""
        wanted = {symbol: self._instruments[symbol] for _, symbol in held if symbol in self._instruments}
        await self.prices.refresh(wanted.values(), is_poll=False, not_before=not_before)
        received_at, market = self.clock.monotonic(), self._market()
        if market is None or not market.is_open:
            return
        still_held, jumped = [each for each in held if each[1] in self._instruments], self.prices.jumped
        for watcher, symbol in still_held:
            if symbol in jumped:  # to yet another price, as in a crash
                self._request_second_quote(watcher, symbol, received_at, has_jumped=True)
        for watcher, underlyings in self._by_account(still_held):
            if self._decide(watcher, underlyings, market, received_at):
                self._wake(watcher.name)

    def _wake_in(self, seconds: float, what: str, account: str) -> None:
        """Request one early read; further requests with the same `what` are ignored until then."""
        if what in self._pending_wakes:
            return
        self._pending_wakes.add(what)

        async def wake() -> None:
            await self.clock.sleep(seconds)
            self._pending_wakes.discard(what)
            self._wake(account)

        self._keep(asyncio.create_task(wake()))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _publish_fault(self, error: Exception) -> None:
        _LOG.debug("an internal error on streamed quotes", exc_info=error)
        text = f"streamed quotes can't act because of an internal error: {type(error).__name__}. {BUG_HINT}"
        self.publish("", EventKind.DEGRADED, text, failed=True)

    def _market(self) -> Market | None:
        try:
            return self.market_clock.now()
        except BrokerError:
            return None


def _orders_of(account: str) -> str:
    """The name of the connection that streams an account's order updates."""
    return f"orders of {account}"


def _distances_of(watcher: SellWatcher) -> Mapping[str, Decimal]:
    snapshot = watcher.state.snapshot
    return distances(snapshot, watcher.policy) if snapshot else {}
