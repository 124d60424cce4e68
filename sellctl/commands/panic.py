"""`sellctl panic`: flatten everything that is managed, at any price, also under a halt."""

from typing import Annotated

import typer

from sellctl.commands.session import (
    AccountOption,
    FormatOption,
    YesOption,
    hand_over,
    options_of,
    status_of,
    with_runtime,
)
from sellctl.core.errors import SafetyRefusalError
from sellctl.core.model.request import Verb
from sellctl.render import PLAN_COLUMNS, emit, plan_document, plan_rows


def panic(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")] = False,
    yes: YesOption = False,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Close every managed position at any price, now. Ends within 50 seconds; a running watcher carries it out."""
    from sellctl.bootstrap import Runtime, Wish  # noqa: PLC0415  help does without it
    from sellctl.core.sell_watcher import Mode  # noqa: PLC0415  likewise

    mode = Mode.DRY_RUN if dry_run else Mode.ACT
    if not (dry_run or yes or _agreed()):
        raise SafetyRefusalError("Nothing was sent.", hint="`sellctl panic --yes` doesn't ask.")

    async def work(runtime: Runtime) -> None:
        await runtime.fleet.run_once()

    wish = Wish("panic", mode, account or (), panic=True, yes=True)
    runtime = with_runtime(options_of(context), wish, work)
    hand_over(runtime, Verb.PANIC)
    plans = runtime.fleet.first_plans
    emit(PLAN_COLUMNS, plan_rows(plans), output, title="Panic", document=plan_document(plans, mode.value))
    raise typer.Exit(status_of(runtime.fleet))


def _agreed() -> bool:
    import sys  # noqa: PLC0415  only here

    return sys.stdin.isatty() and typer.confirm("Close every managed position at any price?", err=True)
