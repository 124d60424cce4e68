"""What `history --verify` and `doctor` check of a database on PostgreSQL, beyond its rows."""

import time
from dataclasses import dataclass

import sqlalchemy as sa

from sellctl.journal.chain import ChainLink
from sellctl.journal.head import Head, read_head
from sellctl.journal.location import PostgresLocation
from sellctl.journal.postgres.connection import READING, connect
from sellctl.journal.postgres.errors import map_postgres_errors
from sellctl.journal.postgres.triggers import REFUSE_CHANGE, REFUSE_DELETE, REFUSE_INSERT, TRIGGERS
from sellctl.journal.schema import meta, tables

_FUNCTIONS = {
    sql.split("FUNCTION ")[1].split("(")[0]: sql.split("$$")[1] for sql in (REFUSE_CHANGE, REFUSE_DELETE, REFUSE_INSERT)
}
_TRIGGERS = {sql.split()[2]: sql.rpartition("FUNCTION ")[2].removesuffix("()") for sql in TRIGGERS}
_FACTS = "SELECT current_setting('server_version'), current_setting('fsync'), pg_is_in_recovery()"
_OTHERS = ("chain_end", "alembic_version")  # its tables that SQLite doesn't have


def head_in(tx: sa.Connection) -> Head | None:
    """The head that lies in the database; None when its row is missing."""
    row = tx.execute(sa.text("SELECT seq, hash FROM chain_end WHERE id = 1")).first()
    return Head(ChainLink(row[0], row[1])) if row else None


def head_of_this_host(tx: sa.Connection, location: PostgresLocation) -> Head | None:
    """The head file of this host, which names the last row that it has recorded; None without one."""
    return read_head(location.folder / f"journal-{_id_of(tx)}")


def _id_of(tx: sa.Connection) -> str:
    return str(tx.scalar(sa.select(meta.c.value).where(meta.c.key == "id")))


def schema_fault(tx: sa.Connection) -> str:
    """A table, index or trigger that is missing, off or changed; "" when none is.

    What else is in the schema may be the user's or another program's.
    """
    relations = set(
        tx.scalars(sa.text("SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"))
    )
    wanted = [table.name for table in tables.sorted_tables]
    wanted += [str(index.name) for table in tables.sorted_tables for index in table.indexes]
    for name in (*wanted, *_OTHERS):
        if name not in relations:
            return f"'{name}' is missing: the database was changed"
    query = """
        SELECT t.tgname, t.tgenabled, p.proname, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE t.tgrelid = 'audit'::regclass AND NOT t.tgisinternal"""
    found = {name: (enabled, function, source) for name, enabled, function, source in tx.execute(sa.text(query))}
    for name, function in _TRIGGERS.items():
        if name not in found:
            return f"'{name}' is missing: the database was changed"
        enabled, called, source = found[name]
        if (enabled, called, source) not in {(each, function, _FUNCTIONS[function]) for each in ("O", "A")}:
            return f"'{name}' is off or not sellctl's: the database was changed"
    return ""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The server's version, how long one answer took, in seconds, and what makes its commits less than durable."""

    version: str
    seconds: float
    risk: str


def facts_of(location: PostgresLocation) -> ServerFacts:
    """What the server says of itself. JournalError when it can't be reached."""
    with map_postgres_errors(location), connect(location, READING, writes=False) as connection:
        start = time.perf_counter()
        row = connection.execute(_FACTS).fetchone()
        seconds = time.perf_counter() - start
    version, is_synced, is_standby = row or ("", "", False)
    risk = "fsync is off, so that a power cut can lose recorded orders" if is_synced == "off" else ""
    return ServerFacts(version, seconds, "it is a standby, which nothing can be written to" if is_standby else risk)
