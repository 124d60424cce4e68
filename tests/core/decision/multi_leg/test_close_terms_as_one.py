"""A structure that is closed in part, or at a net limit: only as one order, never beyond the limit."""

import datetime as dt
from decimal import Decimal

import pytest
from builders import replace
from one_order_builders import LONG, SHORT, VERTICAL, a_credit, a_debit, a_scene, decided, ruled, sent
from structure_builders import a_multi_leg_order

from sellctl.core.model.plan import DecisionState, Urgency
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import CloseTerms, Snapshot
from sellctl.core.watching.manual_requests import ExitTerms, Patience

QUIET = ruled(exit_at=dt.time(15))  # no rule is due at noon


def asked(*legs: Holding, of: ExitTerms, **more: object) -> Snapshot:
    snapshot = a_scene(*legs, manual_closes=frozenset({VERTICAL}), **more)
    terms: CloseTerms = replace(of.of(VERTICAL), since=snapshot.market.now)
    return replace(snapshot, close_terms={VERTICAL: terms})


def test_one_unit_of_two_leaves_as_one_order() -> None:
    (order,) = sent(asked(*a_debit(), of=ExitTerms(Decimal(1))), QUIET)
    assert (order.qty, set(order.symbols)) == (1, {LONG, SHORT})


@pytest.mark.parametrize("patience", list(Patience))
def test_a_net_limit_is_the_least_credit_and_the_most_debit(patience: Patience) -> None:
    (debit,) = sent(asked(*a_debit(), of=ExitTerms(None, Decimal("4.50"), patience)), QUIET)
    assert debit.limit_price == Decimal("-4.50")
    (credit,) = sent(asked(*a_credit(), of=ExitTerms(None, Decimal("3.50"), patience)), QUIET)
    assert credit.limit_price == Decimal("3.50")


def test_a_net_limit_is_refused_where_the_structure_would_leave_by_legs() -> None:
    decisions = decided(asked(*a_debit(), of=ExitTerms(None, Decimal("4.50")), level=2), QUIET)
    assert {each.state for each in decisions.values()} == {DecisionState.DENIED}
    assert all("a net limit needs one order for all legs: " in each.sentence for each in decisions.values())


def test_an_order_for_more_units_or_beyond_the_limit_is_cancelled_first() -> None:
    working = a_multi_leg_order({LONG: 1, SHORT: -1}, "2", limit="-3.95", client_order_id="sellctl-abc")
    for terms, why in (
        (ExitTerms(Decimal(1)), "because it closes more than was asked for"),
        (ExitTerms(None, Decimal("4.50")), "because it may fill beyond the limit that was asked for"),
    ):
        decisions = decided(asked(*a_debit(), of=terms, orders=(working,)), QUIET)
        assert [cancel.why for each in decisions.values() for cancel in each.cancel_first] == [why]


def test_each_leg_with_a_limit_of_its_own_leaves_by_itself() -> None:
    snapshot = a_scene(*a_debit(), manual_closes=frozenset({LONG, SHORT}))
    limited = CloseTerms(None, Decimal("9.00"), Urgency.PROTECTIVE, since=snapshot.market.now)
    orders = sent(replace(snapshot, close_terms={SHORT: limited}), QUIET)
    assert [order.symbols for order in orders] == [(SHORT,)]
