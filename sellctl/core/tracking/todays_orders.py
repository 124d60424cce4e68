"""What is known of one account's orders of today, by symbol, and whether that is certain. Does no I/O.

An order's id and its checks depend on today's orders: a fill that the positions don't show yet must not lead to a
second sale. So they have to be certain where an order is sent:

* for a decision on a read of the account, if they were requested with that read or after it;
* at any later time, if the account's order stream has been connected since they were requested and has brought no news
  of the symbol.

Answers about single orders are put in as they come, so that our own orders are known without another request. A
multi-leg order is one of each of its symbols; while the broker doesn't show its legs, it is one of every symbol.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from sellctl.core.model.instrument import underlying_of
from sellctl.core.model.order import Order, with_legs
from sellctl.core.model.snapshot import Rows

_NEVER = -1
_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)


class TodaysOrders:
    """The orders of one account that were submitted since midnight, the start of the exchange's day.

    Reads, and what may change orders, are numbered in the order in which they begin. A list shows all that happened
    before it was requested, and perhaps some of what happened after.
    """

    def __init__(self) -> None:
        self._midnight: dt.datetime | None = None
        self._orders: defaultdict[str, dict[str, Order]] = defaultdict(dict)  # by symbol and the broker's id
        self._unreadable: frozenset[str] = frozenset()  # symbols with a row that can't be read
        self._missed: frozenset[str] = frozenset()  # the broker's ids of orders whose end isn't known
        self._last = 0  # the number of the last read or change
        self._is_streamed = False
        self._all_read = _NEVER  # the number of the last read of every symbol, and of later ones of single symbols
        self._read: dict[str, int] = {}
        self._all_changed = _NEVER  # the same for what may have changed orders
        self._changed: dict[str, int] = {}

    # --- reads --------------------------------------------------------------------------------------------------------

    def begin_read(self) -> int:
        """The number of a read that is about to be requested."""
        self._last += 1
        return self._last

    def loaded(self, rows: Rows[Order], midnight: dt.datetime, read: int, symbols: Iterable[str] | None = None) -> None:
        """Take the answer of a read: every order of these symbols since midnight, or of all when None.

        While a row can't be read that could be any symbol's, no symbol counts as read.
        """
        self._begin_day(midnight)
        for order in rows.rows:
            self.put(order)
        unreadable = frozenset(row.symbol for row in rows.invalid)
        if "" in unreadable:
            self.changed("")
            return
        if symbols is None:
            self._all_read, self._unreadable = max(read, self._all_read), unreadable
            return
        wanted = frozenset(symbols)
        self._unreadable = (self._unreadable - wanted) | (unreadable & wanted)
        self._read |= {symbol: max(read, self._read.get(symbol, _NEVER)) for symbol in wanted}

    def lacking_in(self, orders: Iterable[Order], symbols: Iterable[str]) -> frozenset[str]:
        """Those symbols of which an order is known as open that is not among these orders."""
        shown = {order.id for order in orders}
        return frozenset(
            symbol
            for symbol in symbols
            if any(not order.is_terminal and order.id not in shown for order in self._todays(symbol))
        )

    def put(self, order: Order) -> None:
        """Take the broker's view of one order. A view that is older than what is known changes nothing."""
        if self._midnight is not None and not _may_be_since(order, self._midnight):
            return
        if order.is_multi_leg and order.legs:
            self._orders[""].pop(order.id, None)  # its legs weren't shown before
        elif order.is_multi_leg and any(order.id in orders for orders in self._orders.values()):
            order = self._with_known_legs(order)
        for symbol in order.symbols:
            orders = self._orders[symbol]
            known = orders.get(order.id)
            if known is None or _progress(order) >= _progress(known):
                orders[order.id] = order

    def _with_known_legs(self, order: Order) -> Order:
        """An order whose legs an answer doesn't show, with those of an earlier answer and what they say of fills."""
        known = next(orders[order.id] for orders in self._orders.values() if order.id in orders)
        return with_legs(order, known.legs)

    def listed(self, open_orders: Iterable[Order]) -> None:
        """Take a list of the open orders. An order that it newly lacks has ended in a way that isn't known."""
        shown = set()
        for order in open_orders:
            shown.add(order.id)
            self.put(order)
        every = (order for orders in self._orders.values() for order in orders.values())
        missed = {order.id: order.symbols for order in every if not order.is_terminal and order.id not in shown}
        for symbol in {symbol for each in missed.keys() - self._missed for symbol in missed[each]}:
            self.changed(symbol)
        self._missed = frozenset(missed)

    def _begin_day(self, midnight: dt.datetime) -> None:
        if midnight == self._midnight:
            return
        self._midnight = midnight
        self._all_read, self._unreadable = _NEVER, frozenset()
        self._read.clear()
        every = [order for orders in self._orders.values() for order in orders.values()]
        self._orders.clear()
        for order in every:
            if order.submitted_at is not None:
                self.put(order)

    # --- changes ------------------------------------------------------------------------------------------------------

    def changed(self, symbol: str) -> None:
        """An order of this symbol has changed, or one of any symbol when it is ""."""
        self._last += 1
        if symbol:
            self._changed[symbol] = self._last
        else:
            self._all_changed = self._last

    def streamed(self, *, is_connected: bool) -> None:
        """The account's order stream was connected or has ended: changes of the time before it were missed."""
        self._is_streamed = is_connected
        self.changed("")

    # --- what is known ------------------------------------------------------------------------------------------------

    def known(
        self, symbols: Iterable[str], midnight: dt.datetime, min_read: int | None = None
    ) -> dict[str, tuple[Order, ...]]:
        """Today's orders of those symbols for which they are certain, or were read by `min_read` or a later read.

        A symbol with an unreadable row is left out.
        """
        if midnight != self._midnight:
            return {}
        return {symbol: self._todays(symbol) for symbol in symbols if self._is_known(symbol, min_read)}

    @property
    def filled_multi_leg(self) -> tuple[Order, ...]:
        """The multi-leg orders that are known to have filled, at least in part; there may be more."""
        every = {order.id: order for orders in self._orders.values() for order in orders.values()}
        return tuple(order for order in every.values() if order.is_multi_leg and order.filled_qty > 0)

    def filled_underlyings(self, since: dt.datetime) -> frozenset[str] | None:
        """The underlyings on which an order has filled at or after `since`, or a multi-leg order is open.

        An open one may have filled between this answer and that of the positions, which were requested together: of its
        legs, these may show only the short one. None while today's orders aren't known, or while the legs of such an
        order aren't.
        """
        if self._all_read == _NEVER or self._unreadable:
            return None
        filled = {
            symbol
            for symbol, orders in self._orders.items()
            if any(_has_just_filled(order, since) or _may_be_filling(order) for order in orders.values())
        }
        return None if "" in filled else frozenset(map(underlying_of, filled))

    def lacks(self, symbols: Iterable[str], midnight: dt.datetime) -> bool:
        """Whether a read would make a symbol certain that isn't."""
        if not self._is_streamed:
            return False
        return midnight != self._midnight or any(
            symbol not in self._unreadable and not self._is_certain(symbol) for symbol in symbols
        )

    def _is_known(self, symbol: str, min_read: int | None) -> bool:
        if symbol in self._unreadable:
            return False
        return self._is_certain(symbol) or (min_read is not None and self._read_of(symbol) >= min_read)

    def _is_certain(self, symbol: str) -> bool:
        changed = max(self._all_changed, self._changed.get(symbol, _NEVER))
        return self._is_streamed and self._read_of(symbol) > changed

    def _read_of(self, symbol: str) -> int:
        return max(self._all_read, self._read.get(symbol, _NEVER))

    def _todays(self, symbol: str) -> tuple[Order, ...]:
        found = (self._orders[name] for name in (symbol, "") if name in self._orders)
        return tuple(order for orders in found for order in orders.values())


def _may_be_since(order: Order, midnight: dt.datetime) -> bool:
    return order.submitted_at is None or order.submitted_at >= midnight


def _has_just_filled(order: Order, since: dt.datetime) -> bool:
    return order.filled_qty > 0 and (order.last_fill_at or since) >= since


def _may_be_filling(order: Order) -> bool:
    return order.is_multi_leg and not order.is_terminal


def _progress(order: Order) -> tuple[bool, Decimal, dt.datetime]:
    """How far an order is: an order that has ended stays so, and what has filled stays filled (I8)."""
    return order.is_terminal, order.filled_qty, order.updated_at or _LONG_AGO
