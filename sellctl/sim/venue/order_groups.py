"""Stock orders that belong together: bracket, OCO and OTO. What one's fill or end does to the others.

A bracket's or OTO's legs are held until the entry has filled. Of two exits the limit works and the stop is held, so
that the quantity is kept once; when the stop is touched the limit is cancelled and the stop goes to work.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sellctl.sim import rejections
from sellctl.sim.market.assets import asset_of
from sellctl.sim.numbers import decimal_of
from sellctl.sim.venue.fills import touch_stop
from sellctl.sim.venue.multi_leg import submit_multi_leg
from sellctl.sim.venue.order_factory import make_order
from sellctl.sim.venue.order_requests import OrderRequest, is_simple
from sellctl.sim.venue.orders import SimOrder

if TYPE_CHECKING:
    from sellctl.sim.venue.accounts import SimAccount
    from sellctl.sim.venue.exchange import Exchange

ENTRY_CLASSES = frozenset({"bracket", "oto"})
EXIT_PAIR_CLASSES = frozenset({"bracket", "oco"})


def is_grouped(request: OrderRequest) -> bool:
    """Whether more than one order comes of it."""
    return not is_simple(request)


def submit_group(exchange: "Exchange", account: "SimAccount", request: OrderRequest) -> SimOrder:
    """Take a group into the books; RefusedError when the broker says no."""
    if request.order_class == "mleg":
        return submit_multi_leg(exchange, account, request)
    if asset_of(request.symbol).is_option:
        raise rejections.unprocessable("complex orders not supported for options trading")
    target, stop = _legs_asked(request)
    if request.order_class == "oco":
        request = replace(request, type="limit", limit_price=target)
    main = exchange.accept(account, request)
    if request.order_class == "oco":
        _attach(exchange, account, main, _stop_leg(request, stop, request.side))
        return main
    other = "sell" if request.side == "buy" else "buy"
    if target is not None:
        _attach(exchange, account, main, replace(_leg(request, other), type="limit", limit_price=target))
    if stop:
        _attach(exchange, account, main, _stop_leg(request, stop, other))
    return main


def _legs_asked(request: OrderRequest) -> tuple[Decimal | None, Mapping[str, Any]]:
    """The limit of the profit leg and the terms of the stop leg, checked against each other."""
    profit, stop = request.take_profit or {}, request.stop_loss or {}
    try:
        target = decimal_of(profit.get("limit_price"))
        stop_price = decimal_of(stop.get("stop_price"))
    except ValueError:
        raise rejections.unprocessable("invalid leg price") from None
    if request.order_class == "oco" and target is None:
        target = request.limit_price
    both = request.order_class in EXIT_PAIR_CLASSES
    rules = (
        (both and target is None, f"{request.order_class} orders require take_profit.limit_price"),
        (both and stop_price is None, f"{request.order_class} orders require stop_loss.stop_price"),
        (target is None and stop_price is None, "oto orders require one of take_profit or stop_loss"),
        (request.order_class == "oto" and target is not None and stop_price is not None,
         "oto orders must have only one of take_profit or stop_loss"),
        (bool(target and stop_price) and not _apart(request, target, stop_price),
         "take_profit.limit_price must be on the other side of stop_loss.stop_price"),
        (request.time_in_force not in {"day", "gtc"}, "complex orders must be day or gtc"),
    )  # fmt: skip
    for broken, message in rules:
        if broken:
            raise rejections.unprocessable(message)
    return target, stop


def _apart(request: OrderRequest, target: Decimal | None, stop: Decimal | None) -> bool:
    if target is None or stop is None:
        return True
    long = (request.side == "buy") == (request.order_class != "oco")
    return target > stop if long else target < stop


def _leg(request: OrderRequest, side: str) -> OrderRequest:
    return replace(
        request,
        side=side,
        limit_price=None,
        stop_price=None,
        client_order_id="",
        position_intent=f"{side}_to_close",
        take_profit=None,
        stop_loss=None,
    )


def _stop_leg(request: OrderRequest, stop: Mapping[str, Any], side: str) -> OrderRequest:
    limit = decimal_of(stop.get("limit_price"))
    kind = "stop" if limit is None else "stop_limit"
    return replace(_leg(request, side), type=kind, limit_price=limit, stop_price=decimal_of(stop.get("stop_price")))


def _attach(exchange: "Exchange", account: "SimAccount", main: SimOrder, request: OrderRequest) -> None:
    leg = make_order(exchange, replace(request, client_order_id=exchange.new_id("client")), "")
    leg.status, leg.parent = "held", main
    main.legs.append(leg)
    account.add(leg)


def family(order: SimOrder) -> Iterator[SimOrder]:
    """The other orders of its group."""
    main = order.parent or order
    return (one for one in (main, *main.legs) if one is not order)


def after_fill(exchange: "Exchange", account: "SimAccount", order: SimOrder) -> None:
    """An entry's fill sends its exits to work; an exit's fill ends or shrinks the other exit."""
    if order.order_class in ENTRY_CLASSES and order.parent is None:
        if order.status == "filled":
            _activate(exchange, account, order)
    elif order.order_class in EXIT_PAIR_CLASSES:
        for other in _other_exits(order):
            if order.status == "filled":
                exchange.end(account, other, "canceled")
            elif other.is_open:
                other.qty = order.leaves + other.filled_qty


def _other_exits(order: SimOrder) -> list[SimOrder]:
    entry_is_main = order.order_class == "bracket"
    return [one for one in family(order) if not (entry_is_main and one.parent is None)]


def _activate(exchange: "Exchange", account: "SimAccount", entry: SimOrder) -> None:
    """Send the exits of what has filled to work: the limit, or a lone stop. A stop beside a limit stays held."""
    limits = [leg for leg in entry.legs if leg.type == "limit"]
    for leg in entry.legs:
        leg.qty = entry.filled_qty
        if leg.status == "held" and (leg in limits or not limits):
            leg.set_status("new", exchange.now)
            exchange.emit("new", account, leg)


def watch_held(exchange: "Exchange", account: "SimAccount", order: SimOrder) -> None:
    """A held stop beside a working limit: when it is touched, the limit ends and the stop goes to work."""
    if order.parent is None or order.type not in {"stop", "stop_limit"}:
        return
    partners = [one for one in _other_exits(order) if one.type == "limit"]
    quote = exchange.quote(order.symbol)
    if not any(one.status in {"new", "partially_filled"} for one in partners) or quote is None:
        return
    touch_stop(order, quote)
    if order.triggered:
        for one in partners:
            order.qty = one.leaves
            exchange.end(account, one, "canceled")
        order.set_status("new", exchange.now)
        exchange.emit("new", account, order)


def after_end(exchange: "Exchange", account: "SimAccount", order: SimOrder) -> None:
    """An entry that ends takes its exits along, or sends them to work for what had filled; an exit takes the other."""
    if order.order_class == "mleg":
        for leg in order.legs:
            leg.set_status(order.status, exchange.now)
            account.forget_if_done(leg)
        return
    if order.status == "replaced":
        return
    if order.order_class in ENTRY_CLASSES and order.parent is None and order.filled_qty > 0:
        if order.status != "filled":
            _activate(exchange, account, order)
        return
    for other in family(order):
        if other.is_open and not other.triggered and order.order_class not in {"", "simple"}:
            exchange.end(account, other, "canceled")
