"""The newest events of a process, as its displays show them: notices make room for exits and alerts."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sellctl.core.model.event import Event, EventKind, Severity

EVENTS_KEPT = 50
_NOTICES = frozenset({EventKind.NOTE, EventKind.ADOPTED})  # unless they are warnings
# They come and go, often several at once, and the last one counts. What is still wrong stands in the account's head.
_PASSING = frozenset({EventKind.DEGRADED, EventKind.RECOVERED})


@dataclass(slots=True)
class RecentEvents:
    """At most EVENTS_KEPT events, oldest first. The oldest notice is dropped before any other event."""

    _events: list[Event] = field(default_factory=list)

    def __iter__(self) -> Iterator[Event]:
        """The events, oldest first."""
        return iter(tuple(self._events))

    def append(self, event: Event) -> None:
        """Add the newest event."""
        if len(self._events) == EVENTS_KEPT:
            oldest_notice = next((place for place, each in enumerate(self._events) if is_notice(each)), 0)
            del self._events[oldest_notice]
        self._events.append(event)


def is_notice(event: Event) -> bool:
    """Whether an event is neither about an exit nor something that went wrong for good."""
    if event.kind in _PASSING:
        return event.severity in {Severity.INFO, Severity.WARNING}
    return event.severity is Severity.INFO and event.kind in _NOTICES
