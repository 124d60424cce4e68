"""The O family where it touches single orders: what happens on waking, what part fills, and at what price."""

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

from sellctl.sim.venue.orders import SimOrder

if TYPE_CHECKING:
    from sellctl.sim.venue.accounts import SimAccount
    from sellctl.sim.venue.exchange import Exchange

_STUCK = "O05"


def on_accept(exchange: "Exchange", account: "SimAccount", order: SimOrder) -> None:
    """Misbehaviours at acceptance: rejected at once (O01), or hidden for a while (O14)."""
    where = {"account": account.name, "symbol": order.symbol}
    if exchange.behaviours.strike("O01", **where):
        order.set_status("rejected", exchange.now)
        account.forget_if_done(order)
    if late := exchange.behaviours.strike("O14", **where):
        order.visible_at = exchange.now + dt.timedelta(seconds=float(late["seconds"]))


def on_wake(exchange: "Exchange", account: "SimAccount", order: SimOrder) -> bool:
    """Misbehaviours when an order would become a working one; True when one took over."""
    where = {"account": account.name, "symbol": order.symbol}
    if order.id in exchange.stuck:
        return True
    if exchange.behaviours.strike("O02", **where):
        exchange.end(account, order, "rejected")
        return True
    if exchange.behaviours.strike("O05", **where):
        exchange.stuck.add(order.id)
        return True
    fault = exchange.behaviours.strike("O06", "O07", **where)
    if fault is None:
        return False
    exchange.stuck.add(order.id)
    status = "done_for_day" if fault.name == "O07" else str(fault["status"])
    order.set_status(status, exchange.now)
    exchange.emit(status, account, order)
    return True


def part_of(exchange: "Exchange", order: SimOrder, wanted: Decimal) -> Decimal | None:
    """The part that fills when fills come in parts (O03); None leaves it to the market model."""
    fault = exchange.behaviours.strike("O03", symbol=order.symbol)
    return min(Decimal(str(fault["qty"])), wanted) if fault else None


def price_of(exchange: "Exchange", order: SimOrder, price: Decimal) -> Decimal:
    """The price of a fill, absurd when told so (O13)."""
    fault = exchange.behaviours.strike("O13", symbol=order.symbol)
    return max((price * Decimal(str(fault["ratio"]))).quantize(Decimal("0.01")), Decimal("0.01")) if fault else price


def lag(exchange: "Exchange", account: "SimAccount") -> dt.timedelta:
    """How long the position list goes on showing what was."""
    if fault := exchange.behaviours.strike("H18", account=account.name):
        return dt.timedelta(seconds=float(fault["seconds"]))
    return exchange.settings.position_lag
