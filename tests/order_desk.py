"""One account's order manager with everything around it in memory, for tests of what it sends, records and tells."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from builders import CALL, a_holding, a_market, a_position
from order_builders import a_backstop_request, a_request, a_signal
from order_fakes import FakeBroker, FakeClock, FakeEpisodeStore, FakeJournal, NoQuotes

from sellctl.core.errors import BrokerAnswer, RateLimitedError, UnknownOutcomeError
from sellctl.core.events import EventPublisher
from sellctl.core.leases.permit import SendPermit, Unleased
from sellctl.core.model.event import Event
from sellctl.core.model.order import Order
from sellctl.core.model.plan import CancelOrder, DecisionState, Plan, PositionDecision, Reason, SubmitOrder
from sellctl.core.model.position import Position
from sellctl.core.order_manager import OrderManager
from sellctl.core.orders.order_book import OrderBook
from sellctl.core.position_manager import PositionManager
from sellctl.core.price_tracker import PriceTracker
from sellctl.core.tracking.episodes import Episodes

T = TypeVar("T")
OTHER, THIRD = "AAPL261218C00210000", "MSFT261218C00400000"
TIMED_OUT = UnknownOutcomeError("The request timed out.")
TOO_MANY = RateLimitedError("Too many requests.", answer=BrokerAnswer(429, None, "too many requests."))


@dataclass
class Desk:
    """One account: its order manager with everything around it in memory. Ten contracts are held."""

    broker: FakeBroker = field(default_factory=FakeBroker)
    journal: FakeJournal = field(default_factory=FakeJournal)
    clock: FakeClock = field(default_factory=FakeClock)
    told: list[Event] = field(default_factory=list)
    halted: str = ""
    permit: SendPermit = field(default_factory=Unleased)
    held: Sequence[Position] = (a_position(CALL, "10"),)

    def __post_init__(self) -> None:
        self.book = OrderBook()
        prices = PriceTracker(NoQuotes(), self.clock)
        self.positions = PositionManager(prices, self.clock, Episodes("main", FakeEpisodeStore()), self.book)
        report = EventPublisher("main", self.clock.now, self.told.append, self.journal)
        self.manager = OrderManager(
            "main",
            self.broker,  # type: ignore[arg-type]
            self.journal,  # type: ignore[arg-type]
            self.book,
            self.positions,
            self.clock,
            report,
            lambda: self.halted,
            self.permit,
        )
        self.positions.holdings([a_position(symbol, "10") for symbol in (CALL, OTHER, THIRD)], a_market())

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        async def whole() -> T:
            return await work()

        return asyncio.run(whole())

    def send(self, request: SubmitOrder | None = None, reason: Reason = Reason.STOP_LOSS) -> bool:
        """Carry out a plan with one exit."""
        signal = a_signal(reason=reason)
        decision = PositionDecision(
            signal.holding, DecisionState.CLOSING, "", signal=signal, submit=request or a_request()
        )
        return self.carry_out(decision)

    def guard(self) -> bool:
        """Carry out a plan with one backstop."""
        holding = a_holding(CALL, "10")
        return self.carry_out(PositionDecision(holding, DecisionState.WATCHING, "", backstop=a_backstop_request()))

    def carry_out(self, *decisions: PositionDecision, stale: tuple[CancelOrder, ...] = ()) -> bool:
        return self.run(lambda: self.manager.carry_out(Plan("main", self.clock.now(), decisions, stale)))

    def settle(self, *orders: Order, seconds: float = 0.0) -> tuple[Order, ...]:
        """A later poll that shows these open orders, and what is held."""
        self.clock.seconds += seconds
        return self.run(lambda: self.manager.settle(orders, self.clock.now(), self.held))

    def cancel(self, order: Order) -> bool:
        return self.run(lambda: self.manager.cancel_all([CancelOrder(order, "it is old")]))

    @property
    def sentences(self) -> list[str]:
        return [event.sentence for event in self.told]

    def unresolved(self) -> Decimal:
        return self.book.unresolved().get(CALL, Decimal(0))
