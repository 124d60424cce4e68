"""Orders, positions and order events inside the exchange. Data and derived properties only."""

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sellctl.sim.market.assets import Asset, asset_of
from sellctl.sim.market.price_paths import TwoSidedQuote
from sellctl.sim.numbers import ZERO

TERMINAL = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
WORKABLE = frozenset({"new", "partially_filled", "pending_cancel"})  # may trade at the next matching
NOT_REPLACEABLE = frozenset({"accepted", "pending_new", "pending_cancel", "pending_replace"})
SIMPLE = frozenset({"", "simple"})


@dataclass(slots=True)
class SimOrder:
    """One order. Quantities are shares or contracts, prices dollars per share, instants UTC."""

    id: str
    client_order_id: str
    symbol: str
    side: str
    type: str
    time_in_force: str
    created_at: dt.datetime
    qty: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    hwm: Decimal | None = None
    order_class: str = ""
    position_intent: str | None = None
    extended_hours: bool = False
    status: str = "new"
    filled_qty: Decimal = ZERO
    filled_value: Decimal = ZERO  # sum of price x quantity, without the contract's multiplier
    updated_at: dt.datetime | None = None
    filled_at: dt.datetime | None = None
    expired_at: dt.datetime | None = None
    expires_at: dt.datetime | None = None
    canceled_at: dt.datetime | None = None
    cancel_requested_at: dt.datetime | None = None
    failed_at: dt.datetime | None = None
    replaced_at: dt.datetime | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    ratio_qty: Decimal | None = None
    source: str | None = "access_key"
    legs: "list[SimOrder]" = field(default_factory=list)
    parent: "SimOrder | None" = field(default=None, repr=False)
    triggered: bool = False  # a stop whose price was touched
    cancel_done_at: dt.datetime | None = None  # when a pending cancel takes effect; if None, it never does
    visible_at: dt.datetime | None = None  # lists and look-ups by client order id include it from then on
    matched_at: dt.datetime | None = None  # the last instant at which it was matched against the market
    unfillable_quote: TwoSidedQuote | None = field(
        default=None, repr=False
    )  # matching is skipped until the quote changes

    @property
    def asset(self) -> Asset:
        """The asset it trades."""
        return asset_of(self.symbol)

    @property
    def is_open(self) -> bool:
        """Whether it isn't terminal."""
        return self.status not in TERMINAL

    @property
    def is_buy(self) -> bool:
        """Whether it buys."""
        return self.side == "buy"

    @property
    def leaves_qty(self) -> Decimal:
        """The quantity that may still fill; zero for notional orders, whose quantity is not known yet."""
        return ZERO if self.qty is None or not self.is_open else self.qty - self.filled_qty

    @property
    def filled_avg_price(self) -> Decimal | None:
        """The average price of the filled quantity; None before the first fill."""
        return self.filled_value / self.filled_qty if self.filled_qty else None

    @property
    def closes(self) -> bool:
        """Whether its intent is to close."""
        return (self.position_intent or "").endswith("_to_close")

    @property
    def reserved_qty(self) -> Decimal:
        """The quantity of the position that it reserves. A held leg reserves none: its sibling does."""
        return self.leaves_qty if self.closes and self.status != "held" else ZERO

    def set_status(self, status: str, at: dt.datetime) -> None:
        """Change the status and set the timestamp that belongs to it."""
        self.status = status
        self.updated_at = at
        if attribute := _TIMESTAMP_OF.get(status):
            setattr(self, attribute, at)


_TIMESTAMP_OF = {
    "filled": "filled_at",
    "canceled": "canceled_at",
    "expired": "expired_at",
    "rejected": "failed_at",
    "replaced": "replaced_at",
}


@dataclass(slots=True)
class SimPosition:
    """A position. `qty` is signed; prices are in dollars per share; `lastday_price` is the close of the day before."""

    symbol: str
    qty: Decimal
    avg_entry_price: Decimal
    lastday_price: Decimal | None = None
    intraday_entry_price: Decimal | None = (
        None  # entry price of the quantity opened today; None if it was opened earlier
    )
    opened_at: dt.datetime | None = None

    @property
    def asset(self) -> Asset:
        """The asset held."""
        return asset_of(self.symbol)


@dataclass(frozen=True, slots=True)
class SimEvent:
    """An order event.

    `order` is the order's JSON at that instant; `detail` has the event's other fields, such as price and quantity.
    """

    seq: int
    at: dt.datetime
    kind: str
    account: str
    order: dict[str, Any] | None = None
    detail: dict[str, Any] = field(default_factory=dict)
