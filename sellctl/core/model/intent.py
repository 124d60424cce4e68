"""Recorded orders: their intents, which are recorded before they are sent, and what was recorded since."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Intent:
    """One recorded order and the exit it belongs to. `at` is by the broker's clock; `urgency` is the exit's class."""

    client_order_id: str
    symbol: str
    qty: Decimal
    reason: str
    urgency: int
    step: int
    limit_price: Decimal | None
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """One journal entry about an order: its kind, such as accepted or fill, and its facts."""

    kind: str
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An intent without a recorded end, and the entries that followed it, oldest first."""

    intent: Intent
    outcomes: tuple[Outcome, ...] = ()
