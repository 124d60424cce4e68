"""Structures of the user: they come before every other, and one that is held in part only is one sentence."""

import pytest
from builders import a_holding, replace
from structure_builders import CONDOR, call, positions, put

from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.position import ExitAfter, Holding
from sellctl.core.structures.held import held_structures
from sellctl.core.structures.named import FoundAccount, NamedStructure, held_names, never_whole, possible_names
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
    assert "one unit has 200 AAPL, and 150 are held" in problem
    assert f"one unit has 3 {call(210)}, and 2 are held" in problem
    assert problem.startswith(f"structure AAPL + {call(210)}: ")


def test_while_it_is_being_closed_what_is_left_of_it_is_no_problem() -> None:
    leaving = {call(220): ExitAfter(VERTICAL, "stop")}
    assert held_names([CALLS], positions({call(220): 1}), leaving).problems == ()


def test_without_known_legs_it_is_not_held() -> None:
    assert held_names([NamedStructure("x", order="my-order")], positions(CONDOR), {}).names == {}
    assert replace(CALLS, name="").title == f"{call(210)} + {call(220)}"


# --- never held as a whole --------------------------------------------------------------------------------------------


def an_account(contracts: dict[str, int], name: str = "main", **more: frozenset[str]) -> FoundAccount:
    return FoundAccount(name, tuple(positions(contracts)), **more)


def only(*symbols: str) -> frozenset[str]:
    return frozenset(symbols)


PART = {call(210): -1}


def test_a_part_that_was_never_the_whole_says_what_is_missing() -> None:
    assert never_whole(CALLS, [an_account(PART)]) == f"{call(220)} is not held"
    ratio = NamedStructure("ratio", ((call(210), 1), (call(220), 2)))
    assert never_whole(ratio, [an_account(CONDOR)]) == f"one unit has 2 {call(220)}, and 1 is held"
    accounts = [an_account(PART), an_account({put(170): 1}, "other")]
    assert never_whole(CALLS, accounts) == f"{call(220)} is not held in account main"


@pytest.mark.parametrize(
    "accounts",
    [
        [],
        [an_account({})],
        [an_account(CONDOR)],
        [an_account(PART), an_account(CONDOR, "other")],
        [an_account(PART, whole=only(VERTICAL))],
        [an_account(PART), an_account({}, "other", whole=only(VERTICAL))],
        [an_account(PART, uncertain=only(""))],
        [an_account(PART, uncertain=only(call(210)))],
        [an_account(PART, uncertain=only(call(220)))],
        [an_account(PART), an_account({}, "other", uncertain=only(call(220)))],
        [an_account(PART, ordered=only(call(220)))],
        [an_account(PART, ordered=only(""))],
    ],
)
def test_none_of_it_all_of_it_and_what_may_be_all_of_it_are_no_mistake(accounts: list[FoundAccount]) -> None:
    assert never_whole(CALLS, accounts) == ""


@pytest.mark.parametrize(
    "account",
    [
        an_account(PART, whole=only("AAPL-vertical-261218-210-230C")),
        an_account(PART, whole=only("AAPL-ratio-261218-210-220x2C")),
        an_account(PART, uncertain=only(put(170)), ordered=only(call(210))),
    ],
)
def test_what_is_known_of_other_legs_excuses_nothing(account: FoundAccount) -> None:
    assert never_whole(CALLS, [account])


def test_what_an_order_opened_was_whole() -> None:
    assert never_whole(replace(CALLS, order="opened-it"), [an_account(PART)]) == ""


# --- the names it may have --------------------------------------------------------------------------------------------


def test_a_structure_whose_sides_are_unknown_may_have_several_names() -> None:
    assert possible_names(CALLS) == {VERTICAL, "AAPL-custom-261218-210C-220C"}
    covered = NamedStructure("", (("AAPL", 1), (call(210), 1)))
    assert possible_names(covered) == {"AAPL-covered_call-261218-210C", "AAPL-custom-shares-261218-210C"}
    many = NamedStructure("", tuple((call(strike), 1) for strike in range(200, 250)))
    assert len(possible_names(many)) == 1
