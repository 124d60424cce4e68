"""`sellctl set NAME`: set the stop, the target or the trailing stop of one position, in place of its strategy's."""

import getpass
import time
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.completion import held_names
from sellctl.commands.manual_exit import confirm
from sellctl.commands.session import (
    AccountOption,
    FormatOption,
    YesOption,
    first_listings,
    options_of,
    run,
    status_of,
)
from sellctl.core.errors import ConfigError, SellctlError
from sellctl.core.exit_codes import ExitCode
from sellctl.service.names import name_of

if TYPE_CHECKING:
    from sellctl.bootstrap import Runtime
    from sellctl.core.manual.proposed_overrides import ProposedOverride
    from sellctl.core.model.position import OverrideChange
    from sellctl.core.watching.manual_requests import CommandRequest
    from sellctl.service.options import Options

_SET_WITHIN_SECONDS = 15.0
_READ_AGAIN_SECONDS = 0.05
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
    from sellctl.bootstrap import RunOptions
    from sellctl.core.manual.proposed_overrides import check_change, proposed_override
    from sellctl.core.model.account_state import RunMode
    from sellctl.core.model.position import AT_ENTRY, OverrideChange
    from sellctl.service.verbs import holders_of
    from sellctl.ui.override_rows import PROPOSED_OVERRIDE_COLUMNS, override_document, proposed_override_rows
    from sellctl.ui.render import emit, emit_before_question

    if breakeven and stop:
        raise ConfigError("--breakeven and --stop both set the stop.", hint="Give one of them.")
    name, options = name_of(name), options_of(context)
    change = OverrideChange(AT_ENTRY if breakeven else stop, target, trail, clear=clear)
    if not until:
        check_change(change)
    runtime = run(options, RunOptions("set", RunMode.DRY_RUN, account or ()))
    change = _with_end(change, until, runtime)
    accounts = {listing.account: listing for listing in first_listings(runtime)}
    name, holders = holders_of(name, list(accounts.values()))
    watchers = {watcher.name: watcher for watcher in runtime.scheduler.watchers}
    by = f"{getpass.getuser()} at the command line"
    proposed = [
        proposed_override(snapshot, watchers[each].policy, name, change, by)
        for each in holders
        if (snapshot := watchers[each].state.snapshot)
    ]
    rows, document = proposed_override_rows(proposed, accounts), override_document(proposed, accounts)
    title = "Set" if not clear else "Clear"
    if dry_run:
        emit(PROPOSED_OVERRIDE_COLUMNS, rows, output, title=title, document=document)
        raise typer.Exit(status_of(runtime.scheduler))
    warnings = [warning for each in proposed for warning in each.warnings]
    if warnings and not yes:
        emit_before_question(PROPOSED_OVERRIDE_COLUMNS, rows, title)
        confirm(f"{' '.join(dict.fromkeys(warnings))} Set it?", done="set")
    problems = [_carry_out(options, runtime, each.account, _request(each, change, by)) for each in proposed]
    emit(PROPOSED_OVERRIDE_COLUMNS, rows, output, title=title, document=document)
    for each, problem in zip(proposed, problems, strict=True):
        done = f"not set: {problem}" if problem else "set" if each.after else "cleared"
        typer.echo(f"{each.account}: {name}: {done}.", err=True)
    raise typer.Exit(ExitCode.REFUSED if any(problems) else status_of(runtime.scheduler))


def _with_end(change: "OverrideChange", until: str, runtime: "Runtime") -> "OverrideChange":
    """The change with the end that --until means by the broker's clock."""
    from msgspec.structs import replace

    from sellctl.core.until import until_of

    if not until:
        return change
    market = runtime.scheduler.market
    if market is None:
        raise SellctlError("The broker's clock could not be read, so the end is unknown.", hint="Try again.")
    try:
        return replace(change, until=until_of(until, market))
    except ValueError as error:
        raise ConfigError(f"--until: {error}") from None


def _request(proposed: "ProposedOverride", change: "OverrideChange", by: str) -> "CommandRequest":
    from sellctl.core.manual.verb import Verb
    from sellctl.core.watching.manual_requests import CommandRequest

    return CommandRequest(uuid.uuid4().hex, Verb.SET, proposed.name, (proposed.account,), by, change=change)


def _carry_out(options: "Options", runtime: "Runtime", account: str, request: "CommandRequest") -> str:
    """Have the running watcher of the account set it, or set it here. Returns why it isn't set; "" when it is."""
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode
    from sellctl.journal.exits_since import newest_row
    from sellctl.service.command_inbox import was_accepted

    start_row = newest_row(runtime.state.journal)
    state = next(each for each in runtime.scheduler.states if each.name == account)
    if state.facts and runtime.state.lock_holder(state.facts.number):
        if not was_accepted(runtime.state.pass_on(request)):
            return "the running watcher did not accept it"
    else:
        here = RunOptions("set", RunMode.ACT, (account,), only=frozenset(), requests=(request,), yes=True)
        acted = run(options, here)
        problem = next((each.problem for each in acted.scheduler.states if each.problem), acted.scheduler.problem)
        if problem is not None:
            return problem.sentence
    return _wait_until_set(runtime, account, request, start_row)


def _wait_until_set(runtime: "Runtime", account: str, request: "CommandRequest", start_row: int) -> str:
    """Wait until it is on record, and so on disk, that it was set. Returns why it isn't; "" when it is."""
    from sellctl.journal.notes_since import notes_since

    ends_at = time.monotonic() + _SET_WITHIN_SECONDS
    while True:
        for note in notes_since(runtime.state.journal, account, "override", start_row):
            if note.get("id") == request.id:
                return str(note.get("problem", ""))
        if time.monotonic() > ends_at:
            return f"no answer within {_SET_WITHIN_SECONDS:.0f} s; `sellctl positions` shows what is set"
        time.sleep(_READ_AGAIN_SECONDS)
