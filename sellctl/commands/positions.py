"""`sellctl positions`: all positions with gain and nearest trigger; with a symbol, everything about it."""

from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.session import (
    AccountOption,
    FormatOption,
    listings,
    not_held,
    options_of,
    print_halt,
    run,
    status_of,
    symbol_of,
)
from sellctl.ui.formats import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sellctl.bootstrap import Runtime
    from sellctl.core.model.order import Order
    from sellctl.core.model.plan import PositionDecision
    from sellctl.core.model.view import AccountListing
    from sellctl.core.scheduler import AccountScheduler
    from sellctl.core.sell_watcher import SellWatcher
    from sellctl.ui.rows import TableRow


def positions(
    context: typer.Context,
    symbol: Annotated[str | None, typer.Argument(help="Show everything about this symbol.", show_default=False)] = None,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Show all positions with gain and nearest trigger.

    Changes nothing. With a symbol: everything about it, rule by rule.
    """
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode
    from sellctl.ui.documents import positions_listing
    from sellctl.ui.render import emit
    from sellctl.ui.rows import POSITION_COLUMNS, positions_rows

    wanted = "" if symbol is None else symbol_of(symbol)
    todays_orders: dict[str, tuple[Order, ...]] = {}

    async def read_orders(runtime: "Runtime") -> None:
        for watcher, _ in _holding(runtime.scheduler, wanted):
            todays_orders[watcher.name] = await watcher.todays_orders(wanted)

    runtime = run(options_of(context), RunOptions("positions", RunMode.DRY_RUN, account or ()), read_orders)
    accounts, halted = listings(runtime), print_halt(runtime.state)
    if wanted:
        _show_details(runtime.scheduler, wanted, todays_orders, accounts, output)
    else:
        document = positions_listing(accounts, halted)
        emit(POSITION_COLUMNS, positions_rows(accounts), output, title="Positions", document=document)
    raise typer.Exit(status_of(runtime.scheduler))


def _holding(scheduler: "AccountScheduler", symbol: str) -> "Iterator[tuple[SellWatcher, PositionDecision]]":
    """The watcher of each account that holds a symbol, with the decision on it."""
    from sellctl.ui.displays import explained_plan

    for watcher in scheduler.watchers:
        for decision in explained_plan(plan, watcher).decisions if (plan := watcher.state.plan) else ():
            if decision.holding.symbol == symbol:
                yield watcher, decision


def _show_details(
    scheduler: "AccountScheduler",
    symbol: str,
    todays_orders: "Mapping[str, tuple[Order, ...]]",
    accounts: "Sequence[AccountListing]",
    output: OutputFormat | None,
) -> None:
    """Everything about a symbol in every account that holds it, and which accounts could not be read."""
    from sellctl.ui.documents import position_document
    from sellctl.ui.formatting import mode_text
    from sellctl.ui.render import JSON_VERSION, emit
    from sellctl.ui.rows import DETAIL_COLUMNS, position_details

    rows: list[TableRow] = []
    documents = []
    account_of = {account.account: account for account in accounts}
    for watcher, decision in _holding(scheduler, symbol):
        if watcher.state.market is None:
            continue
        orders = _orders(watcher.state.open_orders, todays_orders.get(watcher.name, ()), symbol)
        rows += position_details(decision, orders, watcher.state.market, account_of[watcher.name])
        rows += _rule_rows(watcher, symbol)
        document = position_document(decision, orders, watcher.state.market, account_of[watcher.name])
        documents.append({**document, "rules": [f"{name}: {text}" for name, text in _rule_rows(watcher, symbol)]})
    unread = [account for account in accounts if account.plan is None]
    if not documents and not unread:
        raise not_held(symbol, accounts)
    rows += [("not read", f"{each.account} ({mode_text(paper=each.paper)}): {each.problem}") for each in unread]
    emit(DETAIL_COLUMNS, rows, output, title=symbol, document={"version": JSON_VERSION, "positions": documents})


def _rule_rows(watcher: "SellWatcher", symbol: str) -> "list[tuple[str, str]]":
    """Rows for the strategy that manages a symbol, why it does, and the state of each of its rules."""
    from sellctl.core.decision.explain import explain

    snapshot = watcher.state.snapshot
    explanation = explain(snapshot, watcher.policy, symbol) if snapshot else None
    state = explanation.strategy if explanation else None
    if state is None:
        return []
    evaluated_as = [] if state.evaluates == symbol else [("evaluated as", state.evaluates)]
    rules = [("rule", rule.sentence) for rule in state.rules]
    return [("strategy", f"{state.name} ({state.manages})"), *evaluated_as, *rules]


def _orders(open_ones: "Iterable[Order]", todays: "Iterable[Order]", symbol: str) -> "tuple[Order, ...]":
    """The orders of a symbol without duplicates; where an order is in both, the one from `todays` is used."""
    return tuple({order.id: order for order in (*open_ones, *todays) if order.symbol == symbol}.values())
