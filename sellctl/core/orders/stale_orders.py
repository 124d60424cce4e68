"""Stale orders: simple day orders that close a held position and have been open for too long.

Complex, multi-leg, GTC and stop orders are never stale, and orders that open a position only with the scope `all`.
"""

import datetime as dt
from collections.abc import Collection

from sellctl.core.config.schema import CancelScope
from sellctl.core.model.market import Market
from sellctl.core.model.order import Order, OrderState, OrderType, Side
from sellctl.core.model.plan import CancelOrder
from sellctl.core.model.position import Direction
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.orders.claims import closes

_TYPES = frozenset({OrderType.MARKET, OrderType.LIMIT})


def stale_orders(
    snapshot: Snapshot, scope: CancelScope, after: dt.timedelta, spared: Collection[str]
) -> tuple[CancelOrder, ...]:
    """The stale orders of a snapshot. `spared` are ids of orders that must not be cancelled as stale."""
    held = {h.symbol: h.position.direction for h in snapshot.holdings}
    return tuple(
        CancelOrder(order, f"stale: {_minutes(age)} min old, {_minutes(after)} min allowed")
        for order in snapshot.orders
        if order.id not in spared
        and _is_in_scope(order, scope, held.get(order.symbol))
        and (age := age_in_session(order, snapshot.market)) is not None
        and age >= after
    )


def age_in_session(order: Order, market: Market) -> dt.timedelta | None:
    """Time since the order's submission or today's open, whichever is later; None when closed or unknown."""
    if not market.is_open or market.opened_at is None or order.submitted_at is None:
        return None
    return market.now - max(order.submitted_at, market.opened_at)


def _is_in_scope(order: Order, scope: CancelScope, direction: Direction | None) -> bool:
    if order.state is not OrderState.WORKING or not order.is_simple or order.side is None:
        return False
    if order.time_in_force != "day" or order.type not in _TYPES:
        return False
    if scope is CancelScope.ALL:
        return True
    if not closes(order, direction):
        return False
    return order.is_ours if scope is CancelScope.OWN else order.side is Side.SELL or order.is_ours


def _minutes(age: dt.timedelta) -> str:
    return f"{age.total_seconds() / 60:.1f}".removesuffix(".0")
