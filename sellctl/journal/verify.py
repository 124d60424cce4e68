"""Whether the audit rows are all there and as they were written: the chain, its start, the head, and the file itself.

The hashes need no key: they show accidents and careless edits. Who can rewrite the whole file and the head can forge
both; an anchor against that is a copy of the head elsewhere.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sellctl.core.errors import JournalError
from sellctl.journal.chain import ARCHIVED, CELLS, GAP, START, Break, Link, follow
from sellctl.journal.database import look
from sellctl.journal.errors import told_clearly
from sellctl.journal.head import Head, read_head
from sellctl.journal.schema import audit

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Verification:
    """What the check found: `fault` is "" when everything holds, `row` is the first row that doesn't (0: none)."""

    rows: int
    fault: str = ""
    row: int = 0

    @property
    def sentence(self) -> str:
        """The result as the user reads it."""
        if self.fault:
            return f"The journal does not hold: {self.fault}."
        return f"The journal holds: {self.rows} rows, each following from the one before, and the head."


def verify(path: Path) -> Verification:
    """Check a journal, or an archive of one, from its first row to its head."""
    try:
        head = read_head(path)  # before the rows: a running writer may only get ahead of it
        return look(path, lambda tx: _check(tx, path, head), missing=_nothing_there(path, head))
    except JournalError as error:
        return Verification(0, str(error).rstrip("."))


def _nothing_there(path: Path, head: Head | None) -> Verification:
    if head is None or head.link == START:
        return Verification(0)
    return Verification(0, f"{path} is gone or empty, and the head names row {head.link.seq}", 1)


class _Reader:
    """The rows in order, and what is noticed on the way."""

    def __init__(self, path: Path, head: Head | None) -> None:
        self.path = path
        self.head = head
        self.last = START
        self.count = 0
        self.at_head: str | None = None
        self.gap: Break | None = None
        self.vouched: list[Link] = []

    def read(self, rows: Iterator[Mapping[str, Any]], start: Link) -> Break | None:
        """Follow the chain to its end or to its first break."""
        for step in follow(self._noticed(rows), start):
            if isinstance(step, Break):
                return step
            self.last = step
            self.count += 1
            if self.head and step.seq == self.head.link.seq:
                self.at_head = step.hash
        return None

    def _noticed(self, rows: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for row in rows:
            yield row
            if row["kind"] == ARCHIVED:  # only now: the chain has vouched for it
                body = json.loads(row["body"])
                self.vouched.append(Link(**body["last"]))
            elif row["kind"] == GAP and self.gap is None:
                self.gap = Break(
                    row["seq"], f"row {row['seq']} says: {json.loads(row['body'])['sentence']}".rstrip(".")
                )


def _check(tx: sa.Connection, path: Path, head: Head | None) -> Verification:
    reader = _Reader(path, head)
    start = _start(tx)
    try:
        with told_clearly(path):
            broken = reader.read(_rows(tx), start)
    except JournalError as error:
        broken = Break(reader.last.seq + 1, f"row {reader.last.seq + 1} can't be read: {error}".rstrip("."))
    broken = broken or _start_fault(reader, start) or _head_fault(reader) or reader.gap or _file_fault(tx, reader)
    return Verification(reader.count, broken.why, broken.seq) if broken else Verification(reader.count)


def _rows(tx: sa.Connection) -> Iterator[Mapping[str, Any]]:
    asked = sa.select(audit.c.seq, *(audit.c[cell] for cell in CELLS), audit.c.hash).order_by(audit.c.seq)
    return (dict(row) for row in tx.execution_options(yield_per=_CHUNK).execute(asked).mappings())


def _start(tx: sa.Connection) -> Link:
    """The place that the first row here says it follows."""
    first = tx.execute(sa.select(audit.c.seq, audit.c.prev_hash).order_by(audit.c.seq).limit(1)).first()
    return START if first is None or first[0] <= 1 else Link(first[0] - 1, str(first[1]))


def _start_fault(reader: _Reader, start: Link) -> Break | None:
    """Rows may be missing at the start only when a later row or the head says that they were archived."""
    if start == START or start in reader.vouched or (reader.head and start == reader.head.after):
        return None
    return Break(1, "row 1 is missing")


def _head_fault(reader: _Reader) -> Break | None:
    """The head may lag behind a crash; it never leads, and the row it names is the one that is there."""
    head, last = reader.head, reader.last
    if head is None:
        return Break(last.seq, "the head file is missing") if reader.count else None
    if head.link.seq > last.seq:
        return Break(last.seq + 1, f"row {last.seq + 1} is missing: the head names row {head.link.seq}")
    if head.link != START and reader.at_head != head.link.hash:
        return Break(head.link.seq, f"row {head.link.seq} is not the one that the head names")
    return None


def _file_fault(tx: sa.Connection, reader: _Reader) -> Break | None:
    """SQLite's own check, which also sees an index that tells another story than the rows."""
    found = tx.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
    return None if found == "ok" else Break(0, f"{reader.path} is damaged ({found})")
