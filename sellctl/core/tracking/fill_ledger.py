"""The quantity left of a position after our own fills, while the broker's position may lag behind."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from sellctl.core.model.order import ZERO, Order, Side
from sellctl.core.model.position import Direction

# Orders and positions at the broker may disagree for 10 s after a fill; the ledger is used for twice as long (S5).
LEDGER_SECONDS = 20.0


@dataclass(slots=True)
class Ledger:
    """The quantity of one symbol that was held when an order was sent, and our fills since."""

    held: Decimal = ZERO
    opened_at: dt.datetime | None = None  # broker's clock; None: closed
    valid_until: float = 0.0  # monotonic seconds
    fills: dict[str, Decimal] = field(default_factory=dict)  # client order id -> cumulative quantity

    def open(self, held: Decimal, broker_time: dt.datetime, monotonic_now: float) -> None:
        """An order is about to be sent: start the ledger, unless it is open for another order."""
        if self.opened_at is None or (monotonic_now > self.valid_until and not self.fills):
            self.held, self.opened_at, self.fills = held, broker_time, {}
        self.valid_until = max(self.valid_until, monotonic_now + LEDGER_SECONDS)

    def fill(self, client_order_id: str, cumulative: Decimal, now: float) -> None:
        """Count a fill. Only a larger cumulative quantity changes anything, however often one arrives (I8)."""
        if cumulative > self.fills.get(client_order_id, ZERO):
            self.fills[client_order_id] = cumulative
            self.valid_until = now + LEDGER_SECONDS

    @property
    def filled(self) -> Decimal:
        """Everything filled since it was opened."""
        return sum(self.fills.values(), ZERO)

    def left(self, now: float) -> Decimal | None:
        """The quantity left by our own count; None when only the broker's view is valid."""
        return (
            max(self.held - self.filled, ZERO) if self.opened_at and (now <= self.valid_until or self.fills) else None
        )

    def is_in_doubt(self, qty: Decimal, now: float) -> bool:
        """Whether the broker shows more than our fills should have left, after the broker's lag."""
        return bool(self.fills) and now > self.valid_until and qty > self.held - self.filled

    def close(self) -> None:
        """Close the ledger: the broker agrees with it, or orders not sent by sellctl explain the difference."""
        self.opened_at, self.fills = None, {}


def net_qty_from_other_orders(orders: Iterable[Order], direction: Direction, since: dt.datetime) -> Decimal:
    """The quantity that orders not sent by sellctl added to a position since `since`; negative when they reduced it."""
    opening = Side.BUY if direction is Direction.LONG else Side.SELL
    return sum(
        (
            order.filled_qty if order.side is opening else -order.filled_qty
            for order in orders
            if not order.is_ours and (order.last_fill_at or since) >= since
        ),
        ZERO,
    )
