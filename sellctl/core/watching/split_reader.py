"""Asks the broker once a day for the splits of the stocks that are held or have held options; no order waits for it."""

import asyncio
import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

from sellctl.core.errors import BrokerError
from sellctl.core.events import EventPublisher
from sellctl.core.model.event import EventKind
from sellctl.core.ports import Clock, CorporateActions
from sellctl.core.tracking.splits import SplitsOfDay

ASK_AGAIN_SECONDS = 60.0  # after a failure


@dataclass(slots=True)
class SplitReader:
    """Fills `splits` with the broker's answers, one request at a time, in the background."""

    source: CorporateActions
    splits: SplitsOfDay
    clock: Clock
    publish: EventPublisher
    _task: asyncio.Task[None] | None = None
    _not_before: float = field(default=float("-inf"))
    _problem: str = ""

    @property
    def is_asking(self) -> bool:
        """Whether an answer is still to come."""
        return self._task is not None and not self._task.done()

    def ask(self, stocks: Iterable[str], today: dt.date) -> None:
        """Ask for those of the stocks without an answer today, unless a request is under way or has just failed."""
        self.splits.begin(today)
        missing = self.splits.missing(stocks)
        if missing and not self.is_asking and self.clock.monotonic() >= self._not_before:
            self.splits.is_asked = True
            self._task = asyncio.create_task(self._ask(missing, today))

    def stop(self) -> None:
        """Abandon a request that is under way."""
        if self._task is not None:
            self._task.cancel()

    async def _ask(self, missing: frozenset[str], today: dt.date) -> None:
        try:
            found = await self.source.splits(sorted(missing), today)
        except Exception as error:  # noqa: BLE001  a bug here must not be repeated at every poll, and untold
            self._not_before = self.clock.monotonic() + ASK_AGAIN_SECONDS
            self._report(error.sentence if isinstance(error, BrokerError) else f"internal error: {error!r}")
            return
        finally:
            self.splits.is_asked = False
        if self.splits.day == today:
            self.splits.answered(missing, found)
        self._report("")

    def _report(self, problem: str) -> None:
        """Publish a failure once until an answer comes."""
        before, self._problem = self._problem, problem
        if problem and not before:
            consequence = "a price that moves over night by exactly one suspends its rules"
            text = f"today's splits are unknown; {consequence} ({problem})"
            self.publish("", EventKind.DEGRADED, text, failed=True)
        elif before and not problem:
            self.publish("", EventKind.RECOVERED, "today's splits are known again")
