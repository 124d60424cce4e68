"""Everything about one position or structure, rule by rule: what `positions NAME` prints and the screen explains."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from sellctl.core.decision.explain import strategy_of
from sellctl.core.model.market import Market
from sellctl.core.model.order import Order
from sellctl.core.model.view import AccountListing, ShownStructure
from sellctl.ui.documents import position_document, structure_document
from sellctl.ui.rows import TableRow, position_details, structure_page

if TYPE_CHECKING:
    from sellctl.core.sell_watcher import SellWatcher


def symbols_called(listing: AccountListing, name: str) -> tuple[str, ...]:
    """The symbols of what an account holds under a name: of a position, or of the legs of a structure."""
    if structure := _structure_called(listing, name):
        return structure.symbols
    decisions = listing.plan.decisions if name and listing.plan else ()
    return tuple(each.holding.symbol for each in decisions if each.holding.symbol == name)


def details_of(
    listing: AccountListing, name: str, orders: tuple[Order, ...], market: Market
) -> tuple[list[TableRow], dict[str, Any]]:
    """The rows of what an account holds under a name, and its document."""
    if structure := _structure_called(listing, name):
        return (
            structure_page(structure, orders, market, listing),
            structure_document(structure, orders, market, listing),
        )
    decisions = listing.plan.decisions if listing.plan else ()
    decision = next(each for each in decisions if each.holding.symbol == name)
    return position_details(decision, orders, market, listing), position_document(decision, orders, market, listing)


def rule_rows(watcher: "SellWatcher", listing: AccountListing, name: str) -> list[tuple[str, str]]:
    """Rows for the strategy that manages what is called so, why it does, and the state of each of its rules.

    On the page of a structure, they are those of the structure; none where its legs are judged alone.
    """
    snapshot, symbols = watcher.state.snapshot, symbols_called(listing, name)
    decisions = listing.plan.decisions if listing.plan else ()
    decision = next((each for each in decisions if each.holding.symbol in symbols[:1]), None)
    state = strategy_of(decision, snapshot, watcher.policy) if snapshot and decision else None
    if state is None or (name != symbols[0] and state.evaluates == symbols[0]):
        return []
    evaluated_as = [] if state.evaluates == symbols[0] or name != symbols[0] else [("evaluated as", state.evaluates)]
    rules = [("rule", rule.sentence) for rule in state.rules]
    return [("strategy", f"{state.name} ({state.manages})"), *evaluated_as, *rules]


def orders_of(symbols: Collection[str], open_ones: Iterable[Order], todays: Iterable[Order] = ()) -> tuple[Order, ...]:
    """The orders of these symbols without duplicates; where an order is in both, the one from `todays` is used.

    A multi-leg order is one of a structure that has all of its legs.
    """
    every = {order.id: order for order in (*open_ones, *todays)}.values()
    return tuple(order for order in every if order.symbol in symbols or _is_of_all(order, symbols))


def _structure_called(listing: AccountListing, name: str) -> ShownStructure | None:
    return next((each for each in listing.structures if each.is_called(name)), None)


def _is_of_all(order: Order, symbols: Collection[str]) -> bool:
    legs = {leg.symbol for leg in order.legs}
    return len(legs) > 1 and legs.issubset(symbols)
