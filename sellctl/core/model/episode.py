"""What sellctl remembers of a position from flat to flat. Standard library only."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from sellctl.core.model.position import Direction


@dataclass(frozen=True, slots=True)
class Episode:
    """One position from flat to flat. Peaks are prices, so that they outlive a change of the entry price.

    `opened_at` is the earliest opening fill that orders or activities showed; None: unknown, so time held counts from
    `first_seen`. `scaled_out` names the slices already sold. `frozen` says why peaks don't move now; "" when they do.
    """

    symbol: str
    direction: Direction
    first_seen: dt.datetime
    qty: Decimal
    entry_price: Decimal | None = None
    opened_at: dt.datetime | None = None
    peak: Decimal | None = None
    trough: Decimal | None = None
    armed: bool = False
    scaled_out: tuple[str, ...] = ()
    frozen: str = ""
