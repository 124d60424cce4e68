"""What must hold between journal, wire and exchange: the A, R and D lines and I3, asked at the end of a run."""

import datetime as dt
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from faults.checkers import ZERO, is_ours
from faults.findings import Findings
from faults.wire import LoggedRequest
from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import Policy
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Market
from sellctl.core.model.plan import PositionDecision, Reason
from sellctl.journal import codec
from sellctl.journal.verify import verify
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimOrder

AHEAD = dt.timedelta(seconds=5)
_PRICE_REASONS = frozenset({Reason.STOP_LOSS, Reason.TAKE_PROFIT})
APART = dt.timedelta(seconds=5)
LEARNS = dt.timedelta(seconds=120)
_ENDS = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
_NEVER_THERE = frozenset({"refused", "never_arrived", "absent", "denied", "not_sent"})


@dataclass(frozen=True, slots=True)
class Row:
    """One audit row."""

    kind: str
    symbol: str
    reason: str
    client_order_id: str
    body: dict[str, Any]


def rows_of(folder: Path) -> list[Row]:
    """All that a journal says, oldest first."""
    path = folder / "journal.sqlite"
    if not path.exists():
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        asked = "SELECT kind, symbol, reason, client_order_id, body FROM audit ORDER BY seq"
        return [Row(a, b, c, d, json.loads(body)) for a, b, c, d, body in connection.execute(asked)]
    finally:
        connection.close()


@dataclass(slots=True)
class EvidenceChecker:
    """Holds what was written down against what happened."""

    exchange: Exchange
    findings: Findings
    folders: tuple[Path, ...]
    posts: int = 0
    shortcuts: set[str] = field(default_factory=set)

    def whole(self) -> None:
        """R3, A2: the journal is whole; asked after every restart."""
        for folder in self.folders:
            if (folder / "journal.sqlite").exists() and (fault := verify(folder / "journal.sqlite").fault):
                self._say("R3", fault)

    def all(self, policy: Policy, log: Sequence[LoggedRequest]) -> None:
        """Everything that is asked at the end."""
        self.whole()
        books = [rows_of(folder) for folder in self.folders]
        rows = [row for book in books for row in book]
        orders = [o for account in self.exchange.accounts.values() for o in account.orders.values() if is_ours(o)]
        self._chains(rows, orders)
        self._fills(books, orders)
        self._replays(rows, policy)
        self._posts(log)
        self._looked_before_repeating(log, {order.client_order_id: order for order in orders})

    def _chains(self, rows: Iterable[Row], orders: Iterable[SimOrder]) -> None:
        """A1 both ways."""
        kinds: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            kinds[row.client_order_id].append(row.kind)
        there = {order.client_order_id: order for order in orders}
        for name, order in there.items():
            self._has_chain(order, kinds.get(name, []))
        for name, said in kinds.items():
            if "intent" in said and name not in there and not _NEVER_THERE.intersection(said):
                self._say("A1", f"{name} was intended, is not at the broker, and no row says why ({said})")

    def _has_chain(self, order: SimOrder, said: Sequence[str]) -> None:
        if "intent" not in said:
            self._say("A1", f"{order.symbol}: an order of ours without an intent ({said})")
        ended = order.updated_at or order.created_at
        if not order.is_open and self.exchange.now - ended > LEARNS and order.status not in said:
            self._say(
                "A1", f"{order.symbol}: {order.status} at the broker since {ended:%H:%M:%S}, unknown here ({said})"
            )

    def _fills(self, books: Sequence[Sequence[Row]], orders: Iterable[SimOrder]) -> None:
        """A5, I8: what filled is written down once. Two watchers with a journal each may both have seen it."""
        written = [_filled_in(book) for book in books]
        for order in orders:
            late = self.exchange.now - (order.updated_at or order.created_at) > LEARNS
            here = max((each.get(order.client_order_id, ZERO) for each in written), default=ZERO)
            if here > order.filled_qty or (late and here != order.filled_qty):
                self._say("A5", f"{order.symbol}: {order.filled_qty} filled at the broker and {here} written down")

    def _replays(self, rows: Iterable[Row], policy: Policy) -> None:
        """D4: the plan follows from the snapshot that was stored with it."""
        for row in rows:
            if row.kind == "plan":
                snapshot, plan = codec.unpack(row.body["packed"])
                if decide(snapshot, policy) != plan:
                    self._say("D4", f"the plan of {plan.made_at:%H:%M:%S} does not follow from its snapshot")
                for decision in plan.submits:
                    self._cites(decision, snapshot.market)

    def _cites(self, decision: PositionDecision, market: Market) -> None:
        """D1: a price exit cites a usable quote only."""
        quote = decision.holding.quote
        if decision.signal is None or decision.signal.reason not in _PRICE_REASONS:
            return
        option = decision.holding.position.instrument.asset_class is AssetClass.OPTION
        age = market.now - quote.at if quote else dt.timedelta.max
        oldest = dt.timedelta(minutes=15) if option else dt.timedelta(minutes=1)
        sides = (quote.bid, quote.ask) if quote else (None, None)
        usable = all(side is None or (side.is_finite() and side > 0) for side in sides) and any(sides)
        crossed = None not in sides and sides[0] > sides[1]  # type: ignore[operator]
        if not -AHEAD <= age <= oldest or crossed or not usable:
            self._say("D1", f"{decision.holding.symbol} left on {quote}")

    def _posts(self, log: Sequence[LoggedRequest]) -> None:
        """I6, I7: the wire saw as many orders as the program sent, and no shortcut that can't be repeated safely."""
        if self.posts > sum(said.what == "sending" for said in log):
            self._say("I6", f"{self.posts} orders went over the wire, more than were sent")
        for request in self.shortcuts:
            self._say("I7", f"{request} was used")

    def _looked_before_repeating(self, log: Sequence[LoggedRequest], there: Mapping[str, SimOrder]) -> None:
        """I3: after a doubt the next request about an id is its look-up; a repeat has two noes behind it."""
        by_id: dict[str, list[LoggedRequest]] = defaultdict(list)
        for said in log:
            if said.what in {"submit", "sending", "look-up"}:
                by_id[said.client_order_id].append(said)
        for name, told in by_id.items():
            order = there.get(name)
            ended = order.updated_at if order and not order.is_open else None
            self._judge(name, told, ended)

    def _judge(self, name: str, told: Sequence[LoggedRequest], ended: dt.datetime | None) -> None:
        doubted, taken, noes = False, False, []
        for said in told:
            if said.what == "look-up":
                taken = taken or said.answer == "ok"
                noes += [said.at] if said.answer == "not found" else []
            elif said.what == "sending":
                if taken and not (ended and ended <= said.at):  # what has ended keeps its id: a repeat is refused
                    self._say("I5", f"{name} was sent again though the broker had it")
                if doubted and not (len(noes) > 1 and noes[-1] - noes[0] >= APART):
                    self._say("I3", f"{name} was repeated after a doubt with {len(noes)} definite noes")
                doubted, noes = True, []
            else:
                doubted = said.answer == "doubt"
                taken = taken or said.answer == "ok"

    def _say(self, invariant: str, text: str) -> None:
        self.findings.add(invariant, self.exchange.now, text)


def _filled_in(book: Sequence[Row]) -> dict[str, Decimal]:
    """What one journal says has filled, by client order id."""
    written: dict[str, Decimal] = defaultdict(Decimal)
    for row in book:
        if row.kind == "fill":
            written[row.client_order_id] += Decimal(str(row.body["new"]))
    return written
