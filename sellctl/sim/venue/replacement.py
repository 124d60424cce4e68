"""PATCH: a new order takes an old one's place, keeping what it had filled."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sellctl.sim import rejections
from sellctl.sim.http import serializers
from sellctl.sim.numbers import ZERO, decimal_of
from sellctl.sim.venue import order_checks
from sellctl.sim.venue.matching import work_orders
from sellctl.sim.venue.order_requests import TIMES_IN_FORCE, OrderRequest
from sellctl.sim.venue.orders import NOT_REPLACEABLE, TERMINAL, SimOrder

if TYPE_CHECKING:
    from sellctl.sim.venue.accounts import SimAccount
    from sellctl.sim.venue.exchange import Exchange

FIELDS = {"qty": "qty", "limit_price": "limit_price", "stop_price": "stop_price"}


def replace_order(exchange: "Exchange", account: "SimAccount", order_id: str, body: Any) -> dict[str, Any]:
    """Replace an order; the answer is the new one. RefusedError 404 or 422 otherwise."""
    old = exchange.order(account, order_id)
    changes = _changes(old, body)
    _check(account, exchange, old, changes, body)
    new = _successor(exchange, old, changes, str(body.get("client_order_id") or exchange.new_id("client")))
    swap(exchange, account, old, new)
    answer = serializers.order_json(new)
    work_orders(exchange)
    return answer


def swap(exchange: "Exchange", account: "SimAccount", old: SimOrder, new: SimOrder) -> None:
    """Put one order in the place of another, in its group too, and tell both."""
    old.replaced_by, new.replaces = new.id, old.id
    for leg in new.legs:
        leg.parent = new
    if old.parent is not None:
        new.parent = old.parent
        old.parent.legs[old.parent.legs.index(old)] = new
    old.set_status("replaced", exchange.now)
    account.forget_if_done(old)
    account.add(new)
    exchange.emit("replaced", account, old)
    exchange.emit(new.status, account, new)


def twin(exchange: "Exchange", old: SimOrder, client_id: str) -> SimOrder:
    """The same order under another name."""
    return _successor(exchange, old, {}, client_id)


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
    account: "SimAccount", exchange: "Exchange", old: SimOrder, changes: Mapping[str, Any], body: Mapping[str, Any]
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
        _check_prices(exchange, account, old, changes)
    if qty is not None and old.closes:
        _check_quantity(account, old, qty)


def _check_prices(exchange: "Exchange", account: "SimAccount", old: SimOrder, changes: Mapping[str, Any]) -> None:
    prices = {key: changes[key] for key in ("limit_price", "stop_price") if key in changes}
    view = OrderRequest(old.symbol, old.side, old.type, old.time_in_force, qty=old.qty, **prices)
    order_checks.prices_on_tick(order_checks.Case(view, account, exchange.settings, exchange.now, None))


def _check_quantity(account: "SimAccount", old: SimOrder, qty: Decimal) -> None:
    held = account.held_for_orders(old.symbol) - old.holds
    size = abs(account.qty_of(old.symbol))
    if qty - old.filled_qty > size - held:
        related = [order.id for order in account.closing_orders(old.symbol) if order is not old]
        raise rejections.insufficient_qty(old.symbol, qty, size, held, related)


def _successor(exchange: "Exchange", old: SimOrder, changes: Mapping[str, Any], client_id: str) -> SimOrder:
    return replace(
        old,
        id=exchange.new_id(),
        client_order_id=client_id,
        created_at=exchange.now,
        updated_at=exchange.now,
        status="new" if old.filled_qty == ZERO else "partially_filled",
        replaces=old.id,
        replaced_by=None,
        replaced_at=None,
        triggered=False,
        touched_until=None,
        idle_at=None,
        **changes,
    )
