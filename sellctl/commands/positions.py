"""`sellctl positions`: all positions with gain and nearest trigger; with a symbol, everything about it."""

from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.session import AccountOption, FormatOption, options_of, plans_of, run, status_of
from sellctl.core.errors import ConfigError
from sellctl.ui.formats import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sellctl.bootstrap import Runtime
    from sellctl.core.model.order import Order
    from sellctl.core.model.plan import PositionDecision
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
    from sellctl.ui.documents import positions_document
    from sellctl.ui.render import emit
    from sellctl.ui.rows import POSITION_COLUMNS, positions_rows

    wanted = symbol.upper() if symbol else ""
    todays_orders: dict[str, tuple[Order, ...]] = {}

    async def read_orders(runtime: "Runtime") -> None:
        for watcher, _ in _holding(runtime.scheduler, wanted):
            todays_orders[watcher.name] = await watcher.todays_orders(wanted)

    scheduler = run(options_of(context), RunOptions("positions", RunMode.DRY_RUN, account or ()), read_orders).scheduler
    if wanted:
        _page(scheduler, wanted, todays_orders, output)
    else:
        plans = plans_of(scheduler)
        emit(POSITION_COLUMNS, positions_rows(plans), output, title="Positions", document=positions_document(plans))
    raise typer.Exit(status_of(scheduler))


def _holding(scheduler: "AccountScheduler", symbol: str) -> "Iterator[tuple[SellWatcher, PositionDecision]]":
    """The watcher of each account that holds a symbol, with the decision on it."""
    from sellctl.ui.displays import explained_plan

    for watcher in scheduler.watchers:
        for decision in explained_plan(plan, watcher).decisions if (plan := watcher.state.plan) else ():
            if decision.holding.symbol == symbol:
                yield watcher, decision


def _page(
    scheduler: "AccountScheduler",
    symbol: str,
    todays_orders: "Mapping[str, tuple[Order, ...]]",
    output: OutputFormat | None,
) -> None:
    """Everything about a symbol in every account that holds it."""
    from sellctl.ui.documents import position_document
    from sellctl.ui.render import VERSION, emit
    from sellctl.ui.rows import PAGE_COLUMNS, position_page

    rows: list[TableRow] = []
    documents = []
    for watcher, decision in _holding(scheduler, symbol):
        if watcher.state.market is None:
            continue
        orders = _orders(watcher.state.open_orders, todays_orders.get(watcher.name, ()), symbol)
        rows += position_page(decision, orders, watcher.state.market, watcher.name)
        rows += _rule_rows(watcher, symbol)
        document = position_document(decision, orders, watcher.state.market, watcher.name)
        documents.append({**document, "rules": [f"{name}: {text}" for name, text in _rule_rows(watcher, symbol)]})
    if not documents and all(state.problem is None for state in scheduler.states):
        raise ConfigError(f"{symbol} is not held in any account.", hint="`sellctl positions` lists all positions.")
    emit(PAGE_COLUMNS, rows, output, title=symbol, document={"version": VERSION, "positions": documents})


def _rule_rows(watcher: "SellWatcher", symbol: str) -> "list[tuple[str, str]]":
    """Rows for the strategy that manages a symbol, why it does, and the state of each of its rules."""
    from sellctl.core.decision.explain import explain

    snapshot = watcher.state.snapshot
    explanation = explain(snapshot, watcher.policy, symbol) if snapshot else None
    state = explanation.strategy if explanation else None
    if state is None:
        return []
    part_of = [] if state.evaluates == symbol else [("managed as", state.evaluates)]
    rules = [("rule", rule.sentence) for rule in state.rules]
    return [("strategy", f"{state.name} ({state.takes})"), *part_of, *rules]


def _orders(open_ones: "Iterable[Order]", todays: "Iterable[Order]", symbol: str) -> "tuple[Order, ...]":
    """The orders of a symbol without duplicates; where an order is in both, the one from `todays` is used."""
    return tuple({order.id: order for order in (*open_ones, *todays) if order.symbol == symbol}.values())
