"""Closing by hand over the API: shown first, then confirmed by a code, carried out by the running watchers, followed.

A code is bound to who was shown the exits, to what was asked, and to what was held: it confirms nothing else.
"""

import asyncio
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from sellctl.api.confirmations import Confirmations
from sellctl.core.errors import SafetyRefusalError
from sellctl.core.manual.verb import Verb
from sellctl.core.watching.manual_exits import (
    ExitOutcome,
    Quantities,
    Result,
    limit_of,
    patience_of,
    qty_or_share,
    quantities_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sellctl.bootstrap import Runtime
    from sellctl.core.watching.manual_exits import ProposedExit
    from sellctl.core.watching.manual_requests import CommandRequest
    from sellctl.service.verbs import Verbs

WAIT_SECONDS = 8.0  # the longest that an answer waits for what becomes of the exits
LOOK_SECONDS = 0.3  # between two looks at what became of them
HOST_SECONDS = 10.0  # within them a host that was asked has sent its first order: that is not seen by one read before
MAX_KEPT = 200  # exits whose outcome can be asked for later; beyond it the oldest is forgotten
_AGAIN = "Ask again with dry_run."


class Watching(Protocol):
    """The watchers of this process, as the exits by hand see them."""

    runtime: "Runtime"

    @property
    def verbs(self) -> "Verbs":
        """What a person can ask of them."""

    def require_watching(self) -> None:
        """SafetyRefusalError while nothing is watched."""


class ExitRequest(Struct, frozen=True):
    """What a caller asks to close: one name and how, or with PANIC everything that is managed."""

    verb: Verb
    account: str = ""
    name: str = ""
    qty: str | None = None
    limit: str | None = None
    patience: str = ""


class ShownExits(Struct, frozen=True):
    """A request with what it was about when it was shown."""

    request: ExitRequest
    quantities: Quantities


@dataclass(frozen=True, slots=True)
class Proposed:
    """Exits that a request would cause, with the code that confirms them; "" when none of them is possible."""

    request: ExitRequest
    exits: "Sequence[ProposedExit]"
    code: str


@dataclass(frozen=True, slots=True)
class StartedExits:
    """Exits that the watchers were asked for at an instant of the monotonic clock."""

    id: str
    by: str
    requests: "Sequence[CommandRequest]"
    since: float


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of exits so far. `undecided` accounts were not read since, or are a host's that may still send.

    `is_pending`: it may still change.
    """

    started: StartedExits
    exits: tuple[ExitOutcome, ...]
    undecided: frozenset[str]
    is_pending: bool

    @property
    def is_done(self) -> bool:
        """Whether every position is closed."""
        return all(each.is_done for each in self.exits)


@dataclass(slots=True)
class ManualExits:
    """The exits by hand of this process. Its methods must be called in the event loop of the watchers."""

    control: Watching
    _codes: Confirmations[ShownExits] = field(init=False)
    _started: "OrderedDict[str, StartedExits]" = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self._codes = Confirmations(self.control.runtime.clock.monotonic)

    def propose(self, request: ExitRequest, subject: str) -> Proposed:
        """What would be sent, from memory, and a code for this subject. Nothing is sent.

        SafetyRefusalError while nothing is watched; ConfigError when it isn't held, or so much of it can't be closed.
        """
        self.control.require_watching()
        exits = self._exits_of(request)
        is_possible = any(each.is_possible for each in exits)
        code = self._codes.offer(subject, ShownExits(request, quantities_of(exits))) if is_possible else ""
        return Proposed(request, exits, code)

    async def confirm(self, code: str, verb: Verb, subject: str, by: str) -> Outcomes:
        """Carry out what was shown with this code, and wait briefly for what becomes of it.

        SafetyRefusalError when the code confirms nothing for this subject, or when what is held has changed since.
        """
        self.control.require_watching()
        shown = self._codes.take(code, subject)
        if shown.request.verb is not verb:
            raise SafetyRefusalError(
                f"This code confirms a {shown.request.verb.value}.", hint="Ask again with dry_run."
            )
        exits = self._exits_of(shown.request)
        if quantities_of(exits) != shown.quantities:
            raise SafetyRefusalError("What is held has changed since it was shown.", hint=_AGAIN)
        verbs = self.control.verbs
        return await self.follow(verbs.panic(exits, by) if verb is Verb.PANIC else verbs.close(exits, by), by)

    async def follow(self, requests: "Sequence[CommandRequest]", by: str) -> Outcomes:
        """Wait briefly for what becomes of exits that the watchers were asked for just now; it can be asked later."""
        since = self.control.runtime.clock.monotonic()
        return await self._settled(self._keep(StartedExits(uuid.uuid4().hex, by, requests, since)))

    def outcome_of(self, exits_id: str) -> Outcomes | None:
        """What became of exits by now; None when they are not known (any more)."""
        started = self._started.get(exits_id)
        return self._outcomes(started) if started else None

    # --- internals ----------------------------------------------------------------------------------------------------

    def _exits_of(self, request: ExitRequest) -> "Sequence[ProposedExit]":
        verbs = self.control.verbs
        if request.verb is Verb.PANIC:
            return verbs.propose_panic(account=request.account)
        return verbs.propose_close(
            request.name,
            account=request.account,
            qty=None if request.qty is None else qty_or_share(request.qty),
            limit=None if request.limit is None else limit_of(request.limit),
            patience=patience_of(request.patience),
        )

    def _keep(self, started: StartedExits) -> StartedExits:
        self._started[started.id] = started
        while len(self._started) > MAX_KEPT:
            self._started.popitem(last=False)
        return started

    async def _settled(self, started: StartedExits) -> Outcomes:
        """The outcomes once they don't change any more, or after WAIT_SECONDS."""
        clock = self.control.runtime.clock
        ends_at = clock.monotonic() + WAIT_SECONDS
        while (found := self._outcomes(started)).is_pending and clock.monotonic() < ends_at:  # noqa: ASYNC110  the journal has no event
            await asyncio.sleep(LOOK_SECONDS)
        return found

    def _outcomes(self, started: StartedExits) -> Outcomes:
        found = tuple(self.control.verbs.outcome(started.requests))
        undecided = self._undecided(started)
        is_pending = any(
            each.result is Result.WORKING or (not each.is_done and each.proposed.listing.account in undecided)
            for each in found
        )
        return Outcomes(started, found, undecided, is_pending)

    def _undecided(self, started: StartedExits) -> frozenset[str]:
        """The accounts that were not read since these exits were asked for, or since a host has had time to act."""
        runtime = self.control.runtime
        decided_at = started.since + (HOST_SECONDS if runtime.observes else 0.0)
        states = runtime.scheduler.states
        return frozenset(state.name for state in states if state.polled_at is None or state.polled_at < decided_at)
