"""How far a holding has come: the prices and gains that profit and stop rules compare. At the threshold is reached."""

from decimal import Decimal

from sellctl.core.config.schema import Amount, Basis, Per
from sellctl.core.model.position import Holding, Position

SHARES_A_CONTRACT = 100
_BID = Basis.BID
_OF_ENTRY = Per.GAIN


def price_on(holding: Holding, basis: Basis) -> Decimal | None:
    """The usable price on a basis: the side one could trade at now, or the mid; None when it isn't usable."""
    prices = holding.prices
    if basis is not _BID:
        return prices.mid
    return prices.bid if holding.position.is_long else prices.ask


def side_name(position: Position, basis: Basis) -> str:
    """What that price is called: a short is closed at the ask."""
    if basis is Basis.MID:
        return "mid"
    return "bid" if position.is_long else "ask"


def price_at_gain(position: Position, gain: Decimal) -> Decimal | None:
    """The price at which the gain is `gain` (0.1 is +10%), mirrored for a short; None without an entry price."""
    entry = position.entry_price
    if entry is None:
        return None
    return entry * (1 + gain if position.is_long else 1 - gain)


def price_at(position: Position, amount: Amount, *, ahead: bool) -> Decimal | None:
    """The price that is `amount` ahead of entry, or behind it; None without an entry price it would need."""
    if amount.per is _OF_ENTRY:
        return price_at_gain(position, amount.value if ahead else -amount.value)
    if amount.per is Per.PRICE:
        return amount.value
    if position.entry_price is None:
        return None
    units = position.qty if amount.per is Per.POSITION else 1
    away = amount.value / (units * shares_a_unit(position))
    return position.entry_price + (away if ahead is position.is_long else -away)


def shares_a_unit(position: Position) -> int:
    """How many shares one unit stands for: 100 a contract (adjusted ones keep their multiplier), 1 a share."""
    return SHARES_A_CONTRACT if position.instrument.is_option else 1


def amount_text(amount: Amount) -> str:
    """An amount as the configuration writes it."""
    if amount.per is Per.GAIN:
        return as_percent(amount.value).removeprefix("+")
    if amount.per is Per.PRICE:
        return f"price {amount.value:f}"
    return f"${amount.value:f}/{amount.per.value}"


def is_at_or_above(position: Position, price: Decimal, threshold: Decimal) -> bool:
    """Whether `price` is at least as good for the position as `threshold`."""
    return price >= threshold if position.is_long else price <= threshold


def is_at_or_below(position: Position, price: Decimal, threshold: Decimal) -> bool:
    """Whether `price` is at least as bad for the position as `threshold`."""
    return price <= threshold if position.is_long else price >= threshold


def as_percent(ratio: Decimal) -> str:
    """A ratio as the user reads it: +10%, -20.5%."""
    number = f"{ratio * 100:+.1f}%".replace(".0%", "%")
    return "+0%" if number == "-0%" else number


def as_dollars(price: Decimal) -> str:
    """A price as the user reads it: two decimals, more (up to four) only where they say something."""
    whole, decimals = f"{price:.4f}".split(".")
    return f"${whole}.{decimals[:2]}{decimals[2:].rstrip('0')}"
