"""What happened in an account: one value for the journal, the log, the notifications, the screen and the API."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class EventKind(StrEnum):
    """What an event is about; NOTE is anything else."""

    SENT = "sent"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"
    DENIED = "denied"
    ADOPTED = "adopted"
    HALTED = "halted"
    DEGRADED = "degraded"
    RECOVERED = "recovered"
    ALERT = "alert"
    NOTE = "note"


class Severity(StrEnum):
    """How much an event matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"  # a person has to act now


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `at` is the broker's clock; `account` and `symbol` are "" when none is meant.

    `evidence` is the kind of the journal's note that records it with `detail`; "" when the journal need not know.
    """

    at: dt.datetime
    text: str
    account: str = ""
    severity: Severity = Severity.INFO
    symbol: str = ""
    kind: EventKind = EventKind.NOTE
    evidence: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """Symbol, kind and text as one line."""
        about = " ".join(word for word in (self.symbol, "" if self.kind is EventKind.NOTE else self.kind.value) if word)
        return f"{about}: {self.text}" if about else self.text
