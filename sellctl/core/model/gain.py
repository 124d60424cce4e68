"""Prices and gains that rules compare. Prices are dollars per share; a price equal to a threshold has reached it."""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from sellctl.core.model.position import Holding, Position

SHARES_PER_CONTRACT = 100


class Basis(StrEnum):
    """The price that a gain is measured on: the side that closing trades against (the ask for a short), or the mid."""

    EXIT_SIDE = "bid"
    MID = "mid"


class AmountUnit(StrEnum):
    """The unit of an amount."""

    GAIN = "gain"  # a fraction of the entry price
    CONTRACT = "contract"  # dollars per contract of 100 shares, or per share of stock
    POSITION = "position"  # dollars for the whole position
    PRICE = "price"  # the price itself, in dollars per share


class Amount(Struct, frozen=True):
    """A target or stop: a distance from entry, or with PRICE an absolute price. Always positive."""

    value: Decimal
    unit: AmountUnit = AmountUnit.GAIN


def price_on(holding: Holding, basis: Basis) -> Decimal | None:
    """The usable price on a basis: the side that closing trades against, or the mid; None when it isn't usable."""
    return holding.exit_price if basis is Basis.EXIT_SIDE else holding.prices.mid


def side_name(position: Position, basis: Basis) -> str:
    """The name of the price on a basis: "mid", or "bid" for a long and "ask" for a short."""
    if basis is Basis.MID:
        return "mid"
    return "bid" if position.is_long else "ask"


def price_at_gain(position: Position, gain: Decimal) -> Decimal | None:
    """The price at which the gain is `gain` (0.1 is +10%), mirrored for a short; None without an entry price."""
    entry = position.entry_price
    if entry is None:
        return None
    return entry * (1 + gain if position.is_long else 1 - gain)


def price_at_amount(position: Position, amount: Amount, *, in_profit: bool) -> Decimal | None:
    """The price at `amount` on the profit side of entry, or on the loss side; None when entry is needed but unknown."""
    if amount.unit is AmountUnit.GAIN:
        return price_at_gain(position, amount.value if in_profit else -amount.value)
    if amount.unit is AmountUnit.PRICE:
        return amount.value
    if position.entry_price is None:
        return None
    units = position.qty if amount.unit is AmountUnit.POSITION else 1
    away = amount.value / (units * shares_per_unit(position))
    return position.entry_price + (away if in_profit is position.is_long else -away)


def shares_per_unit(position: Position) -> int:
    """Shares per unit: 100 per contract (adjusted contracts too), 1 per share."""
    return SHARES_PER_CONTRACT if position.instrument.is_option else 1


class CostBasis(Struct, frozen=True):
    """What the profit of a fill is counted from: the entry price, and shares per unit, below zero for a short."""

    entry: Decimal | None = None
    unit: Decimal | None = None

    @classmethod
    def of(cls, position: Position) -> "CostBasis":
        """That of a position."""
        shares = shares_per_unit(position)
        return cls(position.entry_price, Decimal(shares if position.is_long else -shares))

    def profit(self, price: Decimal | None, qty: Decimal) -> Decimal | None:
        """Dollars gained or lost by closing `qty` at a price; None while that, the entry or the unit is unknown."""
        if price is None or self.entry is None or self.unit is None:
            return None
        return (price - self.entry) * qty * self.unit


def is_at_least_as_good(position: Position, price: Decimal, threshold: Decimal) -> bool:
    """Whether `price` is at least as good for the position as `threshold`."""
    return price >= threshold if position.is_long else price <= threshold


def is_at_least_as_bad(position: Position, price: Decimal, threshold: Decimal) -> bool:
    """Whether `price` is at least as bad for the position as `threshold`."""
    return price <= threshold if position.is_long else price >= threshold


def market_value(holding: Holding) -> Decimal | None:
    """Dollars that closing a position brings at the price one could get now (bid for a long, ask for a short).

    Below zero for a short, which costs them; None while that price is unknown, and for an adjusted contract, whose
    multiplier isn't known. Commissions are not included.
    """
    price, shares = holding.exit_price, _signed_shares(holding.position)
    return None if price is None or shares is None else price * shares


def open_pnl(holding: Holding) -> Decimal | None:
    """Dollars gained or lost since entry at the same price; None while one of them, or the multiplier, is unknown."""
    price, entry, shares = holding.exit_price, holding.position.entry_price, _signed_shares(holding.position)
    return None if price is None or entry is None or shares is None else (price - entry) * shares


def _signed_shares(position: Position) -> Decimal | None:
    """Shares that its price counts for, below zero for a short; None for an adjusted contract."""
    option = position.instrument.option
    if option is not None and option.is_adjusted:
        return None
    shares = position.qty * shares_per_unit(position)
    return shares if position.is_long else -shares


class Total(Struct, frozen=True):
    """A sum over `count` positions, of which the amounts of only `known` are known.

    `dollars` is the sum of the known amounts; None when none is known.
    """

    dollars: Decimal | None
    known: int
    count: int

    @property
    def is_complete(self) -> bool:
        """Whether no amount is missing."""
        return self.known == self.count


def total_of(amounts: Iterable[tuple[Decimal | None, int]]) -> Total:
    """The total of amounts, each with the number of positions that it stands for."""
    every = list(amounts)
    known = [(amount, count) for amount, count in every if amount is not None]
    return Total(
        dollars=sum((amount for amount, _ in known), Decimal(0)) if known else None,
        known=sum(count for _, count in known),
        count=sum(count for _, count in every),
    )
