"""Accounts on the simulated exchange in virtual time, each with its request budget, for tests of the pace."""

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar, cast

from builders import at
from shell_fakes import FakeJournal, FakeStream, NoEpisodeStore

from faults.loop import LoopClock, VirtualLoop
from sellctl.alpaca.budget import Budget
from sellctl.core.config.schema import AccountConfig, Config, SellModuleConfig
from sellctl.core.decision.policy import compile_policy
from sellctl.core.errors import BrokerAnswer, RateLimitedError
from sellctl.core.events import EventPublisher
from sellctl.core.market_clock import MarketClock
from sellctl.core.model.event import Event, EventKind
from sellctl.core.model.instrument import Instrument, an_option
from sellctl.core.model.market import BrokerClock, Quote, Session
from sellctl.core.model.order import Order
from sellctl.core.model.plan import SubmitOrder
from sellctl.core.model.position import Position
from sellctl.core.model.snapshot import AccountFacts, Rows
from sellctl.core.order_manager import OrderManager
from sellctl.core.orders.order_book import OrderBook
from sellctl.core.ports import Broker, StreamListener
from sellctl.core.position_manager import PositionManager
from sellctl.core.price_tracker import PriceTracker
from sellctl.core.scheduler import AccountScheduler
from sellctl.core.sell_watcher import SellWatcher
from sellctl.core.tick_handler import TickHandler
from sellctl.core.tracking.episodes import Episodes
from sellctl.core.tracking.remembered_facts import RememberedFacts
from sellctl.core.watching.account_observer import AccountObserver
from sellctl.core.watching.fact_refresher import FactRefresher
from sellctl.core.watching.poll_schedule import quote_requests
from sellctl.sim.inprocess import SimBroker, SimQuotes, body_of
from sellctl.sim.market.market import Market
from sellctl.sim.market.price_paths import Fixed, Path, TwoSidedQuote
from sellctl.sim.settings import Settings
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimEvent, SimPosition

T = TypeVar("T")
STARTS = "12:00"
LATENCY = 0.05  # seconds that each request takes
_OWN_BUDGET = BrokerAnswer(429, None, "sellctl's own budget")
ORDERS = frozenset({"POST", "DELETE"})


class Change(NamedTuple):
    """A quote that stands from so many seconds after the start on. Before the first it is 1.00/1.02."""

    seconds: float
    bid: str
    ask: str


def a_call(number: int) -> str:
    """The symbol of one of many contracts, each on an underlying of its own."""
    letters = "".join(chr(ord("A") + number // 26**place % 26) for place in (1, 0))
    return f"Z{letters}261218C00100000"


def _path(changes: Collection[Change]) -> Path:
    every = (Change(-600, "1.00", "1.02"), *changes)
    return Path([Fixed(after(each.seconds), TwoSidedQuote(Decimal(each.bid), Decimal(each.ask))) for each in every])


def after(seconds: float) -> dt.datetime:
    return at(STARTS) + dt.timedelta(seconds=seconds)


def seconds_of(exchange: Exchange) -> float:
    """Seconds after the start."""
    return (exchange.now - after(0)).total_seconds()


@dataclass(frozen=True)
class Sent:
    """One request that left: seconds after the start, its method, its path and the symbol of an order."""

    seconds: float
    method: str
    path: str
    symbol: str = ""


class BudgetedBroker(SimBroker):
    """A simulated account that answers after LATENCY and has the request budget of the Alpaca adapter."""

    def __init__(self, exchange: Exchange, account: str, clock: LoopClock, note: Callable[[Sent], None]) -> None:
        super().__init__(exchange, account)
        self._clock, self._note = clock, note
        self.budget = Budget(clock.monotonic)
        self.slow_by = 0.0  # seconds that its positions take longer than anything else

    async def _spend(self, method: str, path: str, symbol: str = "", **priority: bool) -> None:
        if self.budget.take(**{"for_order": False, **priority}):
            raise RateLimitedError(f"{self.name}: used up", answer=_OWN_BUDGET, is_ours=True)
        self._note(Sent(seconds_of(self.exchange), method, path, symbol))
        await self._clock.sleep(LATENCY)

    @property
    def load(self) -> float:
        return self.budget.load

    async def account(self, *, urgent: bool = False) -> AccountFacts:
        await self._spend("GET", "account", urgent=urgent)
        return await super().account()

    async def positions(self, *, urgent: bool = False) -> Rows[Position]:
        await self._spend("GET", "positions", urgent=urgent)
        await self._clock.sleep(self.slow_by)
        return await super().positions()

    async def open_orders(self, *, urgent: bool = False) -> Rows[Order]:
        await self._spend("GET", "orders", urgent=urgent)
        return await super().open_orders()

    async def orders_since(
        self, start: dt.datetime, symbols: Collection[str] | None, *, for_order: bool = True, urgent: bool = False
    ) -> Rows[Order]:
        what = "all orders" if symbols is None else "history"
        await self._spend("GET", what, for_order=for_order, urgent=urgent)
        return await super().orders_since(start, symbols)

    async def order_by_client_id(self, client_order_id: str) -> Order:
        await self._spend("GET", "look-up", for_order=True)
        return await super().order_by_client_id(client_order_id)

    async def submit(self, order: SubmitOrder) -> Order:
        await self._spend("POST", "order", order.symbol, for_order=True)
        return await super().submit(order)

    async def cancel(self, order_id: str) -> None:
        symbol = self.exchange.accounts[self.name].orders[order_id].symbol
        await self._spend("DELETE", "order", symbol, for_order=True)
        await super().cancel(order_id)

    async def clock(self) -> BrokerClock:
        await self._spend("GET", "clock")
        return await super().clock()

    async def sessions(self, start: dt.date, end: dt.date) -> tuple[Session, ...]:
        await self._spend("GET", "calendar")
        return await super().sessions(start, end)

    async def penny_program(self, contracts: Sequence[str]) -> Mapping[str, bool]:
        await self._spend("GET", "contract")
        return await super().penny_program(contracts)

    def body(self, order: SubmitOrder) -> Mapping[str, str]:
        return {key: str(value) for key, value in body_of(order).items()}


class BudgetedQuotes(SimQuotes):
    """Quotes after LATENCY, from a key with a budget of its own."""

    def __init__(self, exchange: Exchange, clock: LoopClock) -> None:
        super().__init__(exchange)
        self._clock = clock
        self.budget = Budget(clock.monotonic, kept=0)
        self.requests: list[float] = []  # when each left, in seconds after the start

    async def latest(self, instruments: Collection[Instrument]) -> Mapping[str, Quote]:
        self.requests += [seconds_of(self.exchange)] * quote_requests(instruments)
        if self.budget.take(for_order=False):
            raise RateLimitedError("quotes: used up", answer=_OWN_BUDGET, is_ours=True)
        await self._clock.sleep(LATENCY)
        return await super().latest(instruments)


class SimStream(FakeStream):
    """Quotes as they change, and order updates of every account."""

    def __init__(self, exchange: Exchange, clock: LoopClock, changes: Mapping[int, Collection[Change]]) -> None:
        super().__init__()
        self._quotes, self._clock = SimQuotes(exchange), clock
        self._changes = sorted((each.seconds, a_call(number)) for number, every in changes.items() for each in every)
        self._streaming: asyncio.Task[None] | None = None
        self.problems = {"option quotes": "", **{f"orders of {name}": "" for name in exchange.accounts}}
        exchange.listeners.append(self._order_event)

    def start(self, listener: StreamListener) -> None:
        super().start(listener)
        for name in self.problems:
            listener.connection_changed(name, "")
        self._streaming = asyncio.ensure_future(self._stream())

    async def _stream(self) -> None:
        for seconds, symbol in self._changes:
            await self._clock.sleep((after(seconds) - self._clock.now()).total_seconds() + LATENCY)
            instrument = an_option(symbol)
            if self.listener and instrument and symbol in self.streamed:
                self.listener.quotes_received(list((await self._quotes.latest([instrument])).values()))

    def _order_event(self, event: SimEvent) -> None:
        if self.listener and event.order:
            self.listener.order_changed(event.account, event.order["symbol"])

    async def stop(self) -> None:
        if self._streaming:
            self._streaming.cancel()


class MarketWithoutTrades(Market):
    """Quotes come and change, and no order is ever filled."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        super().__init__(dict(paths))
        self.halt("", after(-600))

    def is_halted(self, symbol: str) -> bool:  # noqa: ARG002  every one is
        return True


@dataclass
class BusyAccounts:
    """Accounts with these positions (by account, the number of each contract), watched from noon on."""

    held: Mapping[str, Collection[int]]
    changes: Mapping[int, Collection[Change]] = field(default_factory=dict)  # of the quotes, by number of the contract
    interval: float = 5.0
    streams: bool = True  # False: quotes and orders are only polled
    fills: bool = True  # False: no order is ever filled
    settings: Settings = field(default_factory=lambda: Settings(rate_limit=0))
    requests: dict[str, list[Sent]] = field(default_factory=lambda: defaultdict(list))
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        numbers = {number for held in self.held.values() for number in held}
        paths = {a_call(number): _path(self.changes.get(number, ())) for number in numbers}
        market = Market(paths) if self.fills else MarketWithoutTrades(paths)
        accounts = [_account(name, held) for name, held in self.held.items()]
        self.exchange = Exchange(after(-0.5), accounts, market, self.settings)
        self.clock = LoopClock(self.exchange)
        self.brokers = {
            name: BudgetedBroker(self.exchange, name, self.clock, self.requests[name].append) for name in self.held
        }
        self.facts = RememberedFacts()
        market_clock = MarketClock(cast("list[Broker]", list(self.brokers.values())), self.clock, self.facts)
        self.quotes = BudgetedQuotes(self.exchange, self.clock)
        prices = PriceTracker(self.quotes, self.clock, broker_now=lambda: market_clock.instant)
        config = Config(
            accounts={name: AccountConfig("key", "secret") for name in self.held},
            sell_module=SellModuleConfig(check_interval=dt.timedelta(seconds=self.interval)),
        )
        watchers = [self._watcher(config, broker, prices) for broker in self.brokers.values()]
        publish = EventPublisher("", self.clock.now, self.events.append, FakeJournal())
        self.stream = SimStream(self.exchange, self.clock, self.changes)
        ticks = TickHandler(watchers, self.stream, prices, market_clock, self.clock, publish) if self.streams else None
        self.scheduler = AccountScheduler(
            watchers,
            market_clock,
            prices,
            self.clock,
            dt.timedelta(seconds=self.interval),
            publish,
            ticks,
            fact_refresher=FactRefresher(self.facts, market_clock, self.quotes, self.clock),
        )

    def _watcher(self, config: Config, broker: BudgetedBroker, prices: PriceTracker) -> SellWatcher:
        journal, book = FakeJournal(), OrderBook()
        publish = EventPublisher(broker.name, self.clock.now, self.events.append, journal)
        positions = PositionManager(prices, self.clock, Episodes(broker.name, NoEpisodeStore()), book, facts=self.facts)
        orders = OrderManager(broker.name, broker, journal, book, positions, self.clock, publish, lambda: "")
        return SellWatcher(
            name=broker.name,
            policy=compile_policy(config, broker.name),
            journal=journal,
            positions=positions,
            orders=orders,
            observer=AccountObserver(broker, positions, orders, self.clock, publish, lambda _facts: None),
            clock=self.clock,
            publish=publish,
        )

    def watch(self, seconds: float) -> "BusyAccounts":
        """Watch until so many seconds after noon."""

        async def watching() -> None:
            stop = asyncio.Event()
            running = asyncio.ensure_future(self.scheduler.watch(stop, lambda _wait: None))
            await self.clock.sleep((after(seconds) - self.exchange.now).total_seconds())
            stop.set()
            await running

        self._run(watching())
        return self

    def run_once(self) -> "BusyAccounts":
        """One run from noon on, to its end."""
        self._run(self.scheduler.run_once())
        return self

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        loop = VirtualLoop(self.exchange)
        try:
            loop.run_until_complete(work)
        finally:
            loop.close()

    def with_a_stale_order(self, account: str, number: int) -> "BusyAccounts":
        """The user has forgotten an order, for one contract of several that are held."""
        body = {"symbol": a_call(number), "side": "sell", "qty": "1", "type": "limit", "limit_price": "9.00"}
        account_there = self.exchange.accounts[account]
        order = account_there.orders[self.exchange.submit(account_there, body | {"time_in_force": "day"})["id"]]
        order.created_at = after(-600)
        return self

    # --- what the exchange saw

    def sent(self, account: str, number: int) -> list[float]:
        """When orders for a contract left, in seconds after the start."""
        symbol = a_call(number)
        return [one.seconds for one in self.requests[account] if (one.method, one.symbol) == ("POST", symbol)]

    def requests_until(self, seconds: float = float("inf")) -> int:
        """How many requests of all accounts and of quotes left until so many seconds after the start."""
        times = [one.seconds for every in self.requests.values() for one in every]
        return sum(each <= seconds for each in (*times, *self.quotes.requests))

    def reads(self, account: str) -> list[float]:
        """When the account's positions were read."""
        return [one.seconds for one in self.requests[account] if one.path == "positions"]

    @property
    def problems(self) -> list[str]:
        """What was published as wrong."""
        return [event.sentence for event in self.events if event.kind is EventKind.DEGRADED]

    def busiest_minute(self, account: str) -> int:
        """The most requests of the account in any 60 seconds."""
        times = [one.seconds for one in self.requests[account]]
        return max(sum(start <= other < start + 60 for other in times) for start in times)

    def most_reads(self, account: str, seconds: float) -> int:
        """The most reads of the account within so many seconds."""
        reads = self.reads(account)
        return max(sum(start <= other < start + seconds for other in reads) for start in reads)

    def longest_gap(self, account: str) -> float:
        """The longest time between two reads of the account."""
        reads = self.reads(account)
        return max(later - earlier for earlier, later in pairwise(reads))

    def shortest_gap(self, account: str) -> float:
        """The shortest time between two reads of the account."""
        reads = self.reads(account)
        return min(later - earlier for earlier, later in pairwise(reads))


def _account(name: str, held: Collection[int]) -> SimAccount:
    positions = {a_call(number): SimPosition(a_call(number), Decimal(2), Decimal(1)) for number in held}
    return SimAccount(name, f"key-{name}", "secret", f"PA{name}", positions=positions)
