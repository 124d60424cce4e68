"""The keys of the screen that set a stop: breakeven, and a notch towards the price or away from it, by the verbs."""

import asyncio
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from sellctl.core.errors import SafetyRefusalError, SellctlError
from sellctl.core.manual.proposed_overrides import ProposedOverride, nearest_stop, shown_of
from sellctl.core.model.market import until_text
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import AT_ENTRY, OverrideChange
from sellctl.core.model.view import AccountListing
from sellctl.core.text import as_dollars
from sellctl.service.verbs import Verbs
from sellctl.ui.formatting import account_text, duration
from sellctl.ui.frame import STALE_INTERVALS
from sellctl.ui.screen_state import Action, Target, Wish

STOP_ACTIONS = frozenset({Action.BREAKEVEN, Action.STOP_CLOSER, Action.STOP_FARTHER})
_LOOK_SECONDS = 0.1  # between two looks at whether it was set
_SET_SECONDS = 10.0  # after which no answer is expected any more


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was proposed for a wish, and whether that has to be confirmed."""

    action: Action
    target: Target
    proposed: ProposedOverride
    is_question: bool


class StopActions:
    """Sets the stop of one position or structure. One is set at a time: each key acts on what is known to be set.

    `by` is who the journal says it was.
    """

    def __init__(self, verbs: Verbs, by: str) -> None:
        self._verbs = verbs
        self._by = by
        self._asked: _Asked | None = None
        self._is_setting = False

    def question(self, action: Action, target: Target) -> str:
        """What has to be confirmed; "" when the stop only comes closer and nothing is closed at once.

        On data that is stale that is unknown, and asked about too.
        """
        self._refuse_while_setting()
        proposed, stale = self._proposed(action, target), self._stale(target.account)
        warnings = (*proposed.warnings, *stale)
        self._asked = _Asked(action, target, proposed, bool(warnings))
        if not warnings:
            return ""
        (account,) = self._verbs.listings(target.account)
        return "\n".join((*_question_lines(target, proposed, account), *warnings, *proposed.notes))

    async def carry_out(self, wish: Wish, target: Target) -> str:
        """Set what `question` has proposed, unless that has changed since. Returns what became of it."""
        self._refuse_while_setting()
        asked, self._asked = self._asked, None
        is_asked = asked is not None and (asked.action, asked.target) == (wish.action, target)
        if asked is None or not is_asked or (asked.is_question and not wish.confirmed):
            raise SafetyRefusalError("Nothing was set: it was not confirmed.")
        change = asked.proposed.change
        now = _only(self._verbs.propose_set(target.name, change, self._by, account=target.account), target)
        if shown_of([now]) != shown_of([asked.proposed]):
            raise SafetyRefusalError(
                "Nothing was set: what it does has changed meanwhile.", hint="Press the key again."
            )
        self._is_setting = True
        try:
            problem = await self._set(now, change)
        finally:
            self._is_setting = False
        if problem:
            return f"The stop of {target.title} was not set: {problem}."
        return f"Stop of {target.title} set to {_new_stop(now)} ({_old_stop(now)})."

    async def _set(self, proposed: ProposedOverride, change: OverrideChange) -> str:
        """Why it was not set; "" once it is on record that it was."""
        requests = self._verbs.set([proposed], change, self._by)
        ends_at = asyncio.get_running_loop().time() + _SET_SECONDS
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            (problem,) = self._verbs.was_set(requests)
            if problem is not None:
                return problem
            if asyncio.get_running_loop().time() > ends_at:
                sentence = f"It is unknown whether the stop of {proposed.name} was set."
                raise SellctlError(sentence, hint="Enter shows what is set for it.")

    def _refuse_while_setting(self) -> None:
        if self._is_setting:
            raise SafetyRefusalError("A stop is still being set.", hint="Press the key again once that is done.")

    def _stale(self, account: str) -> tuple[str, ...]:
        """That the account has not been read for too long, if it is so; outside the session that is as it should be."""
        runtime = self._verbs.runtime
        state = next(each for each in runtime.scheduler.states if each.name == account)
        market_clock = runtime.scheduler.market_clock
        if state.polled_at is None or market_clock.instant is None or not market_clock.now().is_open:
            return ()
        age = dt.timedelta(seconds=runtime.clock.monotonic() - state.polled_at)
        is_stale = age > STALE_INTERVALS * runtime.scheduler.interval
        return (f"The account was last read {duration(age)} ago: it may close at once.",) if is_stale else ()

    def _proposed(self, action: Action, target: Target) -> ProposedOverride:
        name, account, by = target.name, target.account, self._by
        if action is Action.BREAKEVEN:
            found = self._verbs.propose_set(name, OverrideChange(AT_ENTRY), by, account=account)
        else:
            towards_price = action is Action.STOP_CLOSER
            found = self._verbs.propose_notch(name, by, account=account, towards_price=towards_price)
        return _only(found, target)


def _only(found: list[ProposedOverride], target: Target) -> ProposedOverride:
    """What was proposed for the account of the target."""
    if not found:
        raise SellctlError(f"Account {target.account} was not read yet, so nothing can be set.", hint="Try again.")
    return found[0]


def _question_lines(target: Target, proposed: ProposedOverride, account: AccountListing) -> Iterator[str]:
    """What is set, and where."""
    yield f"Set the stop of {target.title} in {account_text(account)}:"
    yield f"to {_new_stop(proposed)} ({_old_stop(proposed)})"


def _new_stop(proposed: ProposedOverride) -> str:
    """The stop that was proposed: "$1.00, the entry price, until Fri 4 Dec 16:00 ET"."""
    price = next((each.price for each in proposed.triggers if each.reason is Reason.STOP_LOSS), None)
    entry = ", the entry price" if proposed.change.stop == AT_ENTRY else ""
    end = proposed.after.until if proposed.after else None
    return f"{as_dollars(price)}{entry}{f', until {until_text(end)}' if end else ''}"


def _old_stop(proposed: ProposedOverride) -> str:
    """The nearest stop before: "was $0.80"."""
    price = nearest_stop(proposed.triggers_before, is_long=proposed.holding.position.is_long)
    return "there was none" if price is None else f"was {as_dollars(price)}"
