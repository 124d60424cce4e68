"""`sellctl cancel-stale`: cancel resting sell orders that are older than the configuration allows, and nothing else."""

from typing import Annotated

import typer

from sellctl.commands.session import AccountOption, FormatOption, options_of, status_of, with_runtime
from sellctl.render import ORDER_COLUMNS, emit, orders_rows


def cancel_stale(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show them; cancel nothing.")] = False,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Cancel sell orders older than order_cancel_minutes."""
    from sellctl.bootstrap import Runtime, Wish  # noqa: PLC0415  help does without it
    from sellctl.core.sell_watcher import Mode  # noqa: PLC0415  likewise

    async def work(runtime: Runtime) -> None:
        await runtime.fleet.run_once()

    wish = Wish("cancel-stale", Mode.DRY_RUN if dry_run else Mode.STALE_ONLY, account or ())
    fleet = with_runtime(options_of(context), wish, work).fleet
    stale = [(plan.account, cancel.order) for plan in fleet.first_plans for cancel in plan.stale]
    emit(ORDER_COLUMNS, orders_rows(stale), output, title="Stale orders" if dry_run else "Stale orders, cancelled")
    raise typer.Exit(status_of(fleet))
