"""The journal and the episodes that the hosts share, in memory: one transaction after the other, fenced by leases."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from faults.hosts.table import MemoryTable
from sellctl.core.model.episode import Episode
from sellctl.core.model.gain import CostBasis
from sellctl.core.model.intent import IntendedOrder, Intent, OpenOrder, Outcome
from sellctl.core.model.plan import CancelOrder, Plan
from sellctl.core.model.snapshot import Snapshot
from sellctl.journal.derived import FINAL_OUTCOMES


@dataclass(frozen=True, slots=True)
class RecordedIntent:
    """One intent: when it was committed, and under which fencing number."""

    intent: Intent
    at: dt.datetime
    fence: int | None


@dataclass(slots=True)
class SharedJournal:
    """A Journal for all hosts. `committed` is called for each intent, in its transaction."""

    table: MemoryTable
    now: Callable[[], dt.datetime]
    committed: Callable[[str, int | None], None] = lambda _account, _fence: None
    intents: dict[tuple[str, str], RecordedIntent] = field(default_factory=dict)  # by account and client order id
    unresolved: dict[tuple[str, str], None] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], list[Outcome]] = field(default_factory=lambda: defaultdict(list))
    filled: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    fills_at: dict[str, dict[str, dt.datetime]] = field(default_factory=lambda: defaultdict(dict))
    notes: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    episodes: dict[str, dict[str, Episode]] = field(default_factory=lambda: defaultdict(dict))

    def set_account_number(self, _account: str, _number: str) -> str:
        """Always "": no key changes its account here."""
        return ""

    async def plan_made(self, snapshot: Snapshot, plan: Plan) -> None:
        """Do nothing: plans are checked by the days with one host."""

    async def intend(
        self,
        account: str,
        orders: Sequence[IntendedOrder],
        cancels: Sequence[CancelOrder],  # noqa: ARG002  the port's
        *,
        fence: int | None = None,
    ) -> None:
        """Record intents, unless the fencing number is an old one."""
        if fence is not None:
            self.table.check_fence(account, fence)
        self.committed(account, fence)
        for order in orders:
            request = order.request
            key = account, request.client_order_id
            self.intents[key] = RecordedIntent(self._intent(order), self.now(), fence)
            self.unresolved[key] = None
            self.outcomes[key] = []

    def _intent(self, order: IntendedOrder) -> Intent:
        request, signal = order.request, order.signal
        return Intent(
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            qty=request.qty,
            reason=signal.reason,
            urgency=signal.urgency,
            step=order.step,
            limit_price=request.limit_price,
            at=self.now(),
            basis=CostBasis.of(signal.holding.position),
        )

    def intent_of(self, account: str, client_order_id: str) -> Intent | None:
        """The intent of an order; None when there is none."""
        recorded = self.intents.get((account, client_order_id))
        return recorded.intent if recorded else None

    async def accepted(self, account: str, client_order_id: str, detail: Mapping[str, object]) -> None:
        """Record an acceptance."""
        self.outcome(account, client_order_id, "accepted", detail)

    def outcome(self, account: str, client_order_id: str, kind: str, detail: Mapping[str, object]) -> None:
        """Record an outcome; a final one ends the intent."""
        key = account, client_order_id
        self.outcomes[key].append(Outcome(kind, detail))
        if kind in FINAL_OUTCOMES:
            self.unresolved.pop(key, None)

    def record_fill(self, account: str, client_order_id: str, detail: Mapping[str, object]) -> Decimal:
        """Record a fill; 0 when it was recorded already."""
        key, total = (account, client_order_id), Decimal(str(detail["filled_qty"]))
        new = total - self.filled.get(key, Decimal(0))
        if new <= 0:
            return Decimal(0)
        self.filled[key] = total
        self.fills_at[account][str(detail["symbol"])] = self.now()
        self.outcomes[key].append(Outcome("fill", {**detail, "new": new}))
        return new

    def note(self, account: str, kind: str, detail: Mapping[str, object]) -> None:
        """Record a note."""
        self.notes[account, kind].append(str(detail.get("symbol", "")))

    def noted_today(self, account: str, kind: str) -> Sequence[str]:
        """The symbols of a kind's notes."""
        return tuple(self.notes[account, kind])

    def filled_since(self, account: str, start: dt.datetime) -> Mapping[str, dt.datetime]:
        """When symbols last filled."""
        return {symbol: at for symbol, at in self.fills_at[account].items() if at >= start}

    def open_orders(self, account: str) -> Sequence[OpenOrder]:
        """The intents without an end."""
        keys = [key for key in self.unresolved if key[0] == account]
        return tuple(OpenOrder(self.intents[key].intent, tuple(self.outcomes[key])) for key in keys)

    def realised(self, _account: str) -> Decimal | None:
        """Always None: no host asks for it."""
        return None

    # --- episodes -----------------------------------------------------------------------------------------------------

    def load(self, account: str) -> Mapping[str, Episode]:
        """The episodes of an account."""
        return dict(self.episodes[account])

    async def save(self, account: str, episodes: Mapping[str, Episode]) -> None:
        """Replace them."""
        self.episodes[account] = dict(episodes)
