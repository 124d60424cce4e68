"""Watching in this process: the accounts are read and decided on as `watch --dry-run` does. Nothing is sent or written.

It runs beside the process that holds the accounts: it takes no lock, opens no stream, of which there is one per key,
and leaves requests of other commands to that process.
"""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sellctl.service.garbage_collection import exempt_what_is_loaded
from sellctl.service.observing import observe, spread

if TYPE_CHECKING:
    from sellctl.bootstrap import Runtime
    from sellctl.mcp_server.accounts import Accounts


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
        observing = asyncio.create_task(observe(self._runtime.scheduler, self._runtime.state))
        try:
            await self._runtime.scheduler.watch(stop, self._after_poll)
        finally:
            observing.cancel()
            if self._warming:
                self._warming.cancel()

    def spread_reads(self) -> None:
        """Read the accounts seldom (observing.spread); called again when the configuration has changed."""
        self._runtime.scheduler.set_interval(spread(self._runtime.loaded.config.sell_module.check_interval))

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
