"""Invariants between journal, requests and exchange (A, R, D, and I3 to I7), checked at the end of a run."""

import datetime as dt
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from faults.checkers import BACKSTOP, ZERO, is_left_behind, is_ours
from faults.findings import Findings
from faults.network import LoggedRequest
from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import Policy
from sellctl.core.errors import Refusal
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Market
from sellctl.core.model.plan import PositionDecision, Reason
from sellctl.journal import codec
from sellctl.journal.verify import verify
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimOrder

QUOTE_AHEAD = dt.timedelta(seconds=5)
_PRICE_REASONS = frozenset({Reason.STOP_LOSS, Reason.TAKE_PROFIT})
NOT_FOUND_APART = dt.timedelta(seconds=5)
REFUSALS_IN_A_ROW = 3
RETRY_APART = dt.timedelta(seconds=60)
RECORDED_WITHIN = dt.timedelta(seconds=120)
_ENDS = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
_COUNTED = frozenset({"key", Refusal.OTHER.value})  # every other refusal has a next step of its own
_NOT_AT_BROKER = frozenset({"refused", "never_arrived", "absent", "denied", "not_sent", "of_another_account"})


@dataclass(frozen=True, slots=True)
class Row:
    """One audit row."""

    kind: str
    symbol: str
    reason: str
    client_order_id: str
    body: dict[str, Any]


def rows_of(folder: Path) -> list[Row]:
    """All audit rows of a journal, oldest first."""
    path = folder / "journal.sqlite"
    if not path.exists():
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        query = "SELECT kind, symbol, reason, client_order_id, body FROM audit ORDER BY seq"
        return [Row(a, b, c, d, json.loads(body)) for a, b, c, d, body in connection.execute(query)]
    finally:
        connection.close()


@dataclass(slots=True)
class EvidenceChecker:
    """Compares what was recorded with what happened."""

    exchange: Exchange
    findings: Findings
    folders: tuple[Path, ...]
    posts: int = 0
    shortcuts: set[str] = field(default_factory=set)
    requests: dict[str, list[dt.datetime]] = field(default_factory=lambda: defaultdict(list))  # by key and API
    feeds_asked: list[tuple[dt.datetime, str]] = field(default_factory=list)  # of quotes
    positions_asked: dict[str, list[dt.datetime]] = field(default_factory=lambda: defaultdict(list))  # by key

    def check_intact(self) -> None:
        """R3, A2: the journal is intact; checked after every restart."""
        for folder in self.folders:
            if (folder / "journal.sqlite").exists() and (fault := verify(folder / "journal.sqlite").fault):
                self._violated("R3", fault)

    def check_all(self, policy: Policy, log: Sequence[LoggedRequest]) -> None:
        """All checks at the end of a day."""
        self.check_intact()
        journals = [rows_of(folder) for folder in self.folders]
        rows = [row for rows in journals for row in rows]
        all_orders = [o for account in self.exchange.accounts.values() for o in account.orders.values() if is_ours(o)]
        orders = [order for order in all_orders if not is_left_behind(order)]
        left_behind = {order.client_order_id for order in all_orders if is_left_behind(order)}
        self._chains([row for row in rows if row.client_order_id not in left_behind], orders)
        self._fills(journals, orders)
        self._replays(rows, policy)
        self._posts(log)
        self._guards(rows)
        self._retries(log)
        self._looked_up_before_repeating(log, {order.client_order_id: order for order in all_orders})

    def _chains(self, rows: Iterable[Row], orders: Iterable[SimOrder]) -> None:
        """A1 in both directions."""
        kinds: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            kinds[row.client_order_id].append(row.kind)
        there = {order.client_order_id: order for order in orders}
        for name, order in there.items():
            self._has_chain(order, kinds.get(name, []))
        for name, recorded in kinds.items():
            if "intent" in recorded and name not in there and not _NOT_AT_BROKER.intersection(recorded):
                self._violated("A1", f"{name} has an intent, is not at the broker, and no row says why ({recorded})")

    def _has_chain(self, order: SimOrder, recorded: Sequence[str]) -> None:
        if "intent" not in recorded:
            self._violated("A1", f"{order.symbol}: an order of ours without an intent ({recorded})")
        ended = order.updated_at or order.created_at
        if not order.is_open and self.exchange.now - ended > RECORDED_WITHIN and order.status not in recorded:
            self._violated(
                "A1",
                f"{order.symbol}: {order.status} at the broker since {ended:%H:%M:%S}, not in the journal ({recorded})",
            )

    def _fills(self, journals: Sequence[Sequence[Row]], orders: Iterable[SimOrder]) -> None:
        """A5, I8: each fill is recorded once. Two watchers with separate journals may both have recorded it."""
        recorded = [_filled_in(rows) for rows in journals]
        for order in orders:
            late = self.exchange.now - (order.updated_at or order.created_at) > RECORDED_WITHIN
            here = max((each.get(order.client_order_id, ZERO) for each in recorded), default=ZERO)
            if here > order.filled_qty or (late and here != order.filled_qty):
                self._violated(
                    "A5", f"{order.symbol}: {order.filled_qty} filled at the broker and {here} in the journal"
                )

    def _replays(self, rows: Iterable[Row], policy: Policy) -> None:
        """D4: deciding again on the stored snapshot gives the stored plan."""
        for row in rows:
            if row.kind == "plan":
                snapshot, plan = codec.unpack(row.body["packed"])
                if decide(snapshot, policy) != plan:
                    self._violated(
                        "D4", f"the plan of {plan.made_at:%H:%M:%S} differs from the decision on its snapshot"
                    )
                for decision in plan.submits:
                    self._cites(decision, snapshot.market)

    def _cites(self, decision: PositionDecision, market: Market) -> None:
        """D1: price exits cite usable quotes only."""
        quote = decision.holding.quote
        if decision.signal is None or decision.signal.reason not in _PRICE_REASONS:
            return
        option = decision.holding.position.instrument.asset_class is AssetClass.OPTION
        age = market.now - quote.at if quote else dt.timedelta.max
        oldest = dt.timedelta(minutes=15) if option else dt.timedelta(minutes=1)
        sides = (quote.bid, quote.ask) if quote else (None, None)
        usable = all(side is None or (side.is_finite() and side > 0) for side in sides) and any(sides)
        crossed = None not in sides and sides[0] > sides[1]  # type: ignore[operator]
        if not -QUOTE_AHEAD <= age <= oldest or crossed or not usable:
            self._violated("D1", f"{decision.holding.symbol} was closed on {quote}")

    def _posts(self, log: Sequence[LoggedRequest]) -> None:
        """I6, I7: requests sent equal logged attempts, and no endpoint was used that cannot be repeated safely."""
        if self.posts > sum(entry.what == "sending" for entry in log):
            self._violated("I6", f"{self.posts} order requests were sent, more than the program attempted")
        for request in self.shortcuts:
            self._violated("I7", f"{request} was used")

    def _guards(self, rows: Iterable[Row]) -> None:
        """K5: no day's result reaches the account guard's limits; only transfers exceed them."""
        for row in rows:
            if row.kind == "account_guard":
                self._violated("K5", f"a transfer counts as a result: {row.body.get('sentence')}")

    def _retries(self, log: Sequence[LoggedRequest]) -> None:
        """K4: after three refusals in a row an order of a symbol is tried once per minute, by the same process.

        A refusal that can't be recorded is looked up like an unknown outcome, and doesn't count.
        """
        refused: dict[tuple[int, str], list[dt.datetime]] = defaultdict(list)
        symbols = {entry.client_order_id: "+".join(entry.symbols) for entry in log if entry.what == "sending"}
        for entry in log:
            row = refused[entry.process, str(symbols.get(entry.client_order_id))]
            if entry.client_order_id.startswith(BACKSTOP):
                continue
            if entry.what == "look-up":
                row[-1:] = []
            elif entry.what == "sending" and len(row) >= REFUSALS_IN_A_ROW and entry.at - row[-1] < RETRY_APART:
                text = f"{symbols[entry.client_order_id]} was sent again within a minute after three refusals"
                self._violated("K4", text)
            elif entry.what == "submit" and entry.kind in _COUNTED:
                row.append(entry.at)
            elif entry.what == "submit":
                row.clear()

    def _looked_up_before_repeating(self, log: Sequence[LoggedRequest], there: Mapping[str, SimOrder]) -> None:
        """I3, I5: after an unknown outcome an order is looked up; a repeat needs two definite "not found" answers."""
        by_id: dict[str, list[LoggedRequest]] = defaultdict(list)
        for entry in log:
            if entry.what in {"submit", "sending", "look-up"}:
                by_id[entry.client_order_id].append(entry)
        for name, entries in by_id.items():
            order = there.get(name)
            ended = order.updated_at if order and not order.is_open else None
            self._check_requests(name, entries, ended)

    def _check_requests(self, name: str, entries: Sequence[LoggedRequest], ended: dt.datetime | None) -> None:
        unknown, accepted, not_found = False, False, []
        for entry in entries:
            if entry.what == "look-up":
                accepted = accepted or entry.answer == "ok"
                not_found += [entry.at] if entry.answer == "not found" else []
            elif entry.what == "sending":
                if accepted and not (ended and ended <= entry.at):  # the id of an ended order is rejected
                    self._violated("I5", f"{name} was sent again although the broker had it")
                if unknown and not (len(not_found) > 1 and not_found[-1] - not_found[0] >= NOT_FOUND_APART):
                    self._violated(
                        "I3", f"{name} was repeated after an unknown outcome with {len(not_found)} times not found"
                    )
                unknown, not_found = True, []
            else:
                unknown = entry.answer == "unknown"
                accepted = accepted or entry.answer == "ok"

    def _violated(self, invariant: str, text: str) -> None:
        self.findings.add(invariant, self.exchange.now, text)


def _filled_in(rows: Sequence[Row]) -> dict[str, Decimal]:
    """The filled quantities in one journal, by client order id."""
    recorded: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row.kind == "fill":
            recorded[row.client_order_id] += Decimal(str(row.body["new"]))
    return recorded
