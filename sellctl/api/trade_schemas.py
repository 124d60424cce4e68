"""The schemas of trades and report: the filters, the exits, their totals and sums. Decimals are strings."""

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sellctl.api.schemas import ACCOUNT, CONTRACT, Part, Total


class ExitsQuery(BaseModel):
    """Filters of the exits; a filter that is left out matches everything."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    symbol: str = Field(
        default="",
        pattern=r"^[ -~]{0,80}$",
        description="A contract or structure, or all on this underlying; an option also as AAPL 18 Dec 26 230 C.",
    )
    account: str = Field(default="", pattern=ACCOUNT)
    reason: str = Field(default="", pattern=ACCOUNT, description="Such as stop_loss.")
    day: dt.date | None = Field(default=None, description="A date of the exchange, such as 2026-11-20.")
    since: dt.date | None = Field(default=None, description="This date of the exchange and later ones.")


class Trade(Part):
    """One exit that has filled, at least in part. What has an unknown entry has null for what follows from it."""

    closed: str = Field(description="The time of its last fill, in New York.")
    account: str
    mode: str = Field(description='paper, simulated or live when it was recorded; "" when that is unknown.')
    symbol: str
    contract: str | None = Field(description=CONTRACT)
    what: str = Field(description="A position or a structure.")
    qty: str = Field(description="What was closed.")
    held_qty: str | None = Field(description="What was held.")
    entry: str | None
    exit: str | None
    pnl: str | None = Field(description="Dollars gained or lost.")
    gain: str | None = Field(description="The gain on entry as a ratio: 0.1 is +10%.")
    reason: str
    held_seconds: int | None = Field(description="The time held.")
    held_since_opening: bool = Field(description="false when only the time since sellctl first saw it is known.")


class Extreme(Part):
    """The best or the worst trade."""

    symbol: str
    pnl: str | None


class TradeTotals(Part):
    """The totals of the trades of one mode: real money is never added to paper."""

    mode: str
    trades: int
    pnl: Total
    won: int
    win_rate: str | None = Field(description="As a ratio, of the trades with a known profit or loss.")
    held_seconds: int | None = Field(description="The average time held.")
    held_known: int = Field(description="Of how many trades that is known.")
    held_since_opening: bool
    best: Extreme | None
    worst: Extreme | None


class Trades(Part):
    """The closed exits, oldest first, and their totals."""

    version: Literal[2]
    trades: list[Trade]
    totals: list[TradeTotals]


class ExitFill(Part):
    """One fill of an exit; of a structure that of units, at their net price."""

    at: str
    qty: str
    price: str | None


class LegFill(ExitFill):
    """One fill of a leg of a structure."""

    symbol: str


class ExitOrder(Part):
    """One order that an exit sent."""

    at: str
    symbol: str
    qty: str
    price: str | None
    ended: str | None = Field(description="How it ended; null while it works or that is unknown.")


class ReportedExit(Part):
    """One exit. Prices are dollars per share; slippage is a cost: above zero when the fill was worse."""

    account: str
    mode: str = Field(description='paper, simulated or live when it was recorded; "" when that is unknown.')
    symbol: str = Field(description="A symbol, or the name of a structure.")
    way: str = Field(description='How a structure left: as one order, in parts or by legs; "" for anything else.')
    strategy: str
    reason: str
    what: str = Field(description="What became of it.")
    why: str
    day: str
    began: str
    asked: str
    filled: str
    entry: str | None
    stop: str | None
    target: str | None
    bid: str | None = Field(description="That at the decision; so is the mid.")
    mid: str | None
    price: str | None = Field(description="The average price of its fills.")
    pnl: str | None = Field(description="Dollars gained or lost.")
    against_mid: str | None
    against_bid: str | None
    seconds: float | None
    steps: int
    orders: list[ExitOrder]
    fills: list[ExitFill]
    fills_of_legs: list[LegFill]


class ExitGroup(Part):
    """The sums of the exits of one day, strategy and reason."""

    day: str
    strategy: str
    reason: str
    exits: int
    filled: int
    pl: str | None = Field(description="Dollars gained or lost, of those with a known amount.")
    to_mid: str | None = Field(description="The mean slippage per share against the mid, by quantity; to_bid likewise.")
    to_bid: str | None
    seconds: str | None = Field(description="The median.")
    steps: str = Field(description="The mean.")


class Report(Part):
    """The exits, and their sums per day, strategy and reason."""

    version: Literal[2]
    exits: list[ReportedExit]
    groups: list[ExitGroup]
