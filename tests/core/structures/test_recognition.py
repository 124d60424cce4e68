"""What is held on one underlying is recognised as structures: every kind, the same for every order, and stable."""

import random
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structure_builders import BOOKS, CONDOR, JANUARY, call, positions, put

from sellctl.core.model.instrument import StructureKind
from sellctl.core.structures.recognition import Structure, structures_of


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


def test_only_kinds_that_are_looked_for_are_put_together_and_what_stays_alone_is_in_none() -> None:
    verticals = structures_of(positions(CONDOR), kinds={StructureKind.VERTICAL})
    assert [one.kind for one in verticals] == 2 * [StructureKind.VERTICAL]
    rest = structures_of(positions(CONDOR), alone={call(210)})
    assert shown(rest) == [("vertical", 1, {put(170): 1, put(180): -1})]


@given(BOOKS, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_order_of_the_rows_changes_nothing(contracts: dict[str, int], shuffled: random.Random) -> None:
    rows = positions(contracts)
    expected = structures_of(rows)
    shuffled.shuffle(rows)
    assert structures_of(rows) == expected


@given(BOOKS)
@settings(max_examples=150, deadline=None)
def test_each_contract_belongs_to_at_most_one_structure_and_stays_on_its_side(contracts: dict[str, int]) -> None:
    used: Counter[str] = Counter()
    for one in structures_of(positions(contracts)):
        for leg in one.legs:
            used[leg.symbol] += one.units * leg.ratio * (100 if leg.symbol == "AAPL" else 1)
    for symbol, qty in used.items():
        assert 0 < Decimal(qty) / contracts[symbol] <= 1
