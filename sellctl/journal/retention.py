"""Old rows move to an archive that verifies by itself; what stays says in the chain what left and where it ends.

The archive is whole on disk, and checked, before the first row leaves; killed anywhere between, the next call does the
same again. This is the only path on which audit rows leave the journal.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sellctl.core.errors import JournalError
from sellctl.journal.chain import ARCHIVED, Link
from sellctl.journal.database import Database
from sellctl.journal.errors import told_clearly
from sellctl.journal.head import Head, head_path, write_new_head
from sellctl.journal.schema import LIFT_REFUSE_DELETE, REFUSE_DELETE, audit, places, unresolved
from sellctl.journal.store import Entry, SqliteJournal
from sellctl.journal.verify import verify

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Archive:
    """What was moved, and where it is."""

    path: Path
    rows: int
    last: Link


def prune(journal: SqliteJournal, before: dt.date) -> Archive | None:
    """Move the rows of days before this one into an archive beside the journal; None when there are none.

    What an unresolved order of ours still needs stays, and so does the newest row.
    """
    with journal.database.reading() as tx:
        last = _last_to_move(tx, before.isoformat())
        if last is None:
            return None
        first = tx.execute(sa.select(audit).order_by(audit.c.seq).limit(1)).mappings().one()
    after = Link(first["seq"] - 1, first["prev_hash"])
    path = journal.path.with_name(f"{journal.path.stem}-{first['seq']}-{last.seq}.archive.sqlite")
    archive = Archive(path, last.seq - after.seq, last)
    _fill(journal, archive, after)
    _let_go(journal, archive, after)
    return archive


def _last_to_move(tx: sa.Connection, day: str) -> Link | None:
    """The last row of the oldest stretch that may go."""
    kept = [
        tx.scalar(sa.select(sa.func.min(audit.c.seq)).where(audit.c.day >= day)),
        tx.scalar(sa.select(sa.func.min(unresolved.c.seq))),
        tx.scalar(sa.select(sa.func.max(audit.c.seq))),
    ]
    limit = min((seq for seq in kept if seq is not None), default=0)
    asked = sa.select(audit.c.seq, audit.c.hash).where(audit.c.seq < limit).order_by(audit.c.seq.desc()).limit(1)
    row = tx.execute(asked).first()
    return Link(row[0], row[1]) if row else None


def _fill(journal: SqliteJournal, archive: Archive, after: Link) -> None:
    """Write the archive and check it; a half-written one of an earlier try is replaced."""
    for stale in (archive.path, head_path(archive.path)):
        stale.unlink(missing_ok=True)
    copy = Database(archive.path, busy_timeout=0)
    low = after.seq
    while rows := _chunk(journal, low, archive.last.seq):
        with copy.writing() as tx:
            tx.execute(sa.insert(audit), rows)
        low = rows[-1]["seq"]
    copy.close()
    with told_clearly(archive.path):
        write_new_head(archive.path, Head(archive.last, after))
    if fault := verify(archive.path).fault:
        raise JournalError(f"The archive {archive.path} does not hold: {fault}.", hint="Nothing was moved.")


def _chunk(journal: SqliteJournal, low: int, high: int) -> Sequence[dict[str, Any]]:
    asked = sa.select(audit).where(audit.c.seq > low, audit.c.seq <= high).order_by(audit.c.seq).limit(_CHUNK)
    with journal.database.reading() as tx:
        return [dict(row) for row in tx.execute(asked).mappings()]


def _let_go(journal: SqliteJournal, archive: Archive, after: Link) -> None:
    """Delete what the archive holds and say so in the chain, in one transaction."""
    body = {"first": after.seq + 1, "last": archive.last, "rows": archive.rows, "file": archive.path.name}
    with journal.adding(Entry("", ARCHIVED, body)) as tx:
        tx.exec_driver_sql(LIFT_REFUSE_DELETE)
        tx.execute(sa.delete(audit).where(audit.c.seq <= archive.last.seq))
        tx.exec_driver_sql(REFUSE_DELETE)
        tx.execute(sa.delete(places).where(places.c.seq <= archive.last.seq))
