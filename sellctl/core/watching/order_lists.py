"""Reads the orders of one account in as few requests as possible: the open ones, or with them every order of today.

One list of every order since midnight, or since the oldest open order was submitted, also shows which orders are open.
The broker's own list of open orders is asked for too wherever that one list could leave a doubt.
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

LOOKS_BACK = dt.timedelta(days=7)  # open orders older than this are not worth a list of everything since
ONE_ANSWER = 500  # rows that one answer of the broker holds: of more orders, only those that are needed are read


class AccountOrders(Struct, frozen=True):
    """The open orders, and all orders submitted since midnight, in any state; None when these were not read.

    `since_midnight` may have earlier orders too.
    """

    open: Rows[Order]
    since_midnight: Rows[Order] | None = None

    @property
    def ended(self) -> tuple[Order, ...]:
        """The orders that have ended."""
        rows = self.since_midnight.rows if self.since_midnight else ()
        return tuple(order for order in rows if not is_live(order))


@dataclass(slots=True)
class OrderLists:
    """Reads the orders of one account. Methods raise BrokerError or a subclass."""

    broker: Broker
    _open_ids: frozenset[str] = frozenset()  # the broker's ids of the orders that were open last
    _open_since: dt.datetime | None = None  # when the oldest of them was submitted, or midnight; None when unknown
    _midnight: dt.datetime | None = None  # the start of the day on which they were read
    _are_many: bool = False  # whether today's orders don't fit in one answer

    async def read_open(self, *, urgent: bool) -> AccountOrders:
        """The open orders."""
        return AccountOrders(await self.broker.open_orders(urgent=urgent))

    async def read_all(self, midnight: dt.datetime, *, urgent: bool) -> AccountOrders:
        """The open orders and every order since midnight; without the latter where these are too many."""
        is_same_day = self._midnight == midnight
        if is_same_day and self._are_many:
            return await self.read_open(urgent=urgent)
        if not is_same_day or self._open_since is None or self._open_since < midnight - LOOKS_BACK:
            return await self._read_both(midnight, urgent=urgent)
        every = await self.broker.orders_since(self._open_since, None, for_order=False, urgent=urgent)
        if self._leaves_a_doubt(every):
            return AccountOrders(await self.broker.open_orders(urgent=urgent), every)
        return AccountOrders(Rows(tuple(order for order in every.rows if is_live(order))), every)

    def taken(self, orders: AccountOrders, midnight: dt.datetime) -> None:
        """Remember what the next list of every order has to show."""
        self._open_ids = frozenset(order.id for order in orders.open.rows)
        submitted = [order.submitted_at for order in orders.open.rows]
        known = [at for at in submitted if at is not None]
        is_known = len(known) == len(submitted) and not orders.open.invalid
        self._open_since = min((midnight, *known)) if is_known else None
        if orders.since_midnight is not None:
            self._are_many = len(orders.since_midnight.rows) > ONE_ANSWER
        elif self._midnight != midnight:
            self._are_many = False
        self._midnight = midnight

    async def _read_both(self, midnight: dt.datetime, *, urgent: bool) -> AccountOrders:
        """Both lists at once. No read fails because of today's orders: they are asked for again when one is due."""
        opened, every = (
            asyncio.ensure_future(self.broker.open_orders(urgent=urgent)),
            asyncio.ensure_future(self.broker.orders_since(midnight, None, for_order=False, urgent=urgent)),
        )
        await asyncio.gather(opened, every, return_exceptions=True)
        is_missing = isinstance(every.exception(), BrokerError)
        return AccountOrders(opened.result(), None if is_missing else every.result())

    def _leaves_a_doubt(self, every: Rows[Order]) -> bool:
        """Whether a list of every order doesn't show for certain which of them are open."""
        shown = tuple(_with_legs(every.rows))
        is_missing = not self._open_ids <= {order.id for order in shown}
        return bool(every.invalid) or is_missing or any(_may_be_open(order) for order in shown)


def _may_be_open(order: Order) -> bool:
    """Whether only the broker's list of open orders tells: an unknown status, or done for the day."""
    return order.state is OrderState.UNKNOWN or order.status == "done_for_day"


def _with_legs(orders: Iterable[Order]) -> Iterable[Order]:
    return (each for order in orders for each in (order, *order.legs))
