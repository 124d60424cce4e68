"""Orders about to be recorded, and recorded ones: their intents and what was recorded since."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from sellctl.core.model.gain import CostBasis
from sellctl.core.model.order import OrderLeg, Side
from sellctl.core.model.plan import ExitSignal, SubmitOrder


class IntendedOrder(Struct, frozen=True):
    """An order about to be sent, as step `step` of the exit of `signal`; `body` is exactly what is sent."""

    request: SubmitOrder
    body: Mapping[str, object]
    signal: ExitSignal
    step: int


class Intent(Struct, frozen=True):
    """One recorded order and the exit it belongs to. `at` is by the broker's clock; `urgency` is the exit's class.

    Only a multi-leg order has `legs` and a `side`, which is that of the structure.
    """

    client_order_id: str
    symbol: str
    qty: Decimal
    reason: str
    urgency: int
    step: int
    limit_price: Decimal | None
    at: dt.datetime
    legs: tuple[OrderLeg, ...] = ()
    side: Side | None = None
    basis: CostBasis = CostBasis()


class Outcome(Struct, frozen=True):
    """One journal entry about an order: its kind, such as accepted or fill, and its facts."""

    kind: str
    detail: Mapping[str, object]


class OpenOrder(Struct, frozen=True):
    """An intent without a recorded end, and the entries that followed it, oldest first."""

    intent: Intent
    outcomes: tuple[Outcome, ...] = ()
