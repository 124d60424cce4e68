"""Reads one account at the broker: positions, open orders, and the other data that a decision may need."""

import asyncio
import datetime as dt
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.errors import BrokerError
from sellctl.core.events import EventPublisher
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.event import EventKind
from sellctl.core.model.instrument import Instrument, a_stock
from sellctl.core.model.market import NEW_YORK
from sellctl.core.model.order import Order
from sellctl.core.model.position import Position
from sellctl.core.model.snapshot import AccountFacts, InvalidRow, Rows
from sellctl.core.order_manager import OrderManager
from sellctl.core.ports import Broker, Clock
from sellctl.core.position_manager import PositionManager
from sellctl.core.tracking.todays_orders import TodaysOrders
from sellctl.core.watching.order_lists import AccountOrders, OrderLists

# How far back the orders that opened the positions are searched for.
OPENINGS_WITHIN = dt.timedelta(days=30)


class AccountObservation(Struct, frozen=True):
    """The broker's answer about one account, without quotes."""

    positions: Rows[Position]
    orders: tuple[Order, ...]
    unreadable_orders: tuple[InvalidRow, ...]
    at: float  # monotonic seconds when it was requested
    with_underlyings: bool = False  # whether rules need the prices of underlyings
    read: int = 0  # the read's number among those of today's orders

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The instruments whose quotes are needed."""
        held = [position.instrument for position in self.positions.rows]
        wanted = {i.underlying for i in held if i.is_option} if self.with_underlyings else set()
        return (*held, *(a_stock(symbol) for symbol in sorted(wanted - {i.symbol for i in held})))


class FollowedOrders(Struct, frozen=True):
    """Today's orders by symbol, and the symbols of which an order that is known as open is not among them."""

    by_symbol: dict[str, tuple[Order, ...]]
    lacking: frozenset[str]


@dataclass(slots=True)
class AccountObserver:
    """Reads one account. Methods raise BrokerError or a subclass, unless said otherwise.

    `admit` raises an error for an account that must not be traded. `facts` is the last answer about the account itself.
    """

    broker: Broker
    positions: PositionManager
    orders: OrderManager
    clock: Clock
    publish: EventPublisher
    admit: Callable[[AccountFacts], None]
    facts: AccountFacts | None = None
    unreadable: frozenset[str] = frozenset()  # symbols with an order of today that can't be read, which was published
    asked_with_orders: frozenset[str] = frozenset()  # what was held when today's orders were last requested with it
    _lists: OrderLists = field(init=False)

    def __post_init__(self) -> None:
        self._lists = OrderLists(self.broker)

    @property
    def todays(self) -> TodaysOrders:
        """What is known of the account's orders of today."""
        return self.orders.todays

    async def observe(
        self, mode: RunMode, *, with_equity: bool, with_underlyings: bool, in_full: bool = False, urgent: bool = False
    ) -> AccountObservation:
        """Positions and open orders, with our orders updated; `in_full` with today's orders, all requested at once.

        The first read requests the account too, `with_equity` each one. Of an account that isn't admitted, nothing is
        used. With `urgent`, the reads may use a part of the request budget that is kept for orders.
        """
        at, midnight, read = self.clock.monotonic(), self._midnight(), self.todays.begin_read()
        reading = self._lists.read_all(midnight, urgent=urgent) if in_full else self._lists.read_open(urgent=urgent)
        account, held, lists = (
            asyncio.ensure_future(self._read_account(again=with_equity, urgent=urgent)),
            asyncio.ensure_future(self.broker.positions(urgent=urgent)),
            asyncio.ensure_future(reading),
        )
        await asyncio.gather(account, held, lists, return_exceptions=True)  # no request outlives the read
        account.result()
        positions = held.result()
        if in_full:
            self.asked_with_orders = frozenset(position.symbol for position in positions.rows)
        orders = lists.result()
        self._lists.remember(orders, midnight)
        if orders.recent is None:
            self.todays.listed(orders.open.rows)
        else:
            self.todays.loaded(orders.recent, midnight, read)
            self._publish_unreadable(orders.recent, [position.symbol for position in positions.rows])
        known = await self._settle(orders, read, positions.rows) if mode is RunMode.ACT else orders.open.rows
        return AccountObservation(positions, known, orders.open.invalid, at, with_underlyings, read)

    def admit_again(self) -> None:
        """Check again that the account may be traded, if it has been read. SafetyRefusalError or BusyError if not."""
        if self.facts is not None:
            self.admit(self.facts)

    def known_orders(self, symbols: Iterable[str], min_read: int | None = None) -> dict[str, tuple[Order, ...]]:
        """Today's orders of those symbols for which they are certain, or were read by the read `since` or later."""
        return self.todays.known(symbols, self._midnight(), min_read)

    def lacks_orders(self, symbols: Iterable[str]) -> bool:
        """Whether a read of today's orders would make them certain for a symbol for which they aren't."""
        return self.todays.lacks(symbols, self._midnight())

    async def read_orders(self, symbols: Iterable[str]) -> dict[str, tuple[Order, ...]]:
        """Request today's orders of these symbols; those that have an unreadable row, which is published, are left out.

        BrokerError also for an unreadable row without a symbol: it could belong to any.
        """
        return (await self.follow_orders(symbols)).by_symbol

    async def follow_orders(self, symbols: Iterable[str]) -> FollowedOrders:
        """The same, and which symbols the answer lacks an order of that is known as open."""
        wanted, midnight, read = sorted(symbols), self._midnight(), self.todays.begin_read()
        rows = await self.broker.orders_since(midnight, wanted)
        self.todays.loaded(rows, midnight, read, wanted)
        why = next((row.why for row in rows.invalid if not row.symbol), "")
        if why:
            raise BrokerError(f"An order of today can't be read ({why}): nothing is sent until it can.")
        self._publish_unreadable(rows, wanted)
        lacking = self.todays.lacking_in(rows.rows, wanted)
        return FollowedOrders(self.todays.known(wanted, midnight, read), lacking)

    def _publish_unreadable(self, rows: Rows[Order], symbols: Collection[str]) -> None:
        """Publish once which of the symbols have an order of today that can't be read."""
        unreadable = {row.symbol: row.why for row in rows.invalid if row.symbol in symbols}
        for symbol in sorted(unreadable.keys() - self.unreadable):
            text = f"an order of today can't be read ({unreadable[symbol]}): nothing is sent for it until it can"
            self.publish(symbol, EventKind.DEGRADED, text, failed=True)
        self.unreadable = self.unreadable.difference(symbols).union(unreadable)

    async def todays_orders(self, symbol: str) -> tuple[Order, ...]:
        """Today's readable orders of one symbol, in any state."""
        rows = await self.broker.orders_since(self._midnight(), [symbol])
        return tuple(order for order in rows.rows if symbol in order.symbols)

    async def load_openings(self) -> bool:
        """Find when each new position was opened, and by which order. Return whether orders were read.

        After a failure, time held counts from when the position was first seen, and the next poll tries again: no exit
        waits for this.
        """
        wanted = self.positions.episodes.without_opening()
        if not wanted:
            return False
        try:
            rows = await self.broker.orders_since(self.publish.now() - OPENINGS_WITHIN, sorted(wanted))
        except BrokerError:
            return False
        for symbol in wanted:
            orders = [order for order in rows.rows if symbol in order.symbols]
            self.positions.episodes.opened(symbol, orders, self.publish.now())
        return True

    async def _read_account(self, *, again: bool, urgent: bool) -> None:
        """Read the key's account and check that it may be traded: once, and again while it is blocked or if `again`."""
        trading_block = self.orders.trading_block
        if self.facts is None or self.facts.blocked or trading_block.refusals or again:
            facts = await self.broker.account(urgent=urgent)
            self.admit(facts)
            if facts.blocked:
                trading_block.lift()  # from now on the account itself shows the block and its end
            self.facts = replace(facts, blocked=facts.blocked or trading_block.holds(self.clock.monotonic()))

    async def _settle(self, orders: AccountOrders, read: int, positions: Iterable[Position]) -> tuple[Order, ...]:
        """Update our orders, and check that the broker's positions agree with our fills (S5). Return the open orders.

        Orders of ours whose end was read too need no look-up.
        """
        ended = {order.id: order for order in orders.ended if order.is_ours}
        opened = (order for order in orders.open.rows if order.id not in ended)
        known = await self.orders.settle((*opened, *ended.values()), self.publish.now(), positions)
        doubtful = self.positions.in_doubt()
        if doubtful:
            todays = self.todays.known(doubtful, self._midnight(), read)
            unknown = [symbol for symbol in doubtful if symbol not in todays]
            todays |= await self.read_orders(unknown) if unknown else {}
            for sentence in self.positions.explain(todays):
                detail = {"sentence": sentence}
                self.publish("", EventKind.ALERT, sentence, journal_kind="quarantine", detail=detail)
        return tuple(order for order in known if order.id not in ended)

    def _midnight(self) -> dt.datetime:
        """The start of the exchange's day, in UTC."""
        today = self.publish.now().astimezone(NEW_YORK).date()
        return dt.datetime.combine(today, dt.time(), NEW_YORK).astimezone(dt.UTC)
