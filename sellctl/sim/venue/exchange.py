"""The exchange in memory, for clients and scenarios. No host clock, no I/O, no threads.

Time moves by `advance_to` only. Everything that is due on the way (scenario events, stops, fills, the close, expiry,
liquidation) happens at its own instant and in order.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from sellctl.sim import rejections
from sellctl.sim.faults.immediate import apply_at_once, undo
from sellctl.sim.faults.registry import Fault
from sellctl.sim.market import calendar
from sellctl.sim.market.market import Market
from sellctl.sim.market.price_paths import FOREVER, TwoSidedQuote
from sellctl.sim.settings import Settings
from sellctl.sim.venue import order_actions
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.matching import idle_until, match_orders
from sellctl.sim.venue.orders import SimOrder
from sellctl.sim.venue.session import plan_session
from sellctl.sim.venue.state import VenueState

STEP = dt.timedelta(seconds=1)
_RESOLUTION = dt.timedelta(microseconds=1)
Action = Callable[["Exchange"], None]


class Exchange(VenueState):
    """One venue with several accounts: time, quotes, orders and faults."""

    def __init__(
        self,
        start: dt.datetime,
        accounts: Iterable[SimAccount] = (),
        market: Market | None = None,
        settings: Settings | None = None,
        *,
        start_id: str = "",
    ) -> None:
        super().__init__(start, accounts, market, settings, start_id=start_id)
        self.quote_listeners: list[Callable[[str], None]] = []
        plan_session(self)

    # --- time -------------------------------------------------------------------------------------------------

    def at(self, when: dt.datetime, action: Action) -> None:
        """Apply an action to this exchange at an instant; one in the past is applied when time moves next."""
        self.schedule(when, partial(action, self))

    def advance_to(self, to: dt.datetime) -> None:
        """Move time forward, never back; everything due on the way happens at its own instant."""
        self.run_due()
        while self.now < to:
            self.now, is_idle = self._next_instant(to)
            if is_idle:
                self.idle_at = self.now
            else:
                self.run_due()
                match_orders(self)

    def _next_instant(self, to: dt.datetime) -> tuple[dt.datetime, bool]:
        """The next instant at which something can happen, at most `to`: with open orders, each second of a session.

        And whether nothing can happen up to and at it, so that matching would change nothing.
        """
        instant, scheduled = to, self.next_scheduled()
        if scheduled is not None:
            instant = min(instant, max(scheduled, self.now))
        orders = [order for account in self.accounts.values() for order in account.open_orders.values()]
        is_open = calendar.is_open(self.now)
        if orders and is_open:
            idle_end = self._idle_end(orders)
            if min(idle_end, scheduled or idle_end) > instant and not self.market.halted and calendar.is_open(instant):
                return instant, True
            second = self.now.replace(microsecond=0) + STEP
            last_idle_second = (min(instant, idle_end) - _RESOLUTION).replace(microsecond=0)
            instant = min(instant, max(second, last_idle_second))
        elif orders and any(map(self._is_active_outside_session, orders)):
            instant = min(instant, self.now.replace(microsecond=0) + STEP)
        elif orders:
            instant = min(instant, calendar.next_open(self.now))
        return instant, False

    def _idle_end(self, orders: Iterable[SimOrder]) -> dt.datetime:
        """The first instant at which anything can happen to one of these orders; now when something can at once."""
        end = FOREVER
        for order in orders:
            end = min(end, idle_until(self, order))
            if end <= self.now:
                break
        return end

    def _is_active_outside_session(self, order: SimOrder) -> bool:
        return order.status == "pending_cancel" or (order.extended_hours and self.trades_soon())

    def shown_now(self) -> dt.datetime:
        """The time of the clock endpoint, which the fault H20 may change. RejectionError 503 when it is down."""
        fault = self.faults.trigger("H20", path="/v2/clock") if self.faults.active else None
        if fault is None:
            return self.now
        if fault["down"]:
            raise rejections.unavailable()
        return self.now + dt.timedelta(seconds=float(fault["skew"]))

    # --- faults -----------------------------------------------------------------------------------------------

    def inject(self, name: str, **options: Any) -> Fault:
        """Activate a fault; one that changes orders, positions or prices directly does so now."""
        fault = self.faults.inject(name, **options)
        apply_at_once(self, fault)
        return fault

    def clear_faults(self, name: str = "") -> None:
        """Deactivate one fault, or all of them."""
        self.faults.clear(name)
        undo(self, name)

    # --- accounts and quotes ----------------------------------------------------------------------------------

    def account_of(self, key: str, secret: str | None = None) -> SimAccount:
        """The account of a key; RejectionError 401 for an unknown key, 401 or 403 for a refused one."""
        for account in self.accounts.values():
            if account.key == key and secret in {None, account.secret}:
                if account.refused:
                    raise rejections.unauthorized() if account.refused == 401 else rejections.forbidden()  # noqa: PLR2004  HTTP
                return account
        raise rejections.unauthorized()

    def set_quote(self, symbol: str, bid: Decimal | None, ask: Decimal | None, **sizes: int) -> None:
        """Replace a symbol's price path by this quote from now on."""
        self.market.put(symbol, TwoSidedQuote(bid, ask, **sizes), self.now)
        for listener in tuple(self.quote_listeners):
            listener(symbol)
        match_orders(self)

    # --- orders -----------------------------------------------------------------------------------------------

    def submit(self, account: SimAccount, body: Any, *, source: str = "access_key") -> dict[str, Any]:
        """Submit an order given as its JSON body; the answer is its JSON at acceptance. RejectionError otherwise."""
        return order_actions.submit_order(self, account, body, source=source)

    def cancel(self, account: SimAccount, order_id: str) -> None:
        """Request the cancel of an order. RejectionError 404 or 422."""
        order_actions.cancel_order(self, account, order_id)

    def replace(self, account: SimAccount, order_id: str, body: Any) -> dict[str, Any]:
        """Replace an order; the answer is the JSON of the new one. RejectionError 404 or 422."""
        return order_actions.replace_order(self, account, order_id, body)

    def order(self, account: SimAccount, order_id: str) -> SimOrder:
        """An order by id; RejectionError 404."""
        return order_actions.find_order(account, order_id)

    def order_by_client_id(self, account: SimAccount, client_order_id: str) -> SimOrder:
        """An order by its client order id; RejectionError 404, also while it isn't visible yet (O14)."""
        order = account.by_client_id.get(client_order_id)
        if order is None or not self.is_visible(order):
            raise rejections.not_found(f"order not found for {client_order_id}")
        return order

    def load_orders(self, account: SimAccount, bodies: Iterable[Mapping[str, Any]]) -> None:
        """Enter a scenario's open orders, checked for form only."""
        order_actions.load_orders(self, account, bodies)
