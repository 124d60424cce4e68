"""Confirming what an assistant has proposed: first what it does by now is shown, then it is done once.

`Confirming` is for the surfaces of a running watcher. The terminal does it by its own commands (`sellctl confirm`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sellctl.core.errors import SafetyRefusalError
from sellctl.core.manual.proposed_overrides import ProposedOverride, shown_of
from sellctl.core.model.position import OverrideChange
from sellctl.core.until import end_of
from sellctl.core.watching.manual_exits import (
    ProposedExit,
    limit_of,
    patience_of,
    qty_or_share,
    quantities_of,
)
from sellctl.core.watching.manual_requests import ALL, CommandRequest
from sellctl.service.halt_flag import HALTED, HaltOrigin
from sellctl.service.names import exempted_text
from sellctl.service.proposals import Action, Proposal, Proposals, Surface
from sellctl.service.rule_changes import RuleTexts, change_of
from sellctl.service.verbs import terms_by_account
from sellctl.ui.contracts import readable_name
from sellctl.ui.formatting import sanitize

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sellctl.service.verbs import Verbs

KIND = "confirm"  # the journal's row
AGAIN = "Ask for a new proposal."
CHANGED = "What it does has changed since it was proposed."
_WHERE = {
    Surface.TERMINAL: "at the command line",
    Surface.API: "over the API",
    Surface.TELEGRAM: "over Telegram",
}
_ORIGINS = {
    Surface.TERMINAL: HaltOrigin.MACHINE,
    Surface.API: HaltOrigin.API,
    Surface.TELEGRAM: HaltOrigin.CHAT,
}


class Confirmer(Struct, frozen=True):
    """Who confirms, and where."""

    who: str
    surface: Surface

    def author_of(self, proposal: Proposal) -> str:
        """The author of what is done, for the journal: "ann over the API, as mcp proposed"."""
        return f"{self.who} {_WHERE[self.surface]}, as {sanitize(proposal.by)} proposed"


class ShownProposal(Struct, frozen=True):
    """A proposal whose code is used up, with what it does by now: its exits, or the changes of rules."""

    proposal: Proposal
    exits: tuple[ProposedExit, ...] = ()
    change: OverrideChange | None = None
    overrides: tuple[ProposedOverride, ...] = ()

    @property
    def is_possible(self) -> bool:
        """Whether it can be done now."""
        return self.proposal.action is not Action.CLOSE or any(each.is_possible for each in self.exits)


class CarriedOut(Struct, frozen=True):
    """What was confirmed, with what the watchers were asked for, or a sentence on what is done already."""

    shown: ShownProposal
    by: str
    requests: tuple[CommandRequest, ...] = ()
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Confirming:
    """Confirms proposals by the watchers of this process, in their event loop.

    `why_not` says why nothing can be closed or set now; "" while something can. Every error is a SellctlError.
    """

    verbs: "Verbs"
    proposals: Proposals
    why_not: Callable[[], str]

    @classmethod
    def on(cls, surface: Surface, verbs: "Verbs", why_not: Callable[[], str]) -> "Confirming":
        """For one surface, on the state folder of these verbs."""
        return cls(verbs, Proposals(verbs.runtime.state.path, surface=surface), why_not)

    def show(self, code: str, confirmer: Confirmer) -> ShownProposal:
        """What the proposal of a code does by now. The code is used up.

        SafetyRefusalError when the code is wrong, used or expired, or when this process can't do it: then the code
        stays valid. Also when it does something else by now, or can't be done at all.
        """
        self._refuse_elsewhere(self.proposals.find(code))
        proposal = self.proposals.take(code)
        return self._by_now(proposal, confirmer.author_of(proposal))

    def carry_out(self, shown: ShownProposal, confirmer: Confirmer) -> CarriedOut:
        """Do what was shown, and record who proposed and who confirmed it.

        SafetyRefusalError when it does something else by now.
        """
        proposal, by = shown.proposal, confirmer.author_of(shown.proposal)
        self._refuse_elsewhere(proposal)
        now = self._by_now(proposal, by)
        if quantities_of(now.exits) != quantities_of(shown.exits):
            raise SafetyRefusalError("What is held has changed since it was shown.", hint=AGAIN)
        self.verbs.record(KIND, {"by": by, **facts(proposal, confirmer)})
        if proposal.action is Action.CLOSE:
            return CarriedOut(now, by, tuple(self.verbs.close(now.exits, by)))
        if now.change is not None:
            return CarriedOut(now, by, tuple(self.verbs.set(now.overrides, now.change, by)))
        if proposal.action is Action.EXEMPT:
            return CarriedOut(now, by, sentence=self._exempt(proposal, by))
        untold = self.verbs.halt(proposal.reason, by, _ORIGINS[confirmer.surface])
        return CarriedOut(now, by, sentence=f"{HALTED} {untold}".rstrip())

    # --- internals ----------------------------------------------------------------------------------------------------

    def _refuse_elsewhere(self, proposal: Proposal) -> None:
        """SafetyRefusalError when the watchers of this process can't close or set what is proposed."""
        if proposal.action not in {Action.CLOSE, Action.SET}:
            return
        if why := self.why_not():
            raise SafetyRefusalError(why)
        self.verbs.refuse_in_a_dry_run()
        runtime = self.verbs.runtime
        watched = {watcher.name for watcher in runtime.scheduler.watchers}
        missing = next((name for name in proposal.accounts if name not in watched), "")
        if missing:
            hint = f"Confirm it at a terminal: {runtime.program} confirm CODE"
            raise SafetyRefusalError(f"Account {missing} is not watched by this process.", hint=hint)

    def _by_now(self, proposal: Proposal, by: str) -> ShownProposal:
        if proposal.action is Action.CLOSE:
            return ShownProposal(proposal, self._exits_of(proposal))
        if proposal.action is Action.SET:
            return self._rules_of(proposal, by)
        refuse_exempt(proposal, self.verbs.exempt_names())
        return ShownProposal(proposal)

    def _exits_of(self, proposal: Proposal) -> tuple[ProposedExit, ...]:
        given, name = proposal.options, proposal.name
        accounts = [each for each in self.verbs.listings() if each.account in proposal.accounts]
        terms = terms_by_account(
            accounts,
            name,
            qty_or_share(given["qty"]) if "qty" in given else None,
            limit_of(given["limit"]) if "limit" in given else None,
            patience_of(given["patience"]) if "patience" in given else ALL.patience,
        )
        return tuple(self.verbs.proposed_on(accounts, name, terms))

    def _rules_of(self, proposal: Proposal, by: str) -> ShownProposal:
        change = change_of(rule_texts(proposal), self.verbs.runtime.scheduler.market)
        overrides = tuple(
            each
            for account in proposal.accounts
            for each in self.verbs.propose_set(proposal.name, change, by, account=account)
        )
        refuse_changed(proposal, overrides)
        return ShownProposal(proposal, change=change, overrides=overrides)

    def _exempt(self, proposal: Proposal, by: str) -> str:
        end = end_of(proposal.options.get("until"), self.verbs.runtime.scheduler.market)
        return exempted_text(self.verbs.exempt(proposal.name, by, until=end), end)


# --- shared with the terminal -----------------------------------------------------------------------------------------


def refuse_exempt(proposal: Proposal, exempted: "Iterable[str]") -> None:
    """SafetyRefusalError when what is proposed to be exempted is exempt by now."""
    if proposal.action is Action.EXEMPT and proposal.name in exempted:
        raise SafetyRefusalError(CHANGED, hint=f"{proposal.name} is exempt already.")


def refuse_changed(proposal: Proposal, overrides: "Iterable[ProposedOverride]") -> None:
    """SafetyRefusalError when rules do something else by now than what was proposed."""
    if shown_of(overrides, elsewhere=True) != proposal.shown:
        raise SafetyRefusalError(CHANGED, hint=AGAIN)


def rule_texts(proposal: Proposal) -> RuleTexts:
    """The rules that a proposal sets."""
    return RuleTexts(**{**proposal.options, "clear": "clear" in proposal.options})  # type: ignore[arg-type]


def lines_of(proposal: Proposal) -> list[str]:
    """Who proposed what, and how long ago."""
    seconds = max(int(time.time() - proposal.made_at), 0)
    return [f"{sanitize(proposal.by)} proposed {seconds} s ago to:", *map(sanitize, proposal.summary)]


def question_of(shown: ShownProposal) -> str:
    """What is to be confirmed, where its lines say the rest."""
    proposal, name = shown.proposal, readable_name(shown.proposal.name)
    questions = {
        Action.CLOSE: f"Close {name}?",
        Action.SET: f"Set the rules of {name}?",
        Action.EXEMPT: f"Leave {name} alone?",
        Action.HALT: "Halt all new orders?",
    }
    return questions[proposal.action]


def facts(proposal: Proposal, confirmer: Confirmer) -> dict[str, Any]:
    """What is recorded of a confirmation."""
    return {
        "action": proposal.action.value,
        "proposed_by": proposal.by,
        "confirmed_by": confirmer.who,
        "surface": confirmer.surface.value,
        "symbol": proposal.name,
        "accounts": list(proposal.accounts),
        "reason": proposal.reason,
        "options": dict(proposal.options),
        "sentence": "; ".join(proposal.summary),
    }
