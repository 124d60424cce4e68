"""Shared by `close` and `panic`: show the positions, ask, act or pass it on, and report what became of it."""

import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from sellctl.commands.session import first_listings, listings, print_halt, run, status_of
from sellctl.core.errors import SafetyRefusalError
from sellctl.core.exit_codes import ExitCode
from sellctl.core.watching.manual_requests import Verb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sellctl.bootstrap import RunOptions, Runtime
    from sellctl.core.model.exit_record import ExitsSince
    from sellctl.core.model.view import AccountListing
    from sellctl.core.watching.manual_exits import ExitOutcome, ProposedExit
    from sellctl.service.options import Options
    from sellctl.ui.formats import OutputFormat

    Since = Mapping[str, ExitsSince]

# How long a watcher's exits are followed, and how long to wait for its first order.
_FOLLOWED_SECONDS = 45.0
_SENT_WITHIN_SECONDS = 10.0
_READ_AGAIN_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class ManualExit:
    """One `close` or `panic`: the options of its run, and whether it only shows what it would do, or doesn't ask."""

    verb: Verb
    run_options: "RunOptions"
    dry_run: bool
    yes: bool
    symbol: str = ""

    @property
    def title(self) -> str:
        """The title of its tables."""
        return "Panic" if self.verb is Verb.PANIC else "Close"


def preview(options: "Options", wanted: ManualExit) -> "Runtime":
    """One poll that sends nothing, after the check that real money may be traded. Returns its runtime, closed."""
    from sellctl.bootstrap import check_live, load
    from sellctl.core.model.account_state import RunMode

    if not wanted.dry_run:
        check_live(load(options), options, wanted.run_options)
    return run(options, replace(wanted.run_options, mode=RunMode.DRY_RUN))


def show_proposed(
    runtime: "Runtime", proposed: "Sequence[ProposedExit]", wanted: ManualExit, output: "OutputFormat | None"
) -> None:
    """Print the positions with what closing them would bring: on stdout for --dry-run, else before the question."""
    from sellctl.ui.documents import manual_exits_document
    from sellctl.ui.render import emit, emit_before_question
    from sellctl.ui.rows import PROPOSED_COLUMNS, proposed_rows

    halted, rows, accounts = print_halt(runtime.state), proposed_rows(proposed), first_listings(runtime)
    if not rows and any(each.plan is None for each in accounts):
        return  # "none" would be a guess; the problem was logged
    if wanted.dry_run:
        document = manual_exits_document(accounts, proposed, (), halted)
        emit(PROPOSED_COLUMNS, rows, output, title=wanted.title, document=document)
    else:
        emit_before_question(PROPOSED_COLUMNS, rows, wanted.title)


def confirm(question: str) -> None:
    """Ask. SafetyRefusalError when the answer is no, or when stdin is no terminal."""
    if not sys.stdin.isatty():
        raise SafetyRefusalError("Nothing was sent: this must be confirmed.", hint="Add --yes to confirm.")
    if not typer.confirm(question, err=True):
        raise SafetyRefusalError("Nothing was sent.")


def accounts_text(accounts: "Sequence[AccountListing]") -> str:
    """Accounts for a question: "main (PAPER) and income (LIVE)"."""
    from sellctl.ui.formatting import mode_text

    named = dict.fromkeys(f"{each.account} ({mode_text(paper=each.paper)})" for each in accounts)
    return " and ".join(named)


def carry_out(
    options: "Options",
    runtime: "Runtime",
    proposed: "Sequence[ProposedExit]",
    wanted: ManualExit,
    output: "OutputFormat | None",
) -> ExitCode:
    """Pass the request to the watchers that hold accounts, do the rest here, print the outcome. Returns the status."""
    from sellctl.core.watching import manual_exits
    from sellctl.journal.exits_since import exits_since, newest_row

    journal = runtime.state.journal
    row = newest_row(journal)

    def since(account: str) -> "Since":
        return exits_since(journal, account, row)

    names = list(dict.fromkeys(each.account.account for each in proposed))
    unread = [each.account for each in first_listings(runtime) if each.plan is None]
    if wanted.verb is Verb.PANIC:
        names += unread
    passed = [name for name in names if _was_passed_on(runtime, name, wanted)]
    own = [name for name in names if name not in passed]
    code, afterwards = ExitCode.OK, dict[str, "AccountListing"]()
    if own:
        acted = run(options, replace(wanted.run_options, accounts=own, yes=True))
        code = status_of(acted.scheduler)
        afterwards |= {each.account: each for each in listings(acted)}
        late = manual_exits.proposals(each for each in first_listings(acted) if each.account in unread)
        proposed = [*proposed, *(each for each in late if each.is_in_panic)]
    if passed:
        afterwards |= _followed(options, [each for each in proposed if each.account.account in passed], wanted, since)
    outcomes = [
        manual_exits.outcome_of(each, since(each.account.account), afterwards[each.account.account])
        for each in proposed
    ]
    print_outcomes(runtime, outcomes, wanted, output)
    return code or manual_exits.status_of(outcomes)


def print_outcomes(
    runtime: "Runtime", outcomes: "Sequence[ExitOutcome]", wanted: ManualExit, output: "OutputFormat | None"
) -> None:
    """Print what became of each position."""
    from sellctl.ui.documents import manual_exits_document
    from sellctl.ui.render import emit
    from sellctl.ui.rows import OUTCOME_COLUMNS, outcome_rows

    if not outcomes:
        return  # no account could be read, and the problem was logged
    proposed = [outcome.proposed for outcome in outcomes]
    document = manual_exits_document(first_listings(runtime), proposed, outcomes, runtime.state.halted())
    emit(OUTCOME_COLUMNS, outcome_rows(outcomes), output, title=wanted.title, document=document)


def _was_passed_on(runtime: "Runtime", account: str, wanted: ManualExit) -> bool:
    """Whether a running watcher holds the account and has accepted the request.

    The holder of an account that could not be read is unknown, so it is asked in any case.
    """
    from sellctl.service.command_inbox import was_accepted

    state = next(state for state in runtime.scheduler.states if state.name == account)
    if state.facts is not None and not runtime.state.lock_holder(state.facts.number):
        return False
    by = f"sellctl {wanted.verb.value}"
    if not was_accepted(runtime.state.ask(wanted.verb, symbol=wanted.symbol, accounts=(account,), by=by)):
        return False
    typer.echo(f"{account}: passed to the running watcher.", err=True)
    return True


def _followed(
    options: "Options", proposed: "Sequence[ProposedExit]", wanted: ManualExit, since: "Callable[[str], Since]"
) -> "dict[str, AccountListing]":
    """Wait for what a watcher makes of these exits. Returns the accounts as they are afterwards, by name.

    Waits until every position is filled, but not longer than _FOLLOWED_SECONDS, nor when no order was sent in time.
    """
    from sellctl.core.model.account_state import RunMode

    began = time.monotonic()
    try:
        while True:
            records = [since(each.account.account).get(each.symbol) for each in proposed]
            if all(record and record.filled >= each.qty for record, each in zip(records, proposed, strict=True)):
                return {each.account.account: each.account for each in proposed}
            was_sent = any(record and record.sent for record in records)
            if time.monotonic() - began > (_FOLLOWED_SECONDS if was_sent else _SENT_WITHIN_SECONDS):
                break
            time.sleep(_READ_AGAIN_SECONDS)
    except KeyboardInterrupt:
        typer.echo("sellctl: interrupted. The running watcher goes on.", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    names = tuple(dict.fromkeys(each.account.account for each in proposed))
    afterwards = run(options, replace(wanted.run_options, accounts=names, mode=RunMode.DRY_RUN))
    return {each.account: each for each in listings(afterwards)}
