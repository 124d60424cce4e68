"""What a run shows of each position at its end: filled, working, ended, refused, not sent."""

from decimal import Decimal

import pytest
from builders import CALL, a_holding, an_order, at, replace
from order_builders import a_request, a_signal

from sellctl.core.model.exit_record import ExitsSince
from sellctl.core.model.plan import DecisionState, Plan, PositionDecision
from sellctl.core.model.view import AccountListing, Mode
from sellctl.core.orders.managed_order import ManagedOrder, ManagedState, Purpose
from sellctl.ui.render import as_cell
from sellctl.ui.runs import AccountRun, run_document, run_rows, working_orders

HELD = replace(a_holding(), position=replace(a_holding().position, qty=Decimal(3)))
SIGNAL = a_signal(CALL, "3")
REQUEST = a_request(SIGNAL, order_id="sellctl-1")
DUE = PositionDecision(HELD, DecisionState.CLOSING, "sell it", signal=SIGNAL, submit=REQUEST, step="1 of 4")
WATCHED = PositionDecision(HELD, DecisionState.WATCHING, "no rule is met")
SENT = ExitsSince(sent=True, why="target +10%")


def a_listing(*decisions: PositionDecision) -> AccountListing:
    return AccountListing("main", mode=Mode.PAPER, plan=Plan("main", at("12:00"), decisions), structures=(), problem="")


def a_run(
    recorded: ExitsSince | None, *, working: str = "", first: PositionDecision = DUE, last: PositionDecision = DUE
) -> AccountRun:
    return AccountRun(
        a_listing(first), a_listing(last), {CALL: recorded} if recorded else {}, {CALL: working} if working else {}
    )


def shown(run: AccountRun) -> tuple[str, ...]:
    """State, what happened and why, of the only position."""
    (row,) = run_rows([run])
    return tuple(as_cell(value).text for value in row[-3:])


def filled(qty: str, price: str | None = "1.53", **more: object) -> ExitsSince:
    amount = None if price is None else Decimal(price)
    return ExitsSince(Decimal(qty), amount, sent=True, why="target +10%", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("recorded", "working", "state", "happened"),
    [
        (filled("3"), "", "closed", "filled at $1.53"),
        (filled("3", None), "", "closed", "filled at an unknown price"),
        (filled("3", None, net=Decimal("-0.80")), "", "closed", "filled at net $0.80 credit"),
        (filled("1"), "sell 2 limit $1.50", "working", "1 of 3 filled at $1.53; sell 2 limit $1.50"),
        (SENT, "sell 3 limit $1.50", "working", "sell 3 limit $1.50"),
        (None, "sell 3 limit $1.50", "working", "sell 3 limit $1.50"),  # an earlier run sent it
        (filled("1"), "", "partly closed", "1 of 3 filled at $1.53"),
        (SENT, "", "not filled", "order ended"),
    ],
)
def test_the_end_of_an_exit_is_shown_and_not_the_order_that_was_planned(
    recorded: ExitsSince | None, working: str, state: str, happened: str
) -> None:
    why = recorded.why if recorded else SIGNAL.sentence
    assert shown(a_run(recorded, working=working)) == (state, happened, why)


def test_a_refused_order_is_shown_with_the_brokers_words() -> None:
    refused = ExitsSince(sent=True, refusal="no such luck", why="target +10%")
    assert shown(a_run(refused)) == ("rejected", "refused", "the broker refused: no such luck; target +10%")


def test_an_order_that_was_planned_and_never_sent_is_not_sent() -> None:
    assert shown(a_run(None)) == ("not sent", "nothing", "sell it")


def test_a_position_without_an_order_is_shown_as_it_was_decided_last() -> None:
    denied = PositionDecision(HELD, DecisionState.DENIED, "not sent: halted (x)", SIGNAL, violations=("halted (x)",))
    assert shown(a_run(None, first=WATCHED, last=denied)) == ("halted", "nothing", "not sent: halted (x)")


def test_an_exit_that_became_due_during_the_run_is_shown_with_its_reason() -> None:
    assert shown(a_run(filled("3"), first=WATCHED, last=WATCHED)) == ("closed", "filled at $1.53", "target +10%")


def test_the_document_keeps_the_planned_order_and_adds_what_became_of_it() -> None:
    (holding,) = run_document([a_run(filled("3"))], "act", "")["plans"][0]["holdings"]
    assert holding["order"]["qty"] == "3"
    outcome = holding["outcome"]
    assert (outcome["result"], outcome["filled"], outcome["filled_price"]) == ("closed", "3", "1.53")
    (quiet,) = run_document([a_run(None, first=WATCHED, last=WATCHED)], "act", "")["plans"][0]["holdings"]
    assert quiet["outcome"] is None


def test_the_orders_that_work_are_named_by_symbol_and_backstops_are_none_of_them() -> None:
    ours = replace(ManagedOrder.of_request(REQUEST, SIGNAL, 1, at=0.0), state=ManagedState.WORKING)
    shown_order = an_order(CALL, client_order_id="sellctl-2")
    adopted = ManagedOrder.of_broker_order(shown_order)
    assert working_orders([ours], ()) == {CALL: "sell 3 limit $0.70"}
    assert working_orders([adopted], [shown_order])[CALL].endswith(", outcome unknown")
    backstop = ManagedOrder("sellctl-b-1", Purpose.BACKSTOP, CALL, ours.legs, Decimal(3))
    assert working_orders([backstop], ()) == {}
