"""Stored facts about a position while it is held."""

import datetime as dt
from decimal import Decimal

from msgspec import Struct

from sellctl.core.model.position import Direction, Override, PastAverage


class Episode(Struct, frozen=True):
    """One position from its opening until it is flat, or a structure under its name.

    `qty` and `entry_price` are the broker's latest. `opened_at` is the time of the earliest opening fill in the
    broker's orders, and `opening_order_id` the client id of that order; when they are unknown, time held counts
    from `first_seen`. `peak` is the best price for this side, stored as a price so that it stays valid when the
    entry price changes, and `past_averages` are the entry prices before those changes. `original_qty` is the
    quantity that scale-outs count from: the quantity left of it shows how much was sold. `suspended` says why its
    strategy's rules are suspended; "" when they are not. `exit_after`, as text of ExitAfter, is the
    structure that is being closed: this leg is closed with it. `whole` is the name of the structure, one that the user
    names, of which it was a leg while all of that was held; "" when it was in none. `override` has the rules that a
    person has set for it; None when there are none.
    """

    symbol: str
    direction: Direction
    first_seen: dt.datetime
    qty: Decimal
    entry_price: Decimal | None = None
    opened_at: dt.datetime | None = None
    opening_order_id: str = ""
    peak: Decimal | None = None
    past_averages: tuple[PastAverage, ...] = ()
    original_qty: Decimal | None = None
    suspended: str = ""
    exit_after: str = ""
    whole: str = ""
    override: Override | None = None
