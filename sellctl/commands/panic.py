"""`sellctl panic`: close every managed position, at any price, even during a halt."""

from typing import Annotated

import typer

from sellctl.commands.manual_exit import ManualExit, accounts_text, carry_out, preview, require_yes, show_proposed
from sellctl.commands.session import AccountOption, FormatOption, YesOption, first_listings, options_of, say, status_of
from sellctl.core.errors import SafetyRefusalError
from sellctl.core.manual.verb import Verb


def panic(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")] = False,
    yes: YesOption = False,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Close every managed position now, even during a halt.

    Shows the positions and asks, then closes at any price. What `positions` shows as exempt or not managed stays.
    Ends within 50 seconds and says what became of it; a running watcher does it itself.
    """
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode
    from sellctl.core.watching.manual_exits import proposals

    options = options_of(context)
    run_options = RunOptions("panic", RunMode.ACT, account or (), panic=True)
    wanted = ManualExit(Verb.PANIC, run_options, dry_run=dry_run, yes=yes)
    runtime = preview(options, wanted)
    accounts, code = first_listings(runtime), status_of(runtime.scheduler)
    held = proposals(accounts)
    closing = [each for each in held if each.included_in_panic]
    show_proposed(runtime, held, wanted, output)
    if held and not closing and runtime.scheduler.market is not None and not runtime.scheduler.market.is_open:
        raise SafetyRefusalError("The market is closed: nothing can be sent.", hint="Run it again when it is open.")
    if dry_run or not (closing or code):
        if not closing and not code:
            say("No managed position is held: nothing is to be closed.")
        raise typer.Exit(code)
    if not yes:
        where = accounts_text([*(each.listing for each in closing), *(each for each in accounts if each.plan is None)])
        require_yes(f"{_positions_text(len(closing))} of {where} at any price?")
    raise typer.Exit(carry_out(options, runtime, closing, wanted, output) or code)


def _positions_text(count: int) -> str:
    """The start of the question; no count when no account could be read."""
    return f"Close {count} position{'' if count == 1 else 's'}" if count else "Close every managed position"
