"""What is held on one underlying is recognised as structures: every kind, the same for every order, and stable."""

import random
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structure_builders import CONDOR, DECEMBER, JANUARY, call, legs, positions, put

from sellctl.core.model.instrument import StructureKind
from sellctl.core.structures.recognition import Shape, Structure, shape_of, structures_of


def shown(structures: tuple[Structure, ...]) -> list[tuple[str, int, dict[str, int]]]:
    return [(one.kind.value, one.units, {leg.symbol: leg.ratio for leg in one.legs}) for one in structures]


@pytest.mark.parametrize(
    ("contracts", "kind"),
    [
        ({call(200): 1, call(210): -1}, "vertical"),
        ({put(200): -1, put(190): 1}, "vertical"),
        (CONDOR, "iron_condor"),
        ({symbol: -qty for symbol, qty in CONDOR.items()}, "iron_condor"),
        ({put(190): 1, put(200): -1, call(200): -1, call(210): 1}, "iron_butterfly"),
        ({call(190): 1, call(200): -2, call(210): 1}, "butterfly"),
        ({put(190): -1, put(200): 2, put(220): -1}, "butterfly"),
        ({put(200): -1, call(200): -1}, "straddle"),
        ({put(190): 1, call(210): 1}, "strangle"),
        ({call(200): -1, call(200, JANUARY): 1}, "calendar"),
        ({call(210): -1, call(200, JANUARY): 1}, "diagonal"),
        ({call(200, root="AAPL1"): 1, call(210, root="AAPL1"): -1}, "vertical"),
        ({call(200, root="SPXW"): -1, call(200, JANUARY, root="SPX"): 1}, "calendar"),
        ({call(200): 1, call(210): -2}, "ratio"),
        ({call(200): -1, "AAPL": 100}, "covered_call"),
        ({call(210): -1, put(190): 1, "AAPL": 100}, "collar"),
    ],
)
def test_each_kind_is_recognised_with_all_of_its_legs(contracts: dict[str, int], kind: str) -> None:
    three = {symbol: 3 * qty for symbol, qty in contracts.items()}
    ratios = {symbol: qty // 100 if symbol == "AAPL" else qty for symbol, qty in contracts.items()}
    assert shown(structures_of(positions(three))) == [(kind, 3, ratios)]


@pytest.mark.parametrize(
    "contracts",
    [
        {call(200): 1},
        {call(200): 1, call(210): 1},
        {put(190): 1, call(210): -1},
        {call(200): 1, call(210, root="MSFT"): -1},
        {call(200): 1, put(200, JANUARY): 1},
        {call(200, root="AAPL1"): 1, call(210): -1},
        {call(210, root="AAPL1"): -1, "AAPL": 100},
        {call(200, root="SPX"): 1, call(210, root="SPXW"): -1},
        {call(200): -1, "AAPL": 99},
    ],
)
def test_what_forms_no_structure_stays_single(contracts: dict[str, int]) -> None:
    assert structures_of(positions(contracts)) == ()


def test_of_several_verticals_the_narrowest_is_put_together_first() -> None:
    found = structures_of(positions({call(200): 1, call(205): 1, call(210): -1}))
    assert shown(found) == [("vertical", 1, {call(205): 1, call(210): -1})]


def test_a_ratio_spread_is_recognised_only_where_no_other_leg_covers_its_shorts() -> None:
    found = structures_of(positions({call(190): 1, call(200): -2, call(205): 1}))
    assert [one.kind for one in found] == [StructureKind.BUTTERFLY]
    found = structures_of(positions({call(190): 1, call(200): -2, call(205, JANUARY): 1}))
    assert [one.kind for one in found] == [StructureKind.RATIO]


def test_what_exceeds_a_structure_is_left_for_others_and_the_rest_is_single() -> None:
    found = structures_of(positions({**CONDOR, put(180): -3, put(170): 2, put(160): 1}))
    assert [(kind, units) for kind, units, _ in shown(found)] == [("iron_condor", 1), ("vertical", 1), ("vertical", 1)]


def test_a_structure_keeps_its_legs_when_a_new_leg_would_fit_better() -> None:
    before = structures_of(positions({call(200): 1, call(210): -1}))
    after = structures_of(positions({call(200): 1, call(210): -1, call(205): 1}), before)
    assert after == before


def test_a_leg_that_was_closed_in_part_leaves_a_smaller_structure_and_the_others_as_they_were() -> None:
    before = structures_of(positions({symbol: 2 * qty for symbol, qty in CONDOR.items()}))
    after = structures_of(positions({**{symbol: 2 * qty for symbol, qty in CONDOR.items()}, call(220): 1}), before)
    assert shown(after)[0] == ("iron_condor", 1, CONDOR)
    assert shown(after)[1] == ("vertical", 1, {put(170): 1, put(180): -1})


def test_only_kinds_that_are_looked_for_are_put_together_and_what_stays_alone_is_in_none() -> None:
    verticals = structures_of(positions(CONDOR), kinds={StructureKind.VERTICAL})
    assert [one.kind for one in verticals] == 2 * [StructureKind.VERTICAL]
    rest = structures_of(positions(CONDOR), alone={call(210)})
    assert shown(rest) == [("vertical", 1, {put(170): 1, put(180): -1})]
    assert structures_of(positions(CONDOR), structures_of(positions(CONDOR)), alone=CONDOR) == structures_of(
        positions(CONDOR)
    )


def test_what_was_opened_as_one_order_stays_together_although_a_narrower_one_would_fit() -> None:
    opened = _shape({call(200): 1, call(210): -1})
    found = structures_of(positions({call(200): 1, call(205): 1, call(210): -1}), opened=[opened])
    assert shown(found) == [("vertical", 1, {call(200): 1, call(210): -1})]


def test_what_was_opened_as_one_order_and_has_no_name_is_a_structure_of_its_own() -> None:
    opened = _shape({call(200): 1, put(190, JANUARY): -1})
    assert [one.kind for one in structures_of(positions({call(200): 2, put(190, JANUARY): -2}), opened=[opened])] == [
        StructureKind.CUSTOM
    ]


def _shape(contracts: dict[str, int]) -> Shape:
    return shape_of(legs(contracts))


SYMBOLS = [
    *(
        make(strike, expires)
        for make in (call, put)
        for strike in (190, 200, 210, 220)
        for expires in (DECEMBER, JANUARY)
    )
]
HELD = st.dictionaries(st.sampled_from([*SYMBOLS, "AAPL"]), st.integers(-4, 4), max_size=9).map(
    lambda contracts: {symbol: 100 * qty if symbol == "AAPL" else qty for symbol, qty in contracts.items()}
)


@given(HELD, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_order_of_the_rows_changes_nothing(contracts: dict[str, int], shuffled: random.Random) -> None:
    rows = positions(contracts)
    expected = structures_of(rows)
    shuffled.shuffle(rows)
    assert structures_of(rows) == expected


@given(HELD)
@settings(max_examples=150, deadline=None)
def test_each_contract_belongs_to_at_most_one_structure_and_stays_on_its_side(contracts: dict[str, int]) -> None:
    used: Counter[str] = Counter()
    for one in structures_of(positions(contracts)):
        for leg in one.legs:
            used[leg.symbol] += one.units * leg.ratio * (100 if leg.symbol == "AAPL" else 1)
    for symbol, qty in used.items():
        assert 0 < Decimal(qty) / contracts[symbol] <= 1


@given(HELD)
@settings(max_examples=100, deadline=None)
def test_the_same_holdings_in_the_next_poll_are_the_same_structures(contracts: dict[str, int]) -> None:
    once = structures_of(positions(contracts))
    assert structures_of(positions(contracts), once) == once


@given(HELD, HELD)
@settings(max_examples=100, deadline=None)
def test_a_structure_whose_legs_are_all_held_still_keeps_its_identity(
    contracts: dict[str, int], more: dict[str, int]
) -> None:
    before = structures_of(positions(contracts))
    added = {symbol: qty for symbol, qty in more.items() if symbol not in contracts}
    after = structures_of(positions(contracts | added), before)
    kept = {one.legs: one.units for one in after}
    assert all(kept[one.legs] >= one.units for one in before)
