"""Reads one account at the broker: positions, open orders, and what a decision may ask for besides."""

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sellctl.core.decision.pricing import needs_price_increment
from sellctl.core.errors import BrokerError, RateLimitedError
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

# How far back the orders that opened today's positions are looked for.
OPENINGS_WITHIN = dt.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class AccountObservation:
    """What the broker said about one account, before quotes are known."""

    positions: Rows[Position]
    orders: tuple[Order, ...]
    invalid_orders: Rows[Order]
    at: float  # monotonic seconds when it was asked
    with_underlyings: bool = False  # whether rules ask for the prices of underlyings

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What quotes are needed for."""
        held = [position.instrument for position in self.positions.rows]
        wanted = {i.underlying for i in held if i.is_option} if self.with_underlyings else set()
        return (*held, *(a_stock(symbol) for symbol in sorted(wanted - {i.symbol for i in held})))


@dataclass(slots=True)
class AccountObserver:
    """The reading side of one account. BrokerError and its kinds are the caller's to handle, unless said otherwise.

    `admit` refuses an account that may not be acted on. `facts` are the broker's last word on the account itself.
    """

    broker: Broker
    positions: PositionManager
    orders: OrderManager
    clock: Clock
    publish: EventPublisher
    admit: Callable[[AccountFacts], None]
    facts: AccountFacts | None = None

    async def observe(self, mode: RunMode, *, with_equity: bool, with_underlyings: bool) -> AccountObservation:
        """Positions and open orders, and what became of ours. `with_equity` asks for the account's equity anew."""
        at = self.clock.monotonic()
        await self._read_account(anew=with_equity)
        positions, orders = await asyncio.gather(self.broker.positions(), self.broker.open_orders())
        known = await self._settle(orders.rows) if mode is RunMode.ACT else orders.rows
        return AccountObservation(positions, known, orders, at, with_underlyings)

    def admit_again(self) -> None:
        """Check once more that the account may be acted on, as far as it is known. SafetyRefusalError or BusyError."""
        if self.facts is not None:
            self.admit(self.facts)

    async def history(self, symbols: Iterable[str]) -> dict[str, tuple[Order, ...]]:
        """Today's orders of each symbol. BrokerError also on an unreadable row, which could be any symbol's."""
        wanted = sorted(symbols)
        rows = await self.broker.orders_since(self._midnight(), wanted)
        if rows.invalid:
            why = rows.invalid[0].why
            raise BrokerError(f"An order of today can't be read ({why}): nothing is sent until it can.")
        return {symbol: tuple(o for o in rows.rows if o.symbol == symbol) for symbol in wanted}

    async def todays_orders(self, symbol: str) -> tuple[Order, ...]:
        """Today's readable orders of one symbol, in any state."""
        rows = await self.broker.orders_since(self._midnight(), [symbol])
        return tuple(order for order in rows.rows if order.symbol == symbol)

    async def load_openings(self) -> bool:
        """Find when each new position was opened and by which order; whether any was looked up.

        Without an answer, time held counts from when the position was first seen, until the next poll asks again: no
        exit waits for this.
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

    async def load_price_increments(self, symbols: Iterable[str]) -> bool:
        """Ask once per option whether it trades in pennies; whether anything is known now that wasn't."""
        missing = [symbol for symbol in symbols if self.lacks_price_increment(symbol)]
        return any(await asyncio.gather(*(self._load_price_increment(symbol) for symbol in missing)))

    def lacks_price_increment(self, symbol: str) -> bool:
        """Whether only the broker knows a symbol's price increment, and hasn't been asked."""
        return needs_price_increment(symbol) and symbol not in self.positions.contracts

    async def _load_price_increment(self, symbol: str) -> bool:
        """Without an answer an exit takes the coarser increment. Only when the request budget is used up, ask again."""
        try:
            self.positions.contracts[symbol] = await self.broker.is_penny(symbol)
        except RateLimitedError:
            return False
        except BrokerError:
            self.positions.contracts[symbol] = None
        return self.positions.contracts[symbol] is not None

    async def _read_account(self, *, anew: bool) -> None:
        """Learn which account the key belongs to and whether it may be acted on: once, or until it may trade."""
        trading_block = self.orders.trading_block
        if self.facts is None or self.facts.blocked or trading_block.row or anew:
            facts = await self.broker.account()
            self.admit(facts)
            if facts.blocked:
                trading_block.lift()  # the account says it itself now, and will say when that ends
            self.facts = replace(facts, blocked=facts.blocked or trading_block.holds(self.clock.monotonic()))

    async def _settle(self, orders: Sequence[Order]) -> tuple[Order, ...]:
        """What became of our orders; and whether the broker's positions agree with our fills (S5)."""
        known = await self.orders.settle(orders, self.publish.now())
        doubtful = self.positions.in_doubt()
        if doubtful:
            for sentence in self.positions.explain(await self.history(doubtful)):
                detail = {"sentence": sentence}
                self.publish("", EventKind.ALERT, sentence, evidence="quarantine", detail=detail)
        return known

    def _midnight(self) -> dt.datetime:
        """When the exchange's day began."""
        today = self.publish.now().astimezone(NEW_YORK).date()
        return dt.datetime.combine(today, dt.time(), NEW_YORK).astimezone(dt.UTC)
