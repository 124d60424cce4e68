"""Reads each exit from the journal: the holding that was decided on, the orders and the fills. Nothing is written.

The plan that decided on an order is recorded after it, so that the order doesn't wait; older journals have it before.

An exit is a series of orders for one reason on one symbol and day: the steps of its walk or ladder. It ends when an
order for another reason follows, or when nothing was sent or filled for OVER.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa
from msgspec.structs import replace

from sellctl.core.model.exit_record import Exit, Part, Point
from sellctl.core.model.plan import STOPS, Plan, PositionDecision, Reason
from sellctl.core.model.position import NO_PRICES
from sellctl.journal.database import read_only
from sellctl.journal.queries import COLUMNS, AuditRow, Filters, as_row, unpack
from sellctl.journal.schema import audit

OVER = dt.timedelta(seconds=60)
_ZERO = Decimal(0)
_KINDS = ("plan", "intent", "fill")


def exits(path: Path, filters: Filters) -> tuple[Exit, ...]:
    """Every exit that the filters name (account, symbol, reason, day), oldest first."""
    nothing: tuple[Exit, ...] = ()
    found = read_only(path, lambda tx: _collected(_rows(tx, filters)), missing=nothing)
    return tuple(each for each in found if filters.reason in {"", each.reason} and filters.symbol in {"", each.symbol})


def _rows(tx: sa.Connection, filters: Filters) -> Iterator[AuditRow]:
    conditions = [audit.c[name] == value for name in ("account", "day") if (value := getattr(filters, name))]
    statement = sa.select(*COLUMNS).where(audit.c.kind.in_(_KINDS), *conditions).order_by(audit.c.seq)
    return (as_row(row) for row in tx.execute(statement))


def _collected(rows: Iterable[AuditRow]) -> tuple[Exit, ...]:
    collector = _Collector()
    for row in rows:
        collector.take(row)
    return collector.exits()


@dataclass(slots=True)
class _OpenExit:
    """An exit whose rows are still being read."""

    facts: Exit
    last: dt.datetime
    path: list[Point]
    first_order: str = ""  # its client order id
    orders: set[str] = field(default_factory=set)
    parts: list[Part] = field(default_factory=list)

    def done(self) -> Exit:
        """The exit according to the rows read so far."""
        return replace(self.facts, steps=len(self.orders), parts=tuple(self.parts), path=tuple(self.path))


@dataclass(slots=True)
class _Collector:
    """Combines rows, oldest first, into exits."""

    _all: list[_OpenExit] = field(default_factory=list)
    _open: dict[tuple[str, str], _OpenExit] = field(default_factory=dict)
    _plans: dict[str, Plan] = field(default_factory=dict)
    _of_order: dict[tuple[str, str], _OpenExit] = field(default_factory=dict)
    _filled: dict[tuple[str, str], tuple[Decimal, Decimal]] = field(default_factory=dict)
    _paths: dict[tuple[str, str, str], list[Point]] = field(default_factory=dict)

    def exits(self) -> tuple[Exit, ...]:
        """All of them, in the order in which they began."""
        return tuple(each.done() for each in self._all)

    def take(self, row: AuditRow) -> None:
        """Add one row."""
        if row.kind == "plan":
            self._plan(row)
        elif row.reason == Reason.BACKSTOP:
            self._backstop(row)
        elif row.kind == "intent":
            self._intent(row)
        elif (row.account, row.client_order_id) in self._of_order:
            self._fill(row)

    def _plan(self, row: AuditRow) -> None:
        snapshot, self._plans[row.account] = unpack(row)
        for holding in snapshot.holdings:
            if holding.quote is not None:
                point = Point(snapshot.market.now, holding.quote.bid, holding.quote.ask)
                self._path(row.account, holding.symbol, row.day).append(point)
        for decision in self._plans[row.account].submits:
            order = decision.submit.client_order_id if decision.submit else ""
            begun = self._of_order.get((row.account, order))
            if begun and begun.facts.decided_on is None and begun.first_order == order:
                begun.facts = _decided(begun.facts, decision)

    def _path(self, account: str, symbol: str, day: str) -> list[Point]:
        return self._paths.setdefault((account, symbol, day), [])

    def _intent(self, row: AuditRow) -> None:
        at = dt.datetime.fromisoformat(row.at)
        known = self._open.get((row.account, row.symbol))
        if known is None or (known.facts.reason, known.facts.day) != (row.reason, row.day) or at - known.last > OVER:
            known = self._begin(row, at)
        known.last = at
        known.orders.add(row.client_order_id)
        self._of_order[row.account, row.client_order_id] = known

    def _backstop(self, row: AuditRow) -> None:
        """A backstop rests until it fills, perhaps on a later day. Only then is it an exit, and no plan decided it."""
        key = (row.account, row.client_order_id)
        if row.kind != "fill":
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
            begun.orders.add(row.client_order_id)
            self._of_order[key] = begun
            self._all.append(begun)
        self._fill(row)

    def _begin(self, row: AuditRow, at: dt.datetime) -> _OpenExit:
        facts = Exit(row.account, row.symbol, row.reason, row.day, at, asked=_number(row.body.get("qty")), row=row.seq)
        decision = self._decision_for(row)
        if decision:
            facts = _decided(facts, decision)
        begun = _OpenExit(facts, at, self._path(row.account, row.symbol, row.day), row.client_order_id)
        self._open[row.account, row.symbol] = begun
        self._all.append(begun)
        return begun

    def _decision_for(self, row: AuditRow) -> PositionDecision | None:
        plan = self._plans.get(row.account)
        sent = plan.submits if plan else ()
        return next((v for v in sent if v.submit and v.submit.client_order_id == row.client_order_id), None)

    def _fill(self, row: AuditRow) -> None:
        """A row has the order's cumulative quantity and average price; the fill is the difference to the row before."""
        key = (row.account, row.client_order_id)
        total, average = _number(row.body.get("filled_qty")), _number(row.body.get("filled_avg_price"))
        before, spent = self._filled.get(key, (_ZERO, _ZERO))
        if total <= before:
            return
        self._filled[key] = (total, total * average)
        owner = self._of_order[key]
        owner.last = dt.datetime.fromisoformat(row.at)
        owner.parts.append(Part(owner.last, total - before, (total * average - spent) / (total - before)))


def _decided(facts: Exit, decision: PositionDecision) -> Exit:
    """The exit with what the decision on its first order says."""
    signal = decision.signal
    if signal is None:
        return facts
    stop = next((trigger.price for trigger in decision.triggers if trigger.reason in STOPS), None)
    return replace(facts, strategy=signal.strategy, decided_on=signal.holding, stop=stop)


def _number(value: object) -> Decimal:
    return Decimal(str(value)) if value not in {None, ""} else _ZERO
