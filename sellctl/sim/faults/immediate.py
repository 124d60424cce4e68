"""Misbehaviours that act on the books or the prices the moment they are switched on, one small function a name."""

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

from sellctl.sim.market.price_paths import Linear, Walk
from sellctl.sim.scenario.events import human_order
from sellctl.sim.venue.booking import move_position
from sellctl.sim.venue.fills import Fill
from sellctl.sim.venue.matching import fill, work_orders
from sellctl.sim.venue.replacement import swap, twin
from sellctl.sim.venue.session import deliver, liquidate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sellctl.sim.faults.catalogue import Fault
    from sellctl.sim.venue.accounts import SimAccount
    from sellctl.sim.venue.exchange import Exchange
    from sellctl.sim.venue.orders import SimOrder, SimPosition

SECONDS_A_MINUTE = 60


def act(exchange: "Exchange", fault: "Fault") -> None:
    """Do at once what the name does at once, if it does."""
    deed = DEEDS.get(fault.name)
    if deed is not None and deed(exchange, fault):
        exchange.behaviours.strike(fault.name, account=fault.account, symbol=fault.symbol, path=fault.path)


def undo(exchange: "Exchange", name: str) -> None:
    """What switching off has to undo."""
    if name in {"Q09", ""}:
        for symbol in tuple(exchange.market.halted):
            exchange.market.resume(symbol)


def _orders(exchange: "Exchange", fault: "Fault") -> "Iterator[tuple[SimAccount, SimOrder]]":
    for account in exchange.accounts.values():
        for order in list(account.open_orders.values()):
            if fault.account in {"", account.name} and fault.symbol in {"", order.symbol}:
                yield account, order


def _positions(exchange: "Exchange", fault: "Fault") -> "Iterator[tuple[SimAccount, SimPosition]]":
    for account in exchange.accounts.values():
        for position in list(account.positions.values()):
            if fault.account in {"", account.name} and fault.symbol in {"", position.symbol}:
                yield account, position


def _corporate_action(exchange: "Exchange", fault: "Fault") -> bool:
    for account, order in _orders(exchange, fault):
        swap(exchange, account, order, twin(exchange, order, exchange.new_id("client")))
        return True
    return False


def _expire_with_part(exchange: "Exchange", fault: "Fault") -> bool:
    for account, order in _orders(exchange, fault):
        quote = exchange.quote(order.symbol)
        price = order.limit_price or (quote.mid if quote else Decimal(1))
        if order.leaves > 1:
            fill(exchange, account, order, Fill(Decimal(1), price))
        exchange.end(account, order, "expired")
        return True
    return False


def _human(exchange: "Exchange", fault: "Fault") -> bool:
    for account, position in _positions(exchange, fault):
        limit = fault["limit_price"]
        body = {"symbol": position.symbol, "side": fault["side"], "qty": str(fault["qty"]), "time_in_force": "day"}
        body |= {"type": "market"} if limit is None else {"type": "limit", "limit_price": str(limit)}
        human_order(account.name, body)(exchange)
        return True
    return False


def _liquidate(exchange: "Exchange", fault: "Fault") -> bool:
    for account, position in _positions(exchange, fault):
        liquidate(exchange, account, position)
        work_orders(exchange)
        return True
    return False


def _bust(exchange: "Exchange", fault: "Fault") -> bool:
    """Take the last fill back: the position and the cash are as before it; the order's own words stay."""
    for event in reversed(exchange.events):
        if event.kind in {"fill", "partial_fill"} and event.order and fault.symbol in {"", event.order["symbol"]}:
            account = exchange.accounts[event.account]
            qty, price = Decimal(event.detail["qty"]), Decimal(event.detail["price"])
            signed = -qty if event.order["side"] == "buy" else qty
            multiplier = account.orders[event.order["id"]].asset.multiplier
            move_position(account, event.order["symbol"], signed, price, exchange.now, dt.timedelta(0))
            account.cash -= signed * price * multiplier
            exchange.notes.append(f"{account.name}: a fill of {event.order['symbol']} was busted")
            return True
    return False


def _deliver(exchange: "Exchange", fault: "Fault") -> bool:
    for account, position in _positions(exchange, fault):
        if position.asset.is_option:
            deliver(exchange, account, position)
            return True
    return False


def _symbols(exchange: "Exchange", fault: "Fault") -> tuple[str, ...]:
    return (fault.symbol,) if fault.symbol else exchange.market.symbols


def _crash(exchange: "Exchange", fault: "Fault") -> bool:
    for symbol in _symbols(exchange, fault):
        if level := exchange.quote(symbol):
            until = exchange.now + dt.timedelta(seconds=float(fault["seconds"]))
            to = level.moved_to(level.mid * Decimal(str(fault["ratio"])))
            exchange.market.follow(symbol, level, exchange.now, Linear(exchange.now, until, to))
    return True


def _grind(exchange: "Exchange", fault: "Fault") -> bool:
    for symbol in _symbols(exchange, fault):
        if level := exchange.quote(symbol):
            drift = -float(fault["share"]) / SECONDS_A_MINUTE
            exchange.market.follow(symbol, level, exchange.now, Walk(exchange.now, 0, 0.0, 1.0, drift))
    return True


def _halt(exchange: "Exchange", fault: "Fault") -> bool:
    for symbol in _symbols(exchange, fault):
        exchange.market.halt(symbol, exchange.now)
    return False  # it strikes at each look at the quote


DEEDS: "dict[str, Callable[[Exchange, Fault], bool]]" = {
    "O08": _corporate_action,
    "O09": _expire_with_part,
    "O10": _human,
    "O11": _liquidate,
    "O12": _bust,
    "O15": _deliver,
    "Q09": _halt,
    "Q16": _crash,
    "Q17": _grind,
}
