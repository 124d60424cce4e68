"""Requests of other commands: for symbols and for structures, until what they are for is gone."""

from structure_builders import call

from sellctl.core.manual.verb import Verb
from sellctl.core.watching.manual_requests import CommandRequest, ManualRequests

LOW, HIGH = call(200), call(210)
VERTICAL = "AAPL-vertical-261218-200-210C"


def asking(*names: str) -> ManualRequests:
    requests = ManualRequests()
    for name in names:
        requests.take(CommandRequest("1", Verb.CLOSE, name))
    return requests


def test_a_request_ends_with_its_position_and_one_for_a_structure_with_the_first_of_its_legs() -> None:
    requests = asking(LOW, VERTICAL)
    requests.apply_to(frozenset({LOW, HIGH}), frozenset())
    assert (requests.closing, requests.structures) == ({LOW, VERTICAL}, (VERTICAL,))
    requests.apply_to(frozenset({LOW}), frozenset({HIGH}))  # a list that left it out proves nothing
    assert requests.structures == (VERTICAL,)
    requests.apply_to(frozenset({LOW}), frozenset({LOW}))
    assert requests.closing == {LOW}
    requests.apply_to(frozenset(), frozenset())
    assert requests.closing == frozenset()


def test_the_users_own_name_is_replaced_by_the_one_that_says_the_legs() -> None:
    requests = asking("My-Calls", "my-puts")
    requests.call({VERTICAL: "my-calls", "AAPL-straddle-261218-200": ""})
    assert requests.closing == {VERTICAL, "my-puts"}
    requests.drop([VERTICAL])
    assert requests.closing == {"my-puts"}


def test_a_panic_is_for_every_symbol_and_structures_stay_as_they_were() -> None:
    requests = asking(VERTICAL)
    requests.take(CommandRequest("2", Verb.PANIC))
    requests.apply_to(frozenset({LOW, HIGH}), frozenset())
    assert (requests.panic, requests.closing) == ({LOW, HIGH}, {VERTICAL})
