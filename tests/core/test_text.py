"""Money, ratios and lengths of time as sentences write them."""

import datetime as dt
from decimal import Decimal

import pytest

from sellctl.core.text import as_amount, as_dollars, as_percent, as_time_span


@pytest.mark.parametrize(
    ("ratio", "text"),
    [("0.1", "+10%"), ("-0.205", "-20.5%"), ("0", "+0%"), ("-0.0001", "+0%"), ("10", "+1000%"), ("0.1234", "+12.3%")],
)
def test_a_ratio_is_a_signed_percentage(ratio: str, text: str) -> None:
    assert as_percent(Decimal(ratio)) == text


@pytest.mark.parametrize(
    ("price", "text"),
    [
        ("1", "$1.00"),
        ("1.1", "$1.10"),
        ("0.0345", "$0.0345"),
        ("0.805", "$0.805"),
        ("1E+3", "$1000.00"),
        ("-200", "-$200.00"),
    ],
)
def test_dollars_have_two_decimals_or_up_to_four(price: str, text: str) -> None:
    assert as_dollars(Decimal(price)) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1234.5", "$1,234.50"), ("-200", "-$200.00"), ("1E+6", "$1,000,000.00"), ("0", "$0.00"), ("-0.001", "$0.00")],
)
def test_an_amount_has_cents_and_separators_of_thousands(amount: str, text: str) -> None:
    assert as_amount(Decimal(amount)) == text


@pytest.mark.parametrize("price", [None, Decimal("NaN"), Decimal("Infinity")])
def test_an_unknown_price_or_amount_is_a_question_mark(price: Decimal | None) -> None:
    assert (as_dollars(price), as_amount(price)) == ("?", "?")


@pytest.mark.parametrize(
    ("seconds", "text"), [(30, "30 s"), (2_700, "45 min"), (12_600, "3.5 h"), (172_800, "2 d"), (0, "0 s")]
)
def test_a_time_span_is_in_its_largest_unit(seconds: int, text: str) -> None:
    assert as_time_span(dt.timedelta(seconds=seconds)) == text
