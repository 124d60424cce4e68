"""A held structure as one position: its net entry and prices, its time left, and what of its legs exceeds it."""

from decimal import Decimal
from itertools import permutations

import pytest
from builders import CALL, a_holding, at, replace
from hypothesis import given, settings
from structure_builders import BOOKS, CONDOR, JANUARY, call, put

from sellctl.core.model.instrument import StructureKind, an_option
from sellctl.core.model.position import ExitAfter, Holding, PositionState, Prices
from sellctl.core.structures.coverage import cover_of
from sellctl.core.structures.held import HeldStructure, held_structures, kind_of, rest_of
from sellctl.core.structures.recognition import KINDS

D = Decimal


def held(symbol: str, qty: int, entry: str | None, bid: str = "1.00", ask: str = "1.10") -> Holding:
    """A holding with usable prices; negative: short."""
    holding = a_holding(symbol, str(abs(qty)), entry, short=qty < 0)
    return replace(holding, prices=Prices(D(bid), D(ask), ""))


def found(
    *holdings: Holding, known: tuple[str, ...] = (), leaving: tuple[str, ...] = (), kept: int = 0
) -> tuple[HeldStructure, ...]:
    return held_structures(
        holdings, known, {}, KINDS, {symbol: ExitAfter("".join(known), "stop", D(kept)) for symbol in leaving}
    )


VERTICAL = (held(call(200), 2, "5.00", "6.00", "6.10"), held(call(210), -2, "3.00", "2.00", "2.05"))


def test_a_structure_that_was_paid_for_is_long_at_its_net_debit_and_valued_at_what_closing_it_brings() -> None:
    (one,) = found(*VERTICAL)
    assert (one.kind, one.units, one.shorts) == (StructureKind.VERTICAL, 2, (call(210),))
    whole = one.whole
    assert (whole.symbol, whole.position.is_long) == ("AAPL-vertical-261218-200-210C", True)
    assert (whole.position.qty, whole.position.entry_price) == (2, D("2.00"))
    assert (whole.prices.bid, whole.prices.ask) == (D("3.95"), D("4.10"))


def test_a_structure_that_was_sold_is_short_at_its_net_credit_and_its_gain_is_a_share_of_that() -> None:
    entries = {put(170): "1.00", put(180): "2.00", call(210): "2.50", call(220): "1.50"}
    (one,) = found(*(held(symbol, 3 * ratio, entries[symbol], "0.40", "0.50") for symbol, ratio in CONDOR.items()))
    whole = one.whole
    assert (one.kind, one.units, whole.position.is_long) == (StructureKind.IRON_CONDOR, 3, False)
    assert (whole.position.entry_price, whole.prices.bid, whole.prices.ask) == (D("2.00"), D("-0.20"), D("0.20"))
    assert whole.gain == D("0.9")


def test_the_net_of_unequal_legs_counts_each_contract_and_that_of_a_covered_call_its_shares() -> None:
    (butterfly,) = found(held(call(190), 1, "12.00"), held(call(200), -2, "5.00"), held(call(210), 1, "1.00"))
    assert butterfly.whole.position.entry_price == D("3.00")
    assert [butterfly.qty_of(call(strike)) for strike in (190, 200, 210)] == [1, 2, 1]
    (covered,) = found(held("AAPL", 250, "190.00", "195.00", "195.02"), held(call(210), -2, "3.00", "1.00", "1.02"))
    assert covered.whole.position.entry_price == D("187.00")
    assert (covered.whole.prices.bid, covered.qty_of("AAPL"), covered.qty_of(call(210))) == (D("193.98"), 200, 2)


SHARED = {put(160): 1, put(170): 1, put(175): -1, put(180): -1, call(210): -2, call(220): 1, call(225): 1}
NARROW, OUTER = "AAPL-iron_condor-261218-170-175-210-220", "AAPL-iron_condor-261218-160-180-210-225"


def test_of_two_condors_that_share_a_strike_the_narrowest_is_one_whatever_the_order_of_the_rows() -> None:
    rows = [held(symbol, qty, "1.00") for symbol, qty in SHARED.items()]
    for order in permutations(rows):
        names = {each.name: each.units for each in found(*order)}
        assert names == {NARROW: 1, "AAPL-vertical-261218-160-180P": 1}


def test_of_two_condors_that_share_a_strike_the_one_of_the_last_poll_stays_and_the_shared_rest_is_single() -> None:
    rows = [held(symbol, qty, "1.00") for symbol, qty in SHARED.items()]
    structures = {each.name: each for each in found(*rows, known=(OUTER,))}
    assert structures.keys() == {OUTER, "AAPL-vertical-261218-170-175P"}
    rest = rest_of(rows[4], structures[OUTER], cover_of(rows))
    assert rest is not None
    assert rest.position.qty == 1


@pytest.mark.parametrize("missing", ["entry", "price"])
def test_one_unknown_leg_makes_the_net_unknown(missing: str) -> None:
    entry, prices = (None, VERTICAL[0].prices) if missing == "entry" else ("5.00", Prices(problem="too old"))
    (one,) = found(replace(held(call(200), 2, entry), prices=prices), VERTICAL[1])
    assert one.whole.gain is None
    assert missing == "entry" or one.whole.prices.problem == f"{CALL}: too old"


def test_the_time_left_is_that_of_the_leg_that_expires_first() -> None:
    (one,) = found(held(call(200), -1, "2.00"), held(call(200, JANUARY), 1, "4.00"))
    assert one.whole.position.instrument.option == an_option(call(200)).option  # type: ignore[union-attr]
    (reversed_,) = found(held(call(200), 1, "2.00"), held(call(200, JANUARY), -1, "4.00"))
    assert reversed_.whole.position.instrument.option == an_option(call(200)).option  # type: ignore[union-attr]


@pytest.mark.parametrize(("price", "strike"), [("175.00", 180), ("215.00", 210)])
def test_of_a_condor_the_short_leg_that_is_deepest_in_the_money_counts(price: str, strike: int) -> None:
    underlying = Prices(D(price), D(price), "")
    (one,) = found(*(replace(held(symbol, qty, "1.00"), underlying=underlying) for symbol, qty in CONDOR.items()))
    option = one.whole.position.instrument.option
    assert option is not None
    assert option.strike == strike


def test_a_structure_counts_as_opened_with_its_last_leg_unless_its_own_state_is_stored() -> None:
    times = (at("09:40"), at("09:50"))
    legs = [replace(leg, state=PositionState(opened_at=time)) for leg, time in zip(VERTICAL, times, strict=True)]
    (one,) = found(*legs)
    assert one.whole.state.opened_at == at("09:50")
    (unknown,) = found(legs[0], VERTICAL[1])
    assert unknown.whole.state.opened_at is None
    stored = PositionState(peak=D("4.00"))
    (again,) = held_structures(legs, [one.name], {one.name: stored}, KINDS)
    assert again.whole.state == stored


def test_a_structure_has_as_many_units_when_it_is_found_as_when_it_is_known() -> None:
    legs = {put(190, JANUARY): -2, call(190): 1, call(190, JANUARY): -3, call(200, JANUARY): -2}
    holdings = [held(symbol, qty, "1.00") for symbol, qty in legs.items()]
    first = {each.name: each.units for each in found(*holdings)}
    assert first == {"AAPL-calendar-261218-270115-190C": 1, "AAPL-strangle-270115-190P-200C": 2}
    assert {each.name: each.units for each in found(*holdings, known=tuple(first))} == first


def test_a_known_structure_stays_when_a_new_leg_would_fit_better() -> None:
    (one,) = found(*VERTICAL)
    narrow = held(call(205), 2, "4.00")
    assert [each.name for each in found(*VERTICAL, narrow)] != [one.name]
    assert [each.name for each in found(*VERTICAL, narrow, known=(one.name,))] == [one.name]


@given(BOOKS)
@settings(max_examples=100, deadline=None)
def test_the_same_holdings_in_the_next_poll_are_the_same_structures(contracts: dict[str, int]) -> None:
    rows = [held(symbol, qty, "1.00") for symbol, qty in contracts.items() if qty]
    before = {each.name: each.units for each in found(*rows)}
    assert {each.name: each.units for each in found(*rows, known=tuple(before))} == before


@given(BOOKS, BOOKS)
@settings(max_examples=100, deadline=None)
def test_a_structure_whose_legs_are_all_held_keeps_its_identity_whatever_else_comes(
    contracts: dict[str, int], more: dict[str, int]
) -> None:
    before = {each.name: each.units for each in found(*(held(s, qty, "1.00") for s, qty in contracts.items() if qty))}
    rows = [held(symbol, qty, "1.00") for symbol, qty in (more | contracts).items() if qty]
    after = {each.name: each.units for each in found(*rows, known=tuple(before))}
    assert before.items() <= after.items()


def test_a_leg_that_was_closed_in_part_leaves_a_smaller_structure_and_the_rest_of_the_others_single() -> None:
    rows = [held(symbol, (1 if symbol == call(220) else 2) * ratio, "1.00") for symbol, ratio in CONDOR.items()]
    name = "AAPL-iron_condor-261218-170-180-210-220"
    assert {each.name: each.units for each in found(*rows, known=(name,))} == {name: 1}


def test_a_known_name_whose_legs_are_held_on_other_sides_is_another_structure() -> None:
    (one,) = found(*VERTICAL)
    both_long = (VERTICAL[0], held(call(210), 2, "3.00"))
    assert found(*both_long, known=(one.name,)) == ()


def test_a_symbol_is_in_one_structure_at_most_and_its_rest_is_single() -> None:
    both = (held(call(200), 1, "5.00"), held(call(210), -2, "3.00"), held(call(220), 1, "1.00"))
    assert [each.kind for each in found(*both)] == [StructureKind.BUTTERFLY]
    shared = (held(call(200), 3, "5.00"), held(call(210), -2, "3.00"), held(call(220), 1, "1.00"))
    (butterfly,) = found(*shared)
    rest = rest_of(shared[0], butterfly, cover_of(shared))
    assert rest is not None
    assert (rest.position.qty, rest.structure) == (2, StructureKind.SINGLE)
    assert rest_of(shared[1], butterfly, cover_of(shared)) is None


def test_legs_that_leave_with_a_structure_form_no_new_one_but_may_still_be_in_theirs() -> None:
    (one,) = found(*VERTICAL)
    leaving = (call(200), call(210))
    assert found(*VERTICAL, leaving=leaving) == ()
    assert [each.units for each in found(*VERTICAL, known=(one.name,), leaving=leaving)] == [2]
    assert [each.units for each in found(*VERTICAL, known=(one.name,), leaving=leaving, kept=1)] == [1]
    assert found(*VERTICAL, known=(one.name,), leaving=leaving, kept=2) == ()


def test_an_option_outside_of_structures_is_single_a_covered_call_or_a_short_put() -> None:
    alone = (held(call(200), 1, "5.00"), held(put(180), -1, "2.00"), held("MSFT", 100, "190.00"))
    assert [kind_of(each, cover_of(alone), {}) for each in alone] == [
        StructureKind.SINGLE,
        StructureKind.SHORT_PUT,
        None,
    ]
