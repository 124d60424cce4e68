"""Joins the broker's positions with our memory of them: what we sold, what is under way. It places no orders."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from sellctl.core.model.order import ZERO
from sellctl.core.model.plan import ExitSignal, SubmitOrder
from sellctl.core.model.position import Direction, ExitTrack, Holding, Position, Track
from sellctl.core.ports import Clock
from sellctl.core.price_tracker import PriceTracker

# A position is forgotten after this many looks in a row without it: one empty answer is not flat.
ABSENCES = 3
# Orders and positions at the broker may disagree for 10 s after a fill; the ledger speaks for twice as long.
LEDGER_SECONDS = 20.0
# An exit whose last order ended this long ago is over: the next one starts its ladder anew.
EXIT_OVER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Sent:
    """The last order of an exit under way."""

    order: SubmitOrder
    signal: ExitSignal
    step: int
    at: float  # monotonic seconds
    ended_at: float | None = None


@dataclass(slots=True)
class _Memory:
    """What we know of one position that the broker doesn't show."""

    direction: Direction
    first_seen: dt.datetime
    absent: int = 0
    held: Decimal = ZERO  # when the ledger was opened
    fills: dict[str, Decimal] = field(default_factory=dict)  # client order id -> cumulative quantity
    ledger_until: float = 0.0
    sent: _Sent | None = None
    unresolved: dict[str, Decimal] = field(default_factory=dict)


class PositionManager:
    """The memory of one account's positions."""

    def __init__(self, prices: PriceTracker, clock: Clock) -> None:
        self._prices = prices
        self._clock = clock
        self._memories: dict[str, _Memory] = {}

    def holdings(self, positions: Iterable[Position], now: dt.datetime) -> tuple[Holding, ...]:
        """The positions with their newest quotes and our memory. `now` is the broker's clock."""
        seen = tuple(positions)
        self._forget_the_gone({position.symbol for position in seen})
        return tuple(self._holding(position, now) for position in seen)

    def sending(self, signal: ExitSignal, order: SubmitOrder, step: int) -> None:
        """An order is about to leave: until its fate is known, its quantity counts as gone."""
        memory = self._memories[order.symbol]
        self._open_ledger(memory, signal.holding)
        memory.unresolved[order.client_order_id] = order.qty
        memory.sent = _Sent(order, signal, step, self._clock.monotonic())

    def resolved(self, symbol: str, client_order_id: str) -> None:
        """The order's fate is known: the broker has it, or certainly hasn't."""
        if symbol in self._memories:
            self._memories[symbol].unresolved.pop(client_order_id, None)

    def refused(self, symbol: str, client_order_id: str) -> None:
        """The broker definitely has no such order: the step wasn't taken."""
        self.resolved(symbol, client_order_id)
        memory = self._memories.get(symbol)
        if memory and memory.sent and memory.sent.order.client_order_id == client_order_id:
            memory.sent = replace(memory.sent, step=memory.sent.step - 1) if memory.sent.step > 1 else None

    def ended(self, symbol: str, client_order_id: str) -> None:
        """The order is terminal at the broker."""
        self.resolved(symbol, client_order_id)
        memory = self._memories.get(symbol)
        if memory and memory.sent and memory.sent.order.client_order_id == client_order_id:
            memory.sent = replace(memory.sent, ended_at=self._clock.monotonic())

    def filled(self, symbol: str, client_order_id: str, cumulative: Decimal) -> bool:
        """Fold a fill in, once whatever arrives how often (I8). Whether it was news."""
        memory = self._memories.get(symbol)
        if memory is None or cumulative <= memory.fills.get(client_order_id, ZERO):
            return False
        memory.fills[client_order_id] = cumulative
        memory.ledger_until = self._clock.monotonic() + LEDGER_SECONDS
        return True

    def _holding(self, position: Position, now: dt.datetime) -> Holding:
        memory = self._memories.get(position.symbol)
        if memory is None or memory.direction is not position.direction:
            memory = self._memories[position.symbol] = _Memory(position.direction, first_seen=now)
        memory.absent = 0
        track = Track(
            first_seen=memory.first_seen,
            qty_left=self._left(memory),
            unresolved=sum(memory.unresolved.values(), ZERO),
            exit=self._exit(memory),
            wide_for=self._prices.wide_for(position.symbol),
        )
        return Holding(position, self._prices.newest(position.symbol), track)

    def _forget_the_gone(self, held: set[str]) -> None:
        for symbol in self._memories.keys() - held:
            memory = self._memories[symbol]
            memory.absent += 1
            if memory.absent >= ABSENCES and not memory.unresolved:
                del self._memories[symbol]

    def _open_ledger(self, memory: _Memory, holding: Holding) -> None:
        if self._clock.monotonic() > memory.ledger_until:
            memory.held, memory.fills = holding.position.qty, {}
        memory.ledger_until = max(memory.ledger_until, self._clock.monotonic() + LEDGER_SECONDS)

    def _left(self, memory: _Memory) -> Decimal | None:
        if self._clock.monotonic() > memory.ledger_until:
            return None
        return max(memory.held - sum(memory.fills.values(), ZERO), ZERO)

    def _exit(self, memory: _Memory) -> ExitTrack | None:
        sent = memory.sent
        if sent is None or (sent.ended_at and self._clock.monotonic() - sent.ended_at > EXIT_OVER_SECONDS):
            return None
        return ExitTrack(
            reason=sent.signal.reason,
            urgency=sent.signal.urgency,
            step=sent.step,
            age=dt.timedelta(seconds=self._clock.monotonic() - sent.at),
            client_order_id=sent.order.client_order_id,
            limit_price=sent.order.limit_price,
        )
