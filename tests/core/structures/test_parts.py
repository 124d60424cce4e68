"""A structure of more than four legs is split into the fewest parts that cover themselves, and these stay the same."""

from decimal import Decimal
from itertools import combinations

import pytest
from builders import replace
from hypothesis import assume, event, given
from hypothesis import strategies as st
from structure_builders import call, legs, positions, put

from sellctl.core.model.position import Holding
from sellctl.core.structures.coverage import cover_of
from sellctl.core.structures.parts import parts_of
from sellctl.core.structures.recognition import Shape, shape_of

CONDOR = {put(170): 1, put(180): -1, call(210): -1, call(220): 1}
NEAR = {call(200, "261204"): -1, call(205, "261204"): 1}
LATER = {put(150, "270115"): 1, put(160, "270115"): -1}


def parts(contracts: dict[str, int]) -> list[set[str]]:
    return [{leg.symbol for leg in part} for part in parts_of(shape_of(legs(contracts)))]


def test_six_legs_are_two_parts_of_which_each_covers_its_shorts() -> None:
    assert parts(CONDOR | NEAR) == [{call(200, "261204"), call(205, "261204")}, set(CONDOR)]


def test_of_several_ways_the_one_with_the_fewest_parts_is_taken_and_then_the_first_symbols() -> None:
    everything = parts(CONDOR | NEAR | LATER)
    assert [len(part) for part in everything] == [4, 4]
    assert call(200, "261204") in everything[0]


def test_the_ratios_of_a_part_are_in_lowest_terms() -> None:
    found = parts_of(shape_of(legs({symbol: 2 * ratio for symbol, ratio in CONDOR.items()} | {**NEAR})))
    assert sorted(tuple(abs(leg.ratio) for leg in part) for part in found) == [(1, 1), (1, 1, 1, 1)]


def test_a_short_that_several_longs_cover_stays_with_all_of_them() -> None:
    ratio = {call(200): -3, call(210): 1, call(220): 1, call(230): 1}
    assert set(ratio) in parts(ratio | NEAR)


@pytest.mark.parametrize(
    "contracts",
    [
        {call(200): -4, call(210): 1, call(220): 1, call(230): 1, call(240): 1},  # one short for four longs
        {call(200): -3, call(210): 1, call(220): 1, call(230): 1, put(180): 1},  # nothing else for a single long
        {"AAPL": 1, **CONDOR},  # shares
        {call(strike): 1 for strike in range(200, 213)},  # too many to try
    ],
)
def test_what_can_not_be_split_has_no_parts(contracts: dict[str, int]) -> None:
    assert parts(contracts) == []


SYMBOLS = [kind(strike, day) for kind in (call, put) for strike in (190, 200, 210, 220) for day in ("261204", "261218")]
CALLS = [symbol for symbol in SYMBOLS if "C" in symbol[5:]]


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Five to eight legs, most of whose shorts are covered; those of one right cover each other more often."""
    symbols = st.lists(st.sampled_from(draw(st.sampled_from([SYMBOLS, CALLS]))), min_size=5, max_size=8, unique=True)
    contracts = {symbol: draw(st.sampled_from([-2, -1, -1, 1, 1, 2])) for symbol in draw(symbols)}
    assume(naked(contracts) <= 1)
    return shape_of(legs(contracts))


def naked(contracts: dict[str, int]) -> Decimal:
    held = (Holding(position) for position in positions(contracts))
    return sum(cover_of(held).uncovered.values(), Decimal(0))


@given(shapes(), st.data())
def test_however_much_of_each_part_is_closed_no_more_shorts_are_naked(shape: Shape, data: st.DataObject) -> None:
    found = parts_of(shape)
    event(f"{len(found)} parts")
    units = 3
    left = {leg.symbol: leg.ratio * units for leg in shape}
    before = naked(left)
    for part in found:
        most = min(left[leg.symbol] // leg.ratio for leg in part)
        closed = data.draw(st.sampled_from([0, most, most // 2]))
        left |= {leg.symbol: left[leg.symbol] - leg.ratio * closed for leg in part}
    assert naked(left) <= before


@given(shapes())
def test_when_some_parts_have_left_the_rest_is_the_same_parts(shape: Shape) -> None:
    found = parts_of(shape)
    assert all(2 <= len(part) <= 4 for part in found)
    assert sorted(leg.symbol for part in found for leg in part) in ([], [leg.symbol for leg in shape])
    by_symbol = {leg.symbol: leg for leg in shape}
    for count in range(1, len(found)):
        for rest in combinations(found, count):
            legs_left = shape_of(by_symbol[leg.symbol] for part in rest for leg in part)
            assert set(parts_of(legs_left)) == set(rest)


@given(shapes())
def test_the_parts_do_not_depend_on_the_order_of_the_legs(shape: Shape) -> None:
    assert parts_of(tuple(reversed(shape))) == parts_of(shape)
    assert set(parts_of(tuple(replace(leg, ratio=5 * leg.ratio) for leg in shape))) == set(parts_of(shape))
