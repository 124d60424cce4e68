"""The price and quantity at which an order trades against a quote. Nothing is booked here."""

import random
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from sellctl.sim.market.price_paths import TwoSidedQuote
from sellctl.sim.settings import Settings
from sellctl.sim.venue.orders import SimOrder

# Alpaca turns a stock's buy stop into a limit this much above the stop price, below $50 and from $50 on.
_CAP_THRESHOLD = Decimal(50)
_CAP_BELOW, _CAP_ABOVE = Decimal("1.04"), Decimal("1.025")


@dataclass(frozen=True, slots=True)
class Fill:
    """A trade to book: quantity, and price in dollars per share."""

    qty: Decimal
    price: Decimal


def touch_stop(order: SimOrder, quote: TwoSidedQuote) -> None:
    """Move a trailing stop with the price, and mark a stop that is touched. The mid is used as the last price."""
    if order.type == "trailing_stop":
        _follow(order, quote.mid)
    if order.stop_price is None or order.triggered:
        return
    price = quote.mid
    order.triggered = price >= order.stop_price if order.is_buy else price <= order.stop_price


def _follow(order: SimOrder, price: Decimal) -> None:
    """Update the high-water mark (low for a buy) and the stop price that trails it."""
    best = price if order.hwm is None else (min(order.hwm, price) if order.is_buy else max(order.hwm, price))
    order.hwm = best
    trail = order.trail_price if order.trail_price is not None else best * (order.trail_percent or Decimal(0)) / 100
    order.stop_price = (best + trail if order.is_buy else best - trail).quantize(Decimal("0.01"))


def is_waiting_stop(order: SimOrder) -> bool:
    """Whether it is a stop whose price was not touched yet."""
    return order.type in {"stop", "stop_limit", "trailing_stop"} and not order.triggered


def effective_limit(order: SimOrder) -> Decimal | None:
    """The worst price it may trade at; None for market orders. A stock's buy stop becomes a capped limit."""
    if order.type in {"limit", "stop_limit"}:
        return order.limit_price
    if order.type == "stop" and order.is_buy and order.stop_price is not None and not order.asset.is_option:
        return order.stop_price * (_CAP_BELOW if order.stop_price < _CAP_THRESHOLD else _CAP_ABOVE)
    return None


def fill_price(
    order: SimOrder, quote: TwoSidedQuote, settings: Settings, seconds: float, rng: random.Random
) -> Decimal | None:
    """The price that the order trades at now; None when it doesn't.

    A limit at or through the opposite side trades at that side's price. Inside the spread it trades at its own limit
    with the market model's probability per second, over the seconds since the order was last matched.
    """
    opposite = quote.ask if order.is_buy else quote.bid
    limit = effective_limit(order)
    if opposite is not None and (limit is None or (limit >= opposite if order.is_buy else limit <= opposite)):
        return opposite
    if limit is None or not settings.inside_fill or not _is_inside(limit, quote):
        order.unfillable_quote = quote
        return None
    if seconds <= 0:
        return None
    chance = 1 - (1 - float(settings.inside_fill)) ** seconds
    return limit if rng.random() < chance else None


def _is_inside(limit: Decimal, quote: TwoSidedQuote) -> bool:
    return quote.bid is not None and quote.ask is not None and quote.bid < limit < quote.ask


def fill_qty(
    order: SimOrder, wanted: Decimal, available: Decimal | None, settings: Settings, rng: random.Random
) -> Decimal:
    """The quantity that trades: at most `available`, and sometimes only a part in the first fill (`partial_fills`)."""
    qty = wanted if available is None else min(wanted, available)
    first = order.filled_qty == 0
    if first and settings.partial_fills and qty > 1 and rng.random() < float(settings.partial_fills):
        return Decimal(rng.randint(1, int(qty.to_integral_value(ROUND_FLOOR)) - 1)) if qty >= 2 else qty  # noqa: PLR2004  two can be split
    return qty
