"""Invariants that hold at the exchange after every event (S, I, T3, K1, K2), checked on the exchange's own state."""

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from faults.findings import Findings
from faults.intents import intents, is_same, was_cancelled_for_an_exit
from sellctl.core.model.instrument import AssetClass, StructureKind, instrument_of
from sellctl.core.model.plan import SubmitOrder
from sellctl.core.structures.kinds import Leg, kind_of_legs
from sellctl.core.structures.names import structure_name
from sellctl.sim.market import calendar
from sellctl.sim.market.assets import asset_of
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.coverage import uncovered_contracts
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.multi_leg.trading import net_level
from sellctl.sim.venue.orders import SimEvent, SimOrder

PREFIX = "sellctl-"
BACKSTOP = "sellctl-backstop-"
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

    `folders` are the program's state folders, `must_stay` the symbols for which it must send no order. `names` are
    those of structures, by the symbols of their legs.
    """

    exchange: Exchange
    findings: Findings
    folders: tuple[Path, ...]
    must_stay: frozenset[str] = frozenset()
    names: Mapping[frozenset[str], str] = field(default_factory=dict)
    changed: dict[str, dt.datetime] = field(default_factory=dict)
    held: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    accepted: dict[str, dt.datetime] = field(default_factory=dict)  # client order id -> when
    halted_at: dt.datetime | None = None
    by_symbol: dict[tuple[str, str], list[dt.datetime]] = field(default_factory=dict)  # by account and symbol
    by_account: dict[str, list[dt.datetime]] = field(default_factory=dict)
    arrivals: list[dt.datetime] = field(default_factory=list)  # when orders reached the exchange, accepted or not
    multi_leg_arrivals: list[dt.datetime] = field(default_factory=list)  # of these, the multi-leg ones

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
            self.changed |= dict.fromkeys(order.symbols, self.exchange.now)

    def _on_acceptance(self, account: SimAccount, order: SimOrder) -> None:
        self.accepted[order.client_order_id] = self.exchange.now
        for check in (self._s1, self._s3, self._s6, self._s7, self._i1, self._i2, self._i4, self._t3, self._k2):
            check(account, order)
        for part in parts(order):
            if part.symbol in self.must_stay and not is_backstop(order) and not self.is_far_from_market(part):
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
        """Our other sales that work count as filled, because they may fill first.

        Before the program can know of a short that a person opens, it sells what is a single long by then.
        """
        if self._others_trade(account, order):
            return
        sales = [(o.symbol, -o.leaves_qty) for o in account.open_orders.values() if _is_our_sale(o) and o is not order]
        before = _after(account, sales)
        after = _after(account, [*sales, *((part.symbol, _signed(part, part.leaves_qty)) for part in parts(order))])
        if uncovered_contracts(after, ZERO) > uncovered_contracts(before, ZERO):
            self._violated("S7", f"{_description(order)} would leave a short without its cover")

    def _i1(self, account: SimAccount, order: SimOrder) -> None:
        day = calendar.exchange_date(self.exchange.now).isoformat()
        name, prefix = self._name(order), BACKSTOP if is_backstop(order) else PREFIX
        family = [o for o in account.orders.values() if is_ours(o) and is_backstop(o) == is_backstop(order)]
        todays = [o for o in family if set(o.symbols) == set(order.symbols) and o is not order]
        most = 1 + sum(not o.is_open and calendar.exchange_date(o.created_at).isoformat() == day for o in todays)
        possible = {_client_order_id(prefix, account.number, name, day, n) for n in range(1, most + 1)}
        if order.client_order_id not in possible:
            self._violated("I1", f"{order.client_order_id} of {name} is not a function of what the broker reports")

    def _name(self, order: SimOrder) -> str:
        """What an order's id is computed from: its symbol, or the name of the structure that it closes."""
        if not order.is_multi_leg:
            return order.symbol
        return self.names.get(frozenset(order.symbols)) or _structure_name(order)

    def _i2(self, _account: SimAccount, order: SimOrder) -> None:
        found = [body for folder in self.folders for body in intents(folder, order.client_order_id)]
        if not any(is_same(intent, order) for intent in found):
            self._violated(
                "I2", f"{_names(order)} was accepted without a matching committed intent ({len(found)} of that id)"
            )

    def _i4(self, account: SimAccount, order: SimOrder) -> None:
        others = [o for part in parts(order) for o in ours_on(account, part.symbol) if o is not order]
        if others:
            self._violated("I4", f"{_names(order)}: another order of ours is still {others[0].status}")

    def _t3(self, _account: SimAccount, order: SimOrder) -> None:
        if not calendar.is_open(self.exchange.now):
            self._violated("T3", f"{_names(order)} outside the session")

    def _k2(self, account: SimAccount, order: SimOrder) -> None:
        if is_backstop(order):
            self._k2_of_backstops(account, order.symbol)
            return
        in_all = self._in_a_minute(self.by_account.setdefault(account.name, []))
        for symbol in order.symbols:
            recent = self._in_a_minute(self.by_symbol.setdefault((account.name, symbol), []))
            if recent > MAX_PER_SYMBOL or in_all > MAX_PER_ACCOUNT:
                self._violated("K2", f"{recent} orders of {symbol} in a minute, {in_all} in all")

    def _k2_of_backstops(self, account: SimAccount, symbol: str) -> None:
        recent = self._in_a_minute(self.by_symbol.setdefault((account.name, BACKSTOP + symbol), []))
        if recent > MAX_BACKSTOPS:
            self._violated("K2", f"{recent} backstops under {symbol} in a minute")

    def _in_a_minute(self, times: list[dt.datetime]) -> int:
        """Add this instant; return how many there are of the last minute."""
        times.append(self.exchange.now)
        return sum(self.exchange.now - at < ONE_MINUTE for at in times)

    def is_far_from_market(self, order: SimOrder) -> bool:
        """Whether a sale's limit is far above the market, as after a single wrong quote met a target.

        Such an order is harmless, and right after a start nothing distinguishes a wrong quote from a correct one. The
        same is true of a leg whose multi-leg order would close at a net price far better than both sides of the net.
        """
        if order.parent is not None and order.parent.limit_price is not None:
            net, limit = net_level(self.exchange, order.parent), order.parent.limit_price
            return net is not None and net.bid is not None and net.bid - limit > abs(net.bid) * (_FAR_FACTOR - 1)
        level = self.exchange.quote(order.symbol)
        if level is None or order.limit_price is None or order.is_buy or level.ask is None:
            return False
        return order.limit_price >= level.ask * _FAR_FACTOR

    def _on_fill(self, event: SimEvent, account: SimAccount, order: SimOrder) -> None:
        """Check a fill. That of a multi-leg order is of units, each of which has `ratio_qty` of every leg."""
        filled: list[tuple[str, Decimal]] = []
        for part in parts(order):
            excused = is_backstop(order) or self.is_far_from_market(part)
            if is_ours(order) and part.symbol in self.must_stay and not excused:
                self._violated("must-not-fire", f"{part.side} {part.symbol} filled although no rule was true")
            key, after = (account.name, part.symbol), account.qty_of(part.symbol)
            signed = _signed(part, Decimal(event.detail["qty"]) * (part.ratio_qty or 1))
            before = after - signed
            filled.append((part.symbol, -signed))
            if is_ours(order) and (before * after < 0 or abs(after) >= abs(before)):
                self._violated("S2", f"a fill of ours took {part.symbol} from {before} to {after}")
            self.held[key] = after
        now, earlier = (uncovered_contracts(_after(account, trades), ZERO) for trades in ((), filled))
        if is_ours(order) and now > earlier and not self._others_trade(account, order):
            self._violated("S7", f"a fill of {_description(order)} left {now - earlier} shorts without their cover")

    # --- orders before acceptance -------------------------------------------------------------------------------------

    def arrives(self, name: str, order: SubmitOrder) -> None:
        """Check an order that reaches the exchange, whether or not it is accepted (I2, I4, K1, S3, S6, S7, S8).

        What others changed in the last seconds may be unknown to the program; then only acceptance is checked. The
        repeat of an order that the exchange has but does not list yet (O14) is rejected by its id and not checked.
        """
        account, legs = self.exchange.accounts[name], legs_of(order)
        self.arrivals.append(self.exchange.now)
        self.multi_leg_arrivals += [self.exchange.now] if len(legs) > 1 else []
        self._i2_sent(order)
        self._k1(order)
        if order.client_order_id in account.by_client_id:
            return
        if order.asset_class is AssetClass.OPTION and order.qty % 1:
            self._violated("S6", f"{order.qty} contracts of {order.symbol} were sent")
        for leg in legs:
            self._i4_sent(account, order, leg.symbol)
            if self._is_known(leg.symbol):
                self._s8_sent(account, leg)
        if not self._others_trade(account, order):
            self._s7_sent(account, order, legs)

    def _is_known(self, symbol: str) -> bool:
        """Whether the program could know of everything that others did with a symbol."""
        now = self.exchange.now
        long_ago = now - 2 * SETTLES_WITHIN
        return now - self.changed.get(symbol, long_ago) >= SETTLES_WITHIN + self.exchange.settings.position_lag

    def _others_trade(self, account: SimAccount, order: "SimOrder | SubmitOrder") -> bool:
        """Whether others traded something on the underlying of an order of which the program may not know yet."""
        underlyings = {asset_of(symbol).underlying for symbol in order.symbols}
        held = (symbol for symbol in account.positions if asset_of(symbol).underlying in underlyings)
        return not all(self._is_known(symbol) for symbol in (*held, *order.symbols))

    def _s8_sent(self, account: SimAccount, leg: "Traded") -> None:
        held = account.qty_of(leg.symbol)
        free = abs(held) - account.held_for_orders(leg.symbol)
        if leg.qty > free:
            self._violated("S8", f"{leg.side} {leg.qty} {leg.symbol} was sent with {free} free of {held}")
        if (leg.side == "sell") != (held > 0):
            self._violated("S3", f"{leg.side} {leg.symbol} was sent with {held} held")

    def _i4_sent(self, account: SimAccount, order: SubmitOrder, symbol: str) -> None:
        others = [o for o in ours_on(account, symbol) if o.client_order_id != order.client_order_id]
        if others and others[0].visible_at is None:
            self._violated("I4", f"{symbol} was sent while another order of ours is {others[0].status}")

    def _s7_sent(self, account: SimAccount, order: SubmitOrder, legs: "list[Traded]") -> None:
        trades = [(leg.symbol, leg.qty if leg.side == "buy" else -leg.qty) for leg in legs]
        if uncovered_contracts(_after(account, trades), ZERO) > uncovered_contracts(_after(account, ()), ZERO):
            self._violated("S7", f"{order.side} {order.qty} {order.symbol} was sent, and it covers a short")

    def _k1(self, order: SubmitOrder) -> None:
        """K1: a halt stops orders within a second."""
        if self.halted_at is not None and self.exchange.now - self.halted_at > ONE_SECOND:
            self._violated("K1", f"{order.symbol} was sent under a halt")

    def _i2_sent(self, order: SubmitOrder) -> None:
        if not any(True for folder in self.folders for _ in intents(folder, order.client_order_id)):
            self._violated("I2", f"an order for {order.symbol} was sent before its intent was committed")

    def cancels(self, name: str, order_id: str) -> None:
        """Check a cancel that reaches the exchange: manual orders that open a position are not stale (scope: sells).

        They are cancelled only where the wash-trade rule would reject an exit of ours, and the journal records that.
        """
        order = self.exchange.accounts[name].orders.get(order_id)
        if order is None or is_ours(order) or not order.is_open:
            return
        opens = (order.position_intent or "").endswith("_to_open")
        if opens and not any(was_cancelled_for_an_exit(folder, order.client_order_id) for folder in self.folders):
            self._violated("S4", f"a person's {order.side} of {order.symbol} was cancelled")

    def _violated(self, invariant: str, text: str) -> None:
        self.findings.add(invariant, self.exchange.now, text)


@dataclass(frozen=True, slots=True)
class Traded:
    """What an order trades of one symbol."""

    symbol: str
    side: str
    qty: Decimal


def legs_of(order: SubmitOrder) -> list[Traded]:
    """What a request trades: each leg with its ratio's share of the units, or the order itself."""
    legs = [Traded(leg.symbol, leg.side, order.qty * leg.ratio) for leg in getattr(order, "legs", ())]
    return legs or [Traded(order.symbol, order.side, order.qty)]


def _structure_name(order: SimOrder) -> str:
    """The name of the structure that a multi-leg order closes, by the program's own code."""
    legs = [Leg(instrument_of(part.symbol, "us_option"), _ratio_held(part)) for part in order.legs]
    return structure_name(kind_of_legs(legs) or StructureKind.CUSTOM, legs)


def _ratio_held(part: SimOrder) -> int:
    """Contracts per unit of what a leg closes: below zero for a short position."""
    ratio = int(part.ratio_qty or 1)
    return -ratio if part.is_buy else ratio


def _is_our_sale(order: SimOrder) -> bool:
    return is_ours(order) and order.side == "sell"


def _signed(part: SimOrder, qty: Decimal) -> Decimal:
    return qty if part.is_buy else -qty


def _after(account: SimAccount, trades: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """The signed quantities held after these trades."""
    holdings = {symbol: position.qty for symbol, position in account.positions.items()}
    for symbol, signed in trades:
        holdings[symbol] = holdings.get(symbol, ZERO) + signed
    return holdings


def _names(order: SimOrder) -> str:
    """The symbols that it trades, in sentences."""
    return "+".join(order.symbols)


def _description(order: SimOrder) -> str:
    return " and ".join(f"{part.side} {part.qty} {part.symbol}" for part in parts(order))


def _client_order_id(prefix: str, number: str, symbol: str, day: str, n: int) -> str:
    """The formula of client order ids, implemented independently of the product's code."""
    return prefix + hashlib.sha256(f"{number}|{symbol}|{day}|{n}".encode()).hexdigest()[:32]
