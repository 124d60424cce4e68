"""The net prices of a structure, from the usable prices of its legs. Pure.

A net price is what one unit is worth per share: above zero what its owner receives for it, below zero what it costs to
be rid of it. So a structure bought for a debit has prices above zero, and one sold for a credit below. One leg without
a usable price makes the net unknown.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from sellctl.core.model.position import NO_PRICES, Prices
from sellctl.core.structures.kinds import Leg

_ZERO = Decimal(0)


def net_entry(legs: Sequence[Leg], entries: Mapping[str, Decimal | None]) -> Decimal | None:
    """The net of the legs' average prices: a debit, or below zero a credit. None when one is unknown."""
    total = _ZERO
    for leg in legs:
        entry = entries.get(leg.symbol)
        if entry is None:
            return None
        total += leg.ratio * entry
    return total


def net_prices(legs: Sequence[Leg], prices: Mapping[str, Prices]) -> Prices:
    """The net natural price (`bid`: long legs at their bid, short ones at their ask) and the opposite one (`ask`).

    `wide` when a leg is; it counts as settled once each wide leg does.
    """
    bid = ask = _ZERO
    quoted = [prices.get(leg.symbol, NO_PRICES) for leg in legs]
    for leg, quote in zip(legs, quoted, strict=True):
        sold, bought = (quote.bid, quote.ask) if leg.ratio > 0 else (quote.ask, quote.bid)
        if sold is None or bought is None:
            return Prices(problem=f"{leg.symbol}: {quote.problem or 'one side of its quote is missing'}")
        bid, ask = bid + leg.ratio * sold, ask + leg.ratio * bought
    wide = [quote for quote in quoted if quote.wide]
    settled = bool(wide) and all(quote.wide_settled for quote in wide)
    return Prices(bid=bid, ask=ask, problem="", wide=bool(wide), wide_settled=settled)


def gain_at(price: Decimal | None, entry: Decimal | None) -> Decimal | None:
    """The gain at a net price as a share of the net entry, of a debit or of a credit; None when one is unknown or zero.

    Of a credit 1 is all of it, 0.5 half of what can be won, and -2 a loss of twice the credit.
    """
    return None if price is None or not entry else (price - entry) / abs(entry)
