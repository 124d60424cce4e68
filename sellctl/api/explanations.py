"""The document on one position: the decision, the rules with their states, its orders, and its price for a chart."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sellctl.core.decision.explain import explain
from sellctl.core.model.plan import PRICE_REASONS, STOPS, Reason
from sellctl.service.names import name_of, not_held
from sellctl.ui.documents import Document, order_part, position_document, structure_document
from sellctl.ui.render import JSON_VERSION

if TYPE_CHECKING:
    from sellctl.api.price_paths import Point, PricePaths
    from sellctl.core.model.plan import PositionDecision
    from sellctl.core.model.view import AccountListing, ShownStructure
    from sellctl.core.sell_watcher import SellWatcher

FEWEST_POINTS = 2  # a chart has at least so many known prices
# Reasons whose trigger is a price of the position itself, and not of its underlying.
_OWN_PRICES = STOPS | (PRICE_REASONS & {Reason.TAKE_PROFIT, Reason.ROI_TABLE, Reason.SCALE_OUT})
_DIGITS = 6  # after the decimal point of a drawn price

Held = tuple["SellWatcher", "AccountListing"]


def explain_document(text: str, accounts: Sequence[Held], paths: "PricePaths") -> Document:
    """Everything about a symbol or structure in every account of these that holds it. ConfigError when none does."""
    name = name_of(text)
    parts = [part for watcher, listing in accounts if (part := _part(name, watcher, listing, paths))]
    if not parts:
        raise not_held(name, [listing for _, listing in accounts])
    return {"version": JSON_VERSION, "positions": parts}


def _part(name: str, watcher: "SellWatcher", listing: "AccountListing", paths: "PricePaths") -> Document | None:
    market = watcher.state.market
    if listing.plan is None or market is None:
        return None
    structure = next((each for each in listing.structures if each.is_called(name)), None)
    decisions = {each.holding.symbol: each for each in listing.plan.decisions}
    if structure is None and name not in decisions:
        return None
    symbols = structure.symbols if structure else (name,)
    orders = [order for order in watcher.state.open_orders if set(order.symbols) <= set(symbols)]
    if structure:
        document, decision = structure_document(structure, orders, market, listing), structure.decision
        points = paths.net(listing.account, _weights(structure))
    else:
        decision = decisions[name]
        document = position_document(decision, orders, market, listing)
        points = paths.of(listing.account, name)
    del document["orders"]
    document.pop("version", None)
    known = ("account", "mode", "at")
    return {
        **{key: document.pop(key) for key in known},
        "title": structure.title if structure else document["contract"] or name,
        "holding": None if structure else document,
        "structure": document if structure else None,
        "rules": _rules(watcher, symbols[0], is_leg_of=structure),
        "orders": [order_part(order) for order in orders],
        "levels": _levels(decision),
        "prices": [{"at": _instant(at), "price": _text(price)} for at, price in points],
        "prices_note": _note(points),
    }


def _weights(structure: "ShownStructure") -> dict[str, float]:
    """What each leg adds to the price of one unit, as its decision has it: above zero what is bought and sold."""
    turn = 1 if structure.decision.holding.position.is_long else -1
    return {
        leg.holding.symbol: turn
        * (1 if leg.holding.position.is_long else -1)
        * float(structure.quantities[leg.holding.symbol] / structure.units)
        for leg in structure.legs
    }


def _rules(watcher: "SellWatcher", symbol: str, is_leg_of: "ShownStructure | None") -> list[str]:
    """The strategy that manages a position and its rules with their states; of a structure only its own."""
    snapshot = watcher.state.snapshot
    explanation = explain(snapshot, watcher.policy, symbol) if snapshot else None
    state = explanation.strategy if explanation else None
    if state is None or (is_leg_of and state.evaluates == symbol):
        return []
    as_one = [f"evaluated as: {state.evaluates}"] if state.evaluates != symbol and not is_leg_of else []
    return [f"strategy: {state.name} ({state.manages})", *as_one, *(f"rule: {rule.sentence}" for rule in state.rules)]


def _levels(decision: "PositionDecision") -> list[Document]:
    """Entry, and the stops and targets that are prices of the position."""
    entry = decision.holding.position.entry_price
    levels = [] if entry is None else [{"name": "entry", "price": f"{entry:f}"}]
    own = (trigger for trigger in decision.triggers if trigger.reason in _OWN_PRICES)
    return [*levels, *({"name": each.reason.value, "price": f"{each.price:f}"} for each in own)]


def _instant(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat()


def _text(price: float | None) -> str | None:
    return None if price is None else f"{price:.{_DIGITS}f}".rstrip("0").rstrip(".")


def _note(points: "list[Point]") -> str:
    """Why there is no chart; "" when there is enough for one."""
    known = sum(price is not None for _, price in points)
    if known >= FEWEST_POINTS:
        return ""
    count = "no price is" if not known else "one price is"
    return f"Too little for a chart: {count} known since this process started."
