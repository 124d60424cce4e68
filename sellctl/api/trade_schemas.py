"""The schemas of the trades: the filters, the closed exits and their totals. Decimals are strings."""

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sellctl.api.schemas import ACCOUNT, CONTRACT, Part, Total


class TradesQuery(BaseModel):
    """Filters of the trades; a filter that is left out matches everything."""

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
