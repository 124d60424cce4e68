"""Reads each exit from the journal: the holding that was decided on, the orders and the fills. Nothing is written.

The plan that decided on an order is recorded after it, so that the order doesn't wait; older journals have it before.

An exit is a series of orders for one reason on one symbol and day: the steps of its walk or ladder. It ends when an
order for another reason follows, or when nothing was sent or filled for OVER. All orders that close a structure are one
exit of it: multi-leg orders, also for parts of it, and those of its legs. What follows the first ones belongs to it
however late it does.
"""

import datetime as dt
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as replace_filters
from decimal import Decimal
from itertools import chain

import sqlalchemy as sa
from msgspec.structs import replace

from sellctl.core.model.exit_record import Exit, LegFill, Part, Point, SentOrder
from sellctl.core.model.order import Side
from sellctl.core.model.plan import STOPS, Plan, PositionDecision, Reason
from sellctl.core.model.position import NO_PRICES, ExitAfter, Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.structures.held import held_structures
from sellctl.core.structures.names import legs_of, underlying_named
from sellctl.journal.account_numbers import CHANGED, OF_ANOTHER_ACCOUNT
from sellctl.journal.database import read_only
from sellctl.journal.derived import FILL, FINAL_OUTCOMES, INTENT
from sellctl.journal.location import JournalLocation
from sellctl.journal.net_fills import netted, per_unit
from sellctl.journal.queries import COLUMNS, STRUCTURE, AuditRow, Filters, as_row, history, unpack
from sellctl.journal.schema import audit

OVER = dt.timedelta(seconds=60)
_ZERO = Decimal(0)
PLAN = "plan"
_CHANGES = (CHANGED, OF_ANOTHER_ACCOUNT)
# the rows that tell about exits, besides those about changes of the account number
EXIT_KINDS = (PLAN, INTENT, FILL, *sorted(FINAL_OUTCOMES.difference(_CHANGES)))


def exits(path: JournalLocation, filters: Filters) -> tuple[Exit, ...]:
    """Every exit that the filters name (account, symbol, names or underlying, reason, day), oldest first.

    The symbol of a leg also names the exits of its structures.
    """
    nothing: tuple[Exit, ...] = ()
    found = read_only(path, lambda tx: _collected(exit_rows(tx, filters)), missing=nothing)
    return tuple(each for each in found if is_wanted(each.symbol, each.reason, filters))


def last_exit(path: JournalLocation, name: str) -> Exit | None:
    """The exit of a symbol or structure that filled last, or else of what is on this underlying; None without one.

    Only the day of that fill is read, so that a long journal doesn't make it slow.
    """
    for filters in (Filters(symbol=name), Filters(underlying=name)):
        newest = history(path, replace_filters(filters, kind=FILL, limit=1))
        found = exits(path, replace_filters(filters, day=newest[0].day)) if newest else ()
        filled = [each for each in found if each.is_filled]
        if filled:
            return max(filled, key=lambda each: each.last_at)
    return None


def is_wanted(symbol: str, reason: str, filters: Filters) -> bool:
    """Whether the filters name this reason, and this symbol or structure, a leg of it, or its underlying."""
    if filters.reason not in {"", reason}:
        return False
    if filters.underlying:
        return underlying_named(symbol) == filters.underlying
    return symbol in filters.names if filters.names else filters.symbol in {"", symbol, *legs_of(symbol)}


def exit_rows(tx: sa.Connection, filters: Filters, *other_kinds: str) -> Iterator[AuditRow]:
    """The rows of exits that the filters leave by account and date, oldest first, and those of other kinds.

    Among them are all rows about changes of the account number, which may have the host's date: the broker's isn't
    always known so early.
    """
    dates = [audit.c.day == filters.day] if filters.day else []
    if filters.since:
        dates.append(audit.c.day >= filters.since)
    of_account = [audit.c.account == filters.account] if filters.account else []
    found = _rows(tx, audit.c.kind.in_((*EXIT_KINDS, *other_kinds)), *of_account, *dates)
    # An expression in place of the column: SQLite would go through all rows by number, not through those of the dates.
    ends = (sa.func.min(audit.c.seq + 0), sa.func.max(audit.c.seq + 0))
    first, last = (sa.select(end).where(*dates).scalar_subquery() for end in ends)
    changes = _rows(tx, audit.c.kind.in_(_CHANGES), audit.c.seq.between(first, last), *of_account)
    return heapq.merge(found, changes, key=lambda row: row.seq)


def _rows(tx: sa.Connection, *conditions: sa.ColumnElement[bool]) -> Iterator[AuditRow]:
    return (as_row(row) for row in tx.execute(sa.select(*COLUMNS).where(*conditions).order_by(audit.c.seq)))


def by_broker_account(rows: Iterable[AuditRow]) -> Iterator[tuple[tuple[str, int], AuditRow]]:
    """Each row of `exit_rows` with what stands for the broker's account that it is about.

    That is the account's name in the configuration, and how often the number behind it had changed.
    """
    changes: Counter[str] = Counter()
    for row in rows:
        if row.kind == CHANGED:
            changes[row.account] += 1
        else:
            yield (row.account, changes[row.account] - (row.kind == OF_ANOTHER_ACCOUNT)), row


def _collected(rows: Iterable[AuditRow]) -> tuple[Exit, ...]:
    collectors: defaultdict[tuple[str, int], ExitCollector] = defaultdict(ExitCollector)
    for account, row in by_broker_account(rows):
        collectors[account].take(row)
    found = chain.from_iterable(collector.exits() for collector in collectors.values())
    return tuple(sorted(found, key=lambda each: each.row))


# How a structure left.
_WAYS = _AS_ONE, _IN_PARTS, _BY_LEGS = "as one order", "in parts", "by legs"


def _way_of(symbol: str) -> str:
    """How a structure left with an order for one of its legs, or for a part of it."""
    return _IN_PARTS if legs_of(symbol) else _BY_LEGS


@dataclass(frozen=True, slots=True)
class _Leg:
    """What the intent of an order says of the leg, or the part of a structure, that it closes by itself."""

    symbol: str
    entry: Decimal | None
    unit: Decimal


@dataclass(slots=True)
class _OpenExit:
    """An exit whose rows are still being read. That of a structure has `per_unit`: how much of each leg a unit has."""

    facts: Exit
    last: dt.datetime
    path: list[Point]
    first_order: str = ""  # its client order id
    per_unit: dict[str, Decimal] = field(default_factory=dict)
    legs: dict[str, _Leg | None] = field(default_factory=dict)  # by client order id; None: it closes everything
    parts: list[Part] = field(default_factory=list)
    fills_of_legs: list[LegFill] = field(default_factory=list)
    orders: dict[str, SentOrder] = field(default_factory=dict)  # by client order id

    def takes(self, row: AuditRow, structure: str, at: dt.datetime) -> bool:
        """Whether an order of the same day belongs to it.

        A leg whose order names no structure, because the others are gone, belongs to that which is leaving by legs.
        """
        if row.reason == Reason.STRUCTURE and structure == self.facts.symbol:
            return True
        if structure != self.facts.symbol and row.symbol in self.per_unit and not any(self.legs.values()):
            return False
        return self.facts.reason == row.reason and at - self.last <= OVER

    def fill(self, client_order_id: str, at: dt.datetime, qty: Decimal, price: Decimal | None) -> None:
        """Add a fill of one of its orders."""
        self.last, leg = at, self.legs[client_order_id]
        if leg is None:
            self.parts.append(Part(at, qty, price))
        else:
            self.fills_of_legs.append(LegFill(leg.symbol, at, qty, price, leg.entry, leg.unit))

    def end(self, row: AuditRow) -> None:
        """Note how one of its orders ended."""
        order = self.orders.get(row.client_order_id)
        if order:
            message = str(row.body.get("message", ""))
            self.orders[row.client_order_id] = replace(order, ended=row.kind, message=message)

    def done(self) -> Exit:
        """The exit according to the rows read so far."""
        units = netted(self.per_unit, self.fills_of_legs, self.facts.sign)
        return replace(
            self.facts,
            steps=len(self.legs),
            parts=tuple(sorted((*self.parts, *units), key=lambda part: part.at)),
            path=tuple(sorted(self.path, key=lambda point: point.at)),
            orders=tuple(self.orders.values()),
            way=self._way(),
            fills_of_legs=tuple(self.fills_of_legs),
        )

    def _way(self) -> str:
        """How a structure left, by its fills, or by its last order while there is none."""
        if not self.per_unit:
            return ""
        last = list(self.legs.values())[-1]
        if self.parts or self.fills_of_legs:
            found = {_way_of(fill.symbol) for fill in self.fills_of_legs} | {_AS_ONE for _ in self.parts}
        else:
            found = {_way_of(last.symbol) if last else _AS_ONE}
        return " and ".join(way for way in _WAYS if way in found)


@dataclass(slots=True)
class ExitCollector:
    """Combines rows, oldest first, into exits."""

    _all: list[_OpenExit] = field(default_factory=list)
    _open: dict[tuple[str, str], _OpenExit] = field(default_factory=dict)
    _plans: dict[str, Plan] = field(default_factory=dict)
    _of_order: dict[tuple[str, str], _OpenExit] = field(default_factory=dict)
    _filled: dict[tuple[str, str], tuple[Decimal, Decimal | None]] = field(default_factory=dict)
    _paths: dict[tuple[str, str, str], list[Point]] = field(default_factory=dict)
    _backstops: dict[tuple[str, str], SentOrder] = field(default_factory=dict)

    def exits(self) -> tuple[Exit, ...]:
        """All of them, in the order in which they began."""
        return tuple(each.done() for each in self._all)

    def take(self, row: AuditRow) -> None:
        """Add one row."""
        if row.kind == PLAN:
            self.take_plan(row, *unpack(row))
        elif row.reason == Reason.BACKSTOP and row.kind in {INTENT, FILL}:
            self._backstop(row)
        elif row.kind == INTENT:
            self._intent(row)
        elif known := self._of_order.get((row.account, row.client_order_id)):
            if row.kind == FILL:
                self._fill(row)
            else:
                known.end(row)

    def take_plan(self, row: AuditRow, snapshot: Snapshot, plan: Plan) -> None:
        """Add the row of a plan, unpacked."""
        self._plans[row.account] = plan
        for holding in snapshot.holdings:
            if holding.quote is not None:
                point = Point(snapshot.market.now, holding.quote.bid, holding.quote.ask)
                self._path(row.account, holding.symbol, row.day).append(point)
        wholes = _wholes(snapshot, plan)
        for name, whole in wholes.items():
            point = Point(snapshot.market.now, whole.prices.bid, whole.prices.ask)
            self._path(row.account, name, row.day).append(point)
        for decision in plan.submits:
            order = decision.submit.client_order_id if decision.submit else ""
            begun = self._of_order.get((row.account, order))
            if begun and begun.facts.decided_on is None and begun.first_order == order:
                begun.facts = _decided(begun.facts, decision, wholes)

    def _path(self, account: str, symbol: str, day: str) -> list[Point]:
        return self._paths.setdefault((account, symbol, day), [])

    def _intent(self, row: AuditRow) -> None:
        at = dt.datetime.fromisoformat(row.at)
        structure = str(row.body.get(STRUCTURE, ""))
        known = self._continued(row, structure, at) or self._begin(row, structure, at)
        known.last = at
        is_all = not known.per_unit or row.symbol == known.facts.symbol
        known.legs[row.client_order_id] = None if is_all else _leg_of(row)
        known.orders[row.client_order_id] = _sent(row, at, is_priced=is_all)
        self._of_order[row.account, row.client_order_id] = known

    def _continued(self, row: AuditRow, structure: str, at: dt.datetime) -> _OpenExit | None:
        """The exit that an order continues; None when it begins one."""
        for name in dict.fromkeys((structure, row.symbol)):
            known = self._open.get((row.account, name))
            if known and known.facts.day == row.day and known.takes(row, structure, at):
                return known
        return None

    def _backstop(self, row: AuditRow) -> None:
        """A backstop rests until it fills, perhaps on a later day. Only then is it an exit, and no plan decided it."""
        key = (row.account, row.client_order_id)
        if row.kind == INTENT:
            self._backstops[key] = _sent(row, dt.datetime.fromisoformat(row.at), is_priced=True)
            return
        if key not in self._of_order:
            at, plan = dt.datetime.fromisoformat(row.at), self._plans.get(row.account)
            held = (decision.holding for decision in plan.decisions) if plan else ()
            holding = next((each for each in held if each.symbol == row.symbol), None)
            facts = Exit(
                row.account, row.symbol, row.reason, row.day, at, asked=_number(row.body.get("filled_qty")), row=row.seq
            )
            if holding:
                facts = replace(facts, decided_on=replace(holding, quote=None, prices=NO_PRICES))
            begun = _OpenExit(facts, at, self._path(row.account, row.symbol, row.day))
            begun.legs[row.client_order_id] = None
            if key in self._backstops:
                begun.orders[row.client_order_id] = self._backstops[key]
            self._of_order[key] = begun
            self._all.append(begun)
        self._fill(row)

    def _begin(self, row: AuditRow, structure: str, at: dt.datetime) -> _OpenExit:
        """A new exit. A leg that follows no other one of today is closed for itself."""
        name = structure if structure and row.reason != Reason.STRUCTURE and per_unit(structure) else row.symbol
        units = per_unit(name)
        asked = _number(row.body.get("qty"))
        leg, contracts = next(iter(per_unit(row.symbol).items()), (row.symbol, Decimal(1)))
        if name != row.symbol and leg in units:
            asked = asked * contracts // units[leg]
        facts = Exit(row.account, name, row.reason, row.day, at, asked=asked, row=row.seq)
        facts = replace(facts, why=str(row.body.get("why", "")))
        decision = self._decision_for(row)
        if decision:
            facts = _decided(facts, decision, {})
        begun = _OpenExit(facts, at, self._path(row.account, name, row.day), row.client_order_id, units)
        for symbol in (name, *units):
            self._open[row.account, symbol] = begun
        self._all.append(begun)
        return begun

    def _decision_for(self, row: AuditRow) -> PositionDecision | None:
        plan = self._plans.get(row.account)
        sent = plan.submits if plan else ()
        return next((v for v in sent if v.submit and v.submit.client_order_id == row.client_order_id), None)

    def _fill(self, row: AuditRow) -> None:
        """A row has the order's cumulative quantity and average price; the fill is the difference to the row before."""
        key = (row.account, row.client_order_id)
        total, average = _number(row.body.get("filled_qty")), _price(row.body.get("filled_avg_price"))
        before, spent = self._filled.get(key, (_ZERO, _ZERO))
        if total <= before:
            return
        amount = None if average is None else total * average
        price = None if amount is None or spent is None else (amount - spent) / (total - before)
        self._filled[key] = (total, amount)
        at = dt.datetime.fromisoformat(row.at)
        self._of_order[key].fill(row.client_order_id, at, total - before, price)


def _wholes(snapshot: Snapshot, plan: Plan) -> dict[str, Holding]:
    """The structures of a snapshot as one position each, by name: those that are judged as one, or being closed."""
    sent = [(each.submit.symbol, each.signal.structure) for each in plan.submits if each.submit and each.signal]
    names = dict.fromkeys((*(whole for _, whole in sent), *(name for name, _ in sent), *snapshot.structures))
    holdings = [decision.holding for decision in plan.decisions]
    leaving = {each.symbol: ExitAfter.of(each.state.exit_after) for each in holdings if each.state.exit_after}
    found = held_structures(holdings, (), snapshot.structures, (), leaving, first=names)
    return {each.name: each.whole for each in found}


def _decided(facts: Exit, decision: PositionDecision, wholes: Mapping[str, Holding]) -> Exit:
    """The exit with what the decision on its first order says; `wholes` are the structures in its plan."""
    signal = decision.signal
    if signal is None:
        return facts
    triggers = sorted(decision.triggers, key=lambda trigger: trigger.reason != signal.reason)  # its own price first
    stop = next((trigger.price for trigger in triggers if trigger.reason in STOPS), None)
    target = next((trigger.price for trigger in triggers if trigger.is_target), None)
    decided_on = signal.holding if signal.holding.symbol == facts.symbol else wholes.get(facts.symbol)
    return replace(facts, strategy=signal.strategy, decided_on=decided_on, stop=stop, target=target)


def _leg_of(row: AuditRow) -> _Leg:
    return _Leg(row.symbol, _price(row.body.get("entry")), _number(row.body.get("unit")))


def _sent(row: AuditRow, at: dt.datetime, *, is_priced: bool) -> SentOrder:
    """The order of an intent. Only one that closes all that the exit is about has a price that compares with it.

    Alpaca writes the net limit of a multi-leg order as a debit above and a credit below zero.
    """
    limit = _price(row.body.get("limit_price") or _body_of(row).get("stop_price")) if is_priced else None
    if limit is not None and row.body.get("legs") and row.body.get("side") == Side.SELL:
        limit = -limit
    return SentOrder(at, row.symbol, _number(row.body.get("qty")), limit)


def _body_of(row: AuditRow) -> Mapping[str, object]:
    """The request of an intent, as it was sent."""
    body = row.body.get("body")
    return body if isinstance(body, Mapping) else {}


def _price(value: object) -> Decimal | None:
    return None if value in {None, ""} else Decimal(str(value))


def _number(value: object) -> Decimal:
    return Decimal(str(value)) if value not in {None, ""} else _ZERO
