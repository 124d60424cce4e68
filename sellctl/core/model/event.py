"""What happened, as a person reads it: one value a line of the log, the screen and the notification."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What an event is about."""

    SENT = "sent"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"
    DENIED = "denied"
    ADOPTED = "adopted"
    DEGRADED = "degraded"
    RECOVERED = "recovered"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in one account. `at` is the broker's clock; `symbol` is "" when no symbol is meant."""

    at: dt.datetime
    account: str
    symbol: str
    kind: Kind
    text: str
    failed: bool = False  # whether something that should have worked did not
