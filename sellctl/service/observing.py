"""What a process that only observes follows: it reads and decides as `watch --dry-run` does, and sends nothing.

It runs beside the processes that act: it takes no lock and leaves their requests to them.
"""

import asyncio
import datetime as dt
from contextlib import suppress
from typing import TYPE_CHECKING

from sellctl.core.errors import JournalError, SellctlError
from sellctl.service.command_inbox import flags_of
from sellctl.service.hosts import SharedHalt

if TYPE_CHECKING:
    from sellctl.core.scheduler import AccountScheduler
    from sellctl.service.state_folder import StateFolder

SHORTEST_INTERVAL = dt.timedelta(seconds=15)  # the request budget of a key is shared with the process that acts
FLAGS_SECONDS = 0.5
OVERRIDES_SECONDS = 1.0
_OVERRIDES = ("override", "override ended")  # kinds of notes in the journal


def spread(interval: dt.timedelta) -> dt.timedelta:
    """How often the accounts are read: every `interval`, but no more often than SHORTEST_INTERVAL."""
    return max(interval, SHORTEST_INTERVAL)


async def observe(scheduler: "AccountScheduler", state: "StateFolder", halt: SharedHalt | None = None) -> None:
    """Follow what other processes change until this is cancelled: halts, exemptions, and what is set for positions.

    With a `halt` of this machine, the hosts are told of it, and it ends when it is lifted anywhere.
    """
    await asyncio.gather(_follow_flags(scheduler, state, halt), _follow_overrides(scheduler, state))


async def _follow_flags(scheduler: "AccountScheduler", state: "StateFolder", halt: SharedHalt | None) -> None:
    """Read the accounts at once when a halt or an exemption is made or ends."""
    before = flags_of(state)
    while True:
        await asyncio.sleep(FLAGS_SECONDS)
        with suppress(SellctlError):  # while the database doesn't answer, what is known stays
            await asyncio.to_thread(state.look_at_shared, acts=False, keep=True)
            if halt is not None:
                await halt.share()
        now = flags_of(state)
        if now != before:
            before = now
            scheduler.read_at_once([watcher.name for watcher in scheduler.watchers])


async def _follow_overrides(scheduler: "AccountScheduler", state: "StateFolder") -> None:
    """Take over what other processes set for positions, and read those accounts at once."""
    from sellctl.journal.notes_since import accounts_noted_since  # noqa: PLC0415  loads SQLAlchemy

    row, is_known = 0, False
    while True:
        with suppress(JournalError):  # while it can't be read, nothing is known to have changed
            accounts, row = await asyncio.to_thread(accounts_noted_since, state.journal, _OVERRIDES, row)
            if is_known and accounts:
                _take_over_overrides(scheduler, accounts)
            is_known = True
        await asyncio.sleep(OVERRIDES_SECONDS)


def _take_over_overrides(scheduler: "AccountScheduler", accounts: frozenset[str]) -> None:
    changed = [watcher for watcher in scheduler.watchers if watcher.name in accounts]
    for watcher in changed:
        watcher.follow_overrides()
    scheduler.read_at_once([watcher.name for watcher in changed])
