"""Faults of the O family that change single orders: acceptance, activation, and the quantity and price of fills.

H18, the lag of the position list, is here too because it begins with a fill.
"""

import datetime as dt
from decimal import Decimal
from typing import Any

from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.order_groups import end_order
from sellctl.sim.venue.orders import SimOrder
from sellctl.sim.venue.state import VenueState


def on_accept(venue: VenueState, account: SimAccount, order: SimOrder) -> None:
    """Apply the faults at acceptance: rejected at once (O01), or invisible for a while (O14)."""
    scope: dict[str, Any] = {"account": account.name, "symbol": order.symbols}
    if venue.faults.trigger("O01", **scope):
        order.set_status("rejected", venue.now)
        account.forget_if_done(order)
    if hidden := venue.faults.trigger("O14", **scope):
        for one in (order, *order.legs):
            one.visible_at = venue.now + dt.timedelta(seconds=float(hidden["seconds"]))


def on_activate(venue: VenueState, account: SimAccount, order: SimOrder) -> bool:
    """Apply the faults when an accepted order would become active; True when one of them prevents it."""
    scope: dict[str, Any] = {"account": account.name, "symbol": order.symbols}
    if order.id in venue.stuck:
        return True
    if venue.faults.trigger("O02", **scope):
        end_order(venue, account, order, "rejected")
        return True
    if venue.faults.trigger("O05", **scope):
        venue.stuck.add(order.id)
        return True
    fault = venue.faults.trigger("O06", "O07", **scope)
    if fault is None:
        return False
    venue.stuck.add(order.id)
    status = "done_for_day" if fault.name == "O07" else str(fault["status"])
    order.set_status(status, venue.now)
    venue.emit(status, account, order)
    return True


def fill_part(venue: VenueState, order: SimOrder, wanted: Decimal) -> Decimal | None:
    """The quantity that fills when fills come in parts (O03); None leaves it to the market model."""
    fault = venue.faults.trigger("O03", symbol=order.symbols)
    return min(Decimal(str(fault["qty"])), wanted) if fault else None


def fill_price_of(venue: VenueState, order: SimOrder, price: Decimal) -> Decimal:
    """The price of a fill; O13 multiplies it by its `ratio`."""
    fault = venue.faults.trigger("O13", symbol=order.symbol)
    return max((price * Decimal(str(fault["ratio"]))).quantize(Decimal("0.01")), Decimal("0.01")) if fault else price


def position_lag(venue: VenueState, account: SimAccount) -> dt.timedelta:
    """How long the position list still shows the state before a fill (H18, or the setting)."""
    if fault := venue.faults.trigger("H18", account=account.name):
        return dt.timedelta(seconds=float(fault["seconds"]))
    return venue.settings.position_lag
