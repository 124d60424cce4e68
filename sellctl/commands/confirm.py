"""`sellctl confirm CODE`: carry out what an assistant has proposed, once you have seen it and said yes."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from sellctl.commands import close, exempt, halt, set_rules
from sellctl.commands.session import confirmed, options_of, record, say
from sellctl.core.errors import SafetyRefusalError

if TYPE_CHECKING:
    from sellctl.service.options import Options
    from sellctl.service.proposals import Proposal
    from sellctl.service.state_folder import StateFolder

_KIND = "confirm"  # the journal's row
_CHANGED = "What it does has changed since it was proposed."
_AGAIN = "Ask for a new proposal."


def confirm(
    context: typer.Context,
    code: Annotated[str, typer.Argument(help="The code of the proposal, e.g. 4QF7-0KMD-9XTA.", show_default=False)],
) -> None:
    """Carry out what an assistant has proposed.

    Shows what was proposed, by whom, and asks. Then it does what close, set, exempt or halt does, and has its exit
    status. A code works once, whatever you answer, for five minutes, and only at a terminal.
    """
    from sellctl.bootstrap import state_of
    from sellctl.service.proposals import Action, Proposals

    options = options_of(context)
    state = state_of(options)
    proposals = Proposals(state.path)
    proposal = proposals.find(code)
    if not sys.stdin.isatty():
        raise SafetyRefusalError("A proposal is confirmed at a terminal.", hint="Run this yourself; it asks.")
    _check_live(options, proposal)
    proposal = proposals.take(code)
    _show(proposal)
    if proposal.action is Action.CLOSE:
        record(state, _KIND, _facts(proposal))
        more: dict[str, Any] = dict(proposal.options)
        close.close(context, proposal.name, account=list(proposal.accounts), **more)
        return
    if proposal.action is Action.SET:
        _set(options, state, proposal)
    if proposal.action is Action.EXEMPT and proposal.name in state.exempt():
        raise SafetyRefusalError(_CHANGED, hint=f"{proposal.name} is exempt already.")
    if not confirmed("Do that?", done="done"):
        raise SafetyRefusalError("Nothing was done.")
    record(state, _KIND, _facts(proposal))
    if proposal.action is Action.EXEMPT:
        exempt.exempt(context, proposal.name, until=proposal.options.get("until"))
    else:
        halt.halt(context, proposal.reason)


def _set(options: "Options", state: "StateFolder", proposal: "Proposal") -> NoReturn:
    """Show what it would change by now, ask, and set it. SafetyRefusalError when that isn't what was proposed."""
    from sellctl.core.manual.proposed_overrides import shown_of
    from sellctl.service.person import at_the_command_line
    from sellctl.service.rule_changes import RuleTexts
    from sellctl.ui.formatting import sanitize

    more: dict[str, Any] = {**proposal.options, "clear": "clear" in proposal.options}
    by = f"{at_the_command_line()}, as {sanitize(proposal.by)} proposed"
    rules = set_rules.propose(options, proposal.name, RuleTexts(**more), proposal.accounts, by)
    if shown_of(rules.overrides, elsewhere=True) != proposal.shown:
        raise SafetyRefusalError(_CHANGED, hint=_AGAIN)
    rules = set_rules.ask(options, rules)
    record(state, _KIND, _facts(proposal))
    raise typer.Exit(set_rules.carry_out(options, rules, None, was_shown=True))


def _show(proposal: "Proposal") -> None:
    """Print who proposed what, and how long ago."""
    import time

    from sellctl.ui.formatting import sanitize

    seconds = max(int(time.time() - proposal.made_at), 0)
    say(f"{sanitize(proposal.by)} proposed {seconds} s ago to:")
    for line in proposal.summary:
        say(f"  {sanitize(line)}")


def _check_live(options: "Options", proposal: "Proposal") -> None:
    """SafetyRefusalError when the proposal is about real money and --live was not given: its code stays valid."""
    from sellctl.bootstrap import RunOptions, check_live, load
    from sellctl.core.model.account_state import RunMode
    from sellctl.service.proposals import Action

    if proposal.action in {Action.CLOSE, Action.SET}:
        check_live(load(options), options, RunOptions("confirm", RunMode.ACT, proposal.accounts))


def _facts(proposal: "Proposal") -> dict[str, object]:
    """What is recorded of a confirmation."""
    from sellctl.service.person import person

    return {
        "action": proposal.action.value,
        "proposed_by": proposal.by,
        "confirmed_by": person(),
        "symbol": proposal.name,
        "accounts": list(proposal.accounts),
        "reason": proposal.reason,
        "options": dict(proposal.options),
        "sentence": "; ".join(proposal.summary),
    }
