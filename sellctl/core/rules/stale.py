"""Which resting orders have grown stale: simple day orders that close a held position and got no fill in time."""

import datetime as dt
from collections.abc import Collection

from sellctl.core.model.config import CancelScope
from sellctl.core.model.market import Market
from sellctl.core.model.order import Order, OrderState, OrderType, PositionIntent, Side
from sellctl.core.model.plan import CancelOrder
from sellctl.core.model.position import Direction
from sellctl.core.model.snapshot import Snapshot

_STOPS = {OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP}


def stale_orders(
    snapshot: Snapshot, scope: CancelScope, after: dt.timedelta, running: Collection[str]
) -> tuple[CancelOrder, ...]:
    """The stale orders of a snapshot. `running` are the ids of orders that belong to an exit under way."""
    held = {h.symbol: h.position.direction for h in snapshot.holdings}
    return tuple(
        CancelOrder(order, f"stale: {_minutes(age)} min old, {_minutes(after)} min allowed")
        for order in snapshot.orders
        if order.id not in running
        and _is_in_scope(order, scope, held.get(order.symbol))
        and (age := age_in_session(order, snapshot.market)) is not None
        and age >= after
    )


def age_in_session(order: Order, market: Market) -> dt.timedelta | None:
    """Time since the later of the order's submission and today's open; None when closed or unknown."""
    if not market.is_open or market.opened_at is None or order.submitted_at is None:
        return None
    return market.now - max(order.submitted_at, market.opened_at)


def closes(order: Order, direction: Direction | None) -> bool:
    """Whether an order closes a position held in that direction."""
    if order.position_intent in {PositionIntent.BUY_TO_OPEN, PositionIntent.SELL_TO_OPEN}:
        return False
    return (direction is Direction.LONG and order.side is Side.SELL) or (
        direction is Direction.SHORT and order.side is Side.BUY
    )


def _is_in_scope(order: Order, scope: CancelScope, direction: Direction | None) -> bool:
    if order.state is not OrderState.WORKING or not order.is_simple or order.side is None:
        return False
    if order.time_in_force != "day" or order.type in _STOPS or order.type is OrderType.OTHER:
        return False
    if scope is CancelScope.ALL:
        return True
    if not closes(order, direction):
        return False
    return order.is_ours if scope is CancelScope.OWN else order.side is Side.SELL or order.is_ours


def _minutes(age: dt.timedelta) -> str:
    return f"{age.total_seconds() / 60:.1f}".removesuffix(".0")
