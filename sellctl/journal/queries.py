"""Queries of the history: answered without a lock and without a byte written."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from sellctl.core.model.instrument import underlying_of
from sellctl.core.model.plan import MOST_LEGS, Plan
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.structures.names import legs_of, underlying_named
from sellctl.journal import codec
from sellctl.journal.account_numbers import number_of
from sellctl.journal.database import read_only
from sellctl.journal.derived import INTENT
from sellctl.journal.location import JournalLocation
from sellctl.journal.schema import audit, episodes, fills, unresolved

PAGE = 50
PACKED = "packed"  # the key of the packed snapshot and plan in the body of a plan's row
PACKED_ONCE = "frozen"  # the same key in rows of format 1
STRUCTURE = "structure"  # the key in the body of an intent: the structure of which a leg is closed
START = "start"  # the kind of the row that a process begins with
MODES = "modes"  # the key in its body: paper, simulated or live by account
_INDEXED = ("client_order_id", "symbol", "day", "reason", "account")  # the filter that leaves the fewest rows first


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows to return; "" matches all. `before` is the last row of the previous page; `limit` None: all.

    `since` is the first exchange date to return, in ISO format.
    `structure` returns the rows of orders that close a leg of this structure by itself, and that order's other rows.
    `names` stand in place of `symbol`: those that one structure may have been recorded under. So does `underlying`: it
    and all options and structures on it.
    """

    symbol: str = ""
    names: tuple[str, ...] = ()
    underlying: str = ""
    account: str = ""
    reason: str = ""
    day: str = ""
    since: str = ""
    client_order_id: str = ""
    kind: str = ""
    structure: str = ""
    only_open: bool = False
    before: int | None = None
    limit: int | None = PAGE


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One audit row, with its body decoded and without its hashes."""

    seq: int
    at: str
    account: str
    kind: str
    symbol: str
    reason: str
    client_order_id: str
    day: str
    body: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        """The row without the packed snapshot of a plan, which is for replay."""
        body = {key: value for key, value in self.body.items() if key not in {PACKED, PACKED_ONCE}}
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"body": body}


COLUMNS = [audit.c[name] for name in AuditRow.__dataclass_fields__]


def history(path: JournalLocation, filters: Filters) -> tuple[AuditRow, ...]:
    """One page of the history, newest first.

    The symbol of a leg also returns what was recorded of its structures, and the name of a structure what was of its
    legs, or of parts of it, while they closed it by themselves.
    """
    return read_only(path, lambda tx: _with_related(tx, filters), missing=())


def _with_related(tx: sa.Connection, filters: Filters) -> tuple[AuditRow, ...]:
    """The newest rows of the filters and of the related ones, newest first: each in a query that needs no sorting."""
    if filters.underlying:
        return page(tx, filters)
    wanted = [replace(filters, symbol=name, names=()) for name in filters.names or (filters.symbol,)]
    related = [replace(each, symbol=name) for each in wanted for name in _structures_with(tx, each.symbol)]
    related += [
        replace(each, symbol=name, structure=each.symbol)
        for each in wanted
        for name in (*legs_of(each.symbol), *_parts_of(tx, each.symbol))
    ]
    rows = [row for each in (*wanted, *related) for row in page(tx, each)]
    return tuple(sorted(rows, key=lambda row: row.seq, reverse=True)[: filters.limit])


def _structures_with(tx: sa.Connection, symbol: str) -> Iterator[str]:
    """The names on record of the structures with this leg."""
    if symbol and not legs_of(symbol):
        yield from (name for name in _structures_on(tx, symbol) if symbol in legs_of(name))


def _parts_of(tx: sa.Connection, structure: str) -> Iterator[str]:
    """The names on record of parts of a structure that has more legs than one order may have."""
    legs = frozenset(legs_of(structure))
    if len(legs) > MOST_LEGS:
        yield from (name for name in _structures_on(tx, min(legs)) if frozenset() < frozenset(legs_of(name)) < legs)


def _structures_on(tx: sa.Connection, symbol: str) -> Iterator[str]:
    """The names on record of structures on the same underlying, each found with one step in the index."""
    name, end = f"{underlying_of(symbol)}-", f"{underlying_of(symbol)}."  # a full stop follows the hyphen
    while name := tx.scalar(sa.select(sa.func.min(audit.c.symbol)).where(audit.c.symbol > name, audit.c.symbol < end)):
        yield name


def _names_on(tx: sa.Connection, underlying: str) -> frozenset[str]:
    """The names on record of an underlying, and of options and structures on it."""
    return frozenset(name for name in _names(tx) if underlying_named(name) == underlying)


def _names(tx: sa.Connection) -> Iterator[str]:
    """The symbols and structures on record, each found with one step in the index."""
    name: str | None = ""
    while name := tx.scalar(sa.select(sa.func.min(audit.c.symbol)).where(audit.c.symbol > (name or ""))):
        yield name


def page(tx: sa.Connection, filters: Filters) -> tuple[AuditRow, ...]:
    """The newest rows that the filters name, newest first."""
    conditions = _conditions(filters)
    if filters.underlying:
        conditions.append(audit.c.symbol.in_(sorted(_names_on(tx, filters.underlying))))
    if filters.before is not None:
        conditions.append(audit.c.seq < filters.before)
    if filters.since:
        conditions += _since(filters.since)
    if filters.structure:
        named = audit.c.body.contains(f'"{STRUCTURE}":"{filters.structure}"', autoescape=True)
        of_a_leg = (audit.c.symbol == filters.symbol, audit.c.kind == INTENT, named)
        conditions.append(audit.c.client_order_id.in_(sa.select(audit.c.client_order_id).where(*of_a_leg)))
    if filters.only_open:
        conditions.append(audit.c.seq.in_(sa.select(unresolved.c.seq)))
    statement = sa.select(*COLUMNS).where(*conditions).order_by(audit.c.seq.desc()).limit(filters.limit)
    return tuple(as_row(row) for row in tx.execute(statement))


def _since(day: str) -> tuple[sa.ColumnElement[bool], ...]:
    """The rows of a date and later ones: from its first row on, which one step in the index finds.

    Around midnight a row may have the date of its neighbours, so each is compared too.
    """
    first_row = sa.select(audit.c.seq).where(audit.c.day >= day).order_by(audit.c.day, audit.c.seq).limit(1)
    return audit.c.seq >= first_row.scalar_subquery(), audit.c.day + "" >= day


def _conditions(filters: Filters) -> list[sa.ColumnElement[bool]]:
    """The most selective filter by its index, the others compared row by row.

    SQLite has no statistics on how rare a value is, and might choose the index of a common one. An expression in place
    of a column excludes the column's index.
    """
    given = [name for name in _INDEXED if getattr(filters, name)]
    indexed = given[:2] if given[:1] == ["reason"] else given[:1]  # reason and account have an index of both
    compared = [*given[len(indexed) :], *(["kind"] if filters.kind else [])]
    return [
        *(audit.c[name] == getattr(filters, name) for name in indexed),
        *(audit.c[name] + "" == getattr(filters, name) for name in compared),
    ]


def as_row(row: sa.Row[Any]) -> AuditRow:
    """A row of COLUMNS, decoded."""
    facts = row._asdict()
    return AuditRow(**{**facts, "body": json.loads(facts["body"])})


def unpack(row: AuditRow) -> tuple[Snapshot, Plan]:
    """The snapshot and the plan that a row of kind `plan` holds, equal in every field to what was decided (D4)."""
    return codec.unpack(row.body[PACKED if PACKED in row.body else PACKED_ONCE])


def realised(tx: sa.Connection, account: str, day: str) -> Decimal | None:
    """Profit in dollars of one exchange date's fills; 0 without any, None when one can't be valued.

    A fill is valued against the entry price in its intent; fills of orders by others are not in the journal. Those of
    another account that was behind the name before don't count.
    """
    columns = (fills.c.client_order_id, fills.c.filled_qty, fills.c.price)
    statement = sa.select(*columns).where(fills.c.account == account, fills.c.day == day)
    total, first_row_seq = Decimal(0), number_of(tx, account).first_row_seq
    for client_order_id, qty, price in tx.execute(statement):
        intents = page(tx, Filters(client_order_id=client_order_id, account=account, kind="intent", limit=1))
        if intents and intents[0].seq < first_row_seq:
            continue
        intent = intents[0].body if intents else {}
        if not price or not intent.get("entry"):
            return None
        total += (Decimal(price) - Decimal(intent["entry"])) * Decimal(qty) * Decimal(intent["unit"])
    return total


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the journal knows of accounts: their names, the reasons on record, and whether they were paper or live."""

    accounts: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    _starts: tuple[tuple[int, Mapping[str, str]], ...] = ()  # row and modes by account, newest first

    def mode_at(self, account: str, row: int) -> str:
        """Whether an account was paper or live when a row was written; "" when no start on record says so."""
        return next((modes[account] for seq, modes in self._starts if seq <= row and account in modes), "")


def recorded(path: JournalLocation) -> Recorded:
    """What the journal knows of accounts; nothing without a journal."""
    return read_only(path, _recorded, missing=Recorded())


def recorded_names(path: JournalLocation) -> frozenset[str]:
    """The symbols and structures that the journal knows: of its rows, and those that are held."""
    nothing = frozenset[str]()
    held = sa.select(episodes.c.symbol)
    return read_only(path, lambda tx: frozenset((*_names(tx), *tx.scalars(held))), missing=nothing)


def _recorded(tx: sa.Connection) -> Recorded:
    names = {column: frozenset(tx.scalars(sa.select(audit.c[column]).distinct())) for column in ("account", "reason")}
    starts = page(tx, Filters(kind=START, limit=None))
    return Recorded(
        names["account"] - {""}, names["reason"] - {""}, tuple((r.seq, r.body.get(MODES, {})) for r in starts)
    )
