import datetime as dt

import pytest
from builders import CALL, a_holding, a_policy, a_snapshot, an_order, our_order, replace, the_decision
from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.decision.engine import decide
from sellctl.core.model.order import OUR_PREFIX, STATE_OF_STATUS, OrderState
from sellctl.core.model.plan import DecisionState
from sellctl.core.orders.client_order_ids import attempt_number, client_order_id

DAY = dt.date(2026, 11, 24)
FACTS = st.tuples(st.from_regex(r"[A-Z0-9]{3,9}", fullmatch=True), st.sampled_from([CALL, "AAPL"]), st.dates())


def test_the_id_is_a_function_of_facts_that_the_broker_shows() -> None:
    assert client_order_id("PA1", CALL, DAY, 1) == client_order_id("PA1", CALL, DAY, 1)
    assert client_order_id("PA1", CALL, DAY, 1) == "sellctl-0df80098941a0eef99b28fb590c867ae"  # never change this


@given(one=FACTS, n=st.integers(1, 99), other=FACTS, m=st.integers(1, 99))
def test_other_facts_make_another_id(
    one: tuple[str, str, dt.date], n: int, other: tuple[str, str, dt.date], m: int
) -> None:
    assert (client_order_id(*one, n) == client_order_id(*other, m)) == ((one, n) == (other, m))


@given(one=FACTS, n=st.integers(1, 99))
def test_the_id_fits_what_the_broker_takes(one: tuple[str, str, dt.date], n: int) -> None:
    name = client_order_id(*one, n)
    assert name.startswith(OUR_PREFIX)
    assert len(name) <= 128
    assert name.isascii()


def test_the_attempt_counts_our_terminal_orders_only() -> None:
    orders = [
        our_order(status="canceled"),
        our_order(status="filled"),
        our_order(status="new"),
        our_order(status="pending_cancel"),
        our_order(status="a_status_of_tomorrow"),
        an_order(status="filled"),
    ]
    assert attempt_number(orders, (CALL,)) == 3
    assert attempt_number([], (CALL,)) == 1


@pytest.mark.parametrize("status", sorted(STATE_OF_STATUS))
def test_the_next_attempt_waits_until_the_one_before_is_terminal(status: str) -> None:
    target = a_holding(bid="1.10", ask="1.12")
    before = replace(our_order(), status=status)
    decision = the_decision(a_snapshot(target, history=(before,)))
    assert (decision.submit is not None) is (before.state is OrderState.TERMINAL)


def test_an_order_of_ours_that_only_todays_orders_show_is_still_working() -> None:
    decision = the_decision(a_snapshot(a_holding(bid="1.10", ask="1.12"), history=(our_order(),)))
    assert decision.state is DecisionState.DENIED
    assert decision.violations == ("an order of ours is still working (new)",)


def test_without_todays_orders_the_symbol_is_named_and_with_them_it_is_not() -> None:
    due, quiet = a_holding(bid="1.10", ask="1.12"), a_holding("AAPL", "1")
    unknown = a_snapshot(due, quiet, history=None)
    assert decide(unknown, a_policy()).needs_history == {CALL}
    known = unknown.with_history({CALL: ()})
    assert decide(known, a_policy()).needs_history == frozenset()


def test_two_watchers_that_see_the_same_send_the_same_id() -> None:
    snapshot = a_snapshot(a_holding(bid="1.10", ask="1.12"), history=(our_order(status="canceled"),))
    one, other = the_decision(snapshot), the_decision(snapshot)
    assert one.submit is not None
    assert one.submit == other.submit
    assert one.submit.client_order_id == client_order_id("PA1", CALL, DAY, 2)
