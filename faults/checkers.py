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
ZERO = Decimal(0)
SETTLES = dt.timedelta(seconds=20)
A_SECOND = dt.timedelta(seconds=1)
A_MINUTE = dt.timedelta(minutes=1)
MOST_OF_A_SYMBOL, MOST_OF_AN_ACCOUNT, MOST_BACKSTOPS = 20, 120, 4
_ENTERS = frozenset({"pending_new", "accepted", "new"})
_FAR = Decimal("1.5")  # times the true ask
_FILLS = frozenset({"fill", "partial_fill"})


def is_ours(order: SimOrder) -> bool:
    """Whether sellctl sent it; a leg belongs to its order."""
    return order.parent is None and order.client_order_id.startswith(PREFIX)


def parts(order: SimOrder) -> list[SimOrder]:
    """What trades: the legs of a multi-leg order, else the order itself."""
    return order.legs or [order]


def ours_on(account: SimAccount, symbol: str) -> list[SimOrder]:
    """The open orders of ours that trade a symbol, alone or as a leg."""
    return [
        order
        for order in account.open_orders.values()
        if is_ours(order) and any(part.symbol == symbol for part in parts(order))
    ]


def is_backstop(order: SimOrder) -> bool:
    """Whether it is the wide stop that sellctl lets rest."""
    return order.client_order_id.startswith(BACKSTOP)


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

    def on_event(self, event: SimEvent) -> None:
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
        for part in parts(order):
            if part.symbol in self.quiet and not is_backstop(order) and not self._is_far_from_market(part):
                text = f"{part.side} {part.qty} {part.symbol} was sent though no rule was true"
                self._say("must-not-fire", text)

    def _s1(self, account: SimAccount, order: SimOrder) -> None:
        for symbol in (part.symbol for part in parts(order)):
            held = account.qty_of(symbol)
            side = "sell" if held > 0 else "buy"
            ours = [part for one in ours_on(account, symbol) for part in parts(one) if part.symbol == symbol]
            open_closing = sum((part.leaves for part in ours if part.side == side), ZERO)
            if open_closing > abs(held):
                self._say("S1", f"{open_closing} of {symbol} on offer and {held} held")

    def _s3(self, account: SimAccount, order: SimOrder) -> None:
        for part in parts(order):
            held = account.qty_of(part.symbol)
            closing = "sell" if held > 0 else "buy"
            if held == 0 or part.side != closing or not (part.position_intent or "").endswith("_to_close"):
                self._say("S3", f"{part.side} {part.symbol} ({part.position_intent}) with {held} held")

    def _s6(self, _account: SimAccount, order: SimOrder) -> None:
        for part in parts(order):
            if part.qty is None or part.qty <= 0 or (part.asset.is_option and part.qty % 1):
                self._say("S6", f"{part.qty} of {part.symbol}")

    def _s7(self, account: SimAccount, order: SimOrder) -> None:
        holdings = {symbol: p.qty for symbol, p in account.positions.items()}
        before = uncovered_contracts(holdings, ZERO)
        for part in parts(order):
            signed = part.leaves if part.is_buy else -part.leaves
            holdings[part.symbol] = holdings.get(part.symbol, ZERO) + signed
        if uncovered_contracts(holdings, ZERO) > before:
            self._say("S7", f"{_description(order)} would leave a short without its cover")

    def _i1(self, account: SimAccount, order: SimOrder) -> None:
        day = calendar.exchange_date(self.exchange.now).isoformat()
        name, prefix = _names(order), BACKSTOP if is_backstop(order) else PREFIX
        family = [o for o in account.orders.values() if is_ours(o) and is_backstop(o) == is_backstop(order)]
        todays = [o for o in family if _names(o) == name and o is not order]
        most = 1 + sum(not o.is_open and calendar.exchange_date(o.created_at).isoformat() == day for o in todays)
        possible = {_client_order_id(prefix, account.number, name, day, n) for n in range(1, most + 1)}
        if order.client_order_id not in possible:
            self._say("I1", f"{order.client_order_id} of {name} is no function of what the broker shows")

    def _i2(self, _account: SimAccount, order: SimOrder) -> None:
        intents = [body for folder in self.folders for body in _intents(folder, order.client_order_id)]
        if not any(_same(intent, order) for intent in intents):
            self._say("I2", f"{_names(order)} was taken and no committed intent says so ({len(intents)} of that id)")

    def _i4(self, account: SimAccount, order: SimOrder) -> None:
        others = [o for part in parts(order) for o in ours_on(account, part.symbol) if o is not order]
        if others:
            self._say("I4", f"{_names(order)}: another of ours is still {others[0].status}")

    def _t3(self, _account: SimAccount, order: SimOrder) -> None:
        if not calendar.is_open(self.exchange.now):
            self._say("T3", f"{_names(order)} outside the session")

    def _k2(self, _account: SimAccount, order: SimOrder) -> None:
        now, symbol = self.exchange.now, parts(order)[0].symbol
        if is_backstop(order):
            self._k2_of_backstops(symbol)
            return
        self.by_symbol.setdefault(symbol, []).append(now)
        recent = {s: sum(now - at < A_MINUTE for at in times) for s, times in self.by_symbol.items()}
        if recent[symbol] > MOST_OF_A_SYMBOL or sum(recent.values()) > MOST_OF_AN_ACCOUNT:
            self._say("K2", f"{recent[symbol]} orders of {symbol} in a minute, {sum(recent.values())} in all")

    def _k2_of_backstops(self, symbol: str) -> None:
        times = self.by_symbol.setdefault(BACKSTOP + symbol, [])
        times.append(self.exchange.now)
        recent = sum(self.exchange.now - at < A_MINUTE for at in times)
        if recent > MOST_BACKSTOPS:
            self._say("K2", f"{recent} backstops under {symbol} in a minute")

    def _is_far_from_market(self, order: SimOrder) -> bool:
        """Whether it waits for a price far from the market: a target that one wrong quote met harms nobody.

        Right after a start nothing is known that would tell such a quote from a right one.
        """
        level = self.exchange.quote(order.symbol)
        if level is None or order.limit_price is None or order.is_buy or level.ask is None:
            return False
        return order.limit_price >= level.ask * _FAR

    def _on_fill(self, event: SimEvent, account: SimAccount, order: SimOrder) -> None:
        for part in parts(order):
            excused = is_backstop(order) or self._is_far_from_market(part)
            if is_ours(order) and part.symbol in self.quiet and not excused:
                self._say("must-not-fire", f"{part.side} {part.symbol} filled though no rule was true")
            key, after = (account.name, part.symbol), account.qty_of(part.symbol)
            signed = Decimal(event.detail["qty"]) * (1 if part.is_buy else -1)
            before = after - signed
            if is_ours(order) and (before * after < 0 or abs(after) >= abs(before)):
                self._say("S2", f"a fill of ours took {part.symbol} from {before} to {after}")
            self.held[key] = after

    # --- what is about to arrive --------------------------------------------------------------------------------------

    def arrives(self, name: str, order: SubmitOrder) -> None:
        """An order reaches the exchange, which may refuse it: would it have been right (I4, S3, S6, S7, S8)?

        The program can't know what others changed in the last seconds; then only acceptance counts. The repeat of an
        order that the exchange has and doesn't show yet (O14) is refused by its id, whatever it has done meanwhile.
        """
        account = self.exchange.accounts[name]
        self._i2_sent(order)
        self._k1(order)
        if order.client_order_id in account.by_client_id:
            return
        if order.asset_class is AssetClass.OPTION and order.qty % 1:
            self._say("S6", f"{order.qty} contracts of {order.symbol} were sent")
        legs = _legs(order)
        for symbol, side in legs:
            self._i4_sent(account, order, symbol)
            if self._is_known(symbol):
                self._s8_sent(account, order, symbol, side)
        if all(self._is_known(symbol) for symbol, _ in legs):
            self._s7_sent(account, order, legs)

    def _is_known(self, symbol: str) -> bool:
        """Whether the program could know what others did to a symbol."""
        now = self.exchange.now
        long_ago = now - 2 * SETTLES
        return now - self.changed.get(symbol, long_ago) >= SETTLES + self.exchange.settings.position_lag

    def _s8_sent(self, account: SimAccount, order: SubmitOrder, symbol: str, side: str) -> None:
        held = account.qty_of(symbol)
        free = abs(held) - account.held_for_orders(symbol)
        if order.qty > free:
            self._say("S8", f"{side} {order.qty} {symbol} was sent with {free} free of {held}")
        if (side == "sell") != (held > 0):
            self._say("S3", f"{side} {symbol} was sent with {held} held")

    def _i4_sent(self, account: SimAccount, order: SubmitOrder, symbol: str) -> None:
        others = [o for o in ours_on(account, symbol) if o.client_order_id != order.client_order_id]
        if others and others[0].visible_at is None:
            self._say("I4", f"{symbol} was sent while another of ours is {others[0].status}")

    def _s7_sent(self, account: SimAccount, order: SubmitOrder, legs: list[tuple[str, str]]) -> None:
        holdings = {symbol: p.qty for symbol, p in account.positions.items()}
        before = uncovered_contracts(holdings, ZERO)
        for symbol, side in legs:
            holdings[symbol] = holdings.get(symbol, ZERO) + (order.qty if side == "buy" else -order.qty)
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


def _legs(order: SubmitOrder) -> list[tuple[str, str]]:
    """What an order about to be sent trades, and on which side."""
    return [(leg.symbol, leg.side) for leg in getattr(order, "legs", ())] or [(order.symbol, order.side)]


def _names(order: SimOrder) -> str:
    """The symbol that an order's id is made of, or both of a pair, the short leg's first."""
    return "+".join(part.symbol for part in parts(order))


def _description(order: SimOrder) -> str:
    return " and ".join(f"{part.side} {part.qty} {part.symbol}" for part in parts(order))


def _client_order_id(prefix: str, number: str, symbol: str, day: str, n: int) -> str:
    """The published formula, written a second time (design, section 5)."""
    return prefix + hashlib.sha256(f"{number}|{symbol}|{day}|{n}".encode()).hexdigest()[:32]


def _intents(folder: Path, client_order_id: str) -> Iterator[dict[str, Any]]:
    """The bodies of the committed intents of an id."""
    return (said.get("body", {}) for said in _said(folder, "intent", client_order_id))


def _was_in_the_way(folder: Path, client_order_id: str) -> bool:
    """Whether an order was cancelled because an exit could not be sent beside it."""
    return any("to make way for" in str(said.get("why")) for said in _said(folder, "cancel", client_order_id))


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
    prices = ("limit_price", "stop_price", "trail_percent")
    told = {name: Decimal(str(intent[name])) for name in prices if intent.get(name)}
    if order.type == "trailing_stop":  # its stop follows the market
        told["stop_price"] = order.stop_price or ZERO
    return (
        _traded(intent) == {(part.symbol, part.side) for part in parts(order)}
        and intent.get("type") == order.type
        and Decimal(str(intent.get("qty"))) == order.qty
        and all(told.get(name, ZERO) == (getattr(order, name) or ZERO) for name in prices)
    )


def _traded(intent: dict[str, Any]) -> set[tuple[Any, Any]]:
    return {(leg.get("symbol"), leg.get("side")) for leg in intent.get("legs") or [intent]}
