import datetime as dt
import unicodedata
from decimal import Decimal

import pytest
from builders import a_holding, a_snapshot, at, the_decision
from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.model.position import PositionState
from sellctl.ui.formatting import (
    clock,
    counted,
    dollars,
    duration,
    number,
    percent,
    price_text,
    profit,
    sanitize,
    state_cell,
)

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12)


@given(DECIMALS)
def test_a_number_is_exact_and_without_exponent(value: Decimal) -> None:
    assert Decimal(number(value)) == value
    assert "E" not in number(value).upper()


@given(st.decimals(min_value=0, max_value=10**12, allow_nan=False, allow_infinity=False))
def test_a_price_is_near_and_has_two_to_four_decimals(value: Decimal) -> None:
    text = price_text(value)
    assert abs(Decimal(text) - value) <= Decimal("0.00005")
    assert 2 <= len(text.partition(".")[2]) <= 4


@given(st.text(st.characters()))
def test_sanitized_text_has_no_control_characters(text: str) -> None:
    assert not {unicodedata.category(character) for character in sanitize(text)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("value", "text"),
    [("1.5", "1.50"), ("2", "2.00"), ("0.005", "0.005"), ("1.03333333", "1.0333"), ("1E+3", "1000.00"), ("NaN", "?")],
)
def test_prices_read_as_traders_write_them(value: str, text: str) -> None:
    assert price_text(Decimal(value)) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [("0.1", "+10.0%"), ("-0.2054", "-20.5%"), ("-0.0001", "0.0%"), ("0", "0.0%"), ("9", "+900.0%")]
)
def test_a_gain_carries_its_sign(ratio: str, text: str) -> None:
    assert percent(Decimal(ratio)) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0s"), (42, "42s"), (309, "5m 09s"), (3720, "1h 02m"), (100000, "1d 3h")]
)
def test_durations_show_their_two_largest_units(seconds: int, text: str) -> None:
    assert duration(dt.timedelta(seconds=seconds)) == text


def test_dollars_carry_their_sign_before_the_dollar() -> None:
    assert (dollars(Decimal("-2.2")), dollars(Decimal("2.2")), dollars(None)) == ("-$2.20", "$2.20", "?")
    assert [profit(Decimal(text)) for text in ("-200", "48", "0")] == ["-$200.00", "+$48.00", "$0.00"]


def test_a_count_of_one_is_singular() -> None:
    assert [counted(n, "exit") for n in (0, 1, 2)] == ["0 exits", "1 exit", "2 exits"]


def test_times_are_new_yorks() -> None:
    assert clock(at("15:50:01")) == "15:50:01 ET"


@pytest.mark.parametrize(
    ("sides", "text"),
    [({}, "watching"), ({"ask": None}, "bad quote"), ({"bid": None}, "bad quote"), ({"bid": "1.10"}, "bad quote")],
)
def test_a_quote_without_an_ask_is_a_bad_quote_as_one_without_a_bid_is(sides: dict[str, str | None], text: str) -> None:
    assert state_cell(the_decision(a_snapshot(a_holding(**sides)))).text == text  # type: ignore[arg-type]


def test_lost_quotes_are_a_state_of_their_own() -> None:
    lost = a_holding(ask=None, state=PositionState(unquoted_for=dt.timedelta(minutes=5)))
    cell = state_cell(the_decision(a_snapshot(lost)))
    assert (cell.text, cell.data) == ("no quote", "no quote")
