"""Setting the rules of one position over the API: shown first, then confirmed by a code, and set by the watchers.

A code is bound to who was shown the change, to what it is, to the position and the rules that were set for it, and to
its warnings: it confirms nothing else.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import Struct

from sellctl.api.confirmations import Confirmations
from sellctl.api.manual_exits import LOOK_SECONDS, WAIT_SECONDS, Watching
from sellctl.core.errors import SafetyRefusalError
from sellctl.core.manual.proposed_overrides import ProposedOverride, ShownOverride, shown_of
from sellctl.core.model.position import OverrideChange
from sellctl.service.rule_changes import RuleTexts, change_of

if TYPE_CHECKING:
    from sellctl.core.watching.manual_requests import CommandRequest


class SetRequest(Struct, frozen=True):
    """What a caller asks to set, and for which position: the texts as `sellctl set` takes them."""

    name: str
    account: str
    rules: RuleTexts


class _Shown(Struct, frozen=True):
    """A change with what it was about when it was shown."""

    request: SetRequest
    change: OverrideChange
    shown: tuple[ShownOverride, ...]


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
        change = change_of(request.rules, self.control.runtime.scheduler.market)
        overrides = self.control.verbs.propose_set(request.name, change, by, account=request.account)
        return ShownOverrides(overrides, self._codes.offer(subject, _Shown(request, change, shown_of(overrides))))

    async def confirm(self, code: str, subject: str, by: str) -> SetOverrides:
        """Set what was shown with this code, and wait briefly until the watchers have.

        SafetyRefusalError when the code confirms nothing for this subject, when other rules were set since, or when it
        would now loosen a stop or close at once and nobody was shown that.
        """
        self.control.require_watching()
        shown = self._codes.take(code, subject)
        verbs, account = self.control.verbs, shown.request.account
        overrides = verbs.propose_set(shown.request.name, shown.change, by, account=account)
        if shown_of(overrides) != shown.shown:
            hint = "Ask again with dry_run."
            raise SafetyRefusalError("What it does has changed since it was shown.", hint=hint)
        return await self.follow(overrides, verbs.set(overrides, shown.change, by))

    async def follow(self, overrides: Sequence[ProposedOverride], requests: "Sequence[CommandRequest]") -> SetOverrides:
        """Wait briefly until the watchers have set what they were asked for."""
        verbs, clock = self.control.verbs, self.control.runtime.clock
        ends_at = clock.monotonic() + WAIT_SECONDS
        while None in (found := verbs.was_set(requests)) and clock.monotonic() < ends_at:  # noqa: ASYNC110  the journal has no event
            await asyncio.sleep(LOOK_SECONDS)
        return SetOverrides(overrides, [problem for problem in found if problem], None in found)
