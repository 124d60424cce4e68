"""`sellctl positions`: what is held, how far it has come, what would make it leave; with a symbol, everything on it."""

from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.session import AccountOption, FormatOption, options_of, plans_of, status_of, with_runtime
from sellctl.core.errors import ConfigError
from sellctl.render import (
    PAGE_COLUMNS,
    POSITION_COLUMNS,
    OutputFormat,
    emit,
    position_page,
    positions_document,
    positions_rows,
)

if TYPE_CHECKING:
    from sellctl.core.fleet import Fleet


def positions(
    context: typer.Context,
    symbol: Annotated[str | None, typer.Argument(help="Show everything about this symbol.", show_default=False)] = None,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Show every position with its gain, its nearest trigger, and why it is held or leaving. Changes nothing."""
    from sellctl.bootstrap import Runtime, Wish  # noqa: PLC0415  help does without it
    from sellctl.core.sell_watcher import Mode  # noqa: PLC0415  likewise

    async def work(runtime: Runtime) -> None:
        await runtime.fleet.run_once()

    fleet = with_runtime(options_of(context), Wish("positions", Mode.DRY_RUN, account or ()), work).fleet
    if symbol:
        _page(fleet, symbol.upper(), output)
    else:
        plans = plans_of(fleet)
        emit(POSITION_COLUMNS, positions_rows(plans), output, title="Positions", document=positions_document(plans))
    raise typer.Exit(status_of(fleet))


def _page(fleet: "Fleet", symbol: str, output: OutputFormat | None) -> None:
    pages = [
        position_page(verdict, [o for o in watcher.open_orders if o.symbol == symbol], watcher.market, watcher.name)
        for watcher in fleet.watchers
        if watcher.plan is not None and watcher.market is not None
        for verdict in watcher.plan.verdicts
        if verdict.holding.symbol == symbol
    ]
    if not pages and all(watcher.problem is None for watcher in fleet.watchers):
        raise ConfigError(f"{symbol} is not held in any account.", hint="`sellctl positions` shows what is.")
    for page in pages:
        emit(PAGE_COLUMNS, page, output, title=symbol)
