"""`sellctl run-once`: one run, for cron: poll, decide, act, follow orders for up to 45 s, and print what was done."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.session import (
    AccountOption,
    FormatOption,
    YesOption,
    check_enabled,
    first_listings,
    listings,
    options_of,
    print_halt,
    run,
    say,
    show_plans,
    status_of,
)
from sellctl.core.exit_codes import ExitCode

if TYPE_CHECKING:
    from sellctl.bootstrap import Runtime
    from sellctl.core.scheduler import AccountScheduler
    from sellctl.ui.formats import OutputFormat


class IfBusy(StrEnum):
    """The exit status when another sellctl process holds an account: BUSY or OK."""

    FAIL = "fail"
    SKIP = "skip"


def run_once(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide and show; send and write nothing.")] = False,
    detailed_exitcode: Annotated[bool, typer.Option("--detailed-exitcode", help="Exit 10 when exits are due.")] = False,
    if_busy: Annotated[
        IfBusy, typer.Option("--if-busy", help="When another sellctl holds the account: fail exits 6, skip exits 0.")
    ] = IfBusy.FAIL,
    yes: YesOption = False,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Check every account once and sell what is due; for cron.

    Ends within 50 seconds. Urgent orders keep working after that, and the next run takes them over.
    Exits 5 when an exit is due and was not sent: a halt, one of your orders, or a check of sellctl is in the way.
    """
    from sellctl.bootstrap import RunOptions, load, state_of
    from sellctl.core.model.account_state import RunMode
    from sellctl.journal.exits_since import newest_row

    options = options_of(context)
    loaded = load(options, notifies=not dry_run)
    if not check_enabled(loaded):
        return
    mode = RunMode.DRY_RUN if dry_run else RunMode.ACT
    run_options = RunOptions("run-once", mode, account or (), yes=yes, checks_structures=True, observed=True)
    start_row = 0 if dry_run else newest_row(state_of(options, loaded).journal)
    runtime = run(options, run_options, loaded=loaded, notifies=not dry_run)
    scheduler = runtime.scheduler
    if dry_run:
        show_plans(runtime, run_options, output, "What would be done")
    else:
        _show_what_was_done(runtime, start_row, output)
    if scheduler.market is not None and not scheduler.market.is_open:
        say("The market is closed: nothing is sold.")
    code = status_of(scheduler, busy_is_fine=if_busy is IfBusy.SKIP)
    if code is ExitCode.OK and _print_unsent(scheduler):
        code = ExitCode.REFUSED
    if code is ExitCode.OK and detailed_exitcode and any(plan.is_due for plan in scheduler.first_plans):
        code = ExitCode.EXITS_DUE
    raise typer.Exit(code)


def _show_what_was_done(runtime: "Runtime", start_row: int, output: "OutputFormat | None") -> None:
    """Print what became of the orders of each position since this row of the journal, and why nothing was sent."""
    from sellctl.core.model.account_state import RunMode
    from sellctl.journal.exits_since import exits_since
    from sellctl.ui.render import emit
    from sellctl.ui.runs import RUN_COLUMNS, AccountRun, run_document, run_rows, working_orders

    watchers = runtime.scheduler.watchers
    halted = print_halt(runtime)
    accounts = [
        AccountRun(
            first,
            last,
            recorded=exits_since(runtime.state.journal, watcher.name, start_row),
            working=working_orders(watcher.orders.book.open, watcher.state.open_orders),
        )
        for watcher, first, last in zip(watchers, first_listings(runtime), listings(runtime), strict=True)
    ]
    document = run_document(accounts, RunMode.ACT.value, halted)
    emit(RUN_COLUMNS, run_rows(accounts), output, title="What was done", document=document)


def _print_unsent(scheduler: "AccountScheduler") -> bool:
    """Print the exits that are due, and that a halt, an order of the user's or a check kept from being sent.

    Returns whether there are any. The last plan decides: what an earlier one could not send may have been sent since.
    """
    from sellctl.core.model.instrument import contract_text

    unsent = [
        (plan.account, decision) for state in scheduler.states if (plan := state.plan) for decision in plan.unsent
    ]
    for account, decision in unsent:
        why = decision.sentence.replace("; not sent: ", "; ")
        say(f"Not sent: {account}: {contract_text(decision.holding.symbol)}: {why}")
    return bool(unsent)
