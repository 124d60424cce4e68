"""Texts of money, ratios, time spans and suggestions for use in sentences."""

import datetime as dt
import difflib
from collections.abc import Iterable
from decimal import Decimal


def as_percent(ratio: Decimal) -> str:
    """A ratio as a signed percentage: +10%, -20.5%."""
    number = f"{ratio * 100:+.1f}%".replace(".0%", "%")
    return "+0%" if number == "-0%" else number


def as_dollars(price: Decimal | None) -> str:
    """Dollars with two decimals, or up to four if these are not zero: $1.10, $0.0525, -$200.00; "?" when unknown."""
    if price is None or not price.is_finite():
        return "?"
    whole, decimals = f"{abs(price):.4f}".split(".")
    return f"{'-' if price < 0 else ''}${whole}.{decimals[:2]}{decimals[2:].rstrip('0')}"


def as_amount(amount: Decimal | None) -> str:
    """An amount of dollars and cents, which is no price: $1,234.50, -$200.00; "?" when unknown."""
    if amount is None or not amount.is_finite():
        return "?"
    cents = f"{abs(amount):,.2f}"
    return f"{'-' if amount < 0 and Decimal(cents.replace(',', '')) else ''}${cents}"


def as_profit(amount: Decimal) -> str:
    """A profit or loss in dollars and cents, always signed: +$20.00, -$1,234.50."""
    text = as_amount(amount)
    return text if text.startswith("-") or text == "$0.00" else f"+{text}"


def as_net(limit: Decimal) -> str:
    """A net price of a multi-leg order as Alpaca writes it: $1.20 credit (-1.20), $0.80 debit (0.80)."""
    return f"{as_dollars(abs(limit))} {'credit' if limit < 0 else 'debit'}"


def as_limit(limit: Decimal, *, is_net: bool) -> str:
    """The limit of an order: "limit $1.20", of a multi-leg one "net limit $1.20 credit"."""
    return f"net limit {as_net(limit)}" if is_net else f"limit {as_dollars(limit)}"


def as_time_span(span: dt.timedelta) -> str:
    """A time span in its largest unit: 2 d, 3.5 h, 45 min, 30 s."""
    seconds = int(span.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{Decimal(seconds) / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds} s"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint with the most similar known word; "" without one."""
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"Did you mean {near[0]}?" if near else ""
