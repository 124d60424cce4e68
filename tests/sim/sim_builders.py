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
HIGHER = "NVDA261218C00210000"
FAR_CALL = "NVDA270115C00205000"  # covers CALL and HIGHER, since it expires later
NICKEL = "ZM261218C00080000"  # not in the penny program
TODAY = "TSLA261125C00400000"  # expires on the venue's day
SPY_TODAY = "SPY261125C00600000"
STOCK = "F"
STANDING = {
    CALL: ("2.00", "2.10"),
    HIGHER: ("1.00", "1.06"),
    PUT: ("1.50", "1.60"),
    "NVDA261218P00170000": ("0.90", "1.00"),
    FAR_CALL: ("4.00", "4.10"),
    STOCK: ("12.00", "12.01"),
}


def at(time: str, day: str = "2026-11-25") -> dt.datetime:
    """An instant in New York, on an ordinary Wednesday unless told."""
    return dt.datetime.fromisoformat(f"{day} {time}").replace(tzinfo=NEW_YORK).astimezone(dt.UTC)


def a_venue(
    *held: tuple[str, str, str],
    now: dt.datetime | None = None,
    cash: str = "100000",
    quotes: dict[str, tuple[str, str]] | None = None,
    options_level: int = 3,
    configuration: dict[str, Any] | None = None,
    **settings: Any,
) -> Exchange:
    """A venue with the account `main` that holds (symbol, quantity, entry)."""
    start = now or at("11:00")
    positions = {symbol: SimPosition(symbol, Decimal(qty), Decimal(entry)) for symbol, qty, entry in held}
    account = SimAccount("main", "sim-main", "sim-secret", "PASIM0001", Decimal(cash), positions=positions)
    account.options_level = options_level
    account.configuration |= configuration or {}
    standing = STANDING | (quotes or {})
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


def a_leg(symbol: str = CALL, intent: str = "buy_to_open", ratio: str = "1") -> dict[str, str]:
    """One leg of a multi-leg order's body."""
    return {"symbol": symbol, "side": intent.partition("_")[0], "ratio_qty": ratio, "position_intent": intent}


def closing(*symbols: str, qty: tuple[int, ...] = (1, -1)) -> list[dict[str, str]]:
    """The legs that close one unit of a holding, whose contracts per unit are `qty`, shorts below zero."""
    return [
        a_leg(symbol, "sell_to_close" if each > 0 else "buy_to_close", str(abs(each)))
        for symbol, each in zip(symbols, qty, strict=True)
    ]


def a_spread(limit: str | None = "1.15", **fields: Any) -> dict[str, Any]:
    """The body of a multi-leg order; it opens a call spread unless `legs` say otherwise. None leaves a field out."""
    kind = {"type": "market"} if limit is None else {"type": "limit", "limit_price": limit}
    legs = [a_leg(), a_leg(HIGHER, "sell_to_open")]
    body = {"order_class": "mleg", "qty": "1", "time_in_force": "day", "legs": legs, **kind, **fields}
    return {key: value for key, value in body.items() if value is not None}


def send_spread(venue: Exchange, limit: str | None = "1.15", **fields: Any) -> dict[str, Any]:
    """Send a multi-leg order for `main`; the answer."""
    return venue.submit(venue.accounts["main"], a_spread(limit, **fields))


def rejected_spread(venue: Exchange, limit: str | None = "1.15", **fields: Any) -> RejectionError:
    """Send a multi-leg order that has to be rejected; the rejection."""
    with pytest.raises(RejectionError) as caught:
        send_spread(venue, limit, **fields)
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
