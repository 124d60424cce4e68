"""Which events displays keep."""

from builders import at

from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.ui.recent_events import EVENTS_KEPT, RecentEvents

SOLD = Event(at("12:00"), "3 of 3 at $1.20", "main", kind=EventKind.FILLED)


def test_a_sale_outlives_any_number_of_notices() -> None:
    events = RecentEvents()
    for event in (SOLD, *(Event(at("12:01"), f"stream connected {n}") for n in range(200))):
        events.append(event)
    first, *others = events
    assert first == SOLD
    assert [each.text for each in others] == [f"stream connected {n}" for n in range(201 - EVENTS_KEPT, 200)]


def test_a_stream_that_breaks_and_returns_drops_no_sale_and_its_return_outlives_the_break() -> None:
    events = RecentEvents()
    events.append(SOLD)
    for n in range(EVENTS_KEPT):
        broken = Event(at("12:01"), f"silent {n}", severity=Severity.WARNING, kind=EventKind.DEGRADED)
        events.append(broken)
        events.append(Event(at("12:02"), f"back {n}", kind=EventKind.RECOVERED))
    first, *_, last = events
    assert (first, last.text) == (SOLD, f"back {EVENTS_KEPT - 1}")


def test_without_a_notice_the_oldest_event_is_dropped() -> None:
    events = RecentEvents()
    for n in range(EVENTS_KEPT + 1):
        events.append(Event(at("12:00"), f"warning {n}", severity=Severity.WARNING))
    assert [each.text for each in events] == [f"warning {n}" for n in range(1, EVENTS_KEPT + 1)]
