"""What the metrics count and measure, and under which labels."""

import asyncio

import pytest
from shell_fakes import FakeClock
from telemetry_desk import Account, Desk

from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.core.ports import RequestMade
from sellctl.telemetry.facts import Fact
from sellctl.telemetry.recorder import Recorder

MAIN = (("account", "main"),)


@pytest.fixture
def account() -> Account:
    return Account()


def test_each_poll_is_counted_and_the_age_of_its_view_grows_until_the_next(account: Account) -> None:
    account.polled(due=False)
    account.polled(due=False)
    assert account.desk.metric("sellctl.polls") == {MAIN: 2}
    assert account.desk.metric("sellctl.positions") == {MAIN: 1}
    before = account.desk.metric("sellctl.view.age")[MAIN]
    account.later(7)
    assert account.desk.metric("sellctl.view.age")[MAIN] == pytest.approx(before + 7)


def test_a_collection_has_the_duration_of_each_poll_until_then(account: Account) -> None:
    account.polled(due=False)
    assert account.desk.metric("sellctl.poll.duration") == {MAIN: (1, 0.0)}
    account.polled(due=False)
    account.polled(due=False)
    assert account.desk.metric("sellctl.poll.duration") == {MAIN: (3, 0.0)}


def test_a_view_has_no_age_while_the_market_is_closed(account: Account) -> None:
    account.polled(due=False)
    account.desk.broker.is_open = False
    asyncio.run(account.desk.market_clock.read())
    assert account.desk.metric("sellctl.view.age") == {}


def test_requests_are_counted_by_operation_and_outcome_and_those_of_orders_are_timed(account: Account) -> None:
    for outcome in ("ok", "ok", "unknown"):
        account.desk.telemetry.requested(RequestMade("main", "read", outcome, 0.1))
    account.desk.telemetry.requested(RequestMade("main", "cancel", "ok", 0.2))
    counts = account.desk.metric("sellctl.requests")
    assert counts[(*MAIN, ("operation", "read"), ("outcome", "ok"))] == 2
    assert counts[(*MAIN, ("operation", "read"), ("outcome", "unknown"))] == 1
    assert account.desk.metric("sellctl.request.duration") == {(("operation", "cancel"),): (1, 0.2)}


def test_the_budget_is_that_of_each_key(account: Account) -> None:
    account.desk.budgets[("main", "data")] = 12
    assert account.desk.metric("sellctl.budget.left") == {
        (*MAIN, ("api", "trading")): 170,
        (*MAIN, ("api", "data")): 12,
    }


@pytest.mark.parametrize(
    ("kind", "metric"), [(EventKind.DENIED, "sellctl.denials"), (EventKind.REJECTED, "sellctl.rejects")]
)
def test_denials_and_rejects_are_events_counted_by_themselves(account: Account, kind: EventKind, metric: str) -> None:
    listen = account.desk.telemetry.listening(account.desk.events.append)
    event = Event(account.desk.clock.now(), "not sent", "main", Severity.WARNING, "AAPL", kind)
    listen(event)
    assert account.desk.events == [event]
    assert account.desk.metric(metric) == {MAIN: 1}
    labels = (*MAIN, ("kind", kind.value), ("severity", "warning"))
    assert account.desk.metric("sellctl.events") == {labels: 1}


def test_a_change_of_a_lease_is_counted(account: Account) -> None:
    account.desk.telemetry.lease_changed("main", "won")
    assert account.desk.metric("sellctl.lease.changes") == {(*MAIN, ("change", "won")): 1}


def test_what_is_wrong_with_the_collector_is_published_with_the_next_plan_and_without_secrets() -> None:
    account = Account(Desk(redact=lambda text: text.replace("CANARY", "[redacted]")))
    account.desk.news.append("telemetry can't be sent to CANARY")
    assert not account.desk.events
    account.polled(due=False)
    assert [event.sentence for event in account.desk.events] == ["telemetry can't be sent to [redacted]"]


def test_a_full_queue_drops_its_oldest_facts_and_counts_them() -> None:
    recorder, seen = Recorder(FakeClock().monotonic, most=3), list[Fact]()
    facts = [RequestMade("main", "read", "ok", float(number)) for number in range(5)]
    for fact in facts:
        recorder.put(fact)
    assert recorder.dropped == 2
    recorder.start(lambda _at, fact: seen.append(fact))
    recorder.stop()
    assert seen == facts[2:]
