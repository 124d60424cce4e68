"""Reads one account at the broker: positions, open orders, and the other data that a decision may need."""

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

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
from sellctl.core.model.snapshot import AccountFacts, Rows
from sellctl.core.order_manager import OrderManager
from sellctl.core.ports import Broker, Clock
from sellctl.core.position_manager import PositionManager

# How far back the orders that opened the positions are searched for.
OPENINGS_WITHIN = dt.timedelta(days=30)


class AccountObservation(Struct, frozen=True):
    """The broker's answer about one account, without quotes."""

    positions: Rows[Position]
    orders: tuple[Order, ...]
    invalid_orders: Rows[Order]
    at: float  # monotonic seconds when it was requested
    with_underlyings: bool = False  # whether rules need the prices of underlyings

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The instruments whose quotes are needed."""
        held = [position.instrument for position in self.positions.rows]
        wanted = {i.underlying for i in held if i.is_option} if self.with_underlyings else set()
        return (*held, *(a_stock(symbol) for symbol in sorted(wanted - {i.symbol for i in held})))


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

    async def observe(
        self, mode: RunMode, *, with_equity: bool, with_underlyings: bool, urgent: bool = False
    ) -> AccountObservation:
        """Positions and open orders, with our orders updated. `with_equity` reads the account's equity again.

        With `urgent`, the reads may use a part of the request budget that is kept for orders.
        """
        at = self.clock.monotonic()
        await self._read_account(again=with_equity, urgent=urgent)
        positions, orders = await asyncio.gather(
            self.broker.positions(urgent=urgent), self.broker.open_orders(urgent=urgent)
        )
        known = await self._settle(orders.rows) if mode is RunMode.ACT else orders.rows
        return AccountObservation(positions, known, orders, at, with_underlyings)

    def admit_again(self) -> None:
        """Check again that the account may be traded, if it has been read. SafetyRefusalError or BusyError if not."""
        if self.facts is not None:
            self.admit(self.facts)

    async def history(self, symbols: Iterable[str]) -> dict[str, tuple[Order, ...]]:
        """Today's orders by symbol, without the symbols that have an unreadable row, which is published.

        BrokerError also for an unreadable row without a symbol: it could belong to any.
        """
        wanted = sorted(symbols)
        rows = await self.broker.orders_since(self._midnight(), wanted)
        unreadable = {row.symbol: row.why for row in rows.invalid}
        if "" in unreadable:
            raise BrokerError(f"An order of today can't be read ({unreadable['']}): nothing is sent until it can.")
        for symbol in sorted(unreadable.keys() - self.unreadable):
            text = f"an order of today can't be read ({unreadable[symbol]}): nothing is sent for it until it can"
            self.publish(symbol, EventKind.DEGRADED, text, failed=True)
        self.unreadable = self.unreadable.difference(wanted).union(unreadable)
        readable = [symbol for symbol in wanted if symbol not in unreadable]
        return {symbol: tuple(order for order in rows.rows if order.symbol == symbol) for symbol in readable}

    async def todays_orders(self, symbol: str) -> tuple[Order, ...]:
        """Today's readable orders of one symbol, in any state."""
        rows = await self.broker.orders_since(self._midnight(), [symbol])
        return tuple(order for order in rows.rows if order.symbol == symbol)

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
            self.positions.episodes.opened(symbol, [order for order in rows.rows if order.symbol == symbol])
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

    async def _settle(self, orders: Sequence[Order]) -> tuple[Order, ...]:
        """Update our orders, and check that the broker's positions agree with our fills (S5)."""
        known = await self.orders.settle(orders, self.publish.now())
        doubtful = self.positions.in_doubt()
        if doubtful:
            for sentence in self.positions.explain(await self.history(doubtful)):
                detail = {"sentence": sentence}
                self.publish("", EventKind.ALERT, sentence, evidence="quarantine", detail=detail)
        return known

    def _midnight(self) -> dt.datetime:
        """The start of the exchange's day, in UTC."""
        today = self.publish.now().astimezone(NEW_YORK).date()
        return dt.datetime.combine(today, dt.time(), NEW_YORK).astimezone(dt.UTC)
