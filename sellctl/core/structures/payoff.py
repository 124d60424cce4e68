"""What a structure is worth when its options expire: the least and the most, and where it breaks even. Pure.

Amounts are dollars per share of one unit: a leg of one contract, or of a hundred shares, counts once.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from msgspec import Struct

from sellctl.core.model.instrument import Right
from sellctl.core.structures.kinds import Leg

UNLIMITED = Decimal("Infinity")
_ZERO = Decimal(0)


class Payoff(Struct, frozen=True):
    """The profit at expiration. An amount without a bound is UNLIMITED.

    `breakevens` are the prices of the underlying at which nothing is won or lost, from the lowest on.
    """

    most_profit: Decimal
    most_loss: Decimal
    breakevens: tuple[Decimal, ...]


class ValueRange(Struct, frozen=True):
    """The least and the most that one unit can be worth at expiration; infinite where there is no bound."""

    least: Decimal
    most: Decimal


def value_range(legs: Sequence[Leg]) -> ValueRange | None:
    """The bounds of a structure's value at expiration; None when its options don't all expire on one day."""
    prices = _corners(legs)
    if prices is None:
        return None
    values = [value_at(legs, price) for price in prices]
    slope = _slope_above(legs)
    least, most = min(values), max(values)
    return ValueRange(-UNLIMITED if slope < 0 else least, UNLIMITED if slope > 0 else most)


def payoff(legs: Sequence[Leg], entry: Decimal) -> Payoff | None:
    """The payoff of a structure with this net entry: a debit, or below zero a credit. None as for `value_range`."""
    bounds, prices = value_range(legs), _corners(legs)
    if bounds is None or prices is None:
        return None
    return Payoff(bounds.most - entry, entry - bounds.least, tuple(_breakevens(legs, entry, prices)))


def value_at(legs: Sequence[Leg], price: Decimal) -> Decimal:
    """What one unit is worth at expiration at this price of the underlying; below zero what it costs to be rid of."""
    return sum((leg.ratio * _intrinsic(leg, price) for leg in legs), _ZERO)


def _intrinsic(leg: Leg, price: Decimal) -> Decimal:
    option = leg.instrument.option
    if option is None:
        return price
    return max(price - option.strike if option.right is Right.CALL else option.strike - price, _ZERO)


def _corners(legs: Sequence[Leg]) -> list[Decimal] | None:
    """The prices between which the value is a straight line; None when the options expire on several days."""
    options = [leg.instrument.option for leg in legs if leg.instrument.option]
    if len({option.expires for option in options}) != 1:
        return None
    return sorted({_ZERO, *(option.strike for option in options)})


def _slope_above(legs: Sequence[Leg]) -> int:
    """How much the value rises per dollar above the highest strike."""
    options = ((leg, leg.instrument.option) for leg in legs)
    return sum(leg.ratio for leg, option in options if option is None or option.right is Right.CALL)


def _breakevens(legs: Sequence[Leg], entry: Decimal, prices: Sequence[Decimal]) -> list[Decimal]:
    """Where the value is the entry: between two corners, at a corner, or above the last."""
    gains = [(price, value_at(legs, price) - entry) for price in prices]
    found = {price for price, gain in gains if gain == 0}
    for (low, before), (high, after) in pairwise(gains):
        if before * after < 0:
            found.add(low + (high - low) * before / (before - after))
    last, gain = gains[-1]
    slope = _slope_above(legs)
    if slope * gain < 0:
        found.add(last - gain / slope)
    return sorted(found)
