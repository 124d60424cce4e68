"""Watching in this process: the accounts are read and decided on as `watch --dry-run` does. Nothing is sent or written.

It runs beside the process that holds the accounts: it takes no lock, opens no stream, of which there is one per key,
and leaves requests of other commands to that process.
"""

import asyncio
import datetime as dt
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sellctl.core.errors import JournalError, SellctlError
from sellctl.journal.notes_since import accounts_noted_since
from sellctl.service.garbage_collection import exempt_what_is_loaded

if TYPE_CHECKING:
    from sellctl.bootstrap import Runtime
    from sellctl.mcp_server.accounts import Accounts

SHORTEST_INTERVAL = dt.timedelta(seconds=15)  # the request budget of a key is shared with the process that acts
FLAGS_SECONDS = 0.5
OVERRIDES_SECONDS = 1.0
_OVERRIDES = ("override", "override ended")  # kinds of notes in the journal


@dataclass(slots=True)
class Watching:
    """Keeps the accounts in memory up to date."""

    accounts: "Accounts"
    first_read: asyncio.Event = field(default_factory=asyncio.Event)
    _warming: asyncio.Task[None] | None = None

    @property
    def _runtime(self) -> "Runtime":
        return self.accounts.runtime

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until `stop` is set."""
        self.spread_reads()
        followed = [asyncio.create_task(each) for each in (self._follow_flags(), self._follow_overrides())]
        try:
            await self._runtime.scheduler.watch(stop, self._after_poll)
        finally:
            for task in followed:
                task.cancel()
            if self._warming:
                self._warming.cancel()

    def spread_reads(self) -> None:
        """Read the accounts no more often than SHORTEST_INTERVAL; called again when the configuration has changed."""
        interval = self._runtime.loaded.config.sell_module.check_interval
        self._runtime.scheduler.set_interval(max(interval, SHORTEST_INTERVAL))

    def _after_poll(self, _wait: float) -> None:
        scheduler = self._runtime.scheduler
        if scheduler.problem or all(state.has_polled for state in scheduler.states):
            exempt_what_is_loaded()
            self.first_read.set()
        if self._warming is None or self._warming.done():
            self._warming = asyncio.create_task(self._warm())

    async def _warm(self) -> None:
        """Explain the new plans, account by account, so that no call has to."""
        for _ in self.accounts.warm():
            await asyncio.sleep(0)

    async def _follow_flags(self) -> None:
        """Read the accounts at once when a halt or an exemption is made or ends."""
        before = self._flags()
        while True:
            await asyncio.sleep(FLAGS_SECONDS)
            now = self._flags()
            if now != before:
                before = now
                self._runtime.scheduler.read_at_once(watcher.name for watcher in self._runtime.scheduler.watchers)

    async def _follow_overrides(self) -> None:
        """Take over what other processes set for positions, and read those accounts at once."""
        journal, row, is_known = self._runtime.state.journal, 0, False
        while True:
            with suppress(JournalError):  # while it can't be read, nothing is known to have changed
                accounts, row = await asyncio.to_thread(accounts_noted_since, journal, _OVERRIDES, row)
                if is_known and accounts:
                    self._take_over_overrides(accounts)
                is_known = True
            await asyncio.sleep(OVERRIDES_SECONDS)

    def _take_over_overrides(self, accounts: frozenset[str]) -> None:
        changed = [watcher for watcher in self._runtime.scheduler.watchers if watcher.name in accounts]
        for watcher in changed:
            watcher.follow_overrides()
        self._runtime.scheduler.read_at_once([watcher.name for watcher in changed])

    def _flags(self) -> tuple[str, object]:
        state = self._runtime.state
        try:
            return state.halted(), state.exempt()
        except SellctlError as error:
            return state.halted(), str(error)
