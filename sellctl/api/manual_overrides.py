"""Setting the rules of one position over the API: shown first, then confirmed by a code, and set by the watchers.

A code is bound to who was shown the change, to what it is, to the position and the rules that were set for it, and to
whether there was a warning: it confirms nothing else.
"""

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from sellctl.api.confirmations import Confirmations
from sellctl.api.manual_exits import LOOK_SECONDS, WAIT_SECONDS, Watching
from sellctl.core.errors import ConfigError, SafetyRefusalError
from sellctl.core.manual.proposed_overrides import ProposedOverride, check_change
from sellctl.core.model.position import AT_ENTRY, Override, OverrideChange
from sellctl.core.until import until_of


class SetRequest(Struct, frozen=True):
    """What a caller asks to set: the texts as `sellctl set` takes them."""

    name: str = ""
    account: str = ""
    stop: str = ""
    target: str = ""
    trail: str = ""
    breakeven: bool = False
    until: str = ""
    clear: bool = False


class _Shown(Struct, frozen=True):
    """A change with what it was about when it was shown."""

    request: SetRequest
    change: OverrideChange
    before: frozenset["_Before"]


@dataclass(frozen=True, slots=True)
class ShownOverrides:
    """What a change would do, with the code that confirms it."""

    overrides: Sequence[ProposedOverride]
    code: str


@dataclass(frozen=True, slots=True)
class SetOverrides:
    """What was set. `problems` say of an account why it wasn't; `is_pending`: the watchers have not answered yet."""

    overrides: Sequence[ProposedOverride]
    problems: Sequence[str]
    is_pending: bool


@dataclass(slots=True)
class ManualOverrides:
    """The rules set by hand over the API. Its methods must be called in the event loop of the watchers."""

    control: Watching
    _codes: Confirmations[_Shown] = field(init=False)

    def __post_init__(self) -> None:
        self._codes = Confirmations(self.control.runtime.clock.monotonic)

    def propose(self, request: SetRequest, subject: str, by: str) -> ShownOverrides:
        """What would be set, from memory, and a code for this subject. Nothing is set.

        SafetyRefusalError while nothing is watched; ConfigError when it isn't held, or can't be set.
        """
        self.control.require_watching()
        change = self._change_of(request)
        overrides = self.control.verbs.propose_set(request.name, change, by, account=request.account)
        return ShownOverrides(overrides, self._codes.offer(subject, _Shown(request, change, _before(overrides))))

    async def confirm(self, code: str, subject: str, by: str) -> SetOverrides:
        """Set what was shown with this code, and wait briefly until the watchers have.

        SafetyRefusalError when the code confirms nothing for this subject, when other rules were set since, or when it
        would now loosen a stop or close at once and nobody was shown that.
        """
        self.control.require_watching()
        shown = self._codes.take(code, subject)
        verbs, account = self.control.verbs, shown.request.account
        overrides = verbs.propose_set(shown.request.name, shown.change, by, account=account)
        if _before(overrides) != shown.before:
            hint = "Ask again with dry_run."
            raise SafetyRefusalError("What it does has changed since it was shown.", hint=hint)
        requests, clock = verbs.set(overrides, shown.change, by), self.control.runtime.clock
        ends_at = clock.monotonic() + WAIT_SECONDS
        while None in (found := verbs.was_set(requests)) and clock.monotonic() < ends_at:  # noqa: ASYNC110  the journal has no event
            await asyncio.sleep(LOOK_SECONDS)
        return SetOverrides(overrides, [problem for problem in found if problem], None in found)

    def _change_of(self, request: SetRequest) -> OverrideChange:
        if request.breakeven and request.stop:
            raise ConfigError("breakeven and stop both set the stop.", hint="Give one of them.")
        stop = AT_ENTRY if request.breakeven else request.stop
        change = OverrideChange(stop, request.target, request.trail, self._end_of(request), clear=request.clear)
        check_change(change)
        return change

    def _end_of(self, request: SetRequest) -> dt.datetime | None:
        market = self.control.runtime.scheduler.market
        if not request.until:
            return None
        if market is None:
            raise SafetyRefusalError("The broker's clock could not be read, so the end is unknown.", hint="Try again.")
        try:
            return until_of(request.until, market)
        except ValueError as error:
            raise ConfigError(f"until: {error}") from None


class _Before(Struct, frozen=True):
    """One position when a change was shown: since when it is held, what was set for it, how often it was warned."""

    account: str
    name: str
    since: dt.datetime | None
    override: Override | None
    warnings: int


def _before(overrides: Sequence[ProposedOverride]) -> frozenset[_Before]:
    return frozenset(
        _Before(each.account, each.name, each.holding.state.first_seen, each.before, len(each.warnings))
        for each in overrides
    )
