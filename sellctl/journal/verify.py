"""Checks that all audit rows exist and are unchanged: the chain, its start, the head, and the file itself.

The tables that are derived from the rows must follow from them, and the file must hold the triggers that protect them
and nothing else. A file of an older program is checked for these two after its migration.

The hashes need no key: they reveal accidents and careless edits. Whoever can rewrite both the file and the head can
forge them; a copy of the head kept elsewhere guards against that.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sellctl.core.errors import JournalError
from sellctl.journal.chain import ARCHIVED, CELLS, GAP, START, ChainBreak, ChainLink, follow
from sellctl.journal.database import read_only
from sellctl.journal.derived import Derived
from sellctl.journal.error_types import JournalConnectionError
from sellctl.journal.errors import map_errors
from sellctl.journal.head import Head, read_head
from sellctl.journal.location import JournalLocation, PostgresLocation
from sellctl.journal.migrations import STEPS, version_of
from sellctl.journal.schema import audit, objects

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Verification:
    """The result: `rows` were read, `fault` is "" when all are intact, `row` is the first bad one (0: none)."""

    rows: int
    fault: str = ""
    row: int = 0

    @property
    def sentence(self) -> str:
        """The result as the user reads it."""
        if self.fault:
            return f"The journal is not intact: {self.fault}."
        return f"journal intact: {self.rows} {'entry' if self.rows == 1 else 'entries'}"


def verify(location: JournalLocation) -> Verification:
    """Check a journal, or an archive of one, from its first row to its head.

    JournalConnectionError when its database can't be reached: that says nothing about the journal.
    """
    try:
        if not isinstance(location, Path):
            return read_only(location, lambda tx: _check_postgres(tx, location), missing=Verification(0))
        path = location
        head = read_head(path)  # before the rows: a running writer may add rows meanwhile
        return read_only(path, lambda tx: _check(tx, path, head), missing=_without_rows(path, head))
    except JournalConnectionError:
        raise
    except JournalError as error:
        return Verification(0, str(error).rstrip("."))


def _without_rows(path: Path, head: Head | None) -> Verification:
    if head is None or head.link == START:
        return Verification(0)
    return Verification(0, f"{path} is gone or empty, and the head names row {head.link.seq}", 1)


class _Reader:
    """Reads the rows in order, and collects what the checks need."""

    def __init__(self, location: JournalLocation, head: Head | None, of_host: Head | None = None) -> None:
        self.location = location
        self.head = head
        self.of_host = of_host  # the head file of this host, beside a database that has a head of its own
        self.last = START
        self.count = 0
        self.hash_at_head: str | None = None
        self.hash_at_host: str | None = None
        self.gap: ChainBreak | None = None
        self.archived: list[ChainLink] = []  # the last row of each archive
        self.derived = Derived()

    def read(self, rows: Iterator[Mapping[str, Any]], start: ChainLink) -> ChainBreak | None:
        """Follow the chain to its end or to its first break."""
        for step in follow(self._observed(rows), start):
            if isinstance(step, ChainBreak):
                return step
            self.last = step
            self.count += 1
            if self.head and step.seq == self.head.link.seq:
                self.hash_at_head = step.hash
            if self.of_host and step.seq == self.of_host.link.seq:
                self.hash_at_host = step.hash
        return None

    def _observed(self, rows: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for row in rows:
            yield row
            # From here on the chain has confirmed this row.
            self.derived.take(row)
            if row["kind"] == ARCHIVED:
                self.archived.append(ChainLink(**json.loads(row["body"])["last"]))
            elif row["kind"] == GAP and self.gap is None:
                sentence = json.loads(row["body"])["sentence"]
                self.gap = ChainBreak(row["seq"], f"row {row['seq']} records: {sentence}".rstrip("."))


def _check(tx: sa.Connection, path: Path, head: Head | None) -> Verification:
    reader = _Reader(path, head)
    start = _start(tx)
    broken = _chain_fault(tx, reader, start) or _file_fault(tx, reader)
    if not broken and version_of(tx) == len(STEPS):
        broken = _schema_fault(tx) or _derived_fault(tx, reader, start)
    return Verification(reader.count, broken.why, broken.seq) if broken else Verification(reader.count)


def _check_postgres(tx: sa.Connection, location: PostgresLocation) -> Verification:
    """The same on a server: the head is in the database, and this host's head file may name an earlier row too."""
    from sellctl.journal.postgres import checks  # noqa: PLC0415  loads the driver

    reader = _Reader(location, checks.head_in(tx), checks.head_of_this_host(tx, location))
    start = _start(tx)
    broken = _chain_fault(tx, reader, start)
    if not broken and (why := checks.schema_fault(tx)):
        broken = ChainBreak(0, why)
    broken = broken or _derived_fault(tx, reader, start)
    return Verification(reader.count, broken.why, broken.seq) if broken else Verification(reader.count)


def _chain_fault(tx: sa.Connection, reader: _Reader, start: ChainLink) -> ChainBreak | None:
    """The first fault in the rows, at their start, or at their end."""
    try:
        with map_errors(reader.location):
            broken = reader.read(_rows(tx), start)
    except JournalError as error:
        broken = ChainBreak(reader.last.seq + 1, f"row {reader.last.seq + 1} can't be read: {error}".rstrip("."))
    return broken or _start_fault(reader, start) or _head_fault(reader) or _host_fault(reader) or reader.gap


def _rows(tx: sa.Connection) -> Iterator[Mapping[str, Any]]:
    statement = sa.select(audit.c.seq, *(audit.c[cell] for cell in CELLS), audit.c.hash).order_by(audit.c.seq)
    with tx.execute(statement, execution_options={"yield_per": _CHUNK}) as found:
        yield from map(dict, found.mappings())


def _start(tx: sa.Connection) -> ChainLink:
    """The row that the first row names as the one before it."""
    first = tx.execute(sa.select(audit.c.seq, audit.c.prev_hash).order_by(audit.c.seq).limit(1)).first()
    return START if first is None or first[0] <= 1 else ChainLink(first[0] - 1, str(first[1]))


def _start_fault(reader: _Reader, start: ChainLink) -> ChainBreak | None:
    """Rows may be missing at the start only when a later row or the head records that they were archived."""
    if start == START or start in reader.archived or (reader.head and start == reader.head.after):
        return None
    return ChainBreak(1, "row 1 is missing")


def _head_fault(reader: _Reader) -> ChainBreak | None:
    """The head may be behind the rows after a crash, but not ahead, and its hash must be that of the row it names."""
    head, last = reader.head, reader.last
    if head is None:
        return ChainBreak(last.seq, "the head file is missing") if reader.count else None
    if head.link.seq > last.seq:
        return ChainBreak(last.seq + 1, f"row {last.seq + 1} is missing: the head names row {head.link.seq}")
    if head.link != START and reader.hash_at_head != head.link.hash:
        return ChainBreak(head.link.seq, f"row {head.link.seq} is not the one that the head names")
    return None


def _host_fault(reader: _Reader) -> ChainBreak | None:
    """The row that this host has seen last must be there: a database restored from a backup has its own old head.

    Rows before the first one on record were archived.
    """
    link = reader.of_host.link if reader.of_host else START
    if link == START or link.seq <= reader.last.seq - reader.count or reader.hash_at_host == link.hash:
        return None
    return ChainBreak(link.seq, f"row {link.seq}, which this host has recorded, is missing or another one")


def _file_fault(tx: sa.Connection, reader: _Reader) -> ChainBreak | None:
    """SQLite's own check, which also finds an index that contradicts its rows."""
    found = tx.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
    return None if found == "ok" else ChainBreak(0, f"{reader.location} is damaged ({found})")


def _schema_fault(tx: sa.Connection) -> ChainBreak | None:
    """A trigger, view, table or index that is missing, changed or not sellctl's. SQLite's own begin with sqlite_."""
    expected = objects()
    query = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    found = {str(name): str(sql) for name, sql in tx.exec_driver_sql(query)}
    unexpected = [name for name, sql in found.items() if name not in expected or expected[name] not in {"", sql}]
    if unexpected:
        return ChainBreak(0, f"{unexpected[0][:60]!r} isn't sellctl's: the file was changed")
    missing = [name for name in expected if name not in found]
    return ChainBreak(0, f"'{missing[0]}' is missing: the file was changed") if missing else None


def _derived_fault(tx: sa.Connection, reader: _Reader, start: ChainLink) -> ChainBreak | None:
    fault = reader.derived.fault(tx, whole=start == START)
    return ChainBreak(0, fault) if fault else None
