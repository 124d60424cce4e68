"""What must hold at the exchange after every event: the S and I lines, asked of the books themselves."""

import datetime as dt
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from faults.verdicts import Findings
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.plan import SubmitOrder
from sellctl.sim import calendar
from sellctl.sim.accounts import SimAccount
from sellctl.sim.cover import uncovered_contracts
from sellctl.sim.exchange import Exchange
from sellctl.sim.orders import Event, SimOrder

PREFIX = "sellctl-"
ZERO = Decimal(0)
SETTLES = dt.timedelta(seconds=20)
A_SECOND = dt.timedelta(seconds=1)
A_MINUTE = dt.timedelta(minutes=1)
MOST_OF_A_SYMBOL, MOST_OF_AN_ACCOUNT = 20, 120
_ENTERS = frozenset({"pending_new", "accepted", "new"})
_FILLS = frozenset({"fill", "partial_fill"})


def is_ours(order: SimOrder) -> bool:
    """Whether sellctl sent it."""
    return order.client_order_id.startswith(PREFIX)


@dataclass(slots=True)
class ExchangeChecker:
    """Listens to one exchange. `folder` is where the program's journal lives, `quiet` what it must never touch."""

    exchange: Exchange
    findings: Findings
    folders: tuple[Path, ...]
    quiet: frozenset[str] = frozenset()
    changed: dict[str, dt.datetime] = field(default_factory=dict)
    held: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    entered: dict[str, dt.datetime] = field(default_factory=dict)  # client order id -> when
    halted_at: dt.datetime | None = None
    by_symbol: dict[str, list[dt.datetime]] = field(default_factory=dict)

    def listen(self) -> None:
        """Begin."""
        for account in self.exchange.accounts.values():
            self.held |= {(account.name, symbol): p.qty for symbol, p in account.positions.items()}
        self.exchange.listeners.append(self.on_event)

    # --- events -------------------------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Something happened to an order."""
        if event.order is None:
            return
        account = self.exchange.accounts[event.account]
        order = account.orders[event.order["id"]]
        if is_ours(order) and event.kind in _ENTERS and order.client_order_id not in self.entered:
            self._on_acceptance(account, order)
        if event.kind in _FILLS:
            self._on_fill(event, account, order)
        if not is_ours(order):
            self.changed[order.symbol] = self.exchange.now

    def _on_acceptance(self, account: SimAccount, order: SimOrder) -> None:
        self.entered[order.client_order_id] = self.exchange.now
        for check in (self._s1, self._s3, self._s6, self._s7, self._i1, self._i2, self._i4, self._t3, self._k2):
            check(account, order)
        if order.symbol in self.quiet:
            self._say("must-not-fire", f"{order.side} {order.qty} {order.symbol} was sent though no rule was true")

    def _s1(self, account: SimAccount, order: SimOrder) -> None:
        held = account.qty_of(order.symbol)
        side = "sell" if held > 0 else "buy"
        open_closing = sum((o.leaves for o in account.open_on(order.symbol) if is_ours(o) and o.side == side), ZERO)
        if open_closing > abs(held):
            self._say("S1", f"{open_closing} of {order.symbol} on offer and {held} held")

    def _s3(self, account: SimAccount, order: SimOrder) -> None:
        held = account.qty_of(order.symbol)
        closing = "sell" if held > 0 else "buy"
        if held == 0 or order.side != closing or not (order.position_intent or "").endswith("_to_close"):
            self._say("S3", f"{order.side} {order.symbol} ({order.position_intent}) with {held} held")

    def _s6(self, _account: SimAccount, order: SimOrder) -> None:
        if order.qty is None or order.qty <= 0 or (order.asset.is_option and order.qty % 1):
            self._say("S6", f"{order.qty} of {order.symbol}")

    def _s7(self, account: SimAccount, order: SimOrder) -> None:
        holdings = {symbol: p.qty for symbol, p in account.positions.items()}
        before = uncovered_contracts(holdings, ZERO)
        signed = order.leaves if order.is_buy else -order.leaves
        holdings[order.symbol] = holdings.get(order.symbol, ZERO) + signed
        if uncovered_contracts(holdings, ZERO) > before:
            self._say("S7", f"{order.side} {order.qty} {order.symbol} would leave a short without its cover")

    def _i1(self, account: SimAccount, order: SimOrder) -> None:
        day = calendar.exchange_date(self.exchange.now).isoformat()
        todays = [o for o in account.orders.values() if o.symbol == order.symbol and is_ours(o) and o is not order]
        most = 1 + sum(not o.is_open and calendar.exchange_date(o.created_at).isoformat() == day for o in todays)
        possible = {_client_order_id(account.number, order.symbol, day, n) for n in range(1, most + 1)}
        if order.client_order_id not in possible:
            self._say("I1", f"{order.client_order_id} of {order.symbol} is no function of what the broker shows")

    def _i2(self, _account: SimAccount, order: SimOrder) -> None:
        intents = [body for folder in self.folders for body in _intents(folder, order.client_order_id)]
        if not any(_same(intent, order) for intent in intents):
            self._say("I2", f"{order.symbol} was taken and no committed intent says so ({len(intents)} of that id)")

    def _i4(self, account: SimAccount, order: SimOrder) -> None:
        others = [o for o in account.open_on(order.symbol) if is_ours(o) and o is not order]
        if others:
            self._say("I4", f"{order.symbol}: another of ours is still {others[0].status}")

    def _t3(self, _account: SimAccount, order: SimOrder) -> None:
        if not calendar.is_open(self.exchange.now):
            self._say("T3", f"{order.symbol} outside the session")

    def _k2(self, _account: SimAccount, order: SimOrder) -> None:
        now = self.exchange.now
        self.by_symbol.setdefault(order.symbol, []).append(now)
        recent = {s: sum(now - at < A_MINUTE for at in times) for s, times in self.by_symbol.items()}
        if recent[order.symbol] > MOST_OF_A_SYMBOL or sum(recent.values()) > MOST_OF_AN_ACCOUNT:
            self._say(
                "K2", f"{recent[order.symbol]} orders of {order.symbol} in a minute, {sum(recent.values())} in all"
            )

    def _on_fill(self, event: Event, account: SimAccount, order: SimOrder) -> None:
        key, after = (account.name, order.symbol), account.qty_of(order.symbol)
        signed = Decimal(event.detail["qty"]) * (1 if order.is_buy else -1)
        before = after - signed
        if is_ours(order) and (before * after < 0 or abs(after) >= abs(before)):
            self._say("S2", f"a fill of ours took {order.symbol} from {before} to {after}")
        self.held[key] = after

    # --- what is about to arrive --------------------------------------------------------------------------------------

    def arrives(self, name: str, order: SubmitOrder) -> None:
        """An order reaches the exchange, which may refuse it: would it have been right (I4, S3, S6, S7, S8)?

        The program can't know what others changed in the last seconds; then only acceptance counts.
        """
        account, now = self.exchange.accounts[name], self.exchange.now
        self._i2_sent(order)
        self._i4_sent(account, order)
        self._k1(order)
        if order.asset_class is AssetClass.OPTION and order.qty % 1:
            self._say("S6", f"{order.qty} contracts of {order.symbol} were sent")
        if now - self.changed.get(order.symbol, now - 2 * SETTLES) < SETTLES + self.exchange.settings.position_lag:
            return
        held = account.qty_of(order.symbol)
        free = abs(held) - account.held_for_orders(order.symbol)
        if order.qty > free:
            self._say("S8", f"{order.side} {order.qty} {order.symbol} was sent with {free} free of {held}")
        if (order.side == "sell") != (held > 0):
            self._say("S3", f"{order.side} {order.symbol} was sent with {held} held")
        self._s7_sent(account, order)

    def _i4_sent(self, account: SimAccount, order: SubmitOrder) -> None:
        others = [o for o in account.open_on(order.symbol) if is_ours(o) and o.client_order_id != order.client_order_id]
        if others and others[0].visible_at is None:
            self._say("I4", f"{order.symbol} was sent while another of ours is {others[0].status}")

    def _s7_sent(self, account: SimAccount, order: SubmitOrder) -> None:
        holdings = {symbol: p.qty for symbol, p in account.positions.items()}
        before = uncovered_contracts(holdings, ZERO)
        holdings[order.symbol] = holdings.get(order.symbol, ZERO) + (order.qty if order.side == "buy" else -order.qty)
        if uncovered_contracts(holdings, ZERO) > before:
            self._say("S7", f"{order.side} {order.qty} {order.symbol} was sent, and a short leans on it")

    def _k1(self, order: SubmitOrder) -> None:
        """A halt stops orders within a second."""
        if self.halted_at is not None and self.exchange.now - self.halted_at > A_SECOND:
            self._say("K1", f"{order.symbol} was sent under a halt")

    def _i2_sent(self, order: SubmitOrder) -> None:
        if not any(True for folder in self.folders for _ in _intents(folder, order.client_order_id)):
            self._say("I2", f"an order for {order.symbol} left before its intent was committed")

    def cancels(self, name: str, order_id: str) -> None:
        """A cancel reaches the exchange: a person's order that opens a position isn't stale (scope: sells).

        It is touched only where the wash-trade rule would refuse an exit of ours, and then the journal says so.
        """
        order = self.exchange.accounts[name].orders.get(order_id)
        if order is None or is_ours(order) or not order.is_open:
            return
        opens = (order.position_intent or "").endswith("_to_open")
        if opens and not any(_was_in_the_way(folder, order.client_order_id) for folder in self.folders):
            self._say("S4", f"a person's {order.side} of {order.symbol} was cancelled")

    def _say(self, invariant: str, text: str) -> None:
        self.findings.add(invariant, self.exchange.now, text)


def _client_order_id(number: str, symbol: str, day: str, n: int) -> str:
    """The published formula, written a second time (design, section 5)."""
    return PREFIX + hashlib.sha256(f"{number}|{symbol}|{day}|{n}".encode()).hexdigest()[:32]


def _intents(folder: Path, client_order_id: str) -> Iterator[dict[str, Any]]:
    """The bodies of the committed intents of an id."""
    return (said.get("body", {}) for said in _said(folder, "intent", client_order_id))


def _was_in_the_way(folder: Path, client_order_id: str) -> bool:
    """Whether an order was cancelled because an exit could not be sent beside it."""
    return any("in the way" in str(said.get("why")) for said in _said(folder, "cancel", client_order_id))


def _said(folder: Path, kind: str, client_order_id: str) -> Iterator[dict[str, Any]]:
    """What the journal says of one kind about an order, read as another process would."""
    path = folder / "journal.sqlite"
    if not path.exists():
        return
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        asked = "SELECT body FROM audit WHERE kind = ? AND client_order_id = ?"
        rows = connection.execute(asked, (kind, client_order_id)).fetchall()
    finally:
        connection.close()
    yield from (json.loads(row[0]) for row in rows)


def _same(intent: dict[str, Any], order: SimOrder) -> bool:
    """Whether the body that was written down is the order that arrived."""
    limit = intent.get("limit_price")
    return (
        intent.get("symbol") == order.symbol
        and intent.get("side") == order.side
        and intent.get("type") == order.type
        and Decimal(str(intent.get("qty"))) == order.qty
        and (Decimal(str(limit)) if limit else None) == order.limit_price
    )
