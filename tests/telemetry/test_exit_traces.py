"""One trace per exit: its spans, their times, and what never reaches them."""

import asyncio
from decimal import Decimal

import pytest
from builders import CALL, an_order, replace
from order_builders import A_BACKSTOP, a_backstop_request, a_signal
from telemetry_desk import FIRST, SECOND, Account, Desk, as_tree, seconds

from sellctl.core.decision.backstop import as_signal
from sellctl.core.model.intent import IntendedOrder
from sellctl.core.model.plan import CancelOrder, Reason
from sellctl.core.model.position import Prices
from sellctl.core.ports import RequestMade


@pytest.fixture
def account() -> Account:
    return Account()


def test_an_exit_is_one_trace_from_its_quote_to_its_fill(account: Account) -> None:
    account.quoted("0.70", "0.72")
    account.later(0.004)
    account.intend()
    account.accepted()
    account.later(1.5)
    account.filled("10", "0.70")
    account.ended("filled")
    assert as_tree(account.desk.spans) == [
        "exit",
        "  quote",
        "  decision",
        "  order",
        "    intent",
        "    request",
        "    fill",
    ]
    assert len({span.context.trace_id for span in account.desk.spans if span.context}) == 1
    assert seconds(account.desk.span("decision")) == 0.004
    assert seconds(account.desk.span("request")) == 0.08
    assert seconds(account.desk.span("exit")) == 1.584
    attributes = account.desk.span("exit").attributes or {}
    assert attributes["sellctl.account"] == "main"
    assert attributes["sellctl.symbol"] == CALL
    assert attributes["sellctl.reason"] == "stop_loss"
    assert attributes["sellctl.result"] == "filled"


def test_a_stop_shows_the_time_between_the_quotes_that_confirm_it(account: Account) -> None:
    account.quoted("0.70", "0.72")
    account.later(1.6)
    account.quoted("0.69", "0.71")
    account.intend()
    account.accepted()
    account.filled("10", "0.69")
    account.ended("filled")
    assert seconds(account.desk.span("confirmation")) == 1.6
    assert account.desk.span("confirmation").start_time == account.desk.span("exit").start_time
    assert account.desk.span("quote").start_time == account.desk.span("confirmation").end_time


def test_a_target_waits_for_no_confirmation(account: Account) -> None:
    account.signal = a_signal(reason=Reason.TAKE_PROFIT)
    account.quoted("1.20", "1.22")
    account.later(1.6)
    account.quoted("1.21", "1.23")
    account.intend()
    account.desk.telemetry.close()
    assert "  confirmation" not in as_tree(account.desk.spans)


def test_each_order_of_the_walk_is_a_span_with_its_request(account: Account) -> None:
    account.quoted("0.70", "0.72")
    account.intend()
    account.accepted()
    account.filled("4", "0.71")
    account.ended("canceled")
    account.polled(due=True)
    account.later(6)
    account.intend(SECOND, step=2)
    account.accepted(SECOND)
    account.filled("6", "0.70", SECOND)
    account.ended("filled", SECOND)
    assert [line for line in as_tree(account.desk.spans) if line.strip() in {"exit", "order", "request", "fill"}] == [
        "exit",
        "  order",
        "    request",
        "    fill",
        "  order",
        "    request",
        "    fill",
    ]
    orders = [span.attributes or {} for span in account.desk.spans if span.name == "order"]
    assert [(each["sellctl.step"], each["sellctl.result"]) for each in orders] == [(1, "canceled"), (2, "filled")]


def test_a_refused_order_is_an_error_and_the_exit_goes_on(account: Account) -> None:
    account.intend()
    account.requested(outcome="rejected")
    account.ended("refused")
    account.intend(SECOND)
    account.accepted(SECOND)
    account.filled("10", "0.70", SECOND)
    account.ended("filled", SECOND)
    first, second = (span for span in account.desk.spans if span.name == "order")
    assert (first.status.is_ok, second.status.is_ok) == (False, True)
    assert as_tree(account.desk.spans).count("exit") == 1


def test_an_exit_that_is_not_due_any_more_ends_with_the_next_poll(account: Account) -> None:
    account.intend()
    account.accepted()
    account.ended("canceled")
    account.polled(due=True)
    assert not [span for span in account.desk.spans if span.name == "exit"]
    account.polled(due=False)
    assert (account.desk.span("exit").attributes or {})["sellctl.result"] == "not filled"


def test_an_exit_under_way_ends_with_the_process(account: Account) -> None:
    account.intend()
    account.accepted()
    account.desk.telemetry.close()
    assert (account.desk.span("order").attributes or {})["sellctl.result"] == "working"
    assert (account.desk.span("exit").attributes or {})["sellctl.result"] == "working"


def test_a_cancel_is_an_event_of_its_order(account: Account) -> None:
    account.intend()
    account.accepted()
    account.intend(SECOND, cancels=(CancelOrder(an_order(client_order_id=FIRST), "to reprice"),))
    account.desk.telemetry.close()
    first = next(span for span in account.desk.spans if span.name == "order")
    assert [event.name for event in first.events] == ["accepted", "cancel"]


def test_a_backstop_is_no_exit(account: Account) -> None:
    holding = account.signal.holding
    order = IntendedOrder(a_backstop_request(), {}, as_signal(holding, "backstop: stop at $0.40"), 1)
    asyncio.run(account.desk.journal.intend("main", [order], ()))
    account.filled("10", "0.39", A_BACKSTOP)
    account.desk.telemetry.close()
    assert as_tree(account.desk.spans) == ["fill"]


def test_a_fill_of_an_earlier_process_has_a_trace_of_its_own(account: Account) -> None:
    account.filled("10", "0.70")
    assert as_tree(account.desk.spans) == ["fill"]
    assert (account.desk.span("fill").attributes or {})["sellctl.symbol"] == CALL


def test_no_span_has_a_secret_or_the_number_of_an_account() -> None:
    account = Account(Desk(redact=lambda text: text.replace("CANARY", "[redacted]")))
    account.signal = replace(a_signal(), detail="because of CANARY", strategy="CANARY")
    account.intend()
    account.polled(due=True)
    account.desk.telemetry.close()
    told = " ".join(span.to_json() for span in account.desk.spans)
    assert "[redacted]" in told
    assert "CANARY" not in told
    assert "PA1SECRET" not in told


def test_the_metrics_of_an_exit_have_its_latency_its_duration_and_its_slippage(account: Account) -> None:
    prices = Prices(Decimal("0.70"), Decimal("0.72"), "")
    account.signal = replace(a_signal(), holding=replace(account.signal.holding, prices=prices))
    account.quoted("0.70", "0.72")
    account.later(0.02)
    account.intend()
    account.accepted()
    account.later(2)
    account.filled("10", "0.70")
    account.ended("filled")
    labels = (("account", "main"), ("reason", "stop_loss"))
    assert account.desk.metric("sellctl.exit.latency") == {labels: (1, 0.1)}
    assert account.desk.metric("sellctl.exit.duration") == {labels: (1, 2.1)}
    assert account.desk.metric("sellctl.exit.slippage") == {labels: (1, pytest.approx(0.01 / 0.71, abs=1e-6))}
    assert account.desk.metric("sellctl.exits") == {(*labels, ("result", "filled")): 1}


def test_what_fails_inside_telemetry_reaches_nobody(account: Account) -> None:
    account.desk.telemetry.requested(RequestMade("main", "submit", "ok", None, FIRST))  # type: ignore[arg-type]
    account.desk.journal.outcome("main", FIRST, "filled", {})
    account.intend()
    account.accepted()
    account.desk.telemetry.close()
    assert as_tree(account.desk.spans)[0] == "exit"
