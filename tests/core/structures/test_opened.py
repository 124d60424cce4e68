"""What a multi-leg order has opened belongs together, before anything is put together anew."""

import datetime as dt
import random
from collections.abc import Collection, Iterable

import pytest
from builders import at, replace
from hypothesis import given, settings
from hypothesis import strategies as st
from structure_builders import CONDOR, JANUARY, an_opening_order, call, positions, put

from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.order import Order, PositionIntent
from sellctl.core.model.position import Holding
from sellctl.core.structures.held import held_structures
from sellctl.core.structures.opened import opened_structures
from sellctl.core.structures.recognition import KINDS, SPREADS

# Of these two condors, the narrowest that can be put together have legs of both.
OUTER = {put(160): 1, put(175): -1, call(215): -1, call(230): 1}
INNER = {put(170): 1, put(180): -1, call(210): -1, call(220): 1}
OUTER_NAME, INNER_NAME = "AAPL-iron_condor-261218-160-175-215-230", "AAPL-iron_condor-261218-170-180-210-220"
VERTICAL = {call(200): 1, call(210): -1}
VERTICAL_NAME = "AAPL-vertical-261218-200-210C"


def opened(held: dict[str, int], *orders: Order, kinds: Collection[StructureKind] = KINDS) -> list[str]:
    return [each.name for each in opened_structures(orders, positions(held), kinds)]


def recognised(held: dict[str, int], orders: Iterable[Order]) -> set[str]:
    """What is held as structures when nothing was known before."""
    rows = positions(held)
    names = [each.name for each in opened_structures(orders, rows, KINDS)]
    return {each.name for each in held_structures(map(Holding, rows), names, {}, KINDS)}


def test_two_condors_with_interleaved_strikes_are_those_that_were_opened_and_not_the_narrowest() -> None:
    held = OUTER | INNER
    assert recognised(held, ()) == {
        "AAPL-iron_condor-261218-170-175-215-220",
        "AAPL-iron_condor-261218-160-180-210-230",
    }
    orders = (an_opening_order(OUTER, client_order_id="one"), an_opening_order(INNER, client_order_id="other"))
    assert recognised(held, orders) == {OUTER_NAME, INNER_NAME}
    assert recognised(held, orders[:1]) == {OUTER_NAME, INNER_NAME}


def test_an_order_counts_as_soon_as_a_part_of_it_has_filled() -> None:
    assert opened(VERTICAL, an_opening_order(VERTICAL, "2", filled="1", status="partially_filled")) == [VERTICAL_NAME]
    assert opened(VERTICAL, an_opening_order(VERTICAL, "2", filled="1", status="canceled")) == [VERTICAL_NAME]
    assert opened(VERTICAL, an_opening_order(VERTICAL, filled="0", status="new")) == []


def test_each_leg_has_to_be_held_on_the_side_on_which_it_was_opened() -> None:
    order = an_opening_order(VERTICAL)
    assert opened({call(200): 1}, order) == []
    assert opened({call(200): 1, call(210): 1}, order) == []
    assert opened({symbol: -qty for symbol, qty in VERTICAL.items()}, order) == []


def test_an_order_that_closes_opens_nothing_and_of_a_roll_what_it_opens_belongs_together() -> None:
    closing = an_opening_order({call(220): 1, call(230): -1}).legs
    closing = tuple(replace(leg, position_intent=PositionIntent(f"{leg.side}_to_close")) for leg in closing)
    order = an_opening_order(VERTICAL)
    assert opened({call(220): 1, call(230): -1}, replace(order, legs=closing)) == []
    assert opened(VERTICAL, replace(order, legs=(*closing, *order.legs))) == [VERTICAL_NAME]


def test_legs_without_an_intent_count_as_opened_where_they_are_held_on_their_side() -> None:
    order = an_opening_order(VERTICAL)
    unknown = replace(order, legs=tuple(replace(leg, position_intent=None) for leg in order.legs))
    assert opened(VERTICAL, unknown) == [VERTICAL_NAME]
    assert opened({symbol: -qty for symbol, qty in VERTICAL.items()}, unknown) == []


def test_orders_of_ours_and_those_without_shown_legs_say_nothing() -> None:
    assert opened(VERTICAL, an_opening_order(VERTICAL, client_order_id="sellctl-abc")) == []
    assert opened(VERTICAL, replace(an_opening_order(VERTICAL), legs=())) == []


def test_legs_on_two_underlyings_are_no_structure() -> None:
    legs = {call(200): 1, call(210, root="MSFT"): -1}
    assert recognised(legs, [an_opening_order(legs)]) == set()


def test_what_was_opened_has_the_ratios_of_its_legs_in_lowest_terms() -> None:
    butterfly = {call(190): 2, call(200): -4, call(210): 2}
    assert opened(butterfly, an_opening_order(butterfly, "3")) == ["AAPL-butterfly-261218-190-200-210C"]


@pytest.mark.parametrize(
    ("legs", "kinds", "names"),
    [
        (CONDOR, SPREADS, ["AAPL-vertical-261218-210-220C", "AAPL-vertical-261218-170-180P"]),
        (CONDOR, {StructureKind.CALENDAR}, []),
        ({call(200): 1, put(190, JANUARY): -1}, KINDS, []),
        (CONDOR, (), []),
    ],
    ids=["its verticals", "another kind", "no kind at all", "none"],
)
def test_of_a_kind_that_is_not_looked_for_its_legs_form_what_is(
    legs: dict[str, int], kinds: Collection[StructureKind], names: list[str]
) -> None:
    assert opened(legs, an_opening_order(legs), kinds=kinds) == names


def test_of_two_orders_with_a_common_symbol_the_one_that_filled_first_counts() -> None:
    wide = {call(200): 1, call(220): -1}
    early = an_opening_order(VERTICAL, client_order_id="z", filled_at=at("10:00"))
    late = an_opening_order(wide, client_order_id="a", filled_at=at("10:01"))
    held = {call(200): 2, call(210): -1, call(220): -1}
    assert recognised(held, (late, early)) == recognised(held, (early, late)) == {VERTICAL_NAME}
    as_late = replace(early, filled_at=at("10:02"))
    assert recognised(held, (late, as_late)) == {"AAPL-vertical-261218-200-220C"}


SYMBOLS = [make(strike, expires) for make in (call, put) for strike in (190, 200, 210, 220)
           for expires in ("261218", JANUARY)]  # fmt: skip
CONTRACTS = st.integers(-3, 3).filter(bool)
HELD = st.dictionaries(st.sampled_from(SYMBOLS), CONTRACTS, min_size=2, max_size=9)
SECONDS = st.integers(0, 2)


@st.composite
def books(draw: st.DrawFn) -> tuple[dict[str, int], list[Order]]:
    """What is held, and orders that may have opened parts of it: some at one instant, some with common symbols."""
    held = draw(HELD)
    orders = []
    for number in range(draw(st.integers(0, 4))):
        symbols = draw(st.lists(st.sampled_from(sorted(held)), min_size=2, max_size=4, unique=True))
        signs = {symbol: 1 if held[symbol] > 0 else -1 for symbol in symbols}
        filled_at = at("10:00") + dt.timedelta(seconds=draw(SECONDS))
        orders.append(an_opening_order(signs, client_order_id=f"order-{number}", filled_at=filled_at))
    return held, orders


@given(books(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_order_of_positions_orders_and_legs_changes_nothing(
    book: tuple[dict[str, int], list[Order]], shuffled: random.Random
) -> None:
    held, orders = book
    expected = recognised(held, orders)
    rows = list(held.items())
    shuffled.shuffle(rows)
    shuffled.shuffle(orders)
    mixed = [replace(order, legs=tuple(shuffled.sample(order.legs, len(order.legs)))) for order in orders]
    assert recognised(dict(rows), mixed) == expected


@given(books())
@settings(max_examples=150, deadline=None)
def test_the_first_order_of_a_kind_that_is_looked_for_is_always_recognised_as_opened(
    book: tuple[dict[str, int], list[Order]],
) -> None:
    held, orders = book
    names = opened(held, *orders)
    assert set(names[:1]) <= recognised(held, orders)
