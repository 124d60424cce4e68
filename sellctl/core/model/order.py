"""Orders as the broker reports them, and the state that each of its statuses stands for."""

import datetime as dt
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

OUR_PREFIX = "sellctl-"
BACKSTOP_PREFIX = "sellctl-backstop-"
ZERO = Decimal(0)


class Side(StrEnum):
    """Buy or sell."""

    BUY = "buy"
    SELL = "sell"


class PositionIntent(StrEnum):
    """Whether an order opens or closes a position, as Alpaca names it."""

    BUY_TO_OPEN = "buy_to_open"
    BUY_TO_CLOSE = "buy_to_close"
    SELL_TO_OPEN = "sell_to_open"
    SELL_TO_CLOSE = "sell_to_close"


class OrderType(StrEnum):
    """Order types. An unknown type is OTHER; such an order is never stale."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"
    OTHER = "other"


class OrderState(StrEnum):
    """The state of an order at the broker."""

    WORKING = "working"  # may fill, holds quantity
    CANCELING = "canceling"  # its cancel was requested; may still fill, holds quantity
    TERMINAL = "terminal"  # will never fill again
    UNKNOWN = "unknown"  # an unknown status: counted as working, never as ended


# Alpaca's statuses (OpenAPI OrderStatus, SDK enum). A GTC order that is done_for_day works again on the next day.
STATE_OF_STATUS = {
    "new": OrderState.WORKING,
    "accepted": OrderState.WORKING,
    "pending_new": OrderState.WORKING,
    "accepted_for_bidding": OrderState.WORKING,
    "partially_filled": OrderState.WORKING,
    "held": OrderState.WORKING,
    "stopped": OrderState.WORKING,
    "suspended": OrderState.WORKING,
    "calculated": OrderState.WORKING,
    "done_for_day": OrderState.WORKING,
    "pending_review": OrderState.WORKING,
    "pending_replace": OrderState.WORKING,
    "pending_cancel": OrderState.CANCELING,
    "filled": OrderState.TERMINAL,
    "canceled": OrderState.TERMINAL,
    "expired": OrderState.TERMINAL,
    "rejected": OrderState.TERMINAL,
    "replaced": OrderState.TERMINAL,
}


class Order(Struct, frozen=True):
    """An order as the broker reports it. Quantities are contracts or shares, prices dollars per share, times UTC."""

    id: str
    client_order_id: str
    symbol: str
    side: Side | None  # None on the parent of a multi-leg order
    status: str
    type: OrderType
    time_in_force: str
    qty: Decimal | None  # None on notional orders
    filled_qty: Decimal
    submitted_at: dt.datetime | None
    order_class: str = ""  # "" and "simple" are plain
    position_intent: PositionIntent | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_percent: Decimal | None = None  # of a trailing stop: 30 is 30% below the best price
    filled_avg_price: Decimal | None = None
    filled_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    legs: tuple["Order", ...] = ()

    @property
    def state(self) -> OrderState:
        """The state that its status stands for; UNKNOWN, which counts as working, for an unknown status."""
        return STATE_OF_STATUS.get(self.status, OrderState.UNKNOWN)

    @property
    def is_terminal(self) -> bool:
        """Whether it will never fill again."""
        return self.state is OrderState.TERMINAL

    @property
    def is_ours(self) -> bool:
        """Whether sellctl sent it, by any process on any host."""
        return self.client_order_id.startswith(OUR_PREFIX)

    @property
    def is_backstop(self) -> bool:
        """Whether it is a backstop: sellctl's wide stop order at the broker, which is not an exit under way."""
        return is_backstop(self.client_order_id)

    @property
    def is_simple(self) -> bool:
        """Whether it is a single order: no bracket, no OCO, no legs."""
        return self.order_class in {"", "simple"} and not self.legs

    @property
    def last_fill_at(self) -> dt.datetime | None:
        """When it last filled, or a later time if the broker reports only that; None without a fill or any time.

        An order that filled in part and was then cancelled may have no `filled_at`; it changed last after its fill.
        """
        return (self.filled_at or self.updated_at) if self.filled_qty > 0 else None

    @property
    def leaves_qty(self) -> Decimal:
        """The quantity that may still fill; zero once terminal, or when the quantity is unknown (notional)."""
        return ZERO if self.is_terminal or self.qty is None else max(self.qty - self.filled_qty, ZERO)


def is_backstop(client_order_id: str) -> bool:
    """Whether an order with this id is a backstop of sellctl."""
    return client_order_id.startswith(BACKSTOP_PREFIX)
