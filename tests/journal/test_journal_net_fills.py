"""Fills of legs become units of their structure, in whatever order and parts they come."""

import random
from decimal import Decimal

from builders import at
from hypothesis import given, settings
from hypothesis import strategies as st
from structure_builders import CONDOR, call

from sellctl.core.model.exit_record import LegFill
from sellctl.journal.net_fills import netted, per_unit

BUTTERFLY = {call(200): 1, call(210): -2, call(220): 1}
COVERED_CALL = {"AAPL": 100, call(210): -1}
NAMES = {
    "AAPL-iron_condor-261218-170-180-210-220": CONDOR,
    "AAPL-butterfly-261218-200-210-220C": BUTTERFLY,
    "AAPL-covered_call-261218-210C": COVERED_CALL,
}


def test_a_unit_has_as_much_of_each_leg_as_the_name_says() -> None:
    for name, legs in NAMES.items():
        assert per_unit(name) == {symbol: abs(qty) for symbol, qty in legs.items()}
    assert per_unit("AAPL") == per_unit(call(200)) == per_unit("") == {}


def in_parts(total: int, chance: random.Random) -> list[int]:
    """A quantity in parts of at least one."""
    parts = []
    while total:
        parts.append(chance.randint(1, total))
        total -= parts[-1]
    return parts


def unit_of(symbol: str, qty: int) -> Decimal:
    return Decimal(1 if symbol == "AAPL" else 100) * (1 if qty > 0 else -1)


@given(st.sampled_from(sorted(NAMES)), st.integers(1, 4), st.integers(0, 3), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_all_that_the_legs_brought_is_in_the_units_and_what_completes_none_is_not(
    name: str, units: int, beyond: int, chance: random.Random
) -> None:
    legs = NAMES[name]
    fills = [
        LegFill(symbol, at("12:00"), Decimal(part), Decimal(chance.randint(1, 900)) / 100, None, unit_of(symbol, qty))
        for symbol, qty in legs.items()
        for part in in_parts(units * abs(qty), chance)
    ]
    chance.shuffle(fills)
    brought = sum((fill.qty * (fill.price or 0) * fill.unit for fill in fills), Decimal(0))
    lonely = [LegFill(next(iter(legs)), at("12:01"), Decimal(beyond), None, None, Decimal(100))] if beyond else []
    parts = list(netted(per_unit(name), (*fills, *lonely), 1))
    assert sum(part.qty for part in parts) == units
    assert all(part.by_legs and part.qty == int(part.qty) > 0 for part in parts)
    assert abs(sum((part.qty * (part.price or 0) * 100 for part in parts), Decimal(0)) - brought) < Decimal("0.0001")
    mirrored = list(netted(per_unit(name), fills, -1))
    assert [part.price for part in mirrored] == [-(part.price or 0) for part in parts]


def test_one_fill_without_a_price_makes_only_its_unit_unknown() -> None:
    legs = per_unit("AAPL-vertical-261218-200-210C")
    fills = [
        LegFill(symbol, at("12:00"), Decimal(1), price, None, unit)
        for price in (Decimal(3), None)
        for symbol, unit in ((call(200), Decimal(100)), (call(210), Decimal(-100)))
    ]
    assert [part.price for part in netted(legs, fills, 1)] == [0, None]


def test_a_part_of_a_structure_counts_for_all_of_its_legs() -> None:
    name = "AAPL-custom-261204-200C-205C-261218-170P-180P-210C-220C"
    part, rest = "AAPL-iron_condor-261218-170-180-210-220", (call(200, "261204"), call(205, "261204"))
    fills = [
        LegFill(part, at("12:00"), Decimal(2), Decimal("1.50"), None, Decimal(-100)),
        LegFill(rest[0], at("12:01"), Decimal(2), Decimal("2.00"), None, Decimal(-100)),
        LegFill(rest[1], at("12:02"), Decimal(1), Decimal("1.00"), None, Decimal(100)),
    ]
    (unit,) = netted(per_unit(name), fills, -1)
    assert (unit.at, unit.qty, unit.price) == (at("12:02"), 1, Decimal("2.50"))
