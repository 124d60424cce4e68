"""Requests between processes: the process that holds an account carries them out within a second.

So it does for a halt and an exemption, which are flags in the state folder.
"""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sellctl.core.scheduler import AccountScheduler
    from sellctl.service.state_folder import StateFolder

CHECK_EVERY_SECONDS = 0.5
ACCEPTED_WITHIN_SECONDS = 5.0


async def serve(scheduler: "AccountScheduler", state: "StateFolder") -> None:
    """Pass requests from other commands to the watchers of their accounts, until cancelled."""
    watchers = {watcher.name: watcher for watcher in scheduler.watchers}
    for _ in state.take_requests(tuple(watchers)):
        pass  # discard requests left for a process that has ended
    flags = state.halted(), state.exempt()
    while True:
        for request in state.take_requests(tuple(watchers)):
            asked = [name for name in request.accounts if name in watchers]
            for name in asked:
                watchers[name].take_request(request)
            scheduler.read_at_once(asked)
        before, flags = flags, (state.halted(), state.exempt())
        if flags != before:
            scheduler.read_at_once(watchers)
        await asyncio.sleep(CHECK_EVERY_SECONDS)


def was_accepted(request: Path) -> bool:
    """Wait for the holder to accept a request. False after ACCEPTED_WITHIN_SECONDS; the request is then withdrawn."""
    ends_at = time.monotonic() + ACCEPTED_WITHIN_SECONDS
    while request.exists():
        if time.monotonic() > ends_at:
            request.unlink(missing_ok=True)
            return False
        time.sleep(0.05)
    return True
