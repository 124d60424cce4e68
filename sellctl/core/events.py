"""Publishes events: each is passed to the listener (log, screen, notifier, API), some also to the journal."""

import datetime as dt
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from sellctl.core.model.event import Event, EventKind, Severity

_LOG = logging.getLogger(__name__)


class EventJournal(Protocol):
    """The part of the journal that events are written to."""

    def note(self, account: str, kind: str, detail: Mapping[str, object]) -> None:
        """Write one entry. JournalError when it can't be written."""


class EventPublisher(Struct, frozen=True):
    """Publishes the events of one account, or of all accounts when `account` is "".

    `now` is the broker's time, or the host's until the broker has answered.
    """

    account: str
    now: Callable[[], dt.datetime]
    listener: Callable[[Event], None]
    journal: EventJournal

    def __call__(  # noqa: PLR0913  each is a field of the event
        self,
        symbol: str,
        kind: EventKind,
        text: str,
        *,
        failed: bool = False,
        critical: bool = False,
        journal_kind: str = "",
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """Publish one event; with `journal_kind`, also write a journal entry of that kind with `detail`.

        `failed`: something that should have worked did not. `critical`: the user has to act. An error of the listener
        is logged and neither stops nor repeats a trade (I9). JournalError when the entry can't be written; the listener
        has already been called then.
        """
        severity = _severity(kind, failed=failed, critical=critical)
        event = Event(self.now(), text, self.account, severity, symbol, kind, journal_kind, detail or {})
        try:
            self.listener(event)
        except Exception:  # noqa: BLE001  a listener may raise anything
            _LOG.exception("A listener failed on: %s", text)
        if journal_kind:
            self.journal.note(self.account, journal_kind, event.detail)


def _severity(kind: EventKind, *, failed: bool, critical: bool) -> Severity:
    if critical:
        return Severity.CRITICAL
    if kind is EventKind.ALERT:
        return Severity.ERROR
    return Severity.WARNING if failed else Severity.INFO
