"""Faults that act once, at the moment of injection: on orders, positions or price paths. One function per name."""

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal

from sellctl.sim.faults.registry import Fault
from sellctl.sim.market.price_paths import Linear, Walk
from sellctl.sim.venue.accounts import SimAccount, move_position
from sellctl.sim.venue.fills import Fill
from sellctl.sim.venue.matching import fill, match_orders
from sellctl.sim.venue.order_actions import copy_of, submit_manually, swap
from sellctl.sim.venue.order_groups import end_order
from sellctl.sim.venue.orders import SimOrder, SimPosition
from sellctl.sim.venue.session import deliver, liquidate
from sellctl.sim.venue.state import VenueState

SECONDS_PER_MINUTE = 60


def apply_at_once(venue: VenueState, fault: Fault) -> None:
    """Apply a fault that acts at injection, and count it when its function returns True."""
    effect = IMMEDIATE.get(fault.name)
    if effect is not None and effect(venue, fault):
        venue.faults.trigger(fault.name, account=fault.account, symbol=fault.symbol, path=fault.path)


def undo(venue: VenueState, name: str) -> None:
    """Undo the lasting effect of a cleared fault: Q09 ends its halts. An empty name means all faults."""
    if name in {"Q09", ""}:
        for symbol in tuple(venue.market.halted):
            venue.market.resume(symbol)


def _orders(venue: VenueState, fault: Fault) -> Iterator[tuple[SimAccount, SimOrder]]:
    for account in venue.accounts.values():
        for order in list(account.open_orders.values()):
            if fault.account in {"", account.name} and fault.symbol in {"", order.symbol}:
                yield account, order


def _positions(venue: VenueState, fault: Fault) -> Iterator[tuple[SimAccount, SimPosition]]:
    for account in venue.accounts.values():
        for position in list(account.positions.values()):
            if fault.account in {"", account.name} and fault.symbol in {"", position.symbol}:
                yield account, position


def _corporate_action(venue: VenueState, fault: Fault) -> bool:
    for account, order in _orders(venue, fault):
        swap(venue, account, order, copy_of(venue, order, venue.new_id("client")))
        return True
    return False


def _expire_with_part(venue: VenueState, fault: Fault) -> bool:
    for account, order in _orders(venue, fault):
        quote = venue.quote(order.symbol)
        price = order.limit_price or (quote.mid if quote else Decimal(1))
        if order.leaves_qty > 1:
            fill(venue, account, order, Fill(Decimal(1), price))
        end_order(venue, account, order, "expired")
        return True
    return False


def _manual_order(venue: VenueState, fault: Fault) -> bool:
    for account, position in _positions(venue, fault):
        limit = fault["limit_price"]
        body = {"symbol": position.symbol, "side": fault["side"], "qty": str(fault["qty"]), "time_in_force": "day"}
        body |= {"type": "market"} if limit is None else {"type": "limit", "limit_price": str(limit)}
        submit_manually(venue, account, body)
        return True
    return False


def _liquidate(venue: VenueState, fault: Fault) -> bool:
    for account, position in _positions(venue, fault):
        liquidate(venue, account, position)
        match_orders(venue)
        return True
    return False


def _bust(venue: VenueState, fault: Fault) -> bool:
    """Reverse the last fill in position and cash; the order itself still shows it."""
    for event in reversed(venue.events):
        if event.kind in {"fill", "partial_fill"} and event.order and fault.symbol in {"", event.order["symbol"]}:
            account = venue.accounts[event.account]
            qty, price = Decimal(event.detail["qty"]), Decimal(event.detail["price"])
            signed = -qty if event.order["side"] == "buy" else qty
            multiplier = account.orders[event.order["id"]].asset.multiplier
            move_position(account, event.order["symbol"], signed, price, venue.now, dt.timedelta(0))
            account.cash -= signed * price * multiplier
            venue.notes.append(f"{account.name}: a fill of {event.order['symbol']} was busted")
            return True
    return False


def _deliver(venue: VenueState, fault: Fault) -> bool:
    for account, position in _positions(venue, fault):
        if position.asset.is_option:
            deliver(venue, account, position)
            return True
    return False


def _symbols(venue: VenueState, fault: Fault) -> tuple[str, ...]:
    return (fault.symbol,) if fault.symbol else venue.market.symbols


def _crash(venue: VenueState, fault: Fault) -> bool:
    for symbol in _symbols(venue, fault):
        if level := venue.quote(symbol):
            until = venue.now + dt.timedelta(seconds=float(fault["seconds"]))
            to = level.moved_to(level.mid * Decimal(str(fault["ratio"])))
            venue.market.follow(symbol, level, venue.now, Linear(venue.now, until, to))
    return True


def _grind(venue: VenueState, fault: Fault) -> bool:
    for symbol in _symbols(venue, fault):
        if level := venue.quote(symbol):
            drift = -float(fault["share"]) / SECONDS_PER_MINUTE
            venue.market.follow(symbol, level, venue.now, Walk(venue.now, 0, 0.0, 1.0, drift))
    return True


def _halt(venue: VenueState, fault: Fault) -> bool:
    for symbol in _symbols(venue, fault):
        venue.market.halt(symbol, venue.now)
    return False  # the fault is counted each time a quote is shown


IMMEDIATE: dict[str, Callable[[VenueState, Fault], bool]] = {
    "O08": _corporate_action,
    "O09": _expire_with_part,
    "O10": _manual_order,
    "O11": _liquidate,
    "O12": _bust,
    "O15": _deliver,
    "Q09": _halt,
    "Q16": _crash,
    "Q17": _grind,
}
