"""The actions of clients on orders: submit, cancel and replace."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sellctl.sim import rejections
from sellctl.sim.faults.order_faults import on_accept
from sellctl.sim.numbers import ZERO, decimal_of
from sellctl.sim.serializers import order_json
from sellctl.sim.venue import order_checks
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.matching import force_fill, match_orders
from sellctl.sim.venue.multi_leg import submit_multi_leg
from sellctl.sim.venue.order_entry import accept, with_client_id
from sellctl.sim.venue.order_groups import end_order, submit_group
from sellctl.sim.venue.order_requests import TIMES_IN_FORCE, OrderRequest, is_simple, read_order
from sellctl.sim.venue.orders import NOT_REPLACEABLE, TERMINAL, SimOrder
from sellctl.sim.venue.state import VenueState


def find_order(account: SimAccount, order_id: str) -> SimOrder:
    """An order by id; RejectionError 404."""
    order = account.orders.get(order_id)
    if order is None:
        raise rejections.not_found(f"order not found for {order_id}")
    return order


def submit_order(venue: VenueState, account: SimAccount, body: Any, *, source: str = "access_key") -> dict[str, Any]:
    """Submit an order given as its JSON body; the answer is its JSON at acceptance, before any fill.

    RejectionError when it can't be read or breaks a rule.
    """
    request = with_client_id(venue, read_order(body))
    order = _enter_checked(venue, account, request)
    order.source = source
    on_accept(venue, account, order)
    answer = order_json(order)
    venue.emit(order.status, account, order)
    match_orders(venue)
    return answer


def _enter_checked(venue: VenueState, account: SimAccount, request: OrderRequest) -> SimOrder:
    if is_simple(request):
        return accept(venue, account, request)
    if request.order_class == "mleg":
        return submit_multi_leg(venue, account, request)
    return submit_group(venue, account, request)


def submit_manually(venue: VenueState, account: SimAccount, body: Mapping[str, Any]) -> None:
    """Submit an order as if manually; a rejection is recorded in the venue's notes."""
    try:
        submit_order(venue, account, body, source="human")
    except rejections.RejectionError as rejection:
        venue.notes.append(f"{account.name}: the manual order was rejected: {rejection}")


def cancel_order(venue: VenueState, account: SimAccount, order_id: str) -> None:
    """Request the cancel of an order. No effect on a canceled or expired one. RejectionError 404 or 422."""
    order = find_order(account, order_id)
    if order.status in {"canceled", "expired"}:
        return
    if order.status in TERMINAL:
        raise rejections.unprocessable(f'order is already in "{order.status}" state')
    if order.status in {"pending_cancel", "pending_replace"}:
        raise rejections.unprocessable(f"order {order.status.replace('_', ' ')}")
    request_cancel(venue, account, order)


def request_cancel(venue: VenueState, account: SimAccount, order: SimOrder) -> None:
    """Start a cancel. It takes effect at once or after `cancel_delay`, unless the fault H19 or O04 is active."""
    order.cancel_requested_at = venue.now
    stuck = venue.faults.trigger("H19", account=account.name, symbol=order.symbol)
    if venue.faults.trigger("O04", account=account.name, symbol=order.symbol):
        order.set_status("pending_cancel", venue.now)
        venue.emit("pending_cancel", account, order)
        force_fill(venue, account, order)
        return
    if not stuck and not venue.settings.cancel_delay:
        end_order(venue, account, order, "canceled")
        return
    delay = venue.settings.cancel_delay if stuck is None else _seconds(stuck["seconds"])
    order.cancel_done_at = None if delay is None else venue.now + delay
    order.set_status("pending_cancel", venue.now)
    venue.emit("pending_cancel", account, order)


def _seconds(value: Any) -> dt.timedelta | None:
    return None if value is None else dt.timedelta(seconds=float(value))


def replace_order(venue: VenueState, account: SimAccount, order_id: str, body: Any) -> dict[str, Any]:
    """Replace an order; the answer is the JSON of the new one, which keeps its fills. RejectionError 404 or 422."""
    old = find_order(account, order_id)
    changes = _changes(old, body)
    _check(venue, account, old, changes, body)
    new = _successor(venue, old, changes, str(body.get("client_order_id") or venue.new_id("client")))
    swap(venue, account, old, new)
    answer = order_json(new)
    match_orders(venue)
    return answer


def swap(venue: VenueState, account: SimAccount, old: SimOrder, new: SimOrder) -> None:
    """Replace one order by another, also in its group, and emit both events."""
    old.replaced_by, new.replaces = new.id, old.id
    for leg in new.legs:
        leg.parent = new
    if old.parent is not None:
        new.parent = old.parent
        old.parent.legs[old.parent.legs.index(old)] = new
    old.set_status("replaced", venue.now)
    account.forget_if_done(old)
    account.add(new)
    venue.emit("replaced", account, old)
    venue.emit(new.status, account, new)


def copy_of(venue: VenueState, old: SimOrder, client_id: str) -> SimOrder:
    """The same order with a new id and client order id."""
    return _successor(venue, old, {}, client_id)


def _changes(old: SimOrder, body: Any) -> dict[str, Any]:
    if not isinstance(body, Mapping):
        raise rejections.unprocessable("request body format is invalid")
    changes: dict[str, Any] = {}
    try:
        for key in ("qty", "limit_price", "stop_price", "trail"):
            if (value := decimal_of(body.get(key))) is not None:
                changes[_trail_field(old) if key == "trail" else key] = value
    except ValueError:
        raise rejections.unprocessable("invalid number") from None
    if tif := body.get("time_in_force"):
        if tif not in TIMES_IN_FORCE:
            raise rejections.unprocessable("invalid time_in_force")
        changes["time_in_force"] = tif
    return {key: value for key, value in changes.items() if getattr(old, key) != value}


def _trail_field(old: SimOrder) -> str:
    return "trail_price" if old.trail_price is not None else "trail_percent"


def _check(
    venue: VenueState, account: SimAccount, old: SimOrder, changes: Mapping[str, Any], body: Mapping[str, Any]
) -> None:
    qty = changes.get("qty")
    fractional = old.notional is not None or (old.qty is not None and old.qty % 1 != 0)
    rules = (
        (old.status in NOT_REPLACEABLE | TERMINAL, f"cannot replace order in {old.status} status"),
        (fractional, "cannot replace notional or fractional orders"),
        (not changes, "order parameters are not changed"),
        (qty is not None and qty <= old.filled_qty, "qty must be > filled_qty"),
        (qty is not None and qty % 1 != 0, "qty must be an integer"),
        (str(body.get("client_order_id") or "") in account.by_client_id, "client_order_id must be unique"),
    )
    for broken, message in rules:
        if broken:
            raise rejections.unprocessable(message)
    if old.order_class != "mleg":
        _check_prices(venue, account, old, changes)
    if qty is not None and old.closes:
        _check_quantity(account, old, qty)


def _check_prices(venue: VenueState, account: SimAccount, old: SimOrder, changes: Mapping[str, Any]) -> None:
    prices = {key: changes[key] for key in ("limit_price", "stop_price") if key in changes}
    view = OrderRequest(old.symbol, old.side, old.type, old.time_in_force, qty=old.qty, **prices)
    order_checks.prices_on_tick(order_checks.ProposedOrder(view, account, venue.settings, venue.now, None))


def _check_quantity(account: SimAccount, old: SimOrder, qty: Decimal) -> None:
    held = account.held_for_orders(old.symbol) - old.reserved_qty
    size = abs(account.qty_of(old.symbol))
    if qty - old.filled_qty > size - held:
        related = [order.id for order in account.closing_orders(old.symbol) if order is not old]
        raise rejections.insufficient_qty(old.symbol, qty, size, held, related)


def _successor(venue: VenueState, old: SimOrder, changes: Mapping[str, Any], client_id: str) -> SimOrder:
    return replace(
        old,
        id=venue.new_id(),
        client_order_id=client_id,
        created_at=venue.now,
        updated_at=venue.now,
        status="new" if old.filled_qty == ZERO else "partially_filled",
        replaces=old.id,
        replaced_by=None,
        replaced_at=None,
        triggered=False,
        matched_at=None,
        unfillable_quote=None,
        **changes,
    )
