"""What sellctl remembers of a position from flat to flat."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from sellctl.core.model.position import Direction


@dataclass(frozen=True, slots=True)
class Episode:
    """One position from flat to flat, or a pair of option legs under both their symbols.

    `qty` and `entry_price` are the broker's last word. `opened_at` is the earliest opening fill that orders showed and
    `tag` that order's client id; None: unknown, so time held counts from `first_seen`. `peak` is the best price of
    this side, a price so that it outlives a change of the entry price. `base` is what the position once was whole:
    what is left of it tells what was scaled out. `frozen` says why its strategy's rules rest; "" when they don't.
    `follow` names the short leg that is being closed and why this leg leaves after it.
    """

    symbol: str
    direction: Direction
    first_seen: dt.datetime
    qty: Decimal
    entry_price: Decimal | None = None
    opened_at: dt.datetime | None = None
    tag: str = ""
    peak: Decimal | None = None
    base: Decimal | None = None
    frozen: str = ""
    follow: str = ""
