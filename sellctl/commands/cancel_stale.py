"""`sellctl cancel-stale`: cancel working exit orders that are older than the configuration allows, and nothing else."""

from typing import Annotated

import typer

from sellctl.commands.session import AccountOption, FormatOption, first_listings, options_of, run, say, status_of
from sellctl.core.exit_codes import ExitCode
from sellctl.ui.formats import OutputFormat

_COMPLETE = (OutputFormat.JSON, OutputFormat.CSV, OutputFormat.MARKDOWN, OutputFormat.PLAIN)  # also without a row


def cancel_stale(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the orders; cancel nothing.")] = False,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Cancel exit orders older than order_cancel_minutes.

    Only simple day orders that close a position; never your GTC, stop, bracket or multi-leg orders.
    """
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode
    from sellctl.ui.documents import stale_document
    from sellctl.ui.render import emit
    from sellctl.ui.rows import ORDER_COLUMNS, orders_rows

    run_options = RunOptions("cancel-stale", RunMode.DRY_RUN if dry_run else RunMode.STALE_ONLY, account or ())
    runtime = run(options_of(context), run_options)
    scheduler, accounts = runtime.scheduler, first_listings(runtime)
    cancels = [(account, cancel) for account in accounts if account.plan for cancel in account.plan.stale]
    stale = [(account, cancel.order) for account, cancel in cancels]
    title = "Stale orders" if dry_run else "Cancelled stale orders"
    document = stale_document(cancels, run_options.mode.value)
    if any(account.plan for account in accounts):  # else "none" would be a guess
        if stale or output in _COMPLETE:
            emit(ORDER_COLUMNS, orders_rows(stale), output, title=title, document=document)
        if not stale:
            say("No exit order is older than order_cancel_minutes: there is nothing to cancel.")
    pending_cancel_ids = {order_id for watcher in scheduler.watchers for order_id in watcher.orders.pending_cancel_ids}
    still_open = [(account, order) for account, order in stale if order.id in pending_cancel_ids]
    for listing, order in still_open:
        name = listing.account
        say(f"sellctl: {name}: the order for {order.symbol} is still open; its cancel is pending.")
    code = status_of(scheduler)
    raise typer.Exit(_with_open(code, all_of_them=len(still_open) == len(stale)) if still_open else code)


def _with_open(code: ExitCode, *, all_of_them: bool) -> ExitCode:
    """The exit status when some or all of the orders are still open."""
    return code or (ExitCode.FAILED if all_of_them else ExitCode.PARTLY)
