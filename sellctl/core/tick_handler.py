"""Where streams are heard: a quote leads to a decision on its underlying's group, everything else to an early look.

A tick is decided on the last look's positions and orders, at most `max_position_age` old, with the newest quotes and
today's orders, which the desk knows ahead of need; so an order goes out with no request before it. Once something was
sent on an underlying, the view of it is spent, and only the next look's counts; every other group goes on, whatever a
look or another exit is waiting for. With every stream down, looks go on alone.
"""

import asyncio
import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from sellctl.core.decision.engine import decide
from sellctl.core.errors import BrokerError
from sellctl.core.events import EventPublisher
from sellctl.core.market_clock import MarketClock
from sellctl.core.model.event import EventKind
from sellctl.core.model.instrument import Instrument, underlying_of
from sellctl.core.model.market import Market, Quote
from sellctl.core.model.order import Order
from sellctl.core.model.plan import Plan, PositionDecision
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.ports import Clock, Stream
from sellctl.core.price_tracker import QUOTED, PriceTracker
from sellctl.core.sell_watcher import SellWatcher
from sellctl.core.tracking.quote_history import Source

ORDER_NEWS_SECONDS = 0.1  # news of orders come in bursts: one look follows them all
TICKS_A_LOOK = 3  # contracts whose price step is asked for ahead of need
MUTE_AFTER = 2  # looks in a row that knew a price before its stream
FARTHEST = Decimal("Infinity")


@dataclass(slots=True)
class TickHandler:
    """Hears the streams for all accounts. Every method runs on the event loop of `watch`."""

    watchers: Sequence[SellWatcher]
    stream: Stream
    prices: PriceTracker
    market_clock: MarketClock
    clock: Clock
    report: EventPublisher
    _wake: Callable[[str], None] = lambda _account: None
    _instruments: dict[str, Instrument] = field(default_factory=dict)
    _held_by: dict[str, tuple[SellWatcher, ...]] = field(default_factory=dict)
    _todays: dict[str, dict[str, tuple[Order, ...]]] = field(default_factory=lambda: defaultdict(dict))
    _history_of: object = None
    _waiting: set[str] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def open(self, wake: Callable[[str], None]) -> None:
        """Begin to listen; `wake` asks for an early look at an account."""
        self._wake = wake
        self.stream.start(self)

    async def close(self) -> None:
        """Stop listening; an order that is on its way is seen to its end."""
        await self.stream.stop()
        sending = [task for task in self._tasks if task.get_name() == _SENDING]
        for task in self._tasks.difference(sending):
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)

    @property
    def is_live(self) -> bool:
        """Whether every connection that there should be is up."""
        troubles = self.stream.troubles
        return bool(troubles) and not any(troubles.values())

    # --- after each look ----------------------------------------------------------------------------------------------

    async def polled(self) -> None:
        """Make ready for ticks. Whatever goes wrong here, looks go on."""
        try:
            await self._make_ready()
        except Exception as error:  # noqa: BLE001  the boundary: a bug of ours here must not end the looks
            self.report(
                "", EventKind.DEGRADED, f"a bug of ours keeps ticks from acting: {type(error).__name__}", failed=True
            )

    async def _make_ready(self) -> None:
        """Know who holds what, stream what is nearest to its triggers, and know today's orders of all that."""
        holdings = [(watcher, decision) for watcher in self.watchers for decision in _decisions(watcher)]
        nearest: dict[str, Decimal] = {}
        held_by: dict[str, tuple[SellWatcher, ...]] = {}
        for watcher, decision in holdings:
            instrument = decision.holding.position.instrument
            if instrument.asset_class in QUOTED:
                self._instruments[instrument.symbol] = instrument
                held_by[instrument.symbol] = (*held_by.get(instrument.symbol, ()), watcher)
                nearest[instrument.symbol] = min(_distance(decision), nearest.get(instrument.symbol, FARTHEST))
        self._held_by = held_by
        self.stream.want([self._instruments[symbol] for symbol in sorted(nearest, key=lambda s: (nearest[s], s))])
        self._mind_the_mute()
        await self._know_todays_orders()

    def _mind_the_mute(self) -> None:
        books = [self.prices.book(symbol) for symbol in self.stream.streamed]
        missed = [book for book in books if book and book.missed >= MUTE_AFTER]
        if missed:
            for book in missed:
                book.missed = 0
            self.stream.restart("prices move and it says nothing")

    async def _know_todays_orders(self) -> None:
        """What is held and not known yet, one request an account; anything sent or heard of is asked for anew."""
        market = self._market()
        if market is None or not market.is_open:
            return
        if self._history_of != market.today:
            self._history_of = market.today
            self._todays.clear()
        await asyncio.gather(*(self._know_orders_of(watcher) for watcher in self.watchers))
        await asyncio.gather(*(self._know_a_few_ticks_of(watcher) for watcher in self.watchers))

    async def _know_orders_of(self, watcher: SellWatcher) -> None:
        known, seen = self._todays[watcher.name], watcher.last_snapshot
        if seen is None or watcher.problem is not None or not self.stream.streamed:
            return
        for order in seen.orders:
            known.pop(order.symbol, None)
        unsettled = {order.symbol for order in seen.orders} | set(watcher.orders.symbols_working)
        missing = {h.symbol for h in seen.holdings if h.symbol in self._held_by} - known.keys() - unsettled
        if missing and not watcher.acted:
            news = await watcher.know_history(missing)
            known.update({s: orders for s, orders in news.items() if watcher.view_for_ticks(underlying_of(s))})

    async def _know_a_few_ticks_of(self, watcher: SellWatcher) -> None:
        """The price steps of the contracts nearest to their triggers: a tick's order is not sent off the grid."""
        if watcher.problem is None and not watcher.acted:
            unasked = [v for v in _decisions(watcher) if self._is_to_be_learnt(v.holding.symbol, watcher)]
            nearest = heapq.nsmallest(TICKS_A_LOOK, unasked, key=_distance)
            await watcher.load_price_increments([decision.holding.symbol for decision in nearest])

    def _is_to_be_learnt(self, symbol: str, watcher: SellWatcher) -> bool:
        return symbol in self.stream.streamed and watcher.has_a_tick_to_learn(symbol)

    # --- what the streams say -----------------------------------------------------------------------------------------

    def quotes(self, quotes: Sequence[Quote]) -> None:
        """Take new quotes and decide on the groups that they touch."""
        newest = {quote.symbol: quote for quote in quotes if quote.symbol in self._instruments}
        taken = self.prices.accept(newest, self._instruments, Source.STREAM)
        market = self._market()
        if market is None or not market.is_open:
            return
        for symbol in newest.keys() - taken:
            if symbol in self.prices.doubted:
                self._poll_again(symbol, self._held_by.get(symbol, ()))
        groups = {(w.name, self._instruments[s].underlying): w for s in taken for w in self._held_by.get(s, ())}
        for (_, underlying), watcher in groups.items():
            self._decide(watcher, underlying, market)

    def trade(self, symbol: str, price: Decimal) -> None:
        """A stock traded: it may confirm a stop."""
        self.prices.traded(symbol, price)

    def order(self, account: str, symbol: str) -> None:
        """An order changed: what was known of it is old, and a look follows."""
        known = self._todays[account]
        known.pop(symbol, None) if symbol else known.clear()
        self._later(account, ORDER_NEWS_SECONDS, account)

    def line(self, name: str, trouble: str) -> None:
        """A connection came up or went down; polling goes on in either case."""
        if trouble:
            self.report(
                "", EventKind.DEGRADED, f"{name}: {trouble}; prices and orders are fetched instead", failed=True
            )
        else:
            self.report("", EventKind.RECOVERED, f"{name}: live")
            self._later("live", ORDER_NEWS_SECONDS, "")  # nothing is told of what happened meanwhile: ask

    # --- inside -------------------------------------------------------------------------------------------------------

    def _decide(self, watcher: SellWatcher, underlying: str, market: Market) -> None:
        made = self._plan(watcher, underlying, market)
        if made is None:
            return
        if made.plan.needs_history:
            self._wake(watcher.name)
        elif made.plan.acts:
            self._send(watcher, underlying, made)
        if made.plan.is_unconfirmed:
            self._poll_again(f"{watcher.name} {underlying}", (watcher,))

    def _plan(self, watcher: SellWatcher, underlying: str, market: Market) -> "_Made | None":
        """What is to be done on one underlying's group; None while no tick may act on it."""
        view = watcher.view_for_ticks(underlying)
        if view is None:
            return None
        seen, seen_at = view
        snapshot = self._snapshot(seen, underlying, market, watcher)
        snapshot = replace(snapshot, halted=watcher.orders.halted(), sent=watcher.positions.sent)
        return _Made(snapshot, replace(decide(snapshot, watcher.policy), stale=()), seen_at)

    def _snapshot(self, seen: Snapshot, underlying: str, market: Market, watcher: SellWatcher) -> Snapshot:
        """The last look's view of one underlying's group, with the newest quotes, price steps and today's orders."""
        known, ticks = self._todays[watcher.name], watcher.positions.contracts
        group = (h for h in seen.holdings if h.position.instrument.underlying == underlying)
        holdings = tuple(self._requoted(holding, penny=ticks.get(holding.symbol)) for holding in group)
        history = {h.symbol: known[h.symbol] for h in holdings if h.symbol in known}
        return replace(seen, market=market, holdings=holdings, history=history, on_tick=True)

    def _requoted(self, holding: Holding, *, penny: bool | None) -> Holding:
        symbol, prices = holding.symbol, self.prices
        window, wide, trade = prices.window(symbol), prices.wide_for(symbol), prices.last_trade(symbol)
        state = replace(holding.state, window=window, wide_for=wide, last_trade=trade, penny=penny)
        return replace(holding, quote=prices.newest(symbol), state=state)

    def _send(self, watcher: SellWatcher, underlying: str, made: "_Made") -> None:
        async def send() -> None:
            now = self._again(watcher, underlying, made)
            if now is not None and now.plan.acts:
                self._forget_orders_of(watcher, now.plan)
                await watcher.act_on(underlying, now.snapshot, now.plan, now.seen_at)
            self._wake(watcher.name)

        self._keep(asyncio.create_task(send(), name=_SENDING))

    def _again(self, watcher: SellWatcher, underlying: str, made: "_Made") -> "_Made | None":
        """The same plan while its view stands; another when orders went out meanwhile, whose number is limited (K2)."""
        market = self._market()
        if market is not None and watcher.positions.sent != made.snapshot.sent:
            return self._plan(watcher, underlying, market)
        return made if watcher.view_for_ticks(underlying) else None

    def _forget_orders_of(self, watcher: SellWatcher, plan: Plan) -> None:
        known = self._todays[watcher.name]
        for decision in plan.notable:
            if decision.submit or decision.cancel_first:
                known.pop(decision.holding.symbol, None)

    def _poll_again(self, what: str, watchers: Sequence[SellWatcher]) -> None:
        """A second look, which confirms or refutes, comes by itself even if no tick does."""
        for watcher in watchers:
            self._later(f"{what} again", self.prices.second_quote_in, watcher.name)

    def _later(self, what: str, seconds: float, account: str) -> None:
        """One early look a matter, however often it is asked for meanwhile."""
        if what in self._waiting:
            return
        self._waiting.add(what)

        async def later() -> None:
            await self.clock.sleep(seconds)
            self._waiting.discard(what)
            self._wake(account)

        self._keep(asyncio.create_task(later()))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _market(self) -> Market | None:
        try:
            return self.market_clock.now()
        except BrokerError:
            return None


_SENDING = "sending"


@dataclass(frozen=True, slots=True)
class _Made:
    """A plan for one group, what it was made from, and when that was seen, in monotonic seconds."""

    snapshot: Snapshot
    plan: Plan
    seen_at: float


def _decisions(watcher: SellWatcher) -> Iterator[PositionDecision]:
    yield from watcher.plan.decisions if watcher.plan else ()


def _distance(decision: PositionDecision) -> Decimal:
    known = [abs(trigger.distance) for trigger in decision.triggers if trigger.distance is not None]
    return min(known, default=FARTHEST)
