"""Requests between processes: the process that holds an account carries them out within a second.

So it does for a halt and an exemption, which are flags in the state folder.
"""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sellctl.core.errors import SellctlError
from sellctl.core.model.event import EventKind

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from sellctl.core.scheduler import AccountScheduler
    from sellctl.core.sell_watcher import SellWatcher
    from sellctl.core.watching.manual_requests import CommandRequest
    from sellctl.service.state_folder import StateFolder

CHECK_EVERY_SECONDS = 0.5
ACCEPTED_WITHIN_SECONDS = 5.0


async def serve(scheduler: "AccountScheduler", state: "StateFolder", stop: asyncio.Event) -> None:
    """Pass requests from other commands to the watchers of their accounts, until `stop` is set or this is cancelled.

    Nothing in the inbox ends this: what isn't a request is discarded and reported. After the stop none is accepted,
    because nobody would carry it out.
    """
    is_first = True  # what is there at the start was left for a process that has ended
    flags = _flags(state)
    while not stop.is_set():
        watchers = {watcher.name: watcher for watcher in scheduler.watchers}  # some come and go where hosts share them
        requests, discarded = state.take_requests(tuple(watchers))
        for why in discarded:
            scheduler.publish("", EventKind.NOTE, why, failed=True)
        for request in () if is_first else requests:
            _pass_on(request, watchers)
            scheduler.read_at_once([name for name in request.accounts if name in watchers])
        before, flags = flags, _flags(state)
        if flags != before:
            scheduler.read_at_once(watchers)
        if not is_first:
            await asyncio.sleep(CHECK_EVERY_SECONDS)
        is_first = False


def _flags(state: "StateFolder") -> "tuple[str, Mapping[str, dt.datetime | None] | str]":
    """The halt and the exempt symbols; instead of these, why they can't be read."""
    try:
        return state.halted(), state.exemptions()
    except SellctlError as error:
        return state.halted(), str(error)


def _pass_on(request: "CommandRequest", watchers: "Mapping[str, SellWatcher]") -> None:
    for name in request.accounts:
        if name in watchers:
            watcher = watchers[name]
            try:
                watcher.take_request(request)
            except SellctlError as error:  # the request was accepted, but the journal couldn't record it
                watcher.publish("", EventKind.ALERT, str(error), failed=True)


def was_accepted(request: Path) -> bool:
    """Wait for the holder to accept a request. False after ACCEPTED_WITHIN_SECONDS; the request is then withdrawn."""
    ends_at = time.monotonic() + ACCEPTED_WITHIN_SECONDS
    while request.exists():
        if time.monotonic() > ends_at:
            request.unlink(missing_ok=True)
            return False
        time.sleep(0.05)
    return True
