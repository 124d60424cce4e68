"""What happened on the accounts, a line per exit: those that were sent, those that were due and were not, and cancels.

Read day by day, newest first, until a page is full. Nothing is written.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain

import sqlalchemy as sa
from msgspec.structs import replace

from sellctl.core.model.exit_record import Exit, HistoryEntry, HistoryKind
from sellctl.core.model.order import OUR_PREFIX
from sellctl.core.model.plan import DecisionState, ExitSignal, Plan, PositionDecision
from sellctl.core.structures.names import legs_of
from sellctl.core.text import as_dollars
from sellctl.journal.database import read_only
from sellctl.journal.digest import without_numbers
from sellctl.journal.exits import OVER, PLAN, ExitCollector, by_broker_account, exit_rows, is_wanted
from sellctl.journal.location import JournalLocation
from sellctl.journal.queries import AuditRow, Filters, unpack
from sellctl.journal.schema import audit

_CANCEL = "cancel"
_STALE = "stale"
_UNSENT = {DecisionState.DENIED: HistoryKind.NOT_SENT, DecisionState.BLOCKED: HistoryKind.BLOCKED}


def exit_history(path: JournalLocation, filters: Filters) -> tuple[HistoryEntry, ...]:
    """The newest entries that the filters name (all but `kind`, `structure` and `only_open`), newest first."""
    nothing: tuple[HistoryEntry, ...] = ()
    return read_only(path, lambda tx: _newest(tx, filters), missing=nothing)


def _newest(tx: sa.Connection, filters: Filters) -> tuple[HistoryEntry, ...]:
    found: list[HistoryEntry] = []
    for day in _days(tx, filters):
        entries = _of_day(exit_rows(tx, _only(filters, day), _CANCEL))
        found += sorted((each for each in entries if _matches(each, filters)), key=lambda each: each.row, reverse=True)
        if filters.limit is not None and len(found) >= filters.limit:
            break
    return tuple(found[: filters.limit])


def _only(filters: Filters, day: str) -> Filters:
    return Filters(account=filters.account, day=day)


def _matches(entry: HistoryEntry, filters: Filters) -> bool:
    is_later = filters.before is not None and entry.row >= filters.before
    return not is_later and is_wanted(entry.symbol, entry.reason, filters)


def _days(tx: sa.Connection, filters: Filters) -> Iterator[str]:
    """The dates on record that the filters name, newest first, each found with one step in the index."""
    if filters.day:
        yield filters.day
        return
    newest = sa.select(sa.func.max(audit.c.day))
    if filters.before is not None:
        newest = sa.select(audit.c.day).where(audit.c.seq < filters.before).order_by(audit.c.seq.desc()).limit(1)
    day = tx.scalar(newest)
    while day and day >= filters.since:
        yield day
        day = tx.scalar(sa.select(sa.func.max(audit.c.day)).where(audit.c.day < day))


def _of_day(rows: Iterable[AuditRow]) -> Iterator[HistoryEntry]:
    """The entries of one date's rows."""
    accounts: defaultdict[tuple[str, int], _OfAccount] = defaultdict(_OfAccount)
    for account, row in by_broker_account(rows):
        accounts[account].take(row)
    for each in accounts.values():
        yield from each.entries()


def _entry_of(one: Exit) -> HistoryEntry:
    """The line of an exit."""
    return HistoryEntry(
        one.row,
        one.last_at,
        one.account,
        one.symbol,
        one.reason,
        one.kind,
        one.sentence,
        qty=one.qty if one.is_filled else one.asked,
        held=one.held if one.is_filled else None,
        price=one.price,
        pnl=one.pnl,
    )


def _cancelled(row: AuditRow, why: str, qty: Decimal | None, limit: Decimal | None) -> HistoryEntry:
    kind = HistoryKind.CANCELLED_STALE if why.startswith(_STALE) else HistoryKind.CANCELLED
    why = f"{why.removeprefix(f'{_STALE}: ')}{'' if limit is None else f' (limit {as_dollars(limit)})'}"
    at = dt.datetime.fromisoformat(row.at)
    return HistoryEntry(row.seq, at, row.account, row.symbol, row.reason, kind, why, qty=qty)


@dataclass(slots=True)
class _Unsent:
    """An exit that was due and not sent, from its entry on until it was last seen so."""

    entry: HistoryEntry
    until: dt.datetime
    is_halted: bool = False  # whether a halt was among the reasons

    def goes_on_in(self, later: HistoryEntry) -> bool:
        """Whether a later entry follows within OVER, or says the same, perhaps with other numbers."""
        says_the_same = without_numbers(self.entry.why) == without_numbers(later.why)
        return self.entry.kind is later.kind and (says_the_same or later.at - self.until < OVER)

    def is_part_of(self, one: Exit) -> bool:
        """Whether an exit for the same reason went before it or followed it within OVER. What a halt held never is."""
        if self.is_halted:
            return False
        ours, same = self.entry, {one.symbol, *legs_of(one.symbol)}
        if ours.symbol not in same or (ours.account, ours.reason) != (one.account, one.reason):
            return False
        return one.began - OVER <= self.until and ours.at <= one.last_at + OVER


@dataclass(slots=True)
class _UnsentExits:
    """The exits that were due and not sent, by account, symbol or structure, and reason."""

    _found: dict[tuple[str, str, str], list[_Unsent]] = field(default_factory=dict)

    def take(self, row: AuditRow, plan: Plan) -> None:
        """Add what a plan did not send."""
        for decision in plan.unsent:
            if decision.signal is not None:
                self._add(_unsent(row, decision, decision.signal), is_halted=decision.is_halted)

    def _add(self, entry: HistoryEntry, *, is_halted: bool) -> None:
        """Add an entry, or continue the last one, which then says what is in the way now, or that a halt was."""
        known = self._found.setdefault((entry.account, entry.symbol, entry.reason), [])
        if not known or not known[-1].goes_on_in(entry):
            known.append(_Unsent(entry, entry.at, is_halted))
            return
        last = known[-1]
        if is_halted or not last.is_halted:
            last.entry = replace(last.entry, why=entry.why)
        last.is_halted = last.is_halted or is_halted
        last.until = entry.at

    def entries(self, exits: Iterable[Exit]) -> Iterator[HistoryEntry]:
        """Those that are no part of an exit that was sent."""
        sent = tuple(exits)
        for unsent in chain.from_iterable(self._found.values()):
            if not any(unsent.is_part_of(one) for one in sent):
                yield unsent.entry


@dataclass(slots=True)
class _OfAccount:
    """The rows of one of the broker's accounts, and the entries that they make."""

    _exits: ExitCollector = field(default_factory=ExitCollector)
    _unsent: _UnsentExits = field(default_factory=_UnsentExits)
    _cancels: list[AuditRow] = field(default_factory=list)
    # quantity and limit of what is cancelled, by client order id
    _orders: dict[str, tuple[Decimal | None, Decimal | None]] = field(default_factory=dict)

    def take(self, row: AuditRow) -> None:
        """Add one row."""
        if row.kind == _CANCEL:
            self._cancels.append(row)
        elif row.kind == PLAN:
            snapshot, plan = unpack(row)
            self._exits.take_plan(row, snapshot, plan)
            self._unsent.take(row, plan)
            self._orders |= {c.order.client_order_id: (c.order.qty, c.order.limit_price) for c in plan.cancels}
        else:
            self._exits.take(row)

    def entries(self) -> Iterator[HistoryEntry]:
        """The entries of all rows that were added."""
        sent = self._exits.exits()
        yield from map(_entry_of, sent)
        yield from self._unsent.entries(sent)
        for row in self._cancels:
            why = str(row.body.get("why", ""))
            if why.startswith(_STALE) or not row.client_order_id.startswith(OUR_PREFIX):
                yield _cancelled(row, why, *self._orders.get(row.client_order_id, (None, None)))


def _unsent(row: AuditRow, decision: PositionDecision, signal: ExitSignal) -> HistoryEntry:
    symbol = decision.holding.symbol
    name = decision.as_one or signal.structure or symbol
    at, kind = dt.datetime.fromisoformat(row.at), _UNSENT[decision.state]
    qty = signal.qty if name == symbol else None
    return HistoryEntry(row.seq, at, row.account, name, signal.reason, kind, decision.sentence, qty=qty)
