"""What the live screen and the listing commands show, as immutable values."""

import datetime as dt
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from sellctl.core.model.event import Event
from sellctl.core.model.market import Market
from sellctl.core.model.plan import Plan
from sellctl.core.model.snapshot import AccountFacts


class Mode(StrEnum):
    """Whether an account's orders are sent, and with real money or not."""

    PAPER = "paper"
    LIVE = "live"  # real money
    DRY_RUN = "dry run"  # decides, sends nothing


class AccountView(Struct, frozen=True):
    """One account as it was last polled. `market` and `plan` are None until a poll has succeeded.

    `age` is how long ago that poll was, None before it. `problem` says what is wrong now; "" when nothing is.
    `source` says whether prices are streamed, with the age of the last one, or polled, and why; "" when unknown.
    `requests_used` counts the requests of the last minute. `orders_working` counts all open orders of the account.
    `realised` is what our fills of today gained or lost, in dollars; None while one of them can't be valued. `halted`
    says who or what has stopped new orders, and why; "" when they aren't stopped.
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


class AccountListing(Struct, frozen=True):
    """One account in a listing command: its plan, explained, or without one the problem that prevented it."""

    account: str
    paper: bool
    plan: Plan | None = None
    problem: str = ""
    in_use: bool = False  # the problem is that another process has locked the account


class WatchView(Struct, frozen=True):
    """The contents of the screen at one instant of the broker's clock. `events` are oldest first."""

    now: dt.datetime
    accounts: tuple[AccountView, ...]
    events: tuple[Event, ...] = ()
    next_poll_in: dt.timedelta | None = None
