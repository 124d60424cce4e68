"""Requests between processes: the process that watches an account carries them out within a second.

So it does for a halt and an exemption, which are flags in the state folder. Where hosts share the journal, requests,
exemptions and the halt of all hosts are in its database, so that they reach the host that has the account.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sellctl.core.errors import JournalError, SellctlError
from sellctl.core.model.event import EventKind
from sellctl.service.hosts import SharedHalt
from sellctl.service.requests import text_of
from sellctl.service.state_folder import SharedNews

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping, Sequence

    from sellctl.core.scheduler import AccountScheduler
    from sellctl.core.sell_watcher import SellWatcher
    from sellctl.core.watching.manual_requests import CommandRequest
    from sellctl.journal.leases.shared_state import SharedState
    from sellctl.service.state_folder import StateFolder

CHECK_EVERY_SECONDS = 0.5
ACCEPTED_WITHIN_SECONDS = 5.0
TAKEN_WITHIN_SECONDS = 15.0  # by a host: one that takes the account over from a crashed one needs as long


async def serve(
    scheduler: "AccountScheduler",
    state: "StateFolder",
    stop: asyncio.Event,
    registration: "Callable[[], int] | None" = None,
) -> None:
    """Pass requests from other commands to the watchers of their accounts, until `stop` is set or this is cancelled.

    Nothing in the inbox ends this: what isn't a request is discarded and reported. After the stop none is accepted,
    because nobody would carry it out. `registration` is that of a host in the lease table.
    """
    is_first = True  # what is there at the start was left for a process that has ended
    flags = flags_of(state)
    sharing = _Sharing(scheduler, state, registration)
    while not stop.is_set():
        shared = await sharing.look()
        watchers = {watcher.name: watcher for watcher in scheduler.watchers}  # some come and go where hosts share them
        requests, discarded = state.take_requests(tuple(watchers))
        for why in (*discarded, *shared.discarded):
            scheduler.publish("", EventKind.NOTE, why, failed=True)
        mine = [each for each in shared.requests if not stop.is_set() and watchers.keys() & set(each.accounts)]
        await sharing.give_back([each for each in shared.requests if each not in mine])
        for request in (*(() if is_first else requests), *mine):
            _pass_on(request, watchers)
            scheduler.read_at_once([name for name in request.accounts if name in watchers])
        before, flags = flags, flags_of(state)
        if flags != before:
            scheduler.read_at_once(watchers)
        if not is_first:
            await asyncio.sleep(CHECK_EVERY_SECONDS)
        is_first = False


@dataclass(slots=True)
class _Sharing:
    """What this process has to do with the other hosts: nothing where the journal is a file."""

    scheduler: "AccountScheduler"
    state: "StateFolder"
    registration: "Callable[[], int] | None"
    _halt: SharedHalt = field(init=False)

    def __post_init__(self) -> None:
        self._halt = SharedHalt(self.state, self.scheduler.publish)

    async def look(self) -> "SharedNews":
        """Take what the other hosts have changed. Nothing while the database doesn't answer."""
        registration = self.registration() if self.registration else 0
        may_take = registration or not self.registration
        accounts = tuple(watcher.name for watcher in self.scheduler.watchers) if may_take else ()
        try:
            if self.state.shared is None:
                return SharedNews()
            news = await asyncio.to_thread(self.state.look_at_shared, registration, accounts, keep=True)
            if not self.registration:  # no lease keeper does it here
                await self._halt.share()
        except SellctlError:
            return SharedNews()
        return news

    async def give_back(self, requests: "Sequence[CommandRequest]") -> None:
        """Leave requests to the next host: this one has stopped, or lost their accounts, since it took them."""
        for request in requests:
            try:
                if self.state.shared is not None and request.accounts:
                    await asyncio.to_thread(self.state.shared.ask, request.id, request.accounts[0], text_of(request))
            except SellctlError as error:
                asked = f"{request.verb.value} {request.symbol}".strip()
                self.scheduler.publish("", EventKind.ALERT, f"{asked} is not carried out: {error}", failed=True)


def flags_of(state: "StateFolder") -> "tuple[str, Mapping[str, dt.datetime | None] | str]":
    """The halt, of this machine or of all hosts, and the exempt symbols; instead of these, why they can't be read."""
    halted = state.halted() or state.all_halted
    try:
        return halted, state.exemptions()
    except SellctlError as error:
        return halted, str(error)


def _pass_on(request: "CommandRequest", watchers: "Mapping[str, SellWatcher]") -> None:
    for name in request.accounts:
        if name in watchers:
            watcher = watchers[name]
            try:
                watcher.take_request(request)
            except SellctlError as error:  # the request was accepted, but the journal couldn't record it
                watcher.publish("", EventKind.ALERT, str(error), failed=True)


# --- asking it --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WatcherHere:
    """A process on this machine that watches an account."""

    state: "StateFolder"
    name: str = "the running watcher"

    def accepts(self, request: "CommandRequest") -> bool:
        """Pass a request on, and return whether it was accepted; one that wasn't is withdrawn."""
        return was_accepted(self.state.pass_on(request))


@dataclass(frozen=True, slots=True)
class WatcherElsewhere:
    """A host, on any machine, that watches an account or is about to."""

    shared: "SharedState"
    name: str

    def accepts(self, request: "CommandRequest") -> bool:
        """Pass a request on, and return whether it was accepted; one that wasn't is withdrawn.

        JournalError when the database can't be reached; the sentence says when it may be carried out all the same.
        """
        self.shared.ask(request.id, request.accounts[0], text_of(request))
        ends_at = time.monotonic() + TAKEN_WITHIN_SECONDS
        is_waiting = True
        try:
            while is_waiting and time.monotonic() < ends_at:
                time.sleep(0.3)  # each question is a connection of its own
                with suppress(JournalError):  # asked again until the end
                    is_waiting = self.shared.is_waiting(request.id)
        finally:
            was_withdrawn = is_waiting and self._withdraw(request.id)
        return not was_withdrawn

    def _withdraw(self, request: str) -> bool:
        try:
            return self.shared.withdraw(request)
        except JournalError as error:
            raise JournalError(
                f"Whether {self.name} carries it out is unknown: {error.sentence}",
                hint="It does so within 30 s or never. Look before you ask again: sellctl positions",
            ) from None


def watcher_of(state: "StateFolder", account: str, number: str | None) -> "WatcherHere | WatcherElsewhere | None":
    """Who watches an account now; None when nobody does. Without its `number`, somebody here may.

    A host may have started since the last look, as while a question was answered.
    """
    shared = state.shared
    if shared is not None:
        with suppress(JournalError):  # while the database doesn't answer, what is known stays
            state.hosts = shared.hosts()
    host = state.hosts.watcher_of(account) if state.hosts else ""
    if shared is not None and host:
        return WatcherElsewhere(shared, f"host {host}")
    return WatcherHere(state) if number is None or state.lock_holder(number) else None


def was_accepted(request: Path) -> bool:
    """Wait for the holder to accept a request. False after ACCEPTED_WITHIN_SECONDS; the request is then withdrawn."""
    ends_at = time.monotonic() + ACCEPTED_WITHIN_SECONDS
    while request.exists():
        if time.monotonic() > ends_at:
            request.unlink(missing_ok=True)
            return False
        time.sleep(0.05)
    return True
