"""Copies a whole SQLite journal into an empty database: every row as it is, so that the chain stays the same."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from psycopg import sql

from sellctl.core.errors import JournalError, SafetyRefusalError
from sellctl.journal.chain import CELLS, START, ChainBreak, ChainLink, follow
from sellctl.journal.database import Database
from sellctl.journal.errors import map_errors
from sellctl.journal.head import Head, read_head, write_new_head
from sellctl.journal.location import PostgresLocation
from sellctl.journal.postgres.connection import COPYING, Connection, connect
from sellctl.journal.postgres.database import PostgresDatabase
from sellctl.journal.postgres.errors import map_postgres_errors
from sellctl.journal.schema import audit, episodes, fills, meta, runs, unresolved

_CHUNK = 1_000
_MEMORY = (unresolved, fills, episodes, runs)
_NEXT_RUN = "SELECT setval(pg_get_serial_sequence('runs', 'id'), (SELECT COALESCE(MAX(id), 0) + 1 FROM runs), false)"
_SCHEMA = "schema"  # the key of SQLite's version of the schema, which says nothing about another database


@dataclass(frozen=True, slots=True)
class Copied:
    """How many rows of evidence were copied, and the last of them."""

    rows: int
    last: ChainLink


def copy_journal(source: Path, target: PostgresLocation, progress: Callable[[int, int], None]) -> Copied:
    """Copy a journal in one transaction: the target has all of it afterwards, or nothing.

    `progress` is called with the rows copied so far and the number of all rows. JournalError when the chain in the
    source is broken, or when another program writes to it; SafetyRefusalError when the target isn't empty. The source
    is left as it is, but for a migration of an older file.
    """
    database = PostgresDatabase(target)
    head_base = database.head_base
    database.close()
    head = read_head(source)
    origin = Database(source, busy_timeout=0)
    with (
        closing(origin),
        origin.writing() as rows_of,  # so that nobody writes to it meanwhile
        map_postgres_errors(target),
        connect(target, COPYING, writes=True) as connection,
    ):
        copied = _copy_all(rows_of, connection, target, head, progress)
    with map_errors(target.folder):
        write_new_head(head_base, Head(copied.last))
    return copied


def _copy_all(
    source: sa.Connection,
    target: Connection,
    location: PostgresLocation,
    head: Head | None,
    progress: Callable[[int, int], None],
) -> Copied:
    with target.transaction():
        _refuse_unless_empty(target, location)
        copied = _copy_audit(source, target, progress)
        if head is not None and head.link.seq > copied.last.seq:
            raise JournalError(
                f"The journal is not intact: row {copied.last.seq + 1} is missing.",
                hint="Nothing was copied; `sellctl history --verify` shows what is intact.",
            )
        for table in _MEMORY:
            _copy_table(source, target, table, sa.select(table))
        _copy_table(source, target, meta, sa.select(meta).where(meta.c.key != _SCHEMA))
        target.execute(_NEXT_RUN)
        target.execute("UPDATE chain_end SET seq = %s, hash = %s WHERE id = 1", (copied.last.seq, copied.last.hash))
    return copied


def _refuse_unless_empty(target: Connection, location: PostgresLocation) -> None:
    """SafetyRefusalError unless the target has nothing; from then on no other host appends to it."""
    target.execute("SELECT seq FROM chain_end WHERE id = 1 FOR UPDATE")
    for table in (audit, *_MEMORY):
        query = sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(sql.Identifier(table.name))
        row = target.execute(query).fetchone()
        if row and row[0]:
            raise SafetyRefusalError(
                f"The journal {location} isn't empty: its table {table.name} has rows.",
                hint="Name an empty database in journal.url. Nothing was copied.",
            )


def _copy_audit(source: sa.Connection, target: Connection, progress: Callable[[int, int], None]) -> Copied:
    """Copy the evidence, and follow its chain meanwhile."""
    first = source.execute(sa.select(audit.c.seq, audit.c.prev_hash).order_by(audit.c.seq).limit(1)).first()
    start = START if first is None or first[0] <= 1 else ChainLink(first[0] - 1, str(first[1]))
    count = source.scalar(sa.select(sa.func.count()).select_from(audit)) or 0
    columns = ("seq", *CELLS, "hash")
    statement = sa.select(*(audit.c[name] for name in columns)).order_by(audit.c.seq)
    rows = source.execution_options(yield_per=_CHUNK).execute(statement).mappings()
    last, done = start, 0
    with target.cursor().copy(_copy_into(audit, columns)) as copy:
        for row, step in _with_links(rows, start):
            if isinstance(step, ChainBreak):
                raise JournalError(
                    f"The journal is not intact: {step.why}.",
                    hint="Nothing was copied; `sellctl history --verify` shows what is intact.",
                )
            copy.write_row([row[name] for name in columns])
            last, done = step, done + 1
            if done % _CHUNK == 0:
                progress(done, count)
    progress(done, count)
    return Copied(done, last)


def _with_links(rows: Any, start: ChainLink) -> Iterator[tuple[Any, ChainLink | ChainBreak]]:
    """Each row with its link in the chain, or with why it is none."""
    taken: list[Any] = []

    def remembered() -> Iterator[Any]:
        for row in rows:
            taken[:] = [row]
            yield row

    for step in follow(remembered(), start):
        yield taken[0], step


def _copy_table(source: sa.Connection, target: Connection, table: sa.Table, query: sa.Select[Any]) -> None:
    columns = [column.name for column in table.columns]
    with target.cursor().copy(_copy_into(table, columns)) as copy:
        for row in source.execute(query).mappings():
            copy.write_row([row[name] for name in columns])


def _copy_into(table: sa.Table, columns: Sequence[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)
