"""The least and most value of a structure at expiration, and where it breaks even."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structure_builders import CONDOR, JANUARY, call, legs, put

from sellctl.core.structures.payoff import UNLIMITED, Payoff, payoff, value_at, value_range

D = Decimal


@pytest.mark.parametrize(
    ("contracts", "entry", "expected"),
    [
        ({call(200): 1, call(210): -1}, "4", (6, 4, [204])),
        ({call(200): -1, call(210): 1}, "-4", (4, 6, [204])),
        (CONDOR, "-3", (3, 7, [177, 213])),
        ({put(190): 1, put(200): -1, call(200): -1, call(210): 1}, "-6", (6, 4, [194, 206])),
        ({call(190): 1, call(200): -2, call(210): 1}, "2", (8, 2, [192, 208])),
        ({put(200): -1, call(200): -1}, "-10", (10, UNLIMITED, [190, 210])),
        ({put(190): 1, call(210): 1}, "5", (UNLIMITED, 5, [185, 215])),
        ({call(200): 1, call(210): -2}, "1", (9, UNLIMITED, [201, 219])),
        ({"AAPL": 1, call(210): -1}, "195", (15, 195, [195])),
        ({"AAPL": 1, call(210): -1, put(190): 1}, "200", (10, 10, [200])),
    ],
)
def test_the_payoff_of_each_kind_is_that_of_the_textbook(
    contracts: dict[str, int], entry: str, expected: tuple[Decimal, Decimal, list[int]]
) -> None:
    profit, loss, breakevens = expected
    assert payoff(legs(contracts), D(entry)) == Payoff(D(profit), D(loss), tuple(map(D, breakevens)))


def test_of_several_expirations_nothing_is_known() -> None:
    calendar = legs({call(200): -1, call(200, JANUARY): 1})
    assert (value_range(calendar), payoff(calendar, D(2))) == (None, None)


@given(
    st.dictionaries(
        st.sampled_from([make(strike) for make in (call, put) for strike in (190, 200, 210, 220)]),
        st.integers(-3, 3).filter(bool),
        min_size=1,
        max_size=4,
    ),
    st.decimals(0, 400, places=2),
)
def test_no_price_leads_out_of_the_range(contracts: dict[str, int], price: Decimal) -> None:
    bounds = value_range(legs(contracts))
    assert bounds is not None
    assert bounds.least <= value_at(legs(contracts), price) <= bounds.most
