"""The exchange in memory: accounts, quotes, orders and its own time. Pure: no host clock, no I/O, no threads.

Time moves only by `advance_to`; everything that is due on the way (scenario events, stops, fills, closes, expiry,
liquidation) happens at its own instant and in order. What each of those does lives in files of their own.
"""

import datetime as dt
import heapq
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from sellctl.sim import rejections
from sellctl.sim.faults.catalogue import BehaviourBook, Fault
from sellctl.sim.faults.immediate import act, undo
from sellctl.sim.faults.order_faults import on_accept
from sellctl.sim.http import serializers
from sellctl.sim.market import calendar
from sellctl.sim.market.market import Market
from sellctl.sim.market.price_paths import Level
from sellctl.sim.numbers import stable_id, stamp
from sellctl.sim.settings import Settings
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.matching import force_fill, rest_until, work_orders
from sellctl.sim.venue.order_checks import Case, check_all
from sellctl.sim.venue.order_factory import make_order
from sellctl.sim.venue.order_groups import after_end, is_grouped, submit_group
from sellctl.sim.venue.order_requests import OrderRequest, read_order
from sellctl.sim.venue.orders import TERMINAL, Event, SimOrder
from sellctl.sim.venue.session import plan_session

STEP = dt.timedelta(seconds=1)
_A_MOMENT = dt.timedelta(microseconds=1)
Action = Callable[["Exchange"], None]
Listener = Callable[[Event], None]


class Exchange:
    """One venue with several accounts. All instants are UTC and in its own time."""

    def __init__(
        self,
        start: dt.datetime,
        accounts: Iterable[SimAccount] = (),
        market: Market | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.now = start
        self.settings = settings or Settings()
        self.market = market or Market()
        self.behaviours = BehaviourBook(self.settings.seed)
        self.market.behaviours = self.behaviours
        self.accounts = {account.name: account for account in accounts}
        self.events: list[Event] = []
        self.listeners: list[Listener] = []
        self.quote_listeners: list[Callable[[str], None]] = []
        self.rng = random.Random(self.settings.seed)  # noqa: S311  a simulation's seed, not a secret
        self._timeline: list[tuple[dt.datetime, int, Action]] = []
        self._count = 0
        self.notes: list[str] = []  # what happened beside the books: refused orders of a script
        self.stuck: set[str] = set()  # orders that a misbehaviour keeps from working
        plan_session(self)

    # --- time -------------------------------------------------------------------------------------------------

    def at(self, when: dt.datetime, action: Action) -> None:
        """Do something at an instant; what is already past is done on the next move of time."""
        heapq.heappush(self._timeline, (when, self.next_number(), action))

    def advance_to(self, to: dt.datetime) -> None:
        """Move time forward, never back; everything due on the way happens at its own instant."""
        self._run_due()
        while self.now < to:
            self.now = self._next_instant(to)
            self._run_due()
            work_orders(self)

    def _next_instant(self, to: dt.datetime) -> dt.datetime:
        instant = to
        if self._timeline:
            instant = min(instant, max(self._timeline[0][0], self.now))
        orders = [order for account in self.accounts.values() for order in account.open_orders.values()]
        is_open = calendar.is_open(self.now)
        if orders and (is_open or any(map(self._is_restless, orders))):
            second = self.now.replace(microsecond=0) + STEP
            instant = min(instant, max(second, self._last_second_of_rest(instant, orders)) if is_open else second)
        elif orders:
            instant = min(instant, calendar.next_open(self.now))
        return instant

    def _last_second_of_rest(self, until: dt.datetime, orders: Iterable[SimOrder]) -> dt.datetime:
        """The last second's beginning before anything may happen: looks until then would find all as it is."""
        for order in orders:
            until = min(until, rest_until(self, order))
            if until <= self.now:
                return self.now
        return (until - _A_MOMENT).replace(microsecond=0)

    def _is_restless(self, order: SimOrder) -> bool:
        """Whether something may happen to an order outside the session."""
        return order.status == "pending_cancel" or (order.extended_hours and self.trades_soon())

    def trades_soon(self) -> bool:
        """Whether anything can trade in the present phase of the day."""
        return calendar.phase_at(self.now)[0] != "closed"

    def _run_due(self) -> None:
        while self._timeline and self._timeline[0][0] <= self.now:
            heapq.heappop(self._timeline)[2](self)

    def shown_now(self) -> dt.datetime:
        """What the clock endpoint says: now, unless it is told to be wrong."""
        fault = self.behaviours.strike("H20", path="/v2/clock") if self.behaviours.active else None
        if fault is None:
            return self.now
        if fault["down"]:
            raise rejections.unavailable()
        return self.now + dt.timedelta(seconds=float(fault["skew"]))

    # --- names and news ---------------------------------------------------------------------------------------

    def next_number(self) -> int:
        """A number that this venue never gives twice."""
        self._count += 1
        return self._count

    def new_id(self, kind: str = "order") -> str:
        """A new UUID, the same in every run of the same scenario."""
        return stable_id(kind, self.settings.seed, self.next_number())

    def emit(self, kind: str, account: SimAccount, order: SimOrder, **detail: Any) -> None:
        """Write an order event down and tell the listeners. The wire form is taken now."""
        if order.cancel_requested_at:
            detail["cancel_requested_at"] = stamp(order.cancel_requested_at)
        event = Event(self.next_number(), self.now, kind, account.name, serializers.order_json(order), detail)
        self.events.append(event)
        for listener in tuple(self.listeners):
            listener(event)

    def misbehave(self, name: str, **options: Any) -> Fault:
        """Switch a misbehaviour on; those that act on the books at once do so now."""
        fault = self.behaviours.misbehave(name, **options)
        act(self, fault)
        return fault

    def behave(self, name: str = "") -> None:
        """Switch a misbehaviour off, or all of them."""
        self.behaviours.behave(name)
        undo(self, name)

    # --- accounts ---------------------------------------------------------------------------------------------

    def account_of(self, key: str, secret: str | None = None) -> SimAccount:
        """The account of a key; RefusedError 401 when there is none or it is refused."""
        for account in self.accounts.values():
            if account.key == key and secret in {None, account.secret}:
                if account.refused:
                    raise rejections.unauthorized() if account.refused == 401 else rejections.forbidden()  # noqa: PLR2004  HTTP
                return account
        raise rejections.unauthorized()

    # --- quotes -----------------------------------------------------------------------------------------------

    def quote(self, symbol: str) -> Level | None:
        """What stands in the book now; what clients are shown may differ (market.shown)."""
        return self.market.level(symbol, self.now)

    def set_quote(self, symbol: str, bid: Decimal | None, ask: Decimal | None, **sizes: int) -> None:
        """From now on this quote stands, instead of the path."""
        self.market.put(symbol, Level(bid, ask, **sizes), self.now)
        for listener in tuple(self.quote_listeners):
            listener(symbol)
        work_orders(self)

    # --- orders -----------------------------------------------------------------------------------------------

    def submit(self, account: SimAccount, body: Any, *, source: str = "access_key") -> dict[str, Any]:
        """Take an order as its JSON body says it. The answer is the order at acceptance; fills follow at once or later.

        RefusedError when the broker says no.
        """
        request = self._named(read_order(body))
        enter = partial(submit_group, self) if is_grouped(request) else self.accept
        order = enter(account, request)
        order.source = source
        on_accept(self, account, order)
        answer = serializers.order_json(order)
        self.emit(order.status, account, order)
        work_orders(self)
        return answer

    def _named(self, request: OrderRequest) -> OrderRequest:
        return request if request.client_order_id else replace(request, client_order_id=self.new_id("client"))

    def accept(self, account: SimAccount, request: OrderRequest) -> SimOrder:
        """Ask every rule and, if none objects, take one order into the books."""
        case = Case(request, account, self.settings, self.now, self.quote(request.symbol))
        check_all(case)
        return self.enter(account, request, case.inferred)

    def enter(self, account: SimAccount, request: OrderRequest, intent: str) -> SimOrder:
        """Take an order into the books without asking."""
        order = make_order(self, request, intent)
        account.add(order)
        return order

    def cancel(self, account: SimAccount, order_id: str) -> None:
        """Ask for an order's end. Idempotent on canceled ones; RefusedError 404 or 422 otherwise."""
        order = self.order(account, order_id)
        if order.status in {"canceled", "expired"}:
            return
        if order.status in TERMINAL:
            raise rejections.unprocessable(f'order is already in "{order.status}" state')
        if order.status in {"pending_cancel", "pending_replace"}:
            raise rejections.unprocessable(f"order {order.status.replace('_', ' ')}")
        self.request_cancel(account, order)

    def request_cancel(self, account: SimAccount, order: SimOrder) -> None:
        """Start a cancel: at once, after the settings' delay, or never when told to misbehave."""
        order.cancel_requested_at = self.now
        stuck = self.behaviours.strike("H19", account=account.name, symbol=order.symbol)
        if self.behaviours.strike("O04", account=account.name, symbol=order.symbol):
            order.set_status("pending_cancel", self.now)
            self.emit("pending_cancel", account, order)
            force_fill(self, account, order)
            return
        if not stuck and not self.settings.cancel_delay:
            self.end(account, order, "canceled")
            return
        delay = self.settings.cancel_delay if stuck is None else _seconds(stuck["seconds"])
        order.cancel_done_at = None if delay is None else self.now + delay
        order.set_status("pending_cancel", self.now)
        self.emit("pending_cancel", account, order)

    def end(self, account: SimAccount, order: SimOrder, status: str) -> None:
        """Give an order its last status, tell it, and end what hangs on it."""
        if order.status in TERMINAL:
            return
        order.set_status(status, self.now)
        account.forget_if_done(order)
        self.emit(status, account, order)
        after_end(self, account, order)

    def order(self, account: SimAccount, order_id: str) -> SimOrder:
        """An order by id; RefusedError 404."""
        order = account.orders.get(order_id)
        if order is None:
            raise rejections.not_found(f"order not found for {order_id}")
        return order

    def order_by_client_id(self, account: SimAccount, client_order_id: str) -> SimOrder:
        """An order by its client's id; RefusedError 404, also while it isn't visible yet."""
        order = account.by_client_id.get(client_order_id)
        if order is None or not self.is_visible(order):
            raise rejections.not_found(f"order not found for {client_order_id}")
        return order

    def is_visible(self, order: SimOrder) -> bool:
        """Whether lists and look-ups show it already."""
        return order.visible_at is None or order.visible_at <= self.now

    def load_orders(self, account: SimAccount, bodies: Iterable[Mapping[str, Any]]) -> None:
        """Take a scenario's standing orders into the books, checked for form only, with their age."""
        for body in bodies:
            fields = dict(body)
            age = fields.pop("age", dt.timedelta(0))
            request = self._named(read_order(fields))
            case = Case(request, account, self.settings, self.now, None)
            order = self.enter(account, request, request.position_intent or case.inferred)
            order.created_at = order.updated_at = self.now - age
            order.status = "new"


def _seconds(value: Any) -> dt.timedelta | None:
    return None if value is None else dt.timedelta(seconds=float(value))
