"""Which quotes may be used for a decision, and when in the day price rules may fire. Pure."""

import datetime as dt
from decimal import Decimal

from sellctl.core.decision.pricing import believable
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import (
    WIDE_DOLLARS,
    WIDE_SETTLES,
    WIDE_SHARE_OF_A_STOCK,
    WIDE_SHARE_OF_AN_OPTION,
    Market,
    Quote,
)
from sellctl.core.model.position import NO_PRICES, Prices

# Ages are by the broker's clock.
MAX_AGE = {AssetClass.STOCK: dt.timedelta(seconds=60), AssetClass.OPTION: dt.timedelta(minutes=15)}
MAX_AHEAD = dt.timedelta(seconds=5)
_NO_AGE = dt.timedelta(0)
_WIDE_SHARE = {AssetClass.STOCK: WIDE_SHARE_OF_A_STOCK, AssetClass.OPTION: WIDE_SHARE_OF_AN_OPTION}
# No stop fires just after the open, and no new price exit starts just before the close.
NO_STOPS_AFTER_OPEN = dt.timedelta(seconds=60)
NO_PRICE_EXITS_BEFORE_CLOSE = dt.timedelta(seconds=5)


def judge_quote(quote: Quote | None, asset: AssetClass, market: Market, wide_for: dt.timedelta) -> Prices:
    """The usable sides of a quote: none when it is missing, old, from the future, before today's open or crossed.

    A side that is not a price (0, NaN, infinite, above MAX_PRICE) counts as missing (D1). `wide_for` is how long the
    spread has been wide without a break.
    """
    if quote is None:
        return NO_PRICES
    bid, ask = believable(quote.bid), believable(quote.ask)
    problem = _stamp_problem(quote, asset, market) or _crossed_problem(bid, ask)
    if problem:
        return Prices(problem=problem)
    if bid is None or ask is None:
        missing = " and ".join(side for side, price in (("bid", bid), ("ask", ask)) if price is None)
        return Prices(bid, ask, f"no {missing}")
    wide = _is_wide(bid, ask, asset)
    return Prices(bid, ask, "", wide, wide and wide_for >= WIDE_SETTLES)


def is_wide(quote: Quote, asset: AssetClass) -> bool:
    """Whether the spread is too wide for the mid to be reliable."""
    bid, ask = believable(quote.bid), believable(quote.ask)
    return bid is not None and ask is not None and _is_wide(bid, ask, asset)


def _is_wide(bid: Decimal, ask: Decimal, asset: AssetClass) -> bool:
    spread = ask - bid
    return spread > WIDE_DOLLARS and asset in _WIDE_SHARE and spread > _WIDE_SHARE[asset] * (bid + ask) / 2


def is_ahead(at: dt.datetime, broker_now: dt.datetime | None) -> bool:
    """Whether a time is more than MAX_AHEAD after the broker's clock; false while that clock is unknown."""
    return broker_now is not None and at - broker_now > MAX_AHEAD


def _stamp_problem(quote: Quote, asset: AssetClass, market: Market) -> str:
    age = market.now - quote.at
    if age > MAX_AGE.get(asset, _NO_AGE):
        return f"quote is {int(age.total_seconds())} s old"
    if is_ahead(quote.at, market.now):
        return "quote is stamped in the future"
    if market.opened_at is not None and quote.at < market.opened_at:
        return "quote is from before today's open"
    return ""


def _crossed_problem(bid: Decimal | None, ask: Decimal | None) -> str:
    if bid is None or ask is None or bid <= ask:
        return ""
    return f"quote is crossed: bid {bid:f} over ask {ask:f}"


def price_exits_paused(market: Market) -> str:
    """Why no price rule may fire at this instant; "" when it may."""
    left = market.until_close
    if not market.confirmed:
        return "clock and calendar disagree: price exits are paused"
    if left is not None and left <= NO_PRICE_EXITS_BEFORE_CLOSE:
        return "the last seconds of the session: no new price exit"
    return ""


def stops_paused(market: Market) -> str:
    """Why no stop may fire at this instant; "" when it may."""
    since = market.since_open
    paused = since is not None and since < NO_STOPS_AFTER_OPEN
    return "the first minute of the session: no stop yet" if paused else ""
