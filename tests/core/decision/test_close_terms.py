"""What is decided on a request to close a part, at a limit, or at another pace."""

from decimal import Decimal

import pytest
from builders import CALL, a_holding, a_policy, a_snapshot, an_exit, at, our_order, replace

from sellctl.core.decision.engine import decide
from sellctl.core.model.plan import DecisionState, PositionDecision, Reason, Urgency
from sellctl.core.model.position import Holding, PositionState
from sellctl.core.model.snapshot import CloseTerms, Snapshot

NOON = at("12:00")
BEGAN = at("11:59")


def terms(qty: str | None = "2", limit: str | None = None, urgency: Urgency = Urgency.PROTECTIVE) -> CloseTerms:
    parts = {} if qty is None else {CALL: Decimal(qty)}
    return CloseTerms(qty and Decimal(qty), limit and Decimal(limit), urgency, parts, since=BEGAN)


def asked(holding: Holding, of: CloseTerms, **more: object) -> Snapshot:
    snapshot = replace(a_snapshot(holding, **more), manual_closes=frozenset({CALL}))  # type: ignore[arg-type]
    return replace(snapshot, close_terms={CALL: of})


def decided(snapshot: Snapshot) -> PositionDecision:
    (decision,) = decide(snapshot, a_policy()).decisions
    return decision


FIVE = a_holding(CALL, "5", "1.00", bid="1.00", ask="1.02")
DUE = a_holding(CALL, "5", "1.00", bid="1.20", ask="1.22")  # its target is met


def test_as_much_as_was_asked_is_sent() -> None:
    order = decided(asked(FIVE, terms())).submit
    assert order is not None
    assert order.qty == 2


def test_a_fill_that_only_todays_orders_show_counts() -> None:
    filled = replace(our_order(CALL, qty="2", limit="1.00"), filled_qty=Decimal(2), status="filled", filled_at=NOON)
    later = replace(asked(FIVE, terms(), history=(filled,)), positions_at=NOON)
    assert decided(later).submit is None
    assert decided(later).state is DecisionState.WATCHING


def test_a_fill_of_before_the_request_does_not_count() -> None:
    at_ten = at("10:00")
    filled = replace(our_order(CALL, qty="2", limit="1.00"), filled_qty=Decimal(2), status="filled", filled_at=at_ten)
    order = decided(asked(FIVE, terms(), history=(filled,))).submit
    assert order is not None
    assert order.qty == 2


def test_a_more_urgent_part_goes_before_a_target_and_what_is_bound_by_a_limit_waits_for_it() -> None:
    first = decided(asked(DUE, terms())).submit
    assert first is not None
    assert first.qty == 2
    then = decided(asked(DUE, terms(limit="1.30"))).submit
    assert then is not None
    assert then.qty == 5


@pytest.mark.parametrize("urgency", Urgency)
def test_an_order_that_waits_at_the_limit_asked_for_gives_way_to_a_target_once_it_has_worked_for_a_moment(
    urgency: Urgency,
) -> None:
    waiting = our_order(CALL, qty="2", limit="1.30")
    for seconds, cancels in ((1.0, 0), (60.0, 1)):
        progress = replace(an_exit(urgency, seconds=seconds, limit="1.30").exit, reason=Reason.CLOSED_MANUALLY)
        held = replace(DUE, state=PositionState(exit=progress))
        decision = decided(asked(held, terms(limit="1.30", urgency=urgency), orders=(waiting,)))
        assert decision.signal is not None
        assert (decision.signal.reason, len(decision.cancel_first)) == (Reason.TAKE_PROFIT, cancels)


def test_a_panic_takes_all_at_any_price() -> None:
    panic = replace(asked(FIVE, terms(limit="1.30")), panic=frozenset({CALL}))
    decision = decided(panic)
    assert decision.signal is not None
    assert decision.submit is not None
    assert (decision.signal.reason, decision.submit.qty) == (Reason.PANIC, 5)


def test_the_patience_is_the_urgency_of_the_exit() -> None:
    for urgency in Urgency:
        signal = decided(asked(FIVE, terms(urgency=urgency))).signal
        assert signal is not None
        assert signal.urgency is urgency
