"""`sellctl confirm CODE`: carry out what an assistant has proposed, once you have seen it and said yes."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from sellctl.commands import close, exempt, halt, set_rules
from sellctl.commands.session import ask_yes_no, options_of, record, say
from sellctl.core.errors import SafetyRefusalError

if TYPE_CHECKING:
    from sellctl.service.confirming import Confirmer
    from sellctl.service.options import Options
    from sellctl.service.proposals import Proposal
    from sellctl.service.state_folder import StateFolder


def confirm(
    context: typer.Context,
    code: Annotated[str, typer.Argument(help="The code of the proposal, e.g. 4QF7-0KMD-9XTA.", show_default=False)],
) -> None:
    """Carry out what an assistant has proposed.

    Shows what was proposed, by whom, and asks. Then it does what close, set, exempt or halt does, and has its exit
    status. A code works once, whatever you answer, for five minutes, and needs a terminal here. The control page and a
    Telegram chat may confirm it too.
    """
    from sellctl.bootstrap import state_of
    from sellctl.service.confirming import refuse_exempt
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
        _record(state, proposal)
        more: dict[str, Any] = dict(proposal.options)
        close.close(context, proposal.name, account=list(proposal.accounts), **more)
        return
    if proposal.action is Action.SET:
        _set(options, state, proposal)
    refuse_exempt(proposal, state.exempt())
    if not ask_yes_no("Do that?", done="done"):
        raise SafetyRefusalError("Nothing was done.")
    _record(state, proposal)
    if proposal.action is Action.EXEMPT:
        exempt.exempt(context, proposal.name, until=proposal.options.get("until"))
    else:
        halt.halt(context, proposal.reason)


def _set(options: "Options", state: "StateFolder", proposal: "Proposal") -> NoReturn:
    """Show what it would change by now, ask, and set it. SafetyRefusalError when that isn't what was proposed."""
    from sellctl.service.confirming import refuse_changed, rule_texts

    by = _confirmer().author_of(proposal)
    rules = set_rules.propose(options, proposal.name, rule_texts(proposal), proposal.accounts, by)
    refuse_changed(proposal, rules.overrides)
    rules = set_rules.ask(options, rules)
    _record(state, proposal)
    raise typer.Exit(set_rules.carry_out(options, rules, None, was_shown=True))


def _show(proposal: "Proposal") -> None:
    """Print who proposed what, and how long ago."""
    from sellctl.service.confirming import lines_of

    first, *lines = lines_of(proposal)
    say(first)
    for line in lines:
        say(f"  {line}")


def _check_live(options: "Options", proposal: "Proposal") -> None:
    """SafetyRefusalError when the proposal is about real money and --live was not given: its code stays valid."""
    from sellctl.bootstrap import RunOptions, check_live, load
    from sellctl.core.model.account_state import RunMode
    from sellctl.service.proposals import Action

    if proposal.action in {Action.CLOSE, Action.SET}:
        check_live(load(options), options, RunOptions("confirm", RunMode.ACT, proposal.accounts))


def _confirmer() -> "Confirmer":
    """Who runs this."""
    from sellctl.service.confirming import Confirmer
    from sellctl.service.person import person
    from sellctl.service.proposals import Surface

    return Confirmer(person(), Surface.TERMINAL)


def _record(state: "StateFolder", proposal: "Proposal") -> None:
    """Record who proposed and who confirmed it."""
    from sellctl.service.confirming import KIND, facts

    record(state, KIND, facts(proposal, _confirmer()))
