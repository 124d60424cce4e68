"""How far a holding has come: the prices and gains that profit and stop rules compare. At the threshold is reached."""

from decimal import Decimal

from sellctl.core.model.config import Basis
from sellctl.core.model.position import Holding, Position


def price_on(holding: Holding, basis: Basis) -> Decimal | None:
    """The usable price on a basis: the side one could trade at now, or the mid; None when it isn't usable."""
    return holding.exit_price if basis is Basis.BID else holding.prices.mid


def side_name(position: Position, basis: Basis) -> str:
    """What that price is called: a short is closed at the ask."""
    if basis is Basis.MID:
        return "mid"
    return "bid" if position.is_long else "ask"


def target_price(position: Position, rate: Decimal) -> Decimal | None:
    """The price at which price / entry reaches `rate`, mirrored for a short; None without an entry price."""
    if position.entry_price is None:
        return None
    return position.entry_price * (rate if position.is_long else 2 - rate)


def is_at_or_above(position: Position, price: Decimal, threshold: Decimal) -> bool:
    """Whether `price` is at least as good for the position as `threshold`."""
    return price >= threshold if position.is_long else price <= threshold


def is_at_or_below(position: Position, price: Decimal, threshold: Decimal) -> bool:
    """Whether `price` is at least as bad for the position as `threshold`."""
    return price <= threshold if position.is_long else price >= threshold


def as_percent(ratio: Decimal) -> str:
    """A ratio as the user reads it: +10%, -20.5%."""
    number = (ratio * 100).quantize(Decimal("0.1")) + 0  # + 0 makes a negative zero positive
    return f"{number:+f}%".replace(".0%", "%")


def as_dollars(price: Decimal) -> str:
    """A price as the user reads it: two decimals, more (up to four) only where they say something."""
    whole, decimals = f"{price:.4f}".split(".")
    return f"${whole}.{decimals[:2]}{decimals[2:].rstrip('0')}"
