"""Moves old rows into an archive that verifies on its own; a row in the journal's chain names what was moved.

The archive is complete on disk, and verified, before the first row is deleted; after a kill in between, the next call
starts over. Nothing else deletes audit rows.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sellctl.core.errors import JournalError
from sellctl.journal.audit_log import Entry
from sellctl.journal.chain import ARCHIVED, ChainLink
from sellctl.journal.database import Database
from sellctl.journal.derived import Derived
from sellctl.journal.errors import map_errors
from sellctl.journal.head import Head, head_path, write_new_head
from sellctl.journal.schema import audit, unresolved
from sellctl.journal.store import SqlJournal
from sellctl.journal.verify import verify

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Archive:
    """The rows that were moved, and their file."""

    path: Path
    rows: int
    last: ChainLink


def prune(journal: SqlJournal, before: dt.date) -> Archive | None:
    """Move the rows of days before this one into an archive in this host's state folder; None when there are none.

    The oldest open intent and everything after it stays, and so does the newest row.
    """
    with journal.database.reading() as tx:
        last = _last_to_move(tx, before.isoformat())
        if last is None:
            return None
        first = tx.execute(sa.select(audit).order_by(audit.c.seq).limit(1)).mappings().one()
    after = ChainLink(first["seq"] - 1, first["prev_hash"])
    path = journal.database.folder / (f"{journal.database.head_base.stem}-{first['seq']}-{last.seq}.archive.sqlite")
    archive = Archive(path, last.seq - after.seq, last)
    _write_archive(journal, archive, after)
    _delete(journal, archive, after)
    return archive


def _last_to_move(tx: sa.Connection, day: str) -> ChainLink | None:
    """The last row that may be moved; None when there is none."""
    kept = [
        tx.scalar(sa.select(sa.func.min(audit.c.seq)).where(audit.c.day >= day)),
        tx.scalar(sa.select(sa.func.min(unresolved.c.seq))),
        tx.scalar(sa.select(sa.func.max(audit.c.seq))),
    ]
    limit = min((seq for seq in kept if seq is not None), default=0)
    statement = sa.select(audit.c.seq, audit.c.hash).where(audit.c.seq < limit).order_by(audit.c.seq.desc()).limit(1)
    row = tx.execute(statement).first()
    return ChainLink(row[0], row[1]) if row else None


def _write_archive(journal: SqlJournal, archive: Archive, after: ChainLink) -> None:
    """Write the archive and verify it, in place of what an earlier call may have left half-written."""
    for stale in (archive.path, head_path(archive.path)):
        stale.unlink(missing_ok=True)
    copy = Database(archive.path, busy_timeout=0)
    low, derived = after.seq, Derived()
    while rows := _chunk(journal, low, archive.last.seq):
        with copy.writing() as tx:
            tx.execute(sa.insert(audit), rows)
        for row in rows:
            derived.take(row)
        low = rows[-1]["seq"]
    with copy.writing() as tx:
        derived.write(tx)
    copy.close()
    with map_errors(archive.path):
        write_new_head(archive.path, Head(archive.last, after))
    if fault := verify(archive.path).fault:
        raise JournalError(f"The archive {archive.path} is not intact: {fault}.", hint="Nothing was moved.")


def _chunk(journal: SqlJournal, low: int, high: int) -> Sequence[dict[str, Any]]:
    statement = sa.select(audit).where(audit.c.seq > low, audit.c.seq <= high).order_by(audit.c.seq).limit(_CHUNK)
    with journal.database.reading() as tx:
        return [dict(row) for row in tx.execute(statement).mappings()]


def _delete(journal: SqlJournal, archive: Archive, after: ChainLink) -> None:
    """Delete the archived rows and record that in the chain, in one transaction."""
    body = {"first": after.seq + 1, "last": archive.last, "rows": archive.rows, "file": archive.path.name}
    with journal.appending() as batch:
        batch.append(Entry("", ARCHIVED, body))
        batch.tx.exec_driver_sql(journal.database.lift_refuse_delete)
        batch.tx.execute(sa.delete(audit).where(audit.c.seq <= archive.last.seq))
        batch.tx.exec_driver_sql(journal.database.restore_refuse_delete)
