"""Brackets, OCO and OTO orders: their submission, and the effects of one order's fill or end on the others.

The legs of a bracket or OTO are held until the entry has filled. Of two exits the limit is active and the stop is held,
so that the quantity is reserved once; when the stop is touched, the limit is cancelled and the stop becomes active.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sellctl.sim import rejections
from sellctl.sim.market.assets import asset_of
from sellctl.sim.numbers import decimal_of
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.fills import touch_stop
from sellctl.sim.venue.order_entry import accept, make_order
from sellctl.sim.venue.order_requests import OrderRequest
from sellctl.sim.venue.orders import SIMPLE, TERMINAL, SimOrder
from sellctl.sim.venue.state import VenueState

ENTRY_CLASSES = frozenset({"bracket", "oto"})
EXIT_PAIR_CLASSES = frozenset({"bracket", "oco"})


def submit_group(venue: VenueState, account: SimAccount, request: OrderRequest) -> SimOrder:
    """Check and enter a group of orders; the answer is its main order. RejectionError for the first broken rule."""
    if asset_of(request.symbol).is_option:
        raise rejections.unprocessable("complex orders not supported for options trading")
    target, stop = _read_legs(request)
    if request.order_class == "oco":
        request = replace(request, type="limit", limit_price=target)
    main = accept(venue, account, request)
    if request.order_class == "oco":
        _attach(venue, account, main, _stop_leg(request, stop, request.side))
        return main
    other = "sell" if request.side == "buy" else "buy"
    if target is not None:
        _attach(venue, account, main, replace(_leg(request, other), type="limit", limit_price=target))
    if stop:
        _attach(venue, account, main, _stop_leg(request, stop, other))
    return main


def _read_legs(request: OrderRequest) -> tuple[Decimal | None, Mapping[str, Any]]:
    """The limit price of the profit leg and the fields of the stop leg, checked against each other."""
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
        (bool(target and stop_price) and not _are_apart(request, target, stop_price),
         "take_profit.limit_price must be on the other side of stop_loss.stop_price"),
        (request.time_in_force not in {"day", "gtc"}, "complex orders must be day or gtc"),
    )  # fmt: skip
    for broken, message in rules:
        if broken:
            raise rejections.unprocessable(message)
    return target, stop


def _are_apart(request: OrderRequest, target: Decimal | None, stop: Decimal | None) -> bool:
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


def _attach(venue: VenueState, account: SimAccount, main: SimOrder, request: OrderRequest) -> None:
    leg = make_order(venue, replace(request, client_order_id=venue.new_id("client")), "")
    leg.status, leg.parent = "held", main
    main.legs.append(leg)
    account.add(leg)


def family(order: SimOrder) -> Iterator[SimOrder]:
    """The other orders of its group."""
    main = order.parent or order
    return (one for one in (main, *main.legs) if one is not order)


def after_fill(venue: VenueState, account: SimAccount, order: SimOrder) -> None:
    """Apply the consequences of a fill: an entry activates its exits, an exit ends or reduces the other exit."""
    if order.order_class in ENTRY_CLASSES and order.parent is None:
        if order.status == "filled":
            _activate(venue, account, order)
    elif order.order_class in EXIT_PAIR_CLASSES:
        for other in _other_exits(order):
            if order.status == "filled":
                end_order(venue, account, other, "canceled")
            elif other.is_open:
                other.qty = order.leaves_qty + other.filled_qty


def _other_exits(order: SimOrder) -> list[SimOrder]:
    entry_is_main = order.order_class == "bracket"
    return [one for one in family(order) if not (entry_is_main and one.parent is None)]


def _activate(venue: VenueState, account: SimAccount, entry: SimOrder) -> None:
    """Activate an entry's exits for the filled quantity: the limit if there is one, and else the stop."""
    limits = [leg for leg in entry.legs if leg.type == "limit"]
    for leg in entry.legs:
        leg.qty = entry.filled_qty
        if leg.status == "held" and (leg in limits or not limits):
            leg.set_status("new", venue.now)
            venue.emit("new", account, leg)


def watch_held(venue: VenueState, account: SimAccount, order: SimOrder) -> None:
    """Activate a held stop when it is touched, and end the limit that it is paired with."""
    if order.parent is None or order.type not in {"stop", "stop_limit"}:
        return
    partners = [one for one in _other_exits(order) if one.type == "limit"]
    quote = venue.quote(order.symbol)
    if not any(one.status in {"new", "partially_filled"} for one in partners) or quote is None:
        return
    touch_stop(order, quote)
    if order.triggered:
        for one in partners:
            order.qty = one.leaves_qty
            end_order(venue, account, one, "canceled")
        order.set_status("new", venue.now)
        venue.emit("new", account, order)


def end_order(venue: VenueState, account: SimAccount, order: SimOrder, status: str) -> None:
    """Give an order its final status, and apply the consequences for its legs and for the rest of its group.

    The end of an entry also ends its exits, or activates them for the filled quantity. The end of an exit also ends the
    other one. Legs of a multi-leg order share its status. An order that is already terminal is not changed.
    """
    if order.status in TERMINAL:
        return
    order.set_status(status, venue.now)
    account.forget_if_done(order)
    venue.emit(status, account, order)
    if order.order_class == "mleg":
        for leg in order.legs:
            leg.set_status(order.status, venue.now)
            account.forget_if_done(leg)
    elif order.order_class in ENTRY_CLASSES and order.parent is None and order.filled_qty > 0:
        _activate(venue, account, order)
    elif order.order_class not in SIMPLE:
        for other in family(order):
            if other.is_open and not other.triggered:
                end_order(venue, account, other, "canceled")
