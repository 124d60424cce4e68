"""Checks of a position row against itself: do its prices agree with its market value, cost basis and profit? Pure."""

from decimal import Decimal

from msgspec import Struct

from sellctl.core.model.gain import SHARES_PER_CONTRACT
from sellctl.core.model.instrument import Instrument
from sellctl.core.model.position import Direction

_CENT = Decimal("0.01")
_SAME_COST = Decimal("0.01")  # how far the cost by the entry price may be from the cost basis, as a share of it
_SAME_SIZE = 5  # how many times as large one amount may be as another one that depends on the price of the moment


class RowAmounts(Struct, frozen=True):
    """The amounts of one row of GET /v2/positions, in dollars; each is None when it is missing or unreadable.

    `price`, `entry` (both per share), `value`, `cost_basis` and `profit` are current_price, avg_entry_price,
    market_value, cost_basis and unrealized_pl. `shares` is `shares_of` the row.
    """

    direction: Direction
    shares: Decimal | None
    price: Decimal | None
    entry: Decimal | None
    value: Decimal | None
    cost_basis: Decimal | None
    profit: Decimal | None


def shares_of(instrument: Instrument, qty: Decimal) -> Decimal | None:
    """How many shares the prices of a row count for; None for an adjusted contract, whose multiplier isn't known."""
    if instrument.option is None:
        return qty.copy_abs()
    return None if instrument.option.is_adjusted else qty.copy_abs() * SHARES_PER_CONTRACT


def price_contradiction(row: RowAmounts) -> str:
    """How current price and market value contradict each other; "" when they don't, or when one isn't known."""
    price, value, shares = row.price, row.value, row.shares
    if not price or not value or shares is None or _is_same_size(price * shares, value):
        return ""
    return f"{shares:f} shares at its current price {price:f} aren't worth its market value {value:f}"


def entry_contradiction(row: RowAmounts) -> str:
    """How the entry price contradicts cost basis or profit; "" when it doesn't, or when neither is known."""
    entry, shares, value, profit, basis = row.entry, row.shares, row.value, row.profit, row.cost_basis
    if entry is None or shares is None:
        return ""
    cost = entry * shares
    if basis is not None:
        paid = basis if row.direction is Direction.LONG else basis.copy_abs()
        if not _is_same_cost(paid, cost, entry, shares):
            return f"{shares:f} shares at its entry price {entry:f} don't cost its cost basis {basis:f}"
    if (
        value
        and profit is not None
        and not (_is_same_size(value - profit, cost) or _is_same_size(value + profit, cost))
    ):
        return f"its entry price {entry:f} contradicts its profit {profit:f} at a market value of {value:f}"
    return ""


def _is_same_cost(paid: Decimal, cost: Decimal, entry: Decimal, shares: Decimal) -> bool:
    """Whether a cost basis is that of an entry price, which may be rounded to cents or in its last digit."""
    difference = abs(paid - cost)
    if difference <= _CENT:
        return True
    rounded = min(Decimal(1).scaleb(_exponent(entry)), _CENT) / 2 * shares
    return difference <= max(cost * _SAME_COST, rounded) + _CENT


def _exponent(number: Decimal) -> int:
    """The power of ten of a finite number's last digit."""
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _is_same_size(one: Decimal, other: Decimal) -> bool:
    """Whether two amounts may be the same although they are of different instants: prices move, and sizes don't."""
    one, other = one.copy_abs(), other.copy_abs()
    return one <= other * _SAME_SIZE and other <= one * _SAME_SIZE
