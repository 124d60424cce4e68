"""What the live screen shows, as frozen values: `sellctl.ui.displays` makes them, `sellctl.ui.screen` draws them."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sellctl.core.model.event import Event
from sellctl.core.model.market import Market
from sellctl.core.model.plan import Plan
from sellctl.core.model.snapshot import AccountFacts


class Mode(StrEnum):
    """What acting means for an account."""

    PAPER = "paper"
    LIVE = "live"  # real money
    DRY_RUN = "dry run"  # decides, sends nothing


@dataclass(frozen=True, slots=True)
class AccountView:
    """One account as it was last polled. `market` and `plan` are None until a poll has succeeded.

    `age` is how long ago that poll was, None before it. `problem` says what is wrong now; "" when nothing is.
    `source` is how prices come: streamed and how long ago the last one did, or polled and why; "" when unsaid.
    `requests_used` counts the requests of the last minute. `orders_working` counts open orders, whoever sent them.
    `realised` is what our fills of today have made, in dollars; None while that can't be said. `halted` says who or
    what has stopped new orders, and why; "" when nobody has.
    """

    facts: AccountFacts
    mode: Mode
    market: Market | None = None
    plan: Plan | None = None
    age: dt.timedelta | None = None
    problem: str = ""
    requests_used: int | None = None
    source: str = ""
    orders_working: int | None = None
    realised: Decimal | None = None
    halted: str = ""


@dataclass(frozen=True, slots=True)
class WatchView:
    """Everything on the screen at one instant of the broker's clock. `events` are oldest first."""

    now: dt.datetime
    accounts: tuple[AccountView, ...]
    events: tuple[Event, ...] = ()
    next_poll_in: dt.timedelta | None = None
