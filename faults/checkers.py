"""Invariants that hold at the exchange after every event (S, I, T3, K1, K2), checked on the exchange's own state."""

import datetime as dt
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from faults.findings import Findings
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.plan import SubmitOrder
from sellctl.sim.market import calendar
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.coverage import uncovered_contracts
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimEvent, SimOrder

PREFIX = "sellctl-"
BACKSTOP = "sellctl-backstop-"
JOURNAL = "journal.sqlite"
ZERO = Decimal(0)
SETTLES_WITHIN = dt.timedelta(seconds=20)
ONE_SECOND = dt.timedelta(seconds=1)
ONE_MINUTE = dt.timedelta(minutes=1)
MAX_PER_SYMBOL, MAX_PER_ACCOUNT, MAX_BACKSTOPS = 20, 120, 4
NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)  # when orders of an account that is gone become visible
_ACCEPTED = frozenset({"pending_new", "accepted", "new"})
_FAR_FACTOR = Decimal("1.5")  # times the true ask
_FILLS = frozenset({"fill", "partial_fill"})


def is_ours(order: SimOrder) -> bool:
    """Whether sellctl sent the order. Legs are not orders of their own."""
    return order.parent is None and order.client_order_id.startswith(PREFIX)


def is_left_behind(order: SimOrder) -> bool:
    """Whether an order belongs to the account that was behind the key before."""
    return order.visible_at == NEVER


def parts(order: SimOrder) -> list[SimOrder]:
    """The legs of a multi-leg order, otherwise the order itself."""
    return order.legs or [order]


def ours_on(account: SimAccount, symbol: str) -> list[SimOrder]:
    """Our open orders that trade a symbol, directly or as a leg."""
    return [
        order
        for order in account.open_orders.values()
        if is_ours(order) and any(part.symbol == symbol for part in parts(order))
    ]


def is_backstop(order: SimOrder) -> bool:
    """Whether the order is a backstop."""
    return order.client_order_id.startswith(BACKSTOP)


@dataclass(slots=True)
class ExchangeChecker:
    """Checks the events of one exchange.

    `folders` are the program's state folders, `must_stay` the symbols for which it must send no order.
    """

    exchange: Exchange
    findings: Findings
    folders: tuple[Path, ...]
    must_stay: frozenset[str] = frozenset()
    changed: dict[str, dt.datetime] = field(default_factory=dict)
    held: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    accepted: dict[str, dt.datetime] = field(default_factory=dict)  # client order id -> when
    halted_at: dt.datetime | None = None
    by_symbol: dict[tuple[str, str], list[dt.datetime]] = field(default_factory=dict)  # by account and symbol
    arrivals: list[dt.datetime] = field(default_factory=list)  # when orders reached the exchange, accepted or not

    def listen(self) -> None:
        """Subscribe to the exchange's events."""
        for account in self.exchange.accounts.values():
            self.held |= {(account.name, symbol): p.qty for symbol, p in account.positions.items()}
        self.exchange.listeners.append(self.on_event)

    # --- events -------------------------------------------------------------------------------------------------------

    def on_event(self, event: SimEvent) -> None:
        """Check one event of an order."""
        if event.order is None:
            return
        account = self.exchange.accounts[event.account]
        order = account.orders[event.order["id"]]
        if is_ours(order) and event.kind in _ACCEPTED and order.client_order_id not in self.accepted:
            self._on_acceptance(account, order)
        if event.kind in _FILLS:
            self._on_fill(event, account, order)
        if not is_ours(order):
            self.changed[order.symbol] = self.exchange.now

    def _on_acceptance(self, account: SimAccount, order: SimOrder) -> None:
        self.accepted[order.client_order_id] = self.exchange.now
        for check in (self._s1, self._s3, self._s6, self._s7, self._i1, self._i2, self._i4, self._t3, self._k2):
            check(account, order)
        for part in parts(order):
            if part.symbol in self.must_stay and not is_backstop(order) and not self._is_far_from_market(part):
                text = f"{part.side} {part.qty} {part.symbol} was sent although no rule was true"
                self._violated("must-not-fire", text)

    def _s1(self, account: SimAccount, order: SimOrder) -> None:
        for symbol in (part.symbol for part in parts(order)):
            held = account.qty_of(symbol)
            side = "sell" if held > 0 else "buy"
            ours = [part for one in ours_on(account, symbol) for part in parts(one) if part.symbol == symbol]
            open_closing = sum((part.leaves_qty for part in ours if part.side == side), ZERO)
            if open_closing > abs(held):
                self._violated("S1", f"{open_closing} of {symbol} offered, {held} held")

    def _s3(self, account: SimAccount, order: SimOrder) -> None:
        for part in parts(order):
            held = account.qty_of(part.symbol)
            closing = "sell" if held > 0 else "buy"
            if held == 0 or part.side != closing or not (part.position_intent or "").endswith("_to_close"):
                self._violated("S3", f"{part.side} {part.symbol} ({part.position_intent}) with {held} held")

    def _s6(self, _account: SimAccount, order: SimOrder) -> None:
        for part in parts(order):
            if part.qty is None or part.qty <= 0 or (part.asset.is_option and part.qty % 1):
                self._violated("S6", f"{part.qty} of {part.symbol}")

    def _s7(self, account: SimAccount, order: SimOrder) -> None:
        holdings = {symbol: p.qty for symbol, p in account.positions.items()}
        before = uncovered_contracts(holdings, ZERO)
        for part in parts(order):
            signed = part.leaves_qty if part.is_buy else -part.leaves_qty
            holdings[part.symbol] = holdings.get(part.symbol, ZERO) + signed
        if uncovered_contracts(holdings, ZERO) > before:
            self._violated("S7", f"{_description(order)} would leave a short without its cover")

    def _i1(self, account: SimAccount, order: SimOrder) -> None:
        day = calendar.exchange_date(self.exchange.now).isoformat()
        name, prefix = _names(order), BACKSTOP if is_backstop(order) else PREFIX
        family = [o for o in account.orders.values() if is_ours(o) and is_backstop(o) == is_backstop(order)]
        todays = [o for o in family if _names(o) == name and o is not order]
        most = 1 + sum(not o.is_open and calendar.exchange_date(o.created_at).isoformat() == day for o in todays)
        possible = {_client_order_id(prefix, account.number, name, day, n) for n in range(1, most + 1)}
        if order.client_order_id not in possible:
            self._violated("I1", f"{order.client_order_id} of {name} is not a function of what the broker reports")

    def _i2(self, _account: SimAccount, order: SimOrder) -> None:
        intents = [body for folder in self.folders for body in _intents(folder, order.client_order_id)]
        if not any(_same(intent, order) for intent in intents):
            self._violated(
                "I2", f"{_names(order)} was accepted without a matching committed intent ({len(intents)} of that id)"
            )

    def _i4(self, account: SimAccount, order: SimOrder) -> None:
        others = [o for part in parts(order) for o in ours_on(account, part.symbol) if o is not order]
        if others:
            self._violated("I4", f"{_names(order)}: another order of ours is still {others[0].status}")

    def _t3(self, _account: SimAccount, order: SimOrder) -> None:
        if not calendar.is_open(self.exchange.now):
            self._violated("T3", f"{_names(order)} outside the session")

    def _k2(self, account: SimAccount, order: SimOrder) -> None:
        now, symbol = self.exchange.now, parts(order)[0].symbol
        if is_backstop(order):
            self._k2_of_backstops(account, symbol)
            return
        self.by_symbol.setdefault((account.name, symbol), []).append(now)
        its = {s: times for (name, s), times in self.by_symbol.items() if name == account.name}
        recent = {s: sum(now - at < ONE_MINUTE for at in times) for s, times in its.items()}
        if recent[symbol] > MAX_PER_SYMBOL or sum(recent.values()) > MAX_PER_ACCOUNT:
            self._violated("K2", f"{recent[symbol]} orders of {symbol} in a minute, {sum(recent.values())} in all")

    def _k2_of_backstops(self, account: SimAccount, symbol: str) -> None:
        times = self.by_symbol.setdefault((account.name, BACKSTOP + symbol), [])
        times.append(self.exchange.now)
        recent = sum(self.exchange.now - at < ONE_MINUTE for at in times)
        if recent > MAX_BACKSTOPS:
            self._violated("K2", f"{recent} backstops under {symbol} in a minute")

    def _is_far_from_market(self, order: SimOrder) -> bool:
        """Whether a sale's limit is far above the market, as after a single wrong quote met a target.

        Such an order is harmless, and right after a start nothing distinguishes a wrong quote from a correct one.
        """
        level = self.exchange.quote(order.symbol)
        if level is None or order.limit_price is None or order.is_buy or level.ask is None:
            return False
        return order.limit_price >= level.ask * _FAR_FACTOR

    def _on_fill(self, event: SimEvent, account: SimAccount, order: SimOrder) -> None:
        for part in parts(order):
            excused = is_backstop(order) or self._is_far_from_market(part)
            if is_ours(order) and part.symbol in self.must_stay and not excused:
                self._violated("must-not-fire", f"{part.side} {part.symbol} filled although no rule was true")
            key, after = (account.name, part.symbol), account.qty_of(part.symbol)
            signed = Decimal(event.detail["qty"]) * (1 if part.is_buy else -1)
            before = after - signed
            if is_ours(order) and (before * after < 0 or abs(after) >= abs(before)):
                self._violated("S2", f"a fill of ours took {part.symbol} from {before} to {after}")
            self.held[key] = after

    # --- orders before acceptance -------------------------------------------------------------------------------------

    def arrives(self, name: str, order: SubmitOrder) -> None:
        """Check an order that reaches the exchange, whether or not it is accepted (I2, I4, K1, S3, S6, S7, S8).

        What others changed in the last seconds may be unknown to the program; then only acceptance is checked. The
        repeat of an order that the exchange has but does not list yet (O14) is rejected by its id and not checked.
        """
        account = self.exchange.accounts[name]
        self.arrivals.append(self.exchange.now)
        self._i2_sent(order)
        self._k1(order)
        if order.client_order_id in account.by_client_id:
            return
        if order.asset_class is AssetClass.OPTION and order.qty % 1:
            self._violated("S6", f"{order.qty} contracts of {order.symbol} were sent")
        legs = _legs(order)
        for symbol, side in legs:
            self._i4_sent(account, order, symbol)
            if self._is_known(symbol):
                self._s8_sent(account, order, symbol, side)
        if all(self._is_known(symbol) for symbol, _ in legs):
            self._s7_sent(account, order, legs)

    def _is_known(self, symbol: str) -> bool:
        """Whether the program could know of everything that others did with a symbol."""
        now = self.exchange.now
        long_ago = now - 2 * SETTLES_WITHIN
        return now - self.changed.get(symbol, long_ago) >= SETTLES_WITHIN + self.exchange.settings.position_lag

    def _s8_sent(self, account: SimAccount, order: SubmitOrder, symbol: str, side: str) -> None:
        held = account.qty_of(symbol)
        free = abs(held) - account.held_for_orders(symbol)
        if order.qty > free:
            self._violated("S8", f"{side} {order.qty} {symbol} was sent with {free} free of {held}")
        if (side == "sell") != (held > 0):
            self._violated("S3", f"{side} {symbol} was sent with {held} held")

    def _i4_sent(self, account: SimAccount, order: SubmitOrder, symbol: str) -> None:
        others = [o for o in ours_on(account, symbol) if o.client_order_id != order.client_order_id]
        if others and others[0].visible_at is None:
            self._violated("I4", f"{symbol} was sent while another order of ours is {others[0].status}")

    def _s7_sent(self, account: SimAccount, order: SubmitOrder, legs: list[tuple[str, str]]) -> None:
        holdings = {symbol: p.qty for symbol, p in account.positions.items()}
        before = uncovered_contracts(holdings, ZERO)
        for symbol, side in legs:
            holdings[symbol] = holdings.get(symbol, ZERO) + (order.qty if side == "buy" else -order.qty)
        if uncovered_contracts(holdings, ZERO) > before:
            self._violated("S7", f"{order.side} {order.qty} {order.symbol} was sent, and it covers a short")

    def _k1(self, order: SubmitOrder) -> None:
        """K1: a halt stops orders within a second."""
        if self.halted_at is not None and self.exchange.now - self.halted_at > ONE_SECOND:
            self._violated("K1", f"{order.symbol} was sent under a halt")

    def _i2_sent(self, order: SubmitOrder) -> None:
        if not any(True for folder in self.folders for _ in _intents(folder, order.client_order_id)):
            self._violated("I2", f"an order for {order.symbol} was sent before its intent was committed")

    def cancels(self, name: str, order_id: str) -> None:
        """Check a cancel that reaches the exchange: manual orders that open a position are not stale (scope: sells).

        They are cancelled only where the wash-trade rule would reject an exit of ours, and the journal records that.
        """
        order = self.exchange.accounts[name].orders.get(order_id)
        if order is None or is_ours(order) or not order.is_open:
            return
        opens = (order.position_intent or "").endswith("_to_open")
        if opens and not any(_was_cancelled_for_an_exit(folder, order.client_order_id) for folder in self.folders):
            self._violated("S4", f"a person's {order.side} of {order.symbol} was cancelled")

    def _violated(self, invariant: str, text: str) -> None:
        self.findings.add(invariant, self.exchange.now, text)


def _legs(order: SubmitOrder) -> list[tuple[str, str]]:
    """Symbol and side of each leg of an order, or of the order itself."""
    return [(leg.symbol, leg.side) for leg in getattr(order, "legs", ())] or [(order.symbol, order.side)]


def _names(order: SimOrder) -> str:
    """The symbol from which an order's id is computed; of a pair, both symbols with the short leg's first."""
    return "+".join(part.symbol for part in parts(order))


def _description(order: SimOrder) -> str:
    return " and ".join(f"{part.side} {part.qty} {part.symbol}" for part in parts(order))


def _client_order_id(prefix: str, number: str, symbol: str, day: str, n: int) -> str:
    """The formula of client order ids, implemented independently of the product's code."""
    return prefix + hashlib.sha256(f"{number}|{symbol}|{day}|{n}".encode()).hexdigest()[:32]


def away_from(folder: Path) -> Path:
    """Where the journal's files are while they are moved away (D06)."""
    return folder.with_name(f"{folder.name}.away")


def _intents(folder: Path, client_order_id: str) -> Iterator[dict[str, Any]]:
    """The bodies of the committed intents with an id."""
    return (entry.get("body", {}) for entry in _entries(folder, "intent", client_order_id))


def _was_cancelled_for_an_exit(folder: Path, client_order_id: str) -> bool:
    """Whether the journal says that an order was cancelled because it blocked an exit."""
    return any("to make way for" in str(entry.get("why")) for entry in _entries(folder, "cancel", client_order_id))


def _entries(folder: Path, kind: str, client_order_id: str) -> Iterator[dict[str, Any]]:
    """The journal's entries of one kind about an order, read through a connection of its own, also while it is away."""
    path = next((each for each in (folder / JOURNAL, away_from(folder) / JOURNAL) if each.exists()), None)
    if path is None:
        return
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        query = "SELECT body FROM audit WHERE kind = ? AND client_order_id = ?"
        rows = connection.execute(query, (kind, client_order_id)).fetchall()
    finally:
        connection.close()
    yield from (json.loads(row[0]) for row in rows)


def _same(intent: dict[str, Any], order: SimOrder) -> bool:
    """Whether the intent's body describes the order that arrived."""
    prices = ("limit_price", "stop_price", "trail_percent")
    prices_sent = {name: Decimal(str(intent[name])) for name in prices if intent.get(name)}
    if order.type == "trailing_stop":  # the exchange moves its stop price with the market
        prices_sent["stop_price"] = order.stop_price or ZERO
    return (
        _traded(intent) == {(part.symbol, part.side) for part in parts(order)}
        and intent.get("type") == order.type
        and Decimal(str(intent.get("qty"))) == order.qty
        and all(prices_sent.get(name, ZERO) == (getattr(order, name) or ZERO) for name in prices)
    )


def _traded(intent: dict[str, Any]) -> set[tuple[Any, Any]]:
    return {(leg.get("symbol"), leg.get("side")) for leg in intent.get("legs") or [intent]}
