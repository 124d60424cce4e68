"""`sellctl positions`: all positions with gain and nearest trigger; with a name, everything about it."""

from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.completion import held_names
from sellctl.commands.session import (
    AccountOption,
    FormatOption,
    listings,
    options_of,
    print_halt,
    run,
    status_of,
)
from sellctl.service.names import name_of, not_held, structures_called
from sellctl.ui.formats import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from sellctl.bootstrap import Runtime
    from sellctl.core.model.market import Market
    from sellctl.core.model.order import Order
    from sellctl.core.model.view import AccountListing
    from sellctl.core.scheduler import AccountScheduler
    from sellctl.core.sell_watcher import SellWatcher
    from sellctl.ui.rows import TableRow


def positions(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            help="Show everything about this symbol or structure.", show_default=False, autocompletion=held_names
        ),
    ] = None,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Show all positions with gain and nearest trigger.

    Changes nothing. With a symbol or the name of a structure: everything about it, rule by rule.
    """
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode
    from sellctl.ui.documents import positions_listing
    from sellctl.ui.render import emit
    from sellctl.ui.rows import POSITION_COLUMNS, positions_rows
    from sellctl.ui.summaries import summary_lines

    wanted = "" if name is None else name_of(name)
    todays_orders: dict[str, tuple[Order, ...]] = {}

    async def read_orders(runtime: "Runtime") -> None:
        for listing, watcher in zip(listings(runtime), runtime.scheduler.watchers, strict=True):
            for symbol in _symbols(listing, wanted):
                known = todays_orders.get(watcher.name, ())
                todays_orders[watcher.name] = (*known, *await watcher.todays_orders(symbol))

    runtime = run(options_of(context), RunOptions("positions", RunMode.DRY_RUN, account or ()), read_orders)
    accounts, halted = listings(runtime), print_halt(runtime)
    if wanted:
        _show_details(runtime.scheduler, wanted, todays_orders, accounts, output)
    else:
        document = positions_listing(accounts, halted)
        title = "\n".join(("Positions", *summary_lines(accounts), *_unwatched(runtime)))
        emit(POSITION_COLUMNS, positions_rows(accounts), output, title=title, document=document)
    raise typer.Exit(status_of(runtime.scheduler))


def _unwatched(runtime: "Runtime") -> "Iterator[str]":
    """One line that names the accounts that no sellctl process of this machine holds; nothing when there are none."""
    facts = {state.name: state.facts for state in runtime.scheduler.states}
    unheld = [name for name, each in facts.items() if each and not runtime.state.lock_holder(each.number)]
    if unheld:
        of = f" of {', '.join(unheld)}" if len(facts) > 1 else ""
        yield f"No watcher{of} is running here: nothing is sold until watch or run-once runs."


def _symbols(listing: "AccountListing", name: str) -> tuple[str, ...]:
    """The symbols of what an account holds under a name: of a position, or of the legs of a structure."""
    if called := structures_called(name, [listing]):
        return called[0].symbols
    decisions = listing.plan.decisions if name and listing.plan else ()
    return tuple(each.holding.symbol for each in decisions if each.holding.symbol == name)


def _show_details(
    scheduler: "AccountScheduler",
    name: str,
    todays_orders: "Mapping[str, tuple[Order, ...]]",
    accounts: "Sequence[AccountListing]",
    output: OutputFormat | None,
) -> None:
    """Everything about a symbol or structure in every account that holds it, and which accounts could not be read."""
    from sellctl.ui.render import JSON_VERSION, emit
    from sellctl.ui.rows import DETAIL_COLUMNS

    rows: list[TableRow] = []
    documents: list[dict[str, object]] = []
    for watcher, listing in zip(scheduler.watchers, accounts, strict=True):
        symbols = _symbols(listing, name)
        if watcher.state.market is None or not symbols:
            continue
        orders = _orders(watcher.state.open_orders, todays_orders.get(watcher.name, ()), symbols)
        page, document = _of_account(listing, name, orders, watcher.state.market)
        rules = _rule_rows(watcher, symbols[0], name)
        rows += [*page, *rules]
        documents.append({**document, "rules": [f"{what}: {text}" for what, text in rules]})
    unread = [account for account in accounts if account.plan is None]
    if not documents and not unread:
        raise not_held(name, accounts)
    rows += [("not read", f"{each.account} ({each.mode.value.upper()}): {each.problem}") for each in unread]
    emit(DETAIL_COLUMNS, rows, output, title=name, document={"version": JSON_VERSION, "positions": documents})


def _of_account(
    listing: "AccountListing", name: str, orders: "tuple[Order, ...]", market: "Market"
) -> "tuple[list[TableRow], dict[str, object]]":
    """The rows of what an account holds under a name, and its document."""
    from sellctl.ui.documents import position_document, structure_document
    from sellctl.ui.rows import position_details, structure_page

    if called := structures_called(name, [listing]):
        structure = called[0]
        return structure_page(structure, orders, market, listing), structure_document(
            structure, orders, market, listing
        )
    decisions = listing.plan.decisions if listing.plan else ()
    decision = next(each for each in decisions if each.holding.symbol == name)
    return position_details(decision, orders, market, listing), position_document(decision, orders, market, listing)


def _rule_rows(watcher: "SellWatcher", symbol: str, name: str) -> "list[tuple[str, str]]":
    """Rows for the strategy that manages a symbol, why it does, and the state of each of its rules.

    On the page of a structure, `name`, they are those of the structure; none where its legs are judged alone.
    """
    from sellctl.core.decision.explain import explain

    snapshot = watcher.state.snapshot
    explanation = explain(snapshot, watcher.policy, symbol) if snapshot else None
    state = explanation.strategy if explanation else None
    if state is None or (name != symbol and state.evaluates == symbol):
        return []
    evaluated_as = [] if state.evaluates == symbol or name != symbol else [("evaluated as", state.evaluates)]
    rules = [("rule", rule.sentence) for rule in state.rules]
    return [("strategy", f"{state.name} ({state.manages})"), *evaluated_as, *rules]


def _orders(open_ones: "Iterable[Order]", todays: "Iterable[Order]", symbols: "Collection[str]") -> "tuple[Order, ...]":
    """The orders of these symbols without duplicates; where an order is in both, the one from `todays` is used.

    A multi-leg order is one of a structure that has all of its legs.
    """
    every = {order.id: order for order in (*open_ones, *todays)}.values()
    return tuple(order for order in every if order.symbol in symbols or _is_of_all(order, symbols))


def _is_of_all(order: "Order", symbols: "Collection[str]") -> bool:
    legs = {leg.symbol for leg in order.legs}
    return len(legs) > 1 and legs.issubset(symbols)
