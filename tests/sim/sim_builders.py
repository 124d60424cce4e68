"""Builders for tests of the simulator: a venue with one account, positions, quotes, and orders as request bodies."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from sellctl.sim.market.calendar import NEW_YORK
from sellctl.sim.market.market import Market
from sellctl.sim.market.price_paths import Fixed, Path, TwoSidedQuote
from sellctl.sim.rejections import RejectionError
from sellctl.sim.settings import Settings
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimPosition

CALL = "NVDA261218C00200000"  # penny program, expires later
PUT = "NVDA261218P00180000"
NICKEL = "ZM261218C00080000"  # not in the penny program
TODAY = "TSLA261125C00400000"  # expires on the venue's day
SPY_TODAY = "SPY261125C00600000"
STOCK = "F"


def at(time: str, day: str = "2026-11-25") -> dt.datetime:
    """An instant in New York, on an ordinary Wednesday unless told."""
    return dt.datetime.fromisoformat(f"{day} {time}").replace(tzinfo=NEW_YORK).astimezone(dt.UTC)


def a_venue(
    *held: tuple[str, str, str],
    now: dt.datetime | None = None,
    cash: str = "100000",
    quotes: dict[str, tuple[str, str]] | None = None,
    **settings: Any,
) -> Exchange:
    """A venue with the account `main` that holds (symbol, quantity, entry)."""
    start = now or at("11:00")
    positions = {symbol: SimPosition(symbol, Decimal(qty), Decimal(entry)) for symbol, qty, entry in held}
    account = SimAccount("main", "sim-main", "sim-secret", "PASIM0001", Decimal(cash), positions=positions)
    standing = {CALL: ("2.00", "2.10"), STOCK: ("12.00", "12.01")} | (quotes or {})
    market = Market({symbol: Path([Fixed(start, a_level(*sides))]) for symbol, sides in standing.items()})
    return Exchange(start, [account], market, Settings(**settings))


def a_level(bid: str, ask: str) -> TwoSidedQuote:
    """A quote; "0" means no side."""
    return TwoSidedQuote(Decimal(bid) or None, Decimal(ask) or None)


def a_body(symbol: str = CALL, side: str = "sell", qty: str = "1", **fields: Any) -> dict[str, Any]:
    """An order's body: a limit with limit_price, a market order without."""
    kind = "limit" if "limit_price" in fields else "market"
    return {"symbol": symbol, "side": side, "qty": qty, "type": kind, "time_in_force": "day", **fields}


def send(venue: Exchange, symbol: str = CALL, side: str = "sell", qty: str = "1", **fields: Any) -> dict[str, Any]:
    """Send an order for `main`; the answer."""
    return venue.submit(venue.accounts["main"], a_body(symbol, side, qty, **fields))


def rejected(venue: Exchange, symbol: str = CALL, side: str = "sell", qty: str = "1", **fields: Any) -> RejectionError:
    """Send an order that has to be rejected; the rejection."""
    with pytest.raises(RejectionError) as caught:
        send(venue, symbol, side, qty, **fields)
    return caught.value


def status_of(venue: Exchange, answer: dict[str, Any]) -> str:
    """The present status of an order."""
    return venue.accounts["main"].orders[answer["id"]].status


def kinds(venue: Exchange) -> list[str]:
    """The order events so far."""
    return [event.kind for event in venue.events]


def held(venue: Exchange, symbol: str = CALL) -> Decimal:
    """The signed quantity held."""
    return venue.accounts["main"].qty_of(symbol)


def later(venue: Exchange, seconds: float) -> None:
    """Let time pass."""
    venue.advance_to(venue.now + dt.timedelta(seconds=seconds))
