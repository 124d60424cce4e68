"""Reads the orders of one account in as few requests as possible: the open ones, or with them every order of today.

One list of every order since midnight, or since the oldest open order was submitted, also shows which orders are open.
The broker's own list of open orders is requested too where that list is inconclusive.
"""

import asyncio
import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import Struct

from sellctl.core.errors import BrokerError
from sellctl.core.model.order import Order, OrderState
from sellctl.core.model.snapshot import Rows
from sellctl.core.orders.claims import is_live
from sellctl.core.ports import Broker

MAX_LIST_AGE = dt.timedelta(days=7)  # with an older open order, the two lists are requested separately
PAGE_SIZE = 500  # orders per response; when today has more, only those of the symbols that need them are read


class AccountOrders(Struct, frozen=True):
    """The open orders, and in `recent` every order since midnight or earlier, in any state; None when not read."""

    open: Rows[Order]
    recent: Rows[Order] | None = None

    @property
    def ended(self) -> tuple[Order, ...]:
        """The orders that have ended."""
        rows = self.recent.rows if self.recent else ()
        return tuple(order for order in rows if not is_live(order))


@dataclass(slots=True)
class OrderLists:
    """Reads the orders of one account. Methods raise BrokerError or a subclass."""

    broker: Broker
    _open_ids: frozenset[str] = frozenset()  # the broker's ids of the orders that were open last
    _open_since: dt.datetime | None = None  # when the oldest of them was submitted, or midnight; None when unknown
    _midnight: dt.datetime | None = None  # the start of the day on which they were read
    _exceeds_page: bool = False  # whether today has more orders than PAGE_SIZE

    async def read_open(self, *, urgent: bool) -> AccountOrders:
        """The open orders."""
        return AccountOrders(await self.broker.open_orders(urgent=urgent))

    async def read_all(self, midnight: dt.datetime, *, urgent: bool) -> AccountOrders:
        """The open orders and every order since midnight; only the open ones when today has too many."""
        is_same_day = self._midnight == midnight
        if is_same_day and self._exceeds_page:
            return await self.read_open(urgent=urgent)
        if not is_same_day or self._open_since is None or self._open_since < midnight - MAX_LIST_AGE:
            return await self._read_both(midnight, urgent=urgent)
        recent = await self.broker.orders_since(self._open_since, None, for_order=False, urgent=urgent)
        if self._is_inconclusive(recent):
            return AccountOrders(await self.broker.open_orders(urgent=urgent), recent)
        return AccountOrders(Rows(tuple(order for order in recent.rows if is_live(order))), recent)

    def remember(self, orders: AccountOrders, midnight: dt.datetime) -> None:
        """Store which orders were open, for the next `read_all`."""
        self._open_ids = frozenset(order.id for order in orders.open.rows)
        submitted = [order.submitted_at for order in orders.open.rows]
        known = [at for at in submitted if at is not None]
        is_known = len(known) == len(submitted) and not orders.open.invalid
        self._open_since = min((midnight, *known)) if is_known else None
        if orders.recent is not None:
            self._exceeds_page = len(orders.recent.rows) > PAGE_SIZE
        elif self._midnight != midnight:
            self._exceeds_page = False
        self._midnight = midnight

    async def _read_both(self, midnight: dt.datetime, *, urgent: bool) -> AccountOrders:
        """Both lists at once. A failure of the list since midnight is ignored; `read_all` requests it next time."""
        opened, recent = (
            asyncio.ensure_future(self.broker.open_orders(urgent=urgent)),
            asyncio.ensure_future(self.broker.orders_since(midnight, None, for_order=False, urgent=urgent)),
        )
        await asyncio.gather(opened, recent, return_exceptions=True)
        is_missing = isinstance(recent.exception(), BrokerError)
        return AccountOrders(opened.result(), None if is_missing else recent.result())

    def _is_inconclusive(self, recent: Rows[Order]) -> bool:
        """Whether the list of recent orders doesn't show for certain which orders are open."""
        shown = tuple(_with_legs(recent.rows))
        is_missing = not self._open_ids <= {order.id for order in shown}
        return bool(recent.invalid) or is_missing or any(_may_be_open(order) for order in shown)


def _may_be_open(order: Order) -> bool:
    """Whether its status is unknown or done for the day: then only the list of open orders shows whether it is open."""
    return order.state is OrderState.UNKNOWN or order.status == "done_for_day"


def _with_legs(orders: Iterable[Order]) -> Iterable[Order]:
    return (each for order in orders for each in (order, *order.legs))
