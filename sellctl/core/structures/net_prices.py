"""The net prices of a structure, from the usable prices of its legs. Pure.

A net price is what one unit is worth per share: above zero what its owner receives for it, below zero what it costs to
be rid of it. So a structure bought for a debit has prices above zero, and one sold for a credit below. One leg without
a usable price makes the net unknown. An option that nobody bids for and that is offered for next to nothing is worth
nothing, or the side of a condor that has become worthless would keep the stop on its other side from firing.

Whether the spread is wide is judged on the net: a wide leg that counts for little makes no wide structure, and legs
that are narrow by themselves may make one.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal

from sellctl.core.model.market import WIDE_DOLLARS, WIDE_SETTLES, WIDE_SHARE_OF_A_STOCK, WIDE_SHARE_OF_AN_OPTION
from sellctl.core.model.position import NO_PRICES, Prices
from sellctl.core.structures.kinds import Leg

_ZERO = Decimal(0)
_NO_TIME = dt.timedelta(0)


def net_entry(legs: Sequence[Leg], entries: Mapping[str, Decimal | None]) -> Decimal | None:
    """The net of the legs' average prices: a debit, or below zero a credit. None when one is unknown."""
    total = _ZERO
    for leg in legs:
        entry = entries.get(leg.symbol)
        if entry is None:
            return None
        total += leg.ratio * entry
    return total


def net_prices(legs: Sequence[Leg], prices: Mapping[str, Prices], wide_for: dt.timedelta = _NO_TIME) -> Prices:
    """The net natural price (`bid`: long legs at their bid, short ones at their ask) and the opposite one (`ask`).

    `wide_for` is how long the net spread has been wide without a break.
    """
    bid = ask = _ZERO
    for leg in legs:
        quote = prices.get(leg.symbol, NO_PRICES)
        worth = _bid_of(leg, quote)
        sold, bought = (worth, quote.ask) if leg.ratio > 0 else (quote.ask, worth)
        if sold is None or bought is None:
            return Prices(problem=f"{leg.symbol}: {quote.problem or 'one side of its quote is missing'}")
        bid, ask = bid + leg.ratio * sold, ask + leg.ratio * bought
    wide = _is_wide(legs, bid, ask)
    return Prices(bid=bid, ask=ask, problem="", wide=wide, wide_settled=wide and wide_for >= WIDE_SETTLES)


def _bid_of(leg: Leg, quote: Prices) -> Decimal | None:
    """The bid, which is zero for an option that nobody bids for, where its spread is no wide one then."""
    is_worthless = leg.instrument.option is not None and quote.ask is not None and quote.ask <= WIDE_DOLLARS
    return _ZERO if quote.bid is None and is_worthless else quote.bid


def _is_wide(legs: Sequence[Leg], bid: Decimal, ask: Decimal) -> bool:
    """Whether the net spread is too wide for the net mid to be reliable.

    Near a net of zero a share of it says nothing. There the spread is judged by dollars: what is narrow on each leg is
    narrow on all of them.
    """
    if ask - bid <= WIDE_DOLLARS * sum(abs(leg.ratio) for leg in legs):
        return False
    has_shares = any(leg.instrument.option is None for leg in legs)
    share = WIDE_SHARE_OF_A_STOCK if has_shares else WIDE_SHARE_OF_AN_OPTION
    return ask - bid > share * abs(bid + ask) / 2


def gain_at(price: Decimal | None, entry: Decimal | None) -> Decimal | None:
    """The gain at a net price as a share of the net entry, of a debit or of a credit; None when one is unknown or zero.

    Of a credit 1 is all of it, 0.5 half of what can be won, and -2 a loss of twice the credit.
    """
    return None if price is None or not entry else (price - entry) / abs(entry)
