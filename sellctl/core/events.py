"""Where one account's events go: to whoever listens (log, screen, notifications), stamped with the broker's time."""

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass

from sellctl.core.model.event import Event, EventKind, Severity


@dataclass(frozen=True, slots=True)
class EventPublisher:
    """Makes events of one account and hands them on."""

    account: str
    now: Callable[[], dt.datetime]
    listener: Callable[[Event], None]

    def __call__(
        self, symbol: str, kind: EventKind, text: str, *, failed: bool = False, critical: bool = False
    ) -> None:
        """One event; `failed` when something that should have worked did not, `critical` when a person has to act."""
        severity = Severity.ERROR if kind is EventKind.ALERT else Severity.WARNING if failed else Severity.INFO
        severity = Severity.CRITICAL if critical else severity
        try:
            self.listener(Event(self.now(), text, self.account, severity, symbol, kind))
        except Exception:  # whoever listens, a failure there neither blocks nor repeats a trade (I9)
            logging.getLogger(__name__).exception("A listener failed on: %s", text)
