"""New orders: an order is created from a request, checked by the broker's rules, and entered into the account."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sellctl.sim.market import calendar
from sellctl.sim.market.assets import STOCK, asset_of
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.order_checks import ProposedOrder, check_all
from sellctl.sim.venue.order_requests import OrderRequest, read_order
from sellctl.sim.venue.orders import SimOrder
from sellctl.sim.venue.state import VenueState

GTC_LIFE = dt.timedelta(days=90)


def accept(venue: VenueState, account: SimAccount, request: OrderRequest) -> SimOrder:
    """Check an order by every rule and enter it. RejectionError for the first rule that it breaks."""
    proposed = ProposedOrder(request, account, venue.settings, venue.now, venue.quote(request.symbol))
    check_all(proposed)
    return enter(venue, account, request, proposed.inferred_intent)


def enter(venue: VenueState, account: SimAccount, request: OrderRequest, intent: str) -> SimOrder:
    """Enter an order into the account without any check."""
    order = make_order(venue, request, intent)
    account.add(order)
    return order


def make_order(venue: VenueState, request: OrderRequest, intent: str) -> SimOrder:
    """A new order, not entered into an account: pending_new if it can trade now, else accepted until the next open."""
    tradable = calendar.is_open(venue.now) or (request.extended_hours and venue.trades_soon())
    return SimOrder(
        id=venue.new_id(),
        client_order_id=request.client_order_id,
        symbol=request.symbol,
        side=request.side,
        type=request.type,
        time_in_force=request.time_in_force,
        created_at=venue.now,
        qty=request.qty,
        notional=request.notional,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        trail_price=request.trail_price,
        trail_percent=request.trail_percent,
        order_class=request.order_class,
        position_intent=request.position_intent or intent or None,
        extended_hours=request.extended_hours,
        status="pending_new" if tradable else "accepted",
        expires_at=_expires_at(venue.now, request),
        ratio_qty=request.ratio_qty,
    )


def _expires_at(now: dt.datetime, request: OrderRequest) -> dt.datetime:
    if request.time_in_force == "gtc":
        return now + GTC_LIFE
    hours = calendar.hours_at(now)
    extended = request.extended_hours and asset_of(request.symbol).asset_class == STOCK
    if hours and extended and now < hours.post_closes_at:
        return hours.post_closes_at
    return calendar.next_close(now)


def with_client_id(venue: VenueState, request: OrderRequest) -> OrderRequest:
    """The request, with a client order id from the broker when the client sent none."""
    return request if request.client_order_id else replace(request, client_order_id=venue.new_id("client"))


def load_orders(venue: VenueState, account: SimAccount, bodies: Iterable[Mapping[str, Any]]) -> None:
    """Enter a scenario's open orders, checked for form only. `age` is the time since each was sent."""
    for body in bodies:
        fields = dict(body)
        age = fields.pop("age", dt.timedelta(0))
        request = with_client_id(venue, read_order(fields))
        proposed = ProposedOrder(request, account, venue.settings, venue.now, None)
        order = enter(venue, account, request, request.position_intent or proposed.inferred_intent)
        order.created_at = order.updated_at = venue.now - age
        order.status = "new"
