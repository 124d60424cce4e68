"""What sellctl remembers of a position from flat to flat."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from sellctl.core.model.position import Direction


@dataclass(frozen=True, slots=True)
class Episode:
    """One position from flat to flat, or a pair of option legs under both their symbols.

    `qty` and `entry_price` are the broker's latest. `opened_at` is the earliest opening fill that orders showed and
    `opening_order_id` that order's client id; None: unknown, so time held counts from `first_seen`. `peak` is the best
    price for this side, kept as a price so that it outlives a change of the entry price. `original_qty` is the quantity
    that scale-outs count from: what is left of it tells what was sold. `suspended` says why its strategy's rules are
    suspended; "" when they are not. `exit_after` names the short leg that is being closed, and why: this leg is closed
    after it.
    """

    symbol: str
    direction: Direction
    first_seen: dt.datetime
    qty: Decimal
    entry_price: Decimal | None = None
    opened_at: dt.datetime | None = None
    opening_order_id: str = ""
    peak: Decimal | None = None
    original_qty: Decimal | None = None
    suspended: str = ""
    exit_after: str = ""
