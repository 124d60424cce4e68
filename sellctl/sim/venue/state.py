"""The state that every part of the exchange works on: accounts, market, faults, time, timeline and order events.

Matching, order groups, the trading session and the faults take a `VenueState`, so that none of them imports the
`Exchange` that offers them to clients.
"""

import datetime as dt
import heapq
import random
from collections.abc import Callable, Iterable
from typing import Any

from sellctl.sim.faults.registry import FaultRegistry
from sellctl.sim.market import calendar
from sellctl.sim.market.market import Market, SimSplit
from sellctl.sim.market.price_paths import TwoSidedQuote
from sellctl.sim.numbers import format_timestamp, stable_id
from sellctl.sim.serializers import order_json
from sellctl.sim.settings import Settings
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.orders import SimEvent, SimOrder

EventListener = Callable[[SimEvent], None]


class VenueState:
    """One venue with several accounts. All instants are UTC and in the venue's own time.

    `start_id` is a part of the ids of orders and activities: with another one, the same scenario gives other ids.
    """

    def __init__(
        self,
        start: dt.datetime,
        accounts: Iterable[SimAccount] = (),
        market: Market | None = None,
        settings: Settings | None = None,
        *,
        start_id: str = "",
    ) -> None:
        self.now = start
        self.idle_at = start  # when matching was last left out, because it would have changed nothing
        self._start_id = start_id
        self.settings = settings or Settings()
        self.faults = FaultRegistry(self.settings.seed)
        self.market = market or Market()
        self.market.faults = self.faults
        self.accounts = {account.name: account for account in accounts}
        self.events: list[SimEvent] = []
        self.listeners: list[EventListener] = []
        self.splits: list[SimSplit] = []
        self.notes: list[str] = []  # records without an order event: rejected manual orders, busted fills
        self.stuck: set[str] = set()  # ids of orders that a fault keeps from becoming active
        self.rng = random.Random(self.settings.seed)  # noqa: S311  a simulation's seed, not a secret
        self._timeline: list[tuple[dt.datetime, int, Callable[[], None]]] = []
        self._count = 0

    # --- timeline ---------------------------------------------------------------------------------------------

    def schedule(self, when: dt.datetime, action: Callable[[], None]) -> None:
        """Run an action at an instant; one in the past runs when time moves next."""
        heapq.heappush(self._timeline, (when, self.next_number(), action))

    def next_scheduled(self) -> dt.datetime | None:
        """When the next action is due; None without one."""
        return self._timeline[0][0] if self._timeline else None

    def run_due(self) -> None:
        """Run every action that is due, in order of time."""
        while self._timeline and self._timeline[0][0] <= self.now:
            heapq.heappop(self._timeline)[2]()

    # --- identifiers and events -------------------------------------------------------------------------------

    def next_number(self) -> int:
        """A number that this venue never returns twice."""
        self._count += 1
        return self._count

    def new_id(self, kind: str = "order") -> str:
        """A new UUID, the same in every run of the same scenario with the same `start_id`."""
        return stable_id(kind, f"{self.settings.seed}{self._start_id}", self.next_number())

    def emit(self, kind: str, account: SimAccount, order: SimOrder, **detail: Any) -> None:
        """Record an order event, with the order's JSON at this instant, and pass it to the listeners."""
        if order.cancel_requested_at:
            detail["cancel_requested_at"] = format_timestamp(order.cancel_requested_at)
        event = SimEvent(self.next_number(), self.now, kind, account.name, order_json(order), detail)
        self.events.append(event)
        for listener in tuple(self.listeners):
            listener(event)

    # --- queries ----------------------------------------------------------------------------------------------

    def quote(self, symbol: str) -> TwoSidedQuote | None:
        """The quote in the book now. Clients may be shown a different one: see `Market.shown`."""
        return self.market.level(symbol, self.now)

    def trades_soon(self) -> bool:
        """Whether anything can trade in the current phase of the day."""
        return calendar.phase_at(self.now)[0] != "closed"

    def is_visible(self, order: SimOrder) -> bool:
        """Whether lists and look-ups show an order already."""
        return order.visible_at is None or order.visible_at <= self.now
