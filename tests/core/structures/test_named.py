"""Structures of the user: they come before every other, and one that is held in part only is one sentence."""

from builders import a_holding, replace
from structure_builders import CONDOR, call, positions, put

from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.position import ExitAfter, Holding
from sellctl.core.structures.held import held_structures
from sellctl.core.structures.named import NamedStructure, held_names
from sellctl.core.structures.recognition import KINDS

CALLS = NamedStructure("calls", ((call(210), 1), (call(220), 1)))
VERTICAL = "AAPL-vertical-261218-210-220C"


def test_a_structure_of_the_user_has_the_name_of_what_it_is_on_the_sides_that_are_held() -> None:
    assert held_names([CALLS], positions(CONDOR), {}).names == {VERTICAL: "calls"}
    both_long = {call(210): 1, call(220): 1}
    assert held_names([CALLS], positions(both_long), {}).names == {"AAPL-custom-261218-210C-220C": "calls"}


def test_it_comes_before_every_other_and_its_legs_are_in_no_other() -> None:
    holdings = [Holding(position) for position in positions(CONDOR)]
    (condor,) = held_structures(holdings, (), {}, KINDS)
    assert condor.kind is StructureKind.IRON_CONDOR
    names = held_names([CALLS], positions(CONDOR), {}).names
    found = held_structures(holdings, [condor.name], {}, KINDS, first=names)
    assert [each.name for each in found] == [VERTICAL, "AAPL-vertical-261218-170-180P"]


def test_it_is_recognised_whatever_the_kinds_that_are_looked_for() -> None:
    holdings = [a_holding(symbol, "1", short=qty < 0) for symbol, qty in CONDOR.items()]
    names = held_names([CALLS], positions(CONDOR), {}).names
    assert [each.name for each in held_structures(holdings, (), {}, (), first=names)] == [VERTICAL]


def test_a_leg_that_is_not_held_is_one_sentence_and_one_of_which_nothing_is_held_is_none() -> None:
    (problem,) = held_names([CALLS], positions({call(210): -1}), {}).problems
    assert problem.startswith(f"structure calls: {call(220)} is not held; its other legs are treated as if")
    assert held_names([CALLS], positions({put(170): 1}), {}) == held_names([], [], {})


def test_of_two_with_a_common_leg_the_first_counts_and_the_other_is_one_sentence() -> None:
    both = [CALLS, NamedStructure("others", ((call(220), 1), (put(170), 1)))]
    found = held_names(both, positions(CONDOR), {})
    assert list(found.names.values()) == ["calls"]
    assert found.problems == (f"structure others: {call(220)} is a leg of another one that you name before it",)


def test_a_quantity_that_does_not_make_one_unit_is_one_sentence() -> None:
    covered = NamedStructure("", (("AAPL", 2), (call(210), 3)))
    (problem,) = held_names([covered], positions({"AAPL": 150, call(210): -2}), {}).problems
    assert "150 AAPL held are fewer than the 200 of one unit" in problem
    assert f"2 {call(210)} held are fewer than the 3 of one unit" in problem
    assert problem.startswith(f"structure AAPL + {call(210)}: ")


def test_while_it_is_being_closed_what_is_left_of_it_is_no_problem() -> None:
    leaving = {call(220): ExitAfter(VERTICAL, "stop")}
    assert held_names([CALLS], positions({call(220): 1}), leaving).problems == ()


def test_without_known_legs_it_is_not_held() -> None:
    assert held_names([NamedStructure("x", order="my-order")], positions(CONDOR), {}).names == {}
    assert replace(CALLS, name="").title == f"{call(210)} + {call(220)}"
