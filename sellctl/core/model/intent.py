"""An order as it was written down before it was sent."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Intent:
    """One written order and the exit it belongs to. `at` is the broker's clock; `urgency` is the exit's class."""

    client_order_id: str
    symbol: str
    qty: Decimal
    reason: str
    urgency: int
    step: int
    limit_price: Decimal | None
    at: dt.datetime
