"""A new order out of a request: its identifiers, first status and last instant. Not yet in any book."""

import datetime as dt
from typing import TYPE_CHECKING

from sellctl.sim.market import calendar
from sellctl.sim.market.assets import STOCK, asset_of
from sellctl.sim.venue.order_requests import OrderRequest
from sellctl.sim.venue.orders import SimOrder

if TYPE_CHECKING:
    from sellctl.sim.venue.exchange import Exchange

GTC_LIFE = dt.timedelta(days=90)


def make_order(exchange: "Exchange", request: OrderRequest, intent: str) -> SimOrder:
    """A new order, not yet in any book: pending while the market takes orders, accepted when it waits for the open."""
    tradable = calendar.is_open(exchange.now) or (request.extended_hours and exchange.trades_soon())
    limit = request.limit_price
    return SimOrder(
        id=exchange.new_id(),
        client_order_id=request.client_order_id,
        symbol=request.symbol,
        side=request.side,
        type=request.type,
        time_in_force=request.time_in_force,
        created_at=exchange.now,
        qty=request.qty,
        notional=request.notional,
        limit_price=limit,
        stop_price=request.stop_price,
        trail_price=request.trail_price,
        trail_percent=request.trail_percent,
        order_class=request.order_class,
        position_intent=request.position_intent or intent or None,
        extended_hours=request.extended_hours,
        status="pending_new" if tradable else "accepted",
        expires_at=_expires_at(exchange.now, request),
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
