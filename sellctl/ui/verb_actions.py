"""The wishes of the screen with keys, carried out by the verbs: what is asked before, and what is told after."""

import asyncio
import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from sellctl.core.errors import SafetyRefusalError
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.instrument import contract_text
from sellctl.core.text import as_dollars
from sellctl.core.watching.manual_exits import ExitOutcome, ProposedExit, QtyOrShare, Result, total
from sellctl.core.watching.manual_requests import CommandRequest
from sellctl.service.person import at_the_watch_screen
from sellctl.service.verbs import Verbs, why_not
from sellctl.ui.formatting import account_text, amount_cell, duration, exit_side, number, profit_cell
from sellctl.ui.screen_state import Action, Target, Wish
from sellctl.ui.stop_actions import STOP_ACTIONS, StopActions

HALF = QtyOrShare(share=Decimal("0.5"))
_LOOK_SECONDS = 0.5  # between two looks at what became of an exit
_FIRST_ORDER_SECONDS = 10.0  # how long an exit of which no order was sent is followed
_FILL_SECONDS = 45.0  # how long one is followed that works
_HALT_QUESTION = """\
Halt all accounts: no new orders, also no stops, until `sellctl resume`.
Orders that are working at the broker stay there."""


class VerbActions:
    """Carries out wishes on the watchers of this process. Called in their event loop."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs
        self._asked: tuple[Target | None, Action, list[ProposedExit]] | None = None
        self._by = at_the_watch_screen()
        self._stops = StopActions(verbs, self._by)

    def question(self, wish: Wish) -> str:
        """What would happen, to be confirmed; "" when the wish needs no confirmation."""
        self._refuse_in_dry_run()
        if wish.action is Action.HALT:
            if halted := self._verbs.halted():
                raise SafetyRefusalError(f"Orders are halted already: {halted}.", hint="`sellctl resume` lifts a halt.")
            return _HALT_QUESTION
        if wish.action in {Action.CLOSE, Action.CLOSE_HALF} and wish.target:
            proposed = self._proposed(wish.target, wish.action)
            if not any(each.is_possible for each in proposed):
                raise SafetyRefusalError(f"{wish.target.title} can't be closed now: {why_not(proposed)}.")
            self._asked = wish.target, wish.action, proposed
            return "\n".join(_question_lines(wish.target, proposed, self._now()))
        if wish.action in STOP_ACTIONS and wish.target:
            return self._stops.question(wish.action, wish.target)
        return ""

    async def carry_out(self, wish: Wish, tell: Callable[[str], None]) -> None:
        """Carry it out, and tell what became of it as that is known."""
        self._refuse_in_dry_run()
        if wish.action is Action.HALT:
            untold = self._verbs.halt("from the screen", self._by)
            tell(untold or "Halted: no new orders are sent until `sellctl resume`.")
        elif wish.action is Action.EXEMPT and wish.target:
            tell(self._exempted_or_managed(wish.target))
        elif wish.action in {Action.CLOSE, Action.CLOSE_HALF} and wish.target:
            await self._close(wish.target, wish.action, tell)
        elif wish.action in STOP_ACTIONS and wish.target:
            tell(await self._stops.carry_out(wish, wish.target))

    def _now(self) -> dt.datetime:
        """The broker's time, or the host's until the broker has answered."""
        return self._verbs.runtime.scheduler.market_clock.instant or self._verbs.runtime.clock.now()

    def _refuse_in_dry_run(self) -> None:
        if any(watcher.state.mode is RunMode.DRY_RUN for watcher in self._verbs.runtime.scheduler.watchers):
            raise SafetyRefusalError("This is a dry run: nothing is sent and nothing is changed.")

    def _exempted_or_managed(self, target: Target) -> str:
        if target.name in self._verbs.exempt_names():
            self._verbs.manage(target.name, self._by)
            return f"{target.title} is managed again from the next check."
        self._verbs.exempt(target.name, self._by)
        return f"{target.title} is exempt from the next check, in every account; x again manages it."

    def _proposed(self, target: Target, action: Action) -> list[ProposedExit]:
        qty = HALF if action is Action.CLOSE_HALF else None
        return self._verbs.propose_close(target.name, account=target.account, qty=qty)

    async def _close(self, target: Target, action: Action, tell: Callable[[str], None]) -> None:
        """Close what was shown, and follow it until it is done or nothing more is to be expected."""
        asked, self._asked = self._asked, None
        if asked is None or asked[:2] != (target, action):
            raise SafetyRefusalError("Nothing was sent: it was not confirmed.")
        requests = self._verbs.close(asked[2], self._by)
        tell(f"{target.title}: closing, passed to the watcher of {target.account}.")
        outcomes = await self._followed(requests)
        tell("; ".join(outcome_text(each) for each in outcomes) or f"{target.title}: it is unknown what became of it.")

    async def _followed(self, requests: Sequence[CommandRequest]) -> list[ExitOutcome]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            outcomes = self._verbs.outcome(requests)
            if all(each.is_done or each.result is Result.REFUSED for each in outcomes):
                return outcomes
            is_at_work = any(each.filled or each.result is Result.WORKING for each in outcomes)
            if loop.time() - began > (_FILL_SECONDS if is_at_work else _FIRST_ORDER_SECONDS):
                return outcomes


def _question_lines(target: Target, proposed: Sequence[ProposedExit], now: dt.datetime) -> Iterator[str]:
    """What is closed, where, and what it would bring."""
    yield f"Close {target.title} in {account_text(proposed[0].listing)}:"
    for each in proposed:
        yield f"{_quantity(each)} {contract_text(each.symbol)}, {_estimate(each)}"
    if len(proposed) > 1:
        proceeds, pnl = total(each.proceeds for each in proposed), total(each.pnl for each in proposed)
        yield f"together about {amount_cell(proceeds).text}, P&L {profit_cell(pnl).text}"
    yield from _quote_age(proposed, now)


def _quantity(each: ProposedExit) -> str:
    held = each.decision.holding.position
    verb = "sell" if held.is_long else "buy back"
    return f"{verb} {number(each.qty)} of {number(held.qty)}" if each.qty != held.qty else f"{verb} {number(each.qty)}"


def _estimate(each: ProposedExit) -> str:
    if not each.is_possible:
        return f"not now: {each.decision.sentence}"
    at = f"at the {exit_side(each.decision.holding)} {as_dollars(each.price)}"
    return f"{at}, about {amount_cell(each.proceeds).text}, P&L {profit_cell(each.pnl).text}"


def _quote_age(proposed: Sequence[ProposedExit], now: dt.datetime) -> Iterator[str]:
    """How old the quotes are on which the estimate rests: on a stale screen they may be old ones."""
    quotes = [quote for each in proposed if each.is_possible and (quote := each.decision.holding.quote)]
    if quotes:
        age = duration(now - min(quote.at for quote in quotes))
        yield f"The quote is {age} old." if len(quotes) == 1 else f"The oldest of the quotes is {age} old."


def outcome_text(outcome: ExitOutcome) -> str:
    """What became of one exit, as a sentence."""
    name, filled = contract_text(outcome.proposed.symbol), number(outcome.filled)
    price = f" at {as_dollars(outcome.price)}" if outcome.filled and outcome.net is None and outcome.price else ""
    if outcome.result is Result.FILLED:
        return f"{name}: filled {filled}{price}"
    part = f", filled {filled} of {number(outcome.proposed.qty)}{price}" if outcome.filled else ""
    return f"{name}: {outcome.result.value}{part}{outcome.why and f': {outcome.why}'}"
