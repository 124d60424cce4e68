"""A journal that tells telemetry of what it has recorded: plans, intents, outcomes and fills. It changes nothing."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from sellctl.core.model.intent import IntendedOrder, Intent, OpenOrder
from sellctl.core.model.plan import CancelOrder, Plan
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.ports import Journal
from sellctl.telemetry.facts import Filled, Intended, Planned, QuoteTimes, Recorded
from sellctl.telemetry.recorder import Recorder


class ObservedJournal:
    """The Journal port over another journal. What that one couldn't record is not told.

    `quote_times` says when the quotes of a symbol arrived. `at_a_plan` is called with each plan; it raises nothing.
    """

    def __init__(
        self,
        journal: Journal,
        recorder: Recorder,
        quote_times: Callable[[str], QuoteTimes],
        at_a_plan: Callable[[], None] = lambda: None,
    ) -> None:
        self._journal = journal
        self._recorder = recorder
        self._quote_times = quote_times
        self._at_a_plan = at_a_plan

    async def plan_made(self, snapshot: Snapshot, plan: Plan) -> None:
        """Record a plan that acts or denies an exit."""
        self._recorder.put(Planned(snapshot, plan))
        self._at_a_plan()
        await self._journal.plan_made(snapshot, plan)

    async def intend(
        self,
        account: str,
        orders: Sequence[IntendedOrder],
        cancels: Sequence[CancelOrder],
        *,
        fence: int | None = None,
    ) -> None:
        """Record what one decision is about to send and to cancel."""
        began = self._recorder.monotonic()
        quotes = {order.request.symbol: self._quote_times(order.request.symbols[0]) for order in orders}
        await self._journal.intend(account, orders, cancels, fence=fence)
        self._recorder.put(Intended(account, tuple(orders), tuple(cancels), began, quotes))

    async def accepted(self, account: str, client_order_id: str, detail: Mapping[str, object]) -> None:
        """Record that the broker has accepted an order."""
        await self._journal.accepted(account, client_order_id, detail)
        self._recorder.put(Recorded(account, client_order_id, "accepted"))

    def outcome(self, account: str, client_order_id: str, kind: str, detail: Mapping[str, object]) -> None:
        """Record what else happened to an order."""
        self._journal.outcome(account, client_order_id, kind, detail)
        self._recorder.put(Recorded(account, client_order_id, kind))

    def record_fill(self, account: str, client_order_id: str, detail: Mapping[str, object]) -> Decimal:
        """Record a fill. Returns the newly filled quantity; 0 when it was recorded already."""
        new = self._journal.record_fill(account, client_order_id, detail)
        if new > 0:
            price = str(detail.get("filled_avg_price") or "")
            symbol = str(detail.get("symbol", ""))
            self._recorder.put(Filled(account, client_order_id, symbol, new, Decimal(price) if price else None))
        return new

    def set_account_number(self, account: str, number: str) -> str:
        """Record which of the broker's accounts the name stands for."""
        return self._journal.set_account_number(account, number)

    def intent_of(self, account: str, client_order_id: str) -> Intent | None:
        """The recorded intent of one of our orders; None when there is none."""
        return self._journal.intent_of(account, client_order_id)

    def note(self, account: str, kind: str, detail: Mapping[str, object]) -> None:
        """Record any other evidence."""
        self._journal.note(account, kind, detail)

    def noted_today(self, account: str, kind: str) -> Sequence[str]:
        """The symbols of today's notes of a kind."""
        return self._journal.noted_today(account, kind)

    def filled_since(self, account: str, start: dt.datetime) -> Mapping[str, dt.datetime]:
        """The time of our newest fill at or after `start`, by symbol."""
        return self._journal.filled_since(account, start)

    def open_orders(self, account: str) -> Sequence[OpenOrder]:
        """Orders with an intent but no recorded end."""
        return self._journal.open_orders(account)

    def realised(self, account: str) -> Decimal | None:
        """Dollars gained or lost by our fills of today; None while one of them can't be valued."""
        return self._journal.realised(account)
