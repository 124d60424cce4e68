"""Fakes of the outside world, and one account assembled on them, for tests of watcher, scheduler and tick handler."""

import asyncio
import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from builders import CALL, HALF_DAY, TUESDAY, a_policy, a_position, a_quote, an_order, at, replace
from order_fakes import as_texts

from sellctl.core.decision.policy import Policy
from sellctl.core.errors import BrokerAnswer, BrokerError, JournalError, NotFoundError, UnknownOutcomeError
from sellctl.core.events import EventPublisher
from sellctl.core.leases.permit import SendPermit, Unleased
from sellctl.core.market_clock import MarketClock
from sellctl.core.model.episode import Episode
from sellctl.core.model.event import Event
from sellctl.core.model.instrument import AssetClass, Instrument, underlying_of
from sellctl.core.model.intent import IntendedOrder, Intent, OpenOrder
from sellctl.core.model.market import BrokerClock, Quote, Session, regular_session
from sellctl.core.model.order import Order
from sellctl.core.model.plan import CancelOrder, Plan, SubmitOrder
from sellctl.core.model.position import Position
from sellctl.core.model.snapshot import AccountFacts, InvalidRow, Rows, Snapshot
from sellctl.core.order_manager import OrderManager
from sellctl.core.orders.order_book import OrderBook
from sellctl.core.ports import StreamListener
from sellctl.core.position_manager import PositionManager
from sellctl.core.price_tracker import PriceTracker
from sellctl.core.scheduler import AccountScheduler
from sellctl.core.sell_watcher import SellWatcher, WatcherOptions
from sellctl.core.tick_handler import TickHandler
from sellctl.core.tracking.episodes import Episodes
from sellctl.core.tracking.splits import SplitsOfDay
from sellctl.core.watching.account_observer import AccountObserver
from sellctl.core.watching.manual_requests import ManualRequests

NOON = at("12:00")
TURNS = 60  # of the event loop, after which everybody else waits for the time too


class FakeClock:
    """A clock that moves when somebody sleeps on it, or when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> dt.datetime:
        return NOON + dt.timedelta(seconds=self.seconds - 1000.0)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Let everybody else run; then the time has passed."""
        ends = self.seconds + seconds
        for _ in range(TURNS):
            await asyncio.sleep(0)
        self.seconds = max(self.seconds, ends)


class FakeBroker:
    """One account. `fails` is raised by every read; orders work until a test ends them."""

    def __init__(self, clock: FakeClock, name: str = "main") -> None:
        self.name = name
        self.host = clock
        self.held: tuple[Position, ...] = (a_position(CALL, "3"),)
        self.orders: dict[str, Order] = {}
        self.facts = AccountFacts(name, "PA1")
        self.fails: Exception | None = None
        self.unreadable: Exception | None = None  # raised by every read of the positions
        self.refuses: Exception | None = None  # raised by every submission
        self.rejects = False  # every order, once it was accepted
        self.is_open = True
        self.requests: list[str] = []
        self.sent: list[SubmitOrder] = []
        self.cancelled: list[str] = []
        self.cancel_takes = 0.0  # seconds until a cancel is answered
        self.gate: asyncio.Event | None = None  # positions wait for it
        self.order_gates: dict[str, asyncio.Event] = {}  # by symbol: what the answer to an order waits for
        self.is_listed: Callable[[Order], bool] = lambda _order: True  # whether the list of open orders shows it
        self.history_gate: asyncio.Event | None = None  # and orders of any state for this
        self.load = 0.0
        self.clock_fails: Exception | None = None
        self.unreadable_orders: tuple[InvalidRow, ...] = ()
        self.unlisted = False  # whether the list of all of today's orders fails

    def _asked(self, what: str) -> None:
        self.requests.append(what)
        if self.fails is not None:
            raise self.fails

    async def account(self, **_priority: bool) -> AccountFacts:
        self._asked("account")
        return self.facts

    async def positions(self, **_priority: bool) -> Rows[Position]:
        self._asked("positions")
        if self.unreadable is not None:
            raise self.unreadable
        if self.gate is not None:
            await self.gate.wait()
        return Rows(self.held)

    async def open_orders(self, **_priority: bool) -> Rows[Order]:
        self._asked("orders")
        return Rows(tuple(order for order in self.orders.values() if not order.is_terminal and self.is_listed(order)))

    async def orders_since(self, start: dt.datetime, symbols: Collection[str] | None, **_priority: bool) -> Rows[Order]:
        self._asked("history" if symbols is not None else "all orders")
        if symbols is None and self.unlisted:
            raise UnknownOutcomeError("no answer to the list of all orders")
        if self.history_gate is not None and symbols is not None:
            await self.history_gate.wait()
        invalid = tuple(row for row in self.unreadable_orders if symbols is None or row.symbol in {"", *symbols})
        since = (order for order in self.orders.values() if order.submitted_at is None or order.submitted_at >= start)
        return Rows(tuple(order for order in since if symbols is None or order.symbol in symbols), invalid)

    async def order_by_client_id(self, client_order_id: str) -> Order:
        if client_order_id not in self.orders:
            raise NotFoundError("no such order", answer=BrokerAnswer(404, None, "not found"))
        return self.orders[client_order_id]

    def body(self, order: SubmitOrder) -> Mapping[str, str]:
        return {"client_order_id": order.client_order_id}

    async def submit(self, order: SubmitOrder) -> Order:
        self.requests.append("submit")
        self.sent.append(order)
        if order.symbol in self.order_gates:
            await self.order_gates[order.symbol].wait()
        if self.refuses is not None:
            raise self.refuses
        placed = replace(
            an_order(order.symbol, order.side.value, client_order_id=order.client_order_id),
            qty=order.qty,
            limit_price=order.limit_price,
            submitted_at=self.host.now(),
            status="rejected" if self.rejects else "new",
        )
        self.orders[order.client_order_id] = placed
        return placed

    async def cancel(self, order_id: str) -> None:
        self.requests.append("cancel")
        self.cancelled.append(order_id)
        if self.cancel_takes:
            await self.host.sleep(self.cancel_takes)
        for name, order in self.orders.items():
            if order.id == order_id:
                self.orders[name] = replace(order, status="canceled")

    async def penny_program(self, contracts: Sequence[str]) -> Mapping[str, bool]:
        self._asked("contract")
        return {underlying_of(symbol): True for symbol in contracts}

    async def clock(self) -> BrokerClock:
        self._asked("clock")
        if self.clock_fails is not None:
            raise self.clock_fails
        return BrokerClock(self.host.now(), self.is_open, next_open=at("09:30", HALF_DAY), next_close=at("16:00"))

    async def sessions(self, _start: dt.date, _end: dt.date) -> tuple[Session, ...]:
        session = regular_session(TUESDAY)
        return (session,) if session and self.is_open else ()


class FakeJournal:
    """Keeps what is written. `fails` is raised by every write."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.decided_on: list[Snapshot] = []  # the snapshot of each plan
        self.intents: list[str] = []
        self.decisions: list[tuple[str, ...]] = []  # what was written together: send SYMBOL, cancel ID
        self.notes: list[tuple[str, str, Mapping[str, object]]] = []
        self.fails: Exception | None = None

    def _write(self) -> None:
        if self.fails is not None:
            raise self.fails

    async def plan_made(self, snapshot: Snapshot, plan: Plan) -> None:
        self._write()
        self.decided_on.append(snapshot)
        self.plans.append(plan)

    async def intend(
        self,
        _account: str,
        orders: Sequence[IntendedOrder],
        cancels: Sequence[CancelOrder],
        *,
        fence: int | None = None,  # noqa: ARG002  no host is another's
    ) -> None:
        self._write()
        self.decisions.append(as_texts(orders, cancels))
        self.intents += [order.request.client_order_id for order in orders]

    def intent_of(self, _account: str, _client_order_id: str) -> Intent | None:
        return None

    async def accepted(self, _account: str, _client_order_id: str, _detail: Mapping[str, object]) -> None:
        self._write()

    def outcome(self, _account: str, _client_order_id: str, _kind: str, _detail: Mapping[str, object]) -> None:
        self._write()

    def record_fill(self, _account: str, _client_order_id: str, _detail: Mapping[str, object]) -> Decimal:
        return Decimal(0)

    def note(self, account: str, kind: str, detail: Mapping[str, object]) -> None:
        self._write()
        self.notes.append((account, kind, detail))

    def noted_today(self, _account: str, _kind: str) -> Sequence[str]:
        return ()

    def filled_since(self, _account: str, _start: dt.datetime) -> Mapping[str, dt.datetime]:
        return {}

    def open_orders(self, _account: str) -> Sequence[OpenOrder]:
        return ()

    def realised(self, _account: str) -> Decimal | None:
        return None


class FakeQuotes:
    """The newest quotes of every symbol that a test gave a price."""

    last_problems = ()

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.prices: dict[str, tuple[str, str]] = {CALL: ("1.00", "1.02")}
        self.requested: list[list[str]] = []  # the symbols of each request
        self.requested_at: list[float] = []
        self.fails: Exception | None = None
        self.delay = 0.0  # seconds that an answer takes
        self.first_delay: float | None = None  # the same, of the first answer; None: as every other

    async def latest(self, instruments: Collection[Instrument]) -> Mapping[str, Quote]:
        if self.fails:
            raise self.fails
        self.requested.append([instrument.symbol for instrument in instruments])
        self.requested_at.append(self.clock.seconds)
        is_first = len(self.requested) == 1 and self.first_delay is not None
        if delay := self.first_delay if is_first else self.delay:
            await self.clock.sleep(delay)
        return {i.symbol: self.quote(i.symbol) for i in instruments if i.symbol in self.prices}

    def quote(self, symbol: str = CALL) -> Quote:
        return a_quote(symbol, *self.prices[symbol], when=self.clock.now())


class FakeStream:
    """A stream that is up and carries whatever was subscribed to."""

    def __init__(self) -> None:
        self.listener: StreamListener | None = None
        self.subscribed: list[str] = []
        self.followed: frozenset[str] = frozenset()
        self.restarts: list[str] = []
        self.problems: dict[str, str] = {"option quotes": ""}

    def start(self, listener: StreamListener) -> None:
        self.listener = listener

    def follow_orders(self, accounts: Collection[str]) -> None:
        self.followed = frozenset(accounts)

    def subscribe(self, instruments: Sequence[Instrument]) -> None:
        self.subscribed = [instrument.symbol for instrument in instruments]

    @property
    def streamed(self) -> frozenset[str]:
        return frozenset(self.subscribed)

    def problems_of(self, _account: str, _assets: Collection[AssetClass]) -> dict[str, str]:
        return self.problems

    def restart(self, why: str) -> None:
        self.restarts.append(why)

    async def stop(self) -> None:
        pass


@dataclass
class NoEpisodeStore:
    """Remembers nothing from process to process. Nothing can be stored while it is broken."""

    is_broken: bool = False

    def load(self, _account: str) -> Mapping[str, Episode]:
        return {}

    async def save(self, _account: str, _episodes: Mapping[str, Episode]) -> None:
        if self.is_broken:
            raise JournalError("The disk is full.")


def no_conditions(_facts: AccountFacts) -> None:
    """Every account may be acted on."""


@dataclass
class World:
    """One account's watcher on fakes, and everything that it published."""

    clock: FakeClock = field(default_factory=FakeClock)
    events: list[Event] = field(default_factory=list)
    journal: FakeJournal = field(default_factory=FakeJournal)
    episode_store: NoEpisodeStore = field(default_factory=NoEpisodeStore)
    policy: Policy = field(default_factory=a_policy)
    options: WatcherOptions = field(default_factory=WatcherOptions)
    requests: ManualRequests = field(default_factory=ManualRequests)
    admit: Callable[[AccountFacts], None] = no_conditions
    at_later_polls: Callable[[], None] = lambda: None  # what a test changes meanwhile

    def __post_init__(self) -> None:
        self.quotes = FakeQuotes(self.clock)
        self.broker = FakeBroker(self.clock)
        self.market_clock = MarketClock([self.broker], self.clock)
        self.prices = PriceTracker(self.quotes, self.clock)
        self.splits = SplitsOfDay()
        self.watcher = self.a_watcher(self.broker, self.requests)

    def a_watcher(
        self, broker: FakeBroker, requests: ManualRequests | None = None, permit: SendPermit | None = None
    ) -> SellWatcher:
        publish = EventPublisher(broker.name, self.clock.now, self.events.append, self.journal)
        book = OrderBook()
        episodes = Episodes(broker.name, self.episode_store)
        positions = PositionManager(self.prices, self.clock, episodes, book, splits=self.splits)
        orders = OrderManager(
            broker.name, broker, self.journal, book, positions, self.clock, publish, lambda: "", permit or Unleased()
        )
        return SellWatcher(
            name=broker.name,
            policy=self.policy,
            journal=self.journal,
            positions=positions,
            orders=orders,
            observer=AccountObserver(broker, positions, orders, self.clock, publish, self.admit),
            clock=self.clock,
            publish=publish,
            options=self.options,
            requests=requests or ManualRequests(),
        )

    def a_scheduler(self, *watchers: SellWatcher, tick_handler: TickHandler | None = None) -> AccountScheduler:
        publish = EventPublisher("", self.clock.now, self.events.append, self.journal)
        interval = dt.timedelta(seconds=5)
        every = watchers or (self.watcher,)
        return AccountScheduler(every, self.market_clock, self.prices, self.clock, interval, publish, tick_handler)

    async def poll(self) -> None:
        """One poll of the one account, without a scheduler."""
        market = await self.market_clock.read()
        seen = await self.watcher.observe()
        if seen is not None:
            await self.prices.refresh(seen.instruments)
            await self.watcher.act_on_poll(seen, market)

    def quoted(self, bid: str, ask: str, symbol: str = CALL) -> None:
        """From now on this is the price."""
        self.quotes.prices[symbol] = (bid, ask)

    @property
    def texts(self) -> list[str]:
        """Every sentence that was published."""
        return [event.sentence for event in self.events]


def a_broker_failure(sentence: str = "the network is down") -> BrokerError:
    return BrokerError(sentence)
