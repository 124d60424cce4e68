"""Numbers, instants and identifiers as Alpaca writes them."""

import datetime as dt
import uuid
from decimal import Decimal, InvalidOperation
from typing import Any

ZERO = Decimal(0)
CONTRACT_SIZE = Decimal(100)
SHARE_STEP = Decimal("1e-9")
_NAMESPACE = uuid.UUID("5e11c71a-0000-4000-8000-000000000000")


def text(value: Decimal) -> str:
    """A decimal as Alpaca's trading API writes it: plain, no exponent, no trailing zeros."""
    plain = format(value, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain in {"", "-0"} else plain


def text_or_none(value: Decimal | None) -> str | None:
    """A decimal as text; None for None."""
    return None if value is None else text(value)


def number(value: Decimal | None) -> float | int:
    """A decimal as the data API writes it: a JSON number, 0 when there is none."""
    if value is None:
        return 0
    return int(value) if value == value.to_integral_value() else float(value)


def decimal_of(value: Any) -> Decimal | None:
    """A JSON number or text as a decimal; None when absent or empty. ValueError when it is neither.

    Floats arrive here as Decimal already (the request body is parsed with parse_float=Decimal), exactly as sent.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        raise ValueError("not a number")  # noqa: TRY004  callers handle ValueError only
    try:
        result = Decimal(str(value))
    except InvalidOperation:
        raise ValueError("not a number") from None
    if not result.is_finite():
        raise ValueError("not a finite number")
    return result


def format_timestamp(at: dt.datetime | None) -> str | None:
    """An instant as RFC 3339 in UTC, with up to six decimals and Z; None for None."""
    if at is None:
        return None
    utc = at.astimezone(dt.UTC)
    fraction = f".{utc.microsecond:06d}".rstrip("0") if utc.microsecond else ""
    return f"{utc:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def stable_id(*parts: object) -> str:
    """A UUID that depends on its parts only, so that every run of a scenario gives the same ids."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(map(str, parts))))
