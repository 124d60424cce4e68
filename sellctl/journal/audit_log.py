"""The append-only audit: rows chained by hash, and the head file, which names the newest row."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sellctl.core.errors import JournalError, SellctlError
from sellctl.core.model.market import NEW_YORK
from sellctl.journal.backend import Backend, Write
from sellctl.journal.chain import GAP, START, ChainLink, as_cell, canonical, row_hash
from sellctl.journal.error_types import JournalHeadError
from sellctl.journal.errors import journal_error, map_errors
from sellctl.journal.head import Head, HeadFile, read_head
from sellctl.journal.schema import audit

_NEWEST = sa.select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)


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
    """The rows that one transaction appends, and other writes in the same transaction."""

    write: Write
    last: ChainLink
    _append: Callable[[Write, Entry, dt.datetime | None, ChainLink], ChainLink]

    def append(self, entry: Entry, at: dt.datetime | None = None) -> ChainLink:
        """Append one row with time `at`, by default the broker's time now."""
        self.last = self._append(self.write, entry, at, self.last)
        return self.last

    @property
    def tx(self) -> sa.Connection:
        """The transaction, for SQLAlchemy's statements."""
        return self.write.tx

    def execute(self, statement: str, values: Sequence[object]) -> None:
        """Execute a compiled statement. Its error may come only when the transaction is committed."""
        self.write.execute(statement, values)

    def fetch(self, statement: str, values: Sequence[object]) -> Sequence[Any] | None:
        """The first row of a compiled query; None without one."""
        return self.write.fetch(statement, values)

    def require(self, query: str, values: Sequence[object], refusal: SellctlError) -> None:
        """Refuse the transaction with this error unless a query has a row; the error may come with the commit."""
        self.write.require(query, values, refusal)


def _ignore_step(_step: str) -> None:
    """The default `step` of a log: does nothing."""


def _unchanged(text: str) -> str:
    return text


class AuditLog:
    """The audit in one database. `now` is the broker's clock; several processes may share the database.

    `redact` masks known secrets in the bodies of rows. `step` is called with the name of each stage of a write: the
    fault bench kills the process there. `alarm` is what was wrong with the journal when it was opened; "" for nothing.
    """

    def __init__(
        self,
        database: Backend,
        now: Callable[[], dt.datetime],
        *,
        redact: Callable[[str], str] = _unchanged,
        step: Callable[[str], None] = _ignore_step,
    ) -> None:
        self.database = database
        self.location = database.location
        self.alarm = ""
        self.step = step
        self._closed = False
        self._now = now
        self._redact = redact
        self._append_statement = database.statements.append
        with map_errors(database.head_base):
            head, fault = _head_or_fault(database.head_base)
            self._head = HeadFile(database.head_base)
        self._catch_up(head, fault)

    def close(self) -> None:
        """Close the files; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        with map_errors(self.database.head_base):
            self._head.close()
        self.database.close()

    def _catch_up(self, head: Head | None, fault: str) -> None:
        """Move the head to the last row after a crash; when it is ahead of the rows, record that rows are missing."""
        with self.database.reading() as tx:
            last = last_link(tx)
            is_new_here = head is None and self.database.has_its_own_head
            fault = fault or ("" if is_new_here else _disagreement(tx, head, last))
        if not fault:
            self._head.write(last)
            return
        self.alarm = self._loss(fault)
        self.append(Entry("", GAP, {"sentence": self.alarm, "head": head and head.link, "found": last}))

    def _loss(self, fault: str) -> str:
        return f"The journal {self.location} may have lost rows: {fault}."

    @contextmanager
    def appending(self) -> Iterator[Batch]:
        """One transaction for rows and related writes: on disk when the block has ended, undone when it raised.

        The head is written after the commit: after a crash it may be behind the rows, but is never ahead of them.
        """
        with self.database.appending() as write:
            before = write.last
            batch = Batch(write, before, self._append)
            if write.fault:
                batch.append(Entry("", GAP, {"sentence": self._loss(write.fault), "found": before}))
            yield batch
            if batch.last != before:
                write.append_to(batch.last)
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

    def _append(self, write: Write, entry: Entry, at: dt.datetime | None, before: ChainLink) -> ChainLink:
        row = self._row(entry, at or self._now(), before)
        write.execute(self._append_statement, row)
        return ChainLink(before.seq + 1, str(row[-1]))

    def _row(self, entry: Entry, at: dt.datetime, before: ChainLink) -> tuple[object, ...]:
        body = self._redact(canonical(entry.body))
        facts = (entry.account, entry.kind, entry.symbol, entry.reason, entry.client_order_id, exchange_day(at), body)
        cells = (utc_text(at), *map(as_cell, facts), before.hash)
        return (before.seq + 1, *cells, row_hash(before.seq + 1, cells))

    def _move_head(self, last: ChainLink) -> None:
        try:
            self._head.write(last)
        except OSError as error:
            found = journal_error(error, self._head.path)
            raise JournalHeadError(found.sentence, hint=found.hint) from error


def last_link(tx: sa.Connection) -> ChainLink:
    """The newest row's number and hash; START when there is none."""
    row = tx.execute(_NEWEST).first()
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
