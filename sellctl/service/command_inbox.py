"""Requests between processes: a holder takes them up within a second, and an asker waits to see that it did."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sellctl.core.scheduler import AccountScheduler
    from sellctl.service.state_folder import StateFolder

CHECK_EVERY_SECONDS = 0.5
TAKEN_UP_WITHIN_SECONDS = 5.0


async def serve(scheduler: "AccountScheduler", state: "StateFolder") -> None:
    """Hand what other commands ask for to the watchers it is meant for, until cancelled."""
    watchers = {watcher.name: watcher for watcher in scheduler.watchers}
    for _ in state.take_requests(tuple(watchers)):
        pass  # asked of a process that has ended: a new one must not act on old wishes
    while True:
        for request in state.take_requests(tuple(watchers)):
            for name in request.accounts:
                if name in watchers:
                    watchers[name].ask(request)
            scheduler.wake()
        await asyncio.sleep(CHECK_EVERY_SECONDS)


def was_taken_up(request: Path) -> bool:
    """Whether the holder took a request up in time; if not, it is withdrawn."""
    ends_at = time.monotonic() + TAKEN_UP_WITHIN_SECONDS
    while request.exists():
        if time.monotonic() > ends_at:
            request.unlink(missing_ok=True)
            return False
        time.sleep(0.05)
    return True
