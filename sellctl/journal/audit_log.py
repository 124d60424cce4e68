"""The append-only audit: rows chained by hash, and the head file, which names the newest row."""

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import dialect

from sellctl.core.errors import JournalError
from sellctl.core.model.market import NEW_YORK
from sellctl.journal.chain import GAP, START, ChainLink, canonical, row_hash, storable
from sellctl.journal.database import Database
from sellctl.journal.errors import JournalHeadError, journal_error, map_errors
from sellctl.journal.head import Head, HeadFile, read_head
from sellctl.journal.schema import audit

BUSY_TIMEOUT = 5.0  # seconds to wait for another process's transaction

# Compiled once from the tables: building a statement costs 30 us, an eighth of an order's commit.
_DIALECT = dialect()
_INSERT = str(sa.insert(audit).compile(dialect=_DIALECT))
_NEWEST = sa.select(sa.func.max(audit.c.seq)).scalar_subquery()
_LAST = str(sa.select(audit.c.seq, audit.c.hash).where(audit.c.seq == _NEWEST).compile(dialect=_DIALECT))


@dataclass(frozen=True, slots=True)
class Entry:
    """An audit row to be written; the log adds number, time, day and hashes."""

    account: str
    kind: str
    body: Mapping[str, object]
    symbol: str = ""
    reason: str = ""
    client_order_id: str = ""


@dataclass(slots=True)
class Batch:
    """The rows that one transaction appends. `tx` is for other writes in the same transaction."""

    tx: sa.Connection
    last: ChainLink
    _append: Callable[[Entry, dt.datetime | None, ChainLink], ChainLink]

    def append(self, entry: Entry, at: dt.datetime | None = None) -> ChainLink:
        """Append one row with time `at`, by default the broker's time now."""
        self.last = self._append(entry, at, self.last)
        return self.last


def _ignore_step(_step: str) -> None:
    """The default `step` of a log: does nothing."""


def _unchanged(text: str) -> str:
    return text


class AuditLog:
    """The audit of one state folder. `now` is the broker's clock; several processes may share the file.

    `redact` masks known secrets in the bodies of rows. `step` is called with the name of each stage of a write: the
    fault bench kills the process there. `alarm` is what was wrong with the file when it was opened; "" for nothing.
    """

    def __init__(
        self,
        path: Path,
        now: Callable[[], dt.datetime],
        *,
        busy_timeout: float = BUSY_TIMEOUT,
        redact: Callable[[str], str] = _unchanged,
        step: Callable[[str], None] = _ignore_step,
    ) -> None:
        self.path = path
        self.alarm = ""
        self.step = step
        self._closed = False
        self._now = now
        self._redact = redact
        self.database = Database(path, busy_timeout=busy_timeout)
        with map_errors(path):
            head, fault = _head_or_fault(path)
            self._head = HeadFile(path)
        self._catch_up(head, fault)

    def close(self) -> None:
        """Close the files; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        with map_errors(self.path):
            self._head.close()
        self.database.close()

    def _catch_up(self, head: Head | None, fault: str) -> None:
        """Move the head to the last row after a crash; when it is ahead of the rows, record that rows are missing."""
        with self.database.reading() as tx:
            last = last_link(self.database.raw)
            fault = fault or _disagreement(tx, head, last)
        if not fault:
            self._head.write(last)
            return
        self.alarm = f"The journal {self.path} may have lost rows: {fault}."
        self.append(Entry("", GAP, {"sentence": self.alarm, "head": head and head.link, "found": last}))

    @contextmanager
    def appending(self) -> Iterator[Batch]:
        """One transaction for rows and related writes: on disk when the block has ended, undone when it raised.

        The head is written after the commit: after a crash it may be behind the rows, but is never ahead of them.
        """
        with self.database.writing() as tx:
            before = last_link(self.database.raw)
            batch = Batch(tx, before, self._append)
            yield batch
            if batch.last != before:
                self.step("journal.written")
        if batch.last != before:
            self.step("journal.committed")
            self._move_head(batch.last)
            self.step("journal.headed")

    def append(self, *entries: Entry) -> None:
        """Append these rows in one transaction."""
        with self.appending() as batch:
            for entry in entries:
                batch.append(entry)

    def _append(self, entry: Entry, at: dt.datetime | None, before: ChainLink) -> ChainLink:
        row = self._row(entry, at or self._now(), before)
        self.database.raw.execute(_INSERT, row)
        return ChainLink(before.seq + 1, str(row[-1]))

    def _row(self, entry: Entry, at: dt.datetime, before: ChainLink) -> tuple[object, ...]:
        body = self._redact(canonical(entry.body))
        facts = (entry.account, entry.kind, entry.symbol, entry.reason, entry.client_order_id, exchange_day(at), body)
        cells = (utc_text(at), *map(storable, facts), before.hash)
        return (before.seq + 1, *cells, row_hash(before.seq + 1, cells))

    def _move_head(self, last: ChainLink) -> None:
        try:
            self._head.write(last)
        except OSError as error:
            found = journal_error(error, self._head.path)
            raise JournalHeadError(found.sentence, hint=found.hint) from error


def last_link(raw: sqlite3.Connection) -> ChainLink:
    """The newest row's number and hash; START when there is none."""
    row = raw.execute(_LAST).fetchone()
    return ChainLink(row[0], row[1]) if row else START


def _head_or_fault(path: Path) -> tuple[Head | None, str]:
    """The head, or why it can't be read: a damaged head is reported, but must not stop the protection of positions."""
    try:
        return read_head(path), ""
    except JournalError as error:
        return None, str(error).rstrip(".")


def _disagreement(tx: sa.Connection, head: Head | None, last: ChainLink) -> str:
    """How the head contradicts the rows; "" when it names the last row or an earlier one."""
    if head is None:
        return "" if last == START else "the head file was missing"
    recorded = tx.scalar(sa.select(audit.c.hash).where(audit.c.seq == head.link.seq))
    if head.link == START or recorded == head.link.hash:
        return ""
    return f"the head names row {head.link.seq}, and the last row found is {last.seq}"


def utc_text(at: dt.datetime) -> str:
    """An instant in the format of the `at` column: UTC, ISO 8601, with microseconds, so that texts sort by time."""
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds")


def exchange_day(at: dt.datetime) -> str:
    """The exchange's date at an instant, in the format of the `day` column."""
    return at.astimezone(NEW_YORK).date().isoformat()
