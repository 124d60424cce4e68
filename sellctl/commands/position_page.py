"""The page of a position or structure, which `explain` and `positions NAME` show, and the list of an underlying."""

from typing import TYPE_CHECKING, NoReturn

import typer

from sellctl.commands.session import listings, print_halt, print_outdated, run, status_of
from sellctl.service.names import not_held

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sellctl.bootstrap import Runtime
    from sellctl.core.model.order import Order
    from sellctl.core.model.view import AccountListing
    from sellctl.service.options import Options
    from sellctl.ui.formats import OutputFormat
    from sellctl.ui.rows import TableRow


def show_named(
    options: "Options",
    name: str,
    account: "Sequence[str] | None",
    output: "OutputFormat | None",
    *,
    explains: bool = False,
) -> NoReturn:
    """Print everything about a symbol or structure, or the positions on an underlying, and end the command.

    `explains`: the only position on an underlying is shown as if it were named. ConfigError when nothing of the name is
    held.
    """
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode
    from sellctl.ui.details import symbols_called

    todays_orders: dict[str, tuple[Order, ...]] = {}

    def meant(accounts: "Sequence[AccountListing]") -> str:
        return (_only_name_on(accounts, name) if explains else "") or name

    async def read_orders(runtime: "Runtime") -> None:
        shown = meant(accounts := listings(runtime))
        for listing, watcher in zip(accounts, runtime.scheduler.watchers, strict=True):
            for symbol in symbols_called(listing, shown):
                known = todays_orders.get(watcher.name, ())
                todays_orders[watcher.name] = (*known, *await watcher.todays_orders(symbol))

    runtime = run(options, RunOptions("positions", RunMode.DRY_RUN, account or ()), read_orders)
    accounts, halted = listings(runtime), print_halt(runtime)
    print_outdated(runtime.state, runtime.loaded)
    name = meant(accounts)
    on_it = [_on_underlying(each, name) for each in accounts]
    is_held = any(symbols_called(each, name) for each in accounts)
    if not is_held and any(each.plan and each.plan.decisions for each in on_it):
        _show_list(name, on_it, halted, output)
    else:
        _show_details(runtime, name, todays_orders, accounts, output)
    raise typer.Exit(status_of(runtime.scheduler))


def _only_name_on(accounts: "Sequence[AccountListing]", underlying: str) -> str:
    """The symbol of the only position on an underlying; "" without one, and when there are several."""
    on_it = [_on_underlying(each, underlying) for each in accounts]
    held = {decision.holding.symbol for each in on_it if each.plan for decision in each.plan.decisions}
    return held.pop() if len(held) == 1 else ""


def _on_underlying(listing: "AccountListing", underlying: str) -> "AccountListing":
    """The listing of an account with only the positions and structures on an underlying."""
    from msgspec.structs import replace

    if listing.plan is None:
        return listing
    decisions = tuple(
        each for each in listing.plan.decisions if each.holding.position.instrument.underlying == underlying
    )
    held = {each.holding.symbol for each in decisions}
    structures = tuple(each for each in listing.structures if held.issuperset(each.symbols))
    return replace(listing, plan=replace(listing.plan, decisions=decisions), structures=structures)


def _show_list(name: str, accounts: "Sequence[AccountListing]", halted: str, output: "OutputFormat | None") -> None:
    from sellctl.ui.documents import positions_listing
    from sellctl.ui.render import emit
    from sellctl.ui.rows import POSITION_COLUMNS, positions_rows
    from sellctl.ui.summaries import summary_lines

    shown = [each for each in accounts if each.plan is None or each.plan.decisions]
    title = "\n".join((f"Positions on {name}", *summary_lines(shown)))
    emit(POSITION_COLUMNS, positions_rows(shown), output, title=title, document=positions_listing(shown, halted))


def _show_details(
    runtime: "Runtime",
    name: str,
    todays_orders: "Mapping[str, tuple[Order, ...]]",
    accounts: "Sequence[AccountListing]",
    output: "OutputFormat | None",
) -> None:
    """Everything about a symbol or structure in every account that holds it, and which accounts could not be read."""
    from sellctl.ui.details import details_of, orders_of, rule_rows, symbols_called
    from sellctl.ui.render import JSON_VERSION, emit
    from sellctl.ui.rows import DETAIL_COLUMNS

    rows: list[TableRow] = []
    documents: list[dict[str, object]] = []
    for watcher, listing in zip(runtime.scheduler.watchers, accounts, strict=True):
        symbols = symbols_called(listing, name)
        if watcher.state.market is None or not symbols:
            continue
        orders = orders_of(symbols, watcher.state.open_orders, todays_orders.get(watcher.name, ()))
        page, document = details_of(listing, name, orders, watcher.state.market)
        rules = rule_rows(watcher, listing, name)
        rows += [*page, *rules]
        documents.append({**document, "rules": [f"{what}: {text}" for what, text in rules]})
    unread = [account for account in accounts if account.plan is None]
    if not documents and not unread:
        held = {each.holding.position.instrument.underlying for a in accounts if a.plan for each in a.plan.decisions}
        error = not_held(name, accounts, held)
        error.hint = _last_closed(runtime, name) or error.hint
        raise error
    rows += [("not read", f"{each.account} ({each.mode.value.upper()}): {each.problem}") for each in unread]
    emit(DETAIL_COLUMNS, rows, output, title=name, document={"version": JSON_VERSION, "positions": documents})


def _last_closed(runtime: "Runtime", name: str) -> str:
    """When and why the journal says that it was closed last, and where to read on; "" when it knows nothing of it."""
    from sellctl.core.errors import JournalError
    from sellctl.journal.exits import last_exit
    from sellctl.ui.exit_rows import last_closed_text
    from sellctl.ui.formatting import today_of

    try:
        found = last_exit(runtime.state.journal, name)
    except JournalError:  # what isn't held is said all the same
        return ""
    now = runtime.scheduler.market_clock.instant or runtime.clock.now()
    closed = last_closed_text(name, found, today_of(now)) if found else ""
    return closed and f"{closed} See `{runtime.program} history {name}`."
