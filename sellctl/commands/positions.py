"""`sellctl positions`: what is held, how far it has come, what would make it leave; with a symbol, everything on it."""

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
    from sellctl.ui.render import Row


def positions(
    context: typer.Context,
    symbol: Annotated[str | None, typer.Argument(help="Show everything about this symbol.", show_default=False)] = None,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Show what is held, its nearest trigger, and why it stays.

    Changes nothing. With a symbol: everything about it, rule by rule.
    """
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode
    from sellctl.ui.render import POSITION_COLUMNS, emit, positions_document, positions_rows

    wanted = symbol.upper() if symbol else ""
    todays: dict[str, tuple[Order, ...]] = {}

    async def ask(runtime: "Runtime") -> None:
        for watcher, _ in _holding(runtime.scheduler, wanted):
            todays[watcher.name] = await watcher.todays_orders(wanted)

    scheduler = run(options_of(context), RunOptions("positions", RunMode.DRY_RUN, account or ()), ask).scheduler
    if wanted:
        _page(scheduler, wanted, todays, output)
    else:
        plans = plans_of(scheduler)
        emit(POSITION_COLUMNS, positions_rows(plans), output, title="Positions", document=positions_document(plans))
    raise typer.Exit(status_of(scheduler))


def _holding(scheduler: "AccountScheduler", symbol: str) -> "Iterator[tuple[SellWatcher, PositionDecision]]":
    """Each account that holds a symbol, with the verdict on it."""
    for watcher in scheduler.watchers:
        for decision in watcher.state.plan.decisions if watcher.state.plan else ():
            if decision.holding.symbol == symbol:
                yield watcher, decision


def _page(
    scheduler: "AccountScheduler", symbol: str, todays: "Mapping[str, tuple[Order, ...]]", output: OutputFormat | None
) -> None:
    """Everything about a symbol in every account that holds it."""
    from sellctl.ui.render import PAGE_COLUMNS, VERSION, emit, position_document, position_page

    rows: list[Row] = []
    documents = []
    for watcher, decision in _holding(scheduler, symbol):
        if watcher.state.market is None:
            continue
        orders = _orders(watcher.state.open_orders, todays.get(watcher.name, ()), symbol)
        rows += position_page(decision, orders, watcher.state.market, watcher.name)
        rows += _rule_rows(watcher, symbol)
        document = position_document(decision, orders, watcher.state.market, watcher.name)
        documents.append({**document, "rules": [f"{name}: {text}" for name, text in _rule_rows(watcher, symbol)]})
    if not documents and all(state.problem is None for state in scheduler.states):
        raise ConfigError(f"{symbol} is not held in any account.", hint="`sellctl positions` shows what is.")
    emit(PAGE_COLUMNS, rows, output, title=symbol, document={"version": VERSION, "positions": documents})


def _rule_rows(watcher: "SellWatcher", symbol: str) -> "list[tuple[str, str]]":
    """Which strategy looks after a symbol, why, and how each rule stands."""
    from sellctl.core.decision.rule_states import state_of

    state = state_of(snapshot, watcher.policy, symbol) if (snapshot := watcher.state.snapshot) else None
    if state is None:
        return []
    judged = [] if state.judges == symbol else [("judged as", state.judges)]
    rules = [("rule", rule.sentence) for rule in state.rules]
    return [("strategy", f"{state.name}, which takes {state.because}"), *judged, *rules]


def _orders(open_ones: "Iterable[Order]", todays: "Iterable[Order]", symbol: str) -> "tuple[Order, ...]":
    """Open and today's, each once, its newest word counting."""
    return tuple({order.id: order for order in (*open_ones, *todays) if order.symbol == symbol}.values())
