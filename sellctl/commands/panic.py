"""`sellctl panic`: close every managed position, at any price, even during a halt."""

import sys
from typing import Annotated

import typer

from sellctl.commands.session import (
    AccountOption,
    FormatOption,
    YesOption,
    first_plans_of,
    hand_over,
    options_of,
    run,
    show_plans,
    status_of,
)
from sellctl.core.errors import SafetyRefusalError
from sellctl.core.watching.manual_requests import Verb


def panic(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")] = False,
    yes: YesOption = False,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Close every managed position now, even during a halt.

    Asks first, then closes at any price. Ends within 50 seconds; a running watcher does it itself.
    """
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode

    if not (dry_run or yes or _confirmed()):
        raise SafetyRefusalError("Nothing was sent.", hint="`sellctl panic --yes` doesn't ask for confirmation.")
    run_options = RunOptions("panic", RunMode.DRY_RUN if dry_run else RunMode.ACT, account or (), panic=True, yes=True)
    runtime = run(options_of(context), run_options)
    hand_over(runtime, Verb.PANIC)
    show_plans(first_plans_of(runtime.scheduler), run_options, output, "Panic")
    raise typer.Exit(status_of(runtime.scheduler))


def _confirmed() -> bool:
    return sys.stdin.isatty() and typer.confirm("Close every managed position at any price?", err=True)
