"""Nothing is sent for an account whose lease isn't certain in that instant, and every intent carries its number."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from builders import our_order
from order_desk import TIMED_OUT, Desk

from sellctl.core.errors import LeaseLostError
from sellctl.core.leases.fencing import lost


@dataclass
class Permit:
    """Allows everything until a test says otherwise. `asked` is called at each question about a request."""

    fence: int = 7
    ended: bool = False
    yielding: bool = False
    asked: Callable[[], object] = lambda: None
    questions: list[str] = field(default_factory=list)

    def begin(self) -> int | None:
        self.questions.append("begin")
        if self.ended or self.yielding:
            raise lost("main")
        return self.fence

    def require(self) -> None:
        self.questions.append("require")
        self.asked()
        if self.ended:
            raise lost("main")


def test_an_intent_carries_the_fencing_number_and_the_order_follows_it() -> None:
    desk = Desk(permit=Permit())
    desk.send()
    assert desk.journal.fences == [7]
    assert desk.broker.requests == ["submit 10"]


def test_without_leases_an_intent_has_no_fencing_number() -> None:
    desk = Desk()
    desk.send()
    assert desk.journal.fences == [None]


@pytest.mark.parametrize("permit", [Permit(ended=True), Permit(yielding=True)])
def test_without_a_lease_nothing_is_recorded_and_nothing_sent(permit: Permit) -> None:
    desk = Desk(permit=permit)
    with pytest.raises(LeaseLostError):
        desk.send()
    assert (desk.journal.rows, desk.broker.requests) == ([], [])


def test_an_order_whose_lease_ends_while_its_intent_is_recorded_is_not_sent() -> None:
    permit = Permit()
    permit.asked = lambda: setattr(permit, "ended", True)
    desk = Desk(permit=permit)
    with pytest.raises(LeaseLostError):
        desk.send()
    assert desk.broker.requests == []
    assert [kind for kind, _ in desk.journal.rows] == ["intent"]


def test_what_was_recorded_before_an_account_is_handed_over_is_still_sent() -> None:
    permit = Permit()
    permit.asked = lambda: setattr(permit, "yielding", True)
    desk = Desk(permit=permit)
    desk.send()
    assert desk.broker.requests == ["submit 10"]


def test_a_cancel_needs_the_lease_too() -> None:
    permit = Permit()
    desk = Desk(permit=permit)
    desk.send()
    permit.asked = lambda: setattr(permit, "ended", True)
    with pytest.raises(LeaseLostError):
        desk.cancel(our_order())
    assert "cancel" not in desk.broker.requests


def test_an_order_is_not_sent_again_without_the_lease() -> None:
    permit = Permit()
    desk = Desk(permit=permit)
    desk.broker.answers = [TIMED_OUT]
    desk.send()
    permit.ended = True
    with pytest.raises(LeaseLostError):
        desk.settle(seconds=6)
    assert desk.broker.requests.count("submit 10") == 1
    assert "absent" not in [kind for kind, _ in desk.journal.rows]
