"""One event reaches the listener and, as evidence, the journal."""

import datetime as dt

import pytest
from shell_fakes import FakeJournal

from sellctl.core.errors import JournalError
from sellctl.core.events import EventPublisher
from sellctl.core.model.event import Event, EventKind, Severity

NOON = dt.datetime(2026, 11, 24, 17, tzinfo=dt.UTC)


def a_publisher(heard: list[Event], journal: FakeJournal | None = None) -> EventPublisher:
    return EventPublisher("main", lambda: NOON, heard.append, journal or FakeJournal())


def test_an_event_carries_the_brokers_time_and_its_account() -> None:
    heard: list[Event] = []
    a_publisher(heard)("AAPL", EventKind.SENT, "sell 1 limit $1.00")
    (event,) = heard
    assert event == Event(NOON, "sell 1 limit $1.00", "main", Severity.INFO, "AAPL", EventKind.SENT)
    assert event.sentence == "AAPL sent: sell 1 limit $1.00"


@pytest.mark.parametrize(
    ("kind", "flags", "severity"),
    [
        (EventKind.NOTE, {}, Severity.INFO),
        (EventKind.DEGRADED, {"failed": True}, Severity.WARNING),
        (EventKind.ALERT, {}, Severity.ERROR),
        (EventKind.ALERT, {"failed": True}, Severity.ERROR),
        (EventKind.BLOCKED, {"critical": True}, Severity.CRITICAL),
        (EventKind.ALERT, {"critical": True}, Severity.CRITICAL),
    ],
)
def test_how_much_an_event_matters(kind: EventKind, flags: dict[str, bool], severity: Severity) -> None:
    heard: list[Event] = []
    a_publisher(heard)("", kind, "text", failed=flags.get("failed", False), critical=flags.get("critical", False))
    assert heard[0].severity is severity


def test_evidence_is_heard_and_noted_in_one_call() -> None:
    heard: list[Event] = []
    journal = FakeJournal()
    a_publisher(heard, journal)("", EventKind.ALERT, "loss", journal_kind="account_guard", detail={"sentence": "loss"})
    assert journal.notes == [("main", "account_guard", {"sentence": "loss"})]
    assert (heard[0].journal_kind, heard[0].detail) == ("account_guard", {"sentence": "loss"})


def test_what_is_no_evidence_is_not_written() -> None:
    journal = FakeJournal()
    a_publisher([], journal)("", EventKind.NOTE, "hello", detail={"much": "more"})
    assert journal.notes == []


def test_evidence_that_can_not_be_written_is_heard_all_the_same_and_raises() -> None:
    heard: list[Event] = []
    journal = FakeJournal()
    journal.fails = JournalError("the disk is full")
    with pytest.raises(JournalError):
        a_publisher(heard, journal)("", EventKind.ALERT, "loss", journal_kind="account_guard")
    assert [event.text for event in heard] == ["loss"]


def test_a_listener_that_fails_does_not_reach_who_publishes(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_event: Event) -> None:
        raise RuntimeError("no room on the screen")

    journal = FakeJournal()
    EventPublisher("main", lambda: NOON, broken, journal)("AAPL", EventKind.SENT, "sell 1", journal_kind="request")
    assert "A listener failed on: sell 1" in caplog.text
    assert len(journal.notes) == 1
