"""`sellctl trades`: the closed exits as a person reads them, with totals."""

import typer

from sellctl.commands.journal_filters import (
    AccountFilter,
    DayFilter,
    ReasonFilter,
    SinceFilter,
    SymbolArgument,
    journal_query,
)
from sellctl.commands.session import FormatOption, say


def trades(
    ctx: typer.Context,
    symbol: SymbolArgument = None,
    account: AccountFilter = None,
    reason: ReasonFilter = None,
    day: DayFilter = None,
    since: SinceFilter = None,
    fmt: FormatOption = None,
) -> None:
    """Show the trades: what was closed, at what profit, and totals.

    One row per exit that filled, oldest first; a structure is one trade. Times are New York's. The time held counts
    from the opening fill; "at least" stands where only the time since sellctl first saw the position is known. Of what
    has an unknown entry, dollars and percent are unknown, and the totals leave it out and say so.
    """
    from sellctl.journal.exits import exits
    from sellctl.ui.render import emit, emit_below
    from sellctl.ui.trades import TRADE_COLUMNS, totals_lines, trade_rows, trades_document

    asked = journal_query(ctx, symbol, account, reason, day, since)
    filled = sorted((one for one in exits(asked.path, asked.filters) if one.is_filled), key=lambda one: one.last_at)
    found = [(one, asked.recorded.mode_at(one.account, one.row)) for one in filled]
    emit(TRADE_COLUMNS, trade_rows(found), fmt, title="Trades", document=trades_document(found))
    emit_below(totals_lines(found), fmt)
    if not found:
        say("No trades are recorded for these filters.")
