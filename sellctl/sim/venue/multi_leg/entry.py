"""Entering and replacing multi-leg orders. A parent and its legs are created together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sellctl.sim import rejections
from sellctl.sim.numbers import ZERO
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.multi_leg.checks import check_multi_leg, check_net_limit
from sellctl.sim.venue.order_entry import make_order
from sellctl.sim.venue.order_requests import OrderRequest, read_leg
from sellctl.sim.venue.orders import SimOrder
from sellctl.sim.venue.state import VenueState


def submit_multi_leg(venue: VenueState, account: SimAccount, request: OrderRequest) -> SimOrder:
    """Check and enter a multi-leg order. RejectionError for the first rule that it breaks."""
    legs = [read_leg(body, request) for body in request.legs]
    check_multi_leg(venue, account, request, legs)
    return enter_multi_leg(venue, account, request, legs)


def enter_multi_leg(
    venue: VenueState, account: SimAccount, request: OrderRequest, legs: Sequence[OrderRequest]
) -> SimOrder:
    """Enter a multi-leg order into the account without any check."""
    parent = make_order(venue, replace(request, symbol="", side="", position_intent=None), "")
    for leg in legs:
        named = replace(leg, client_order_id=venue.new_id("client"))
        child = make_order(venue, named, leg.position_intent or "")
        child.parent, child.status, child.limit_price = parent, parent.status, None
        parent.legs.append(child)
    account.add(parent)
    return parent


def check_replacement(venue: VenueState, account: SimAccount, old: SimOrder, changes: Mapping[str, Any]) -> None:
    """422 for a net limit off the increment; 403 for a quantity that isn't free.

    The order that is replaced reserves what it closes, and Alpaca counts that against its replacement, so that no
    closing order can be replaced. With `replace_closing_mleg` it doesn't count.
    """
    limit = changes.get("limit_price", old.limit_price)
    views = [OrderRequest(leg.symbol, leg.side, old.type, old.time_in_force) for leg in old.legs]
    check_net_limit(venue, account, limit, views)
    units = changes.get("qty", old.qty) - old.filled_qty
    for leg in old.legs:
        wanted = units * (leg.ratio_qty or ZERO)
        own = leg.reserved_qty if venue.settings.replace_closing_mleg else ZERO
        held = account.held_for_orders(leg.symbol) - own
        size = abs(account.qty_of(leg.symbol))
        if leg.closes and wanted > size - held:
            related = [order.id for order in account.closing_orders(leg.symbol)]
            raise rejections.insufficient_qty("", wanted, size, held, related)


def successors_of_legs(venue: VenueState, old: SimOrder, qty: Decimal) -> list[SimOrder]:
    """The legs of the order that replaces a multi-leg order; they keep their fills."""
    return [
        replace(
            leg,
            id=venue.new_id(),
            client_order_id=venue.new_id("client"),
            created_at=venue.now,
            updated_at=venue.now,
            qty=qty * (leg.ratio_qty or ZERO),
            status="new" if leg.filled_qty == ZERO else "partially_filled",
            replaces=leg.id,
        )
        for leg in old.legs
    ]
