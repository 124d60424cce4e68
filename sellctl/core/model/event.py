"""Events of an account, as the journal, the log, the notifications, the screen and the API use them."""

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

from sellctl.core.model.instrument import contract_text


class EventKind(StrEnum):
    """The kind of an event; NOTE is anything else."""

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
    """The importance of an event."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"  # the user has to act now


class Event(Struct, frozen=True):
    """One event. `at` is by the broker's clock; `account` and `symbol` are "" when it concerns none.

    `journal_kind` is the kind of the journal entry written for it with `detail`; "" when none is written.
    """

    at: dt.datetime
    text: str
    account: str = ""
    severity: Severity = Severity.INFO
    symbol: str = ""
    kind: EventKind = EventKind.NOTE
    journal_kind: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """Contract or symbol, kind and text as one line."""
        subject = contract_text(self.symbol)
        about = " ".join(word for word in (subject, "" if self.kind is EventKind.NOTE else self.kind.value) if word)
        return f"{about}: {self.text}" if about else self.text
