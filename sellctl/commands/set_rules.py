"""`sellctl set NAME`: set the stop, the target or the trailing stop of one position, in place of its strategy's."""

import sys
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sellctl.commands.completion import held_names
from sellctl.commands.manual_exit import require_yes
from sellctl.commands.session import (
    AccountOption,
    FormatOption,
    YesOption,
    first_listings,
    options_of,
    print_outdated,
    run,
    say,
    status_of,
)
from sellctl.core.errors import SafetyRefusalError
from sellctl.core.exit_codes import ExitCode
from sellctl.service.names import name_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sellctl.bootstrap import Runtime
    from sellctl.core.manual.proposed_overrides import ProposedOverride, ShownOverride
    from sellctl.core.model.position import OverrideChange
    from sellctl.core.model.view import AccountListing
    from sellctl.service.options import Options
    from sellctl.service.rule_changes import RuleTexts
    from sellctl.ui.formats import OutputFormat
    from sellctl.ui.rows import TableRow

_SET_WITHIN_SECONDS = 15.0
_READ_AGAIN_SECONDS = 0.05
_PREFIX = "--"  # of the options, in errors
_AMOUNT = "25%, '$120/contract', '$500/position' or 'price 4.20'"


def set_rules(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help="A symbol, contract or structure, as `sellctl positions` shows it.", autocompletion=held_names
        ),
    ],
    stop: Annotated[
        str, typer.Option("--stop", metavar="<amount>", help=f"Its stop: {_AMOUNT}.", show_default=False)
    ] = "",
    target: Annotated[
        str, typer.Option("--target", metavar="<amount>", help=f"Its target: {_AMOUNT}.", show_default=False)
    ] = "",
    trail: Annotated[
        str,
        typer.Option(
            "--trail",
            metavar="<pullback>",
            help="Its trailing stop: 10pt (points of return) or 10% below the best price.",
            show_default=False,
        ),
    ] = "",
    breakeven: Annotated[bool, typer.Option("--breakeven", help="Its stop at the entry price.")] = False,
    until: Annotated[
        str,
        typer.Option(
            "--until",
            metavar="<time>",
            help="Until then only: friday, today, 15:30, 2026-12-04 or 2026-12-04T15:30, New York time.",
            show_default=False,
        ),
    ] = "",
    clear: Annotated[bool, typer.Option("--clear", help="Back to the rules of the configuration.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; set nothing.")] = False,
    yes: YesOption = False,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Set the stop or target of one position by hand.

    They take the place of its strategy's, whose other rules go on, until the position is closed, or --until. A stop
    that moves away from the price, and anything that would close it at once, is shown and asked about. A running
    watcher follows it within a second. Exits 0 when it is set, 5 when it isn't.
    """
    from sellctl.service.person import at_the_command_line
    from sellctl.service.rule_changes import RuleTexts, change_of
    from sellctl.ui.override_rows import PROPOSED_OVERRIDE_COLUMNS
    from sellctl.ui.render import emit

    name, options = name_of(name), options_of(context)
    given = RuleTexts(stop, target, trail, breakeven, until, clear)
    if not until:
        change_of(given, None, _PREFIX)  # a mistake costs no request
    rules = propose(options, name, given, account or (), at_the_command_line())
    print_outdated(rules.runtime.state, rules.runtime.loaded)
    if dry_run:
        emit(PROPOSED_OVERRIDE_COLUMNS, rules.rows, output, title=rules.title, document=rules.document)
        raise typer.Exit(status_of(rules.runtime.scheduler))
    asks = bool(rules.warnings) and not yes
    if asks:
        rules = ask(options, rules)
    raise typer.Exit(carry_out(options, rules, output, was_shown=asks))


@dataclass(frozen=True, slots=True)
class ProposedRules:
    """A change of what is set for a position, `by` somebody, and what it does in each account; nothing is set yet."""

    runtime: "Runtime"
    name: str
    given: "RuleTexts"
    accounts: "Sequence[str]"
    change: "OverrideChange"
    by: str
    overrides: "Sequence[ProposedOverride]"

    @property
    def title(self) -> str:
        """The title of its table."""
        return "Clear" if self.change.clear else "Set"

    @property
    def warnings(self) -> str:
        """What has to be confirmed, each sentence once; "" for nothing."""
        return " ".join(dict.fromkeys(warning for each in self.overrides for warning in each.warnings))

    @property
    def rows(self) -> "list[TableRow]":
        """The rows of its table."""
        from sellctl.ui.override_rows import proposed_override_rows

        return proposed_override_rows(self.overrides, self._accounts)

    @property
    def document(self) -> "dict[str, Any]":
        """The same for JSON."""
        from sellctl.ui.override_rows import override_document

        return override_document(self.overrides, self._accounts)

    @property
    def _accounts(self) -> "dict[str, AccountListing]":
        return {listing.account: listing for listing in first_listings(self.runtime)}


def propose(options: "Options", name: str, given: "RuleTexts", accounts: "Sequence[str]", by: str) -> ProposedRules:
    """Poll once, and return what setting this would do. ConfigError or SellctlError when it can't be set."""
    from sellctl.bootstrap import RunOptions
    from sellctl.core.manual.proposed_overrides import proposed_override
    from sellctl.core.model.account_state import RunMode
    from sellctl.service.rule_changes import change_of
    from sellctl.service.verbs import holders_of

    runtime = run(options, RunOptions("set", RunMode.DRY_RUN, accounts))
    change = change_of(given, runtime.scheduler.market, _PREFIX)
    name, holders = holders_of(name, first_listings(runtime))
    watchers = {watcher.name: watcher for watcher in runtime.scheduler.watchers}
    overrides = [
        proposed_override(snapshot, watchers[each].policy, name, change, by)
        for each in holders
        if (snapshot := watchers[each].state.snapshot)
    ]
    return ProposedRules(runtime, name, given, accounts, change, by, overrides)


def ask(options: "Options", rules: ProposedRules) -> ProposedRules:
    """Print what would change, and ask. Returns the same as it is after the answer.

    SafetyRefusalError when the answer is no, without a terminal, and when by the answer it does something else.
    """
    from sellctl.ui.override_rows import PROPOSED_OVERRIDE_COLUMNS
    from sellctl.ui.render import emit_before_question

    emit_before_question(PROPOSED_OVERRIDE_COLUMNS, rules.rows, rules.title)
    require_yes(f"{rules.warnings} Set it?".lstrip(), done="set")
    now = propose(options, rules.name, rules.given, rules.accounts, rules.by)
    if (now.change, _shown(now)) != (rules.change, _shown(rules)):
        raise SafetyRefusalError("Nothing was set: what it does has changed since it was shown.", hint="Run it again.")
    return now


def _shown(rules: ProposedRules) -> "tuple[ShownOverride, ...]":
    """What an answer is bound to. Each is read by a run of its own, as by another process."""
    from sellctl.core.manual.proposed_overrides import shown_of

    return shown_of(rules.overrides, elsewhere=True)


def carry_out(
    options: "Options", rules: ProposedRules, output: "OutputFormat | None", *, was_shown: bool = False
) -> ExitCode:
    """Have it set by the running watchers, or here, and print what became of it. Returns the exit status.

    What was shown with a question is printed again only where it goes elsewhere: in a format, or into a file.
    """
    from sellctl.ui.contracts import readable_name
    from sellctl.ui.override_rows import PROPOSED_OVERRIDE_COLUMNS
    from sellctl.ui.render import emit

    problems = [_set(options, rules, each) for each in rules.overrides]
    if not was_shown or output is not None or not sys.stdout.isatty():
        emit(PROPOSED_OVERRIDE_COLUMNS, rules.rows, output, title=rules.title, document=rules.document)
    for each, problem in zip(rules.overrides, problems, strict=True):
        done = f"not set: {problem}" if problem else "set" if each.after else "cleared"
        say(f"{each.account}: {readable_name(rules.name)}: {done}.")
    return ExitCode.REFUSED if any(problems) else status_of(rules.runtime.scheduler)


def _set(options: "Options", rules: ProposedRules, proposed: "ProposedOverride") -> str:
    """Have the account's watcher or host set it, or set it here. Returns why it isn't set; "" when it is."""
    from sellctl.bootstrap import RunOptions
    from sellctl.core.manual.verb import Verb
    from sellctl.core.model.account_state import RunMode
    from sellctl.core.watching.manual_requests import CommandRequest
    from sellctl.journal.exits_since import newest_row
    from sellctl.service.command_inbox import watcher_of

    runtime, account = rules.runtime, proposed.account
    request = CommandRequest(uuid.uuid4().hex, Verb.SET, proposed.name, (account,), rules.by, change=rules.change)
    start_row = newest_row(runtime.state.journal)
    state = next(each for each in runtime.scheduler.states if each.name == account)
    watcher = watcher_of(runtime.state, account, state.facts.number) if state.facts else None
    if watcher is not None:
        if not watcher.accepts(request):
            return f"{watcher.name} did not accept it"
    else:
        here = RunOptions("set", RunMode.ACT, (account,), only=frozenset(), requests=(request,), yes=True)
        acted = run(options, here, quiet=True)
        problem = next((each.problem for each in acted.scheduler.states if each.problem), acted.scheduler.problem)
        if problem is not None:
            return problem.sentence
    return _wait_until_set(runtime, account, request.id, start_row)


def _wait_until_set(runtime: "Runtime", account: str, request: str, start_row: int) -> str:
    """Wait until it is on record, and so on disk, that it was set. Returns why it isn't; "" when it is."""
    from sellctl.service.rule_changes import why_not_set

    ends_at = time.monotonic() + _SET_WITHIN_SECONDS
    while (problem := why_not_set(runtime.state.journal, account, request, start_row)) is None:
        if time.monotonic() > ends_at:
            return f"no answer within {_SET_WITHIN_SECONDS:.0f} s; `sellctl positions` shows what is set"
        time.sleep(_READ_AGAIN_SECONDS)
    return problem
