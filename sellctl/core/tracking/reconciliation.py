"""Compares our fills with the broker's view of one position, and quarantines it when they disagree (S5)."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from sellctl.core.model.order import Order
from sellctl.core.model.position import Direction
from sellctl.core.tracking.fill_ledger import Ledger, net_qty_from_other_orders

# A position that contradicts our fills is checked again after this long.
DOUBT_SECONDS = 30.0


@dataclass(slots=True)
class Reconciliation:
    """The ledger of one position, and what is wrong with it. Instants are monotonic seconds."""

    ledger: Ledger = field(default_factory=Ledger)
    quarantine: str = ""  # why the position is not traded; "" when it is
    _doubted_at: float = float("-inf")

    def sending(self, held: Decimal, at: dt.datetime, now: float) -> None:
        """An order is about to be sent while `held` is held; `at` is the broker's clock."""
        self.ledger.open(held, at, now)

    def filled(self, client_order_id: str, cumulative: Decimal, now: float, *, only_if_open: bool) -> None:
        """Count a fill; with `only_if_open`, for orders that rest for days, not after the ledger has closed."""
        if not only_if_open or self.ledger.left(now) is not None:
            self.ledger.fill(client_order_id, cumulative, now)

    def is_in_doubt(self, qty: Decimal, now: float) -> bool:
        """Whether more is held than our fills should have left, and a check against today's orders is due."""
        if not self.ledger.fills or now <= self.ledger.valid_until:
            return False
        if not self.ledger.is_in_doubt(qty, now):
            self._agree()
            return False
        if now - self._doubted_at < DOUBT_SECONDS:
            return False
        self._doubted_at = now
        return True

    def explain(self, qty: Decimal, direction: Direction, todays: Iterable[Order]) -> str:
        """Check the position against today's orders. Return a sentence when it is newly quarantined, else ""."""
        if self.ledger.opened_at is None:
            return ""
        others = net_qty_from_other_orders(todays, direction, self.ledger.opened_at)
        expected = self.ledger.held - self.ledger.filled + others
        if expected == qty:
            self._agree()
            return ""
        is_new = not self.quarantine
        self.quarantine = f"quarantined: {qty:f} held, {expected:f} expected after our fills"
        return self.quarantine if is_new else ""

    def _agree(self) -> None:
        self.ledger.close()
        self.quarantine = ""
