"""`sellctl close SYMBOL`: close one position now, with the same checks as every other exit."""

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
from sellctl.core.errors import ConfigError
from sellctl.core.exit_codes import ExitCode
from sellctl.core.watching.manual_requests import Verb


def close(
    context: typer.Context,
    symbol: Annotated[str, typer.Argument(help="The position's symbol, as `sellctl positions` shows it.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")] = False,
    yes: YesOption = False,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Close one position now.

    Ends within 50 seconds; the next run adopts an order that still works then. A running watcher closes it itself.
    """
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode

    wanted = frozenset({symbol.upper()})
    mode = RunMode.DRY_RUN if dry_run else RunMode.ACT
    run_options = RunOptions(f"close {symbol}", mode, account or (), closing=wanted, only=wanted, yes=yes)
    runtime = run(options_of(context), run_options)
    scheduler = runtime.scheduler
    hand_over(runtime, Verb.CLOSE, symbol.upper())
    plans = [plan.only(wanted) for plan in first_plans_of(scheduler)]
    if not any(plan.decisions for plan in plans) and all(
        state.problem is None and state.plan is not None for state in scheduler.states
    ):
        raise ConfigError(
            f"{symbol.upper()} is not held in any account.", hint="`sellctl positions` lists all positions."
        )
    show_plans(plans, run_options, output, "Close")
    code = status_of(scheduler)
    refused = any(decision.violations for plan in plans for decision in plan.decisions)
    raise typer.Exit(ExitCode.REFUSED if code is ExitCode.OK and refused else code)
