"""Shared by `close` and `panic`: show the positions, ask, close them here or in the watcher, print the result."""

import sys
import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from sellctl.commands.session import ask_yes_no, first_listings, listings, print_halt, record, run, say, status_of
from sellctl.core.errors import SafetyRefusalError
from sellctl.core.exit_codes import ExitCode
from sellctl.core.manual.verb import Verb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sellctl.bootstrap import RunOptions, Runtime
    from sellctl.core.model.exit_record import ExitsSince
    from sellctl.core.model.view import AccountListing
    from sellctl.core.watching.manual_exits import ExitOutcome, ProposedExit
    from sellctl.core.watching.manual_requests import CommandRequest
    from sellctl.service.options import Options
    from sellctl.ui.formats import OutputFormat

    ExitsBySymbol = Mapping[str, ExitsSince]

# How long to wait until a watcher's exits are filled, and until its first order is sent.
_FILL_TIMEOUT = 45.0
_FIRST_ORDER_TIMEOUT = 10.0
_READ_AGAIN_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class ManualExit:
    """One `close` or `panic` with the options of its run.

    `dry_run`: show the positions and send nothing. `yes`: don't ask. `symbol` is the one to close; "" for `panic`.
    """

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
    """Poll once without sending anything, after the check that real money may be traded. Returns the closed runtime."""
    from sellctl.bootstrap import check_live, load
    from sellctl.core.model.account_state import RunMode

    if not wanted.dry_run:
        check_live(load(options), options, wanted.run_options)
    return run(options, replace(wanted.run_options, mode=RunMode.DRY_RUN, is_preview=not wanted.dry_run))


def show_proposed(
    runtime: "Runtime", proposed: "Sequence[ProposedExit]", wanted: ManualExit, output: "OutputFormat | None"
) -> None:
    """Print the positions with the estimated proceeds: on stdout for --dry-run, else on stderr before the question."""
    from sellctl.ui.documents import manual_exits_document
    from sellctl.ui.render import emit, emit_before_question
    from sellctl.ui.rows import PROPOSED_COLUMNS, proposed_rows

    halted, rows, accounts = print_halt(runtime), proposed_rows(proposed), first_listings(runtime)
    if not rows and any(each.plan is None for each in accounts):
        return  # "none" would be a guess; the problem was logged
    if wanted.dry_run:
        document = manual_exits_document(accounts, proposed, (), halted)
        emit(PROPOSED_COLUMNS, rows, output, title=wanted.title, document=document)
    else:
        emit_before_question(PROPOSED_COLUMNS, rows, wanted.title)


def require_yes(question: str, *, because: str = "", done: str = "sent") -> None:
    """Ask for confirmation. SafetyRefusalError when the answer is no, or when stdin is no terminal.

    `because` is a sentence on what is unusual about it, and nothing is `done` then.
    """
    if not sys.stdin.isatty():
        sentence = f"{because} Nothing was {done}: this must be confirmed.".lstrip()
        raise SafetyRefusalError(sentence, hint="Add --yes to confirm.")
    if not ask_yes_no(question, done=done):
        raise SafetyRefusalError(f"Nothing was {done}.")


def accounts_text(accounts: "Sequence[AccountListing]") -> str:
    """Accounts for a question: "main (PAPER) and income (LIVE)"."""
    named = dict.fromkeys(f"{each.account} ({each.mode.value.upper()})" for each in accounts)
    return " and ".join(named)


def carry_out(
    options: "Options",
    runtime: "Runtime",
    proposed: "Sequence[ProposedExit]",
    wanted: ManualExit,
    output: "OutputFormat | None",
) -> ExitCode:
    """Pass the request to the watchers of the accounts, do the rest here, print the outcome. Returns the status."""
    from sellctl.core.watching import manual_exits
    from sellctl.journal.exits_since import exits_since, newest_row

    journal = runtime.state.journal
    start_row = newest_row(journal)

    def exits_of(account: str) -> "ExitsBySymbol":
        return exits_since(journal, account, start_row)

    began = time.monotonic()
    names = list(dict.fromkeys(each.listing.account for each in proposed))
    unreadable = [each.account for each in first_listings(runtime) if each.plan is None]
    if wanted.verb is Verb.PANIC:
        names += unreadable
    passed = [name for name in names if _pass_to_watcher(runtime, name, wanted)]
    local = [name for name in names if name not in passed]
    code, afterwards = ExitCode.OK, dict[str, "AccountListing"]()
    if local:
        for name in local:
            record(runtime.state, "request", dict(_request(wanted, name).row), name)
        acted = run(options, replace(wanted.run_options, accounts=local, yes=True))
        code = status_of(acted.scheduler)
        afterwards |= {each.account: each for each in listings(acted)}
        late = manual_exits.proposals(each for each in first_listings(acted) if each.account in unreadable)
        proposed = [*proposed, *(each for each in late if each.included_in_panic)]
    if passed:
        afterwards |= _wait_for_watcher(
            options, [each for each in proposed if each.listing.account in passed], wanted, exits_of, began
        )
    outcomes = [
        manual_exits.outcome_of(each, exits_of(each.listing.account), afterwards[each.listing.account])
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
    document = manual_exits_document(first_listings(runtime), proposed, outcomes, runtime.halted)
    emit(OUTCOME_COLUMNS, outcome_rows(outcomes), output, title=wanted.title, document=document)


def _pass_to_watcher(runtime: "Runtime", account: str, wanted: ManualExit) -> bool:
    """Pass the request to the running watcher of the account, or to its host. Returns whether it was accepted.

    If the account could not be read, it is unknown whether a watcher runs for it: the request is passed in any case.
    """
    from sellctl.service.command_inbox import watcher_of

    state = next(state for state in runtime.scheduler.states if state.name == account)
    watcher = watcher_of(runtime.state, account, state.facts.number if state.facts else None)
    if watcher is None or not watcher.accepts(_request(wanted, account)):
        return False
    say(f"{account}: passed to {watcher.name}.")
    return True


def _request(wanted: ManualExit, account: str) -> "CommandRequest":
    """The request for one account, by whoever runs this."""
    from sellctl.core.watching.manual_requests import ALL, CommandRequest
    from sellctl.service.person import at_the_command_line

    terms = wanted.run_options.terms.get(account, ALL)
    by = at_the_command_line()
    return CommandRequest(uuid.uuid4().hex, wanted.verb, wanted.symbol, (account,), by, terms)


def _wait_for_watcher(
    options: "Options",
    proposed: "Sequence[ProposedExit]",
    wanted: ManualExit,
    exits_of: "Callable[[str], ExitsBySymbol]",
    began: float,
) -> "dict[str, AccountListing]":
    """Wait until the watcher has closed these positions. Returns the accounts as they are afterwards, by name.

    Waits until _FILL_TIMEOUT after the command `began`, and only _FIRST_ORDER_TIMEOUT when no order was sent by then.
    """
    from sellctl.core.model.account_state import RunMode

    accepted_at = time.monotonic()
    try:
        while True:
            records = [exits_of(each.listing.account).get(each.symbol) for each in proposed]
            if all(record and record.filled >= each.qty for record, each in zip(records, proposed, strict=True)):
                return {each.listing.account: each.listing for each in proposed}
            was_sent = any(record and record.sent for record in records)
            now = time.monotonic()
            if now - began > _FILL_TIMEOUT or (not was_sent and now - accepted_at > _FIRST_ORDER_TIMEOUT):
                break
            time.sleep(_READ_AGAIN_SECONDS)
    except KeyboardInterrupt:
        say("sellctl: interrupted. The running watcher continues.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    names = tuple(dict.fromkeys(each.listing.account for each in proposed))
    afterwards = run(options, replace(wanted.run_options, accounts=names, mode=RunMode.DRY_RUN))
    return {each.account: each for each in listings(afterwards)}
