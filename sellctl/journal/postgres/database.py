"""The writing connection to a journal on PostgreSQL, and queries of it.

Any number of hosts append to one chain: each append locks the row in `chain_end`, so that they follow one another. An
intent takes two round trips. The first begins the transaction, locks that row and reads the newest one; the second has
the rows and the commit.
"""

import atexit
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.pool import QueuePool, StaticPool

from sellctl.core.errors import JournalError, SellctlError
from sellctl.journal.chain import START, ChainLink
from sellctl.journal.error_types import JournalConnectionError
from sellctl.journal.location import PostgresLocation
from sellctl.journal.postgres.connection import READING, WRITING, Connection, Timeouts, engine_of
from sellctl.journal.postgres.errors import EXTERNAL_ERRORS, is_timeout, map_postgres_errors, postgres_error
from sellctl.journal.postgres.migrations import NEWEST, load_alembic, migrate, refuse_newer, version_of
from sellctl.journal.postgres.pipeline import Row, Statement, in_one_trip, required
from sellctl.journal.postgres.triggers import LIFT_REFUSE_DELETE, RESTORE_REFUSE_DELETE
from sellctl.journal.schema import meta
from sellctl.journal.statements import compiled
from sellctl.private_files import PRIVATE_FOLDER

T = TypeVar("T")

_RETRY_AFTER = 1.0  # seconds: within them a server that can't be reached is not tried again
_MIGRATION_SECONDS = 60
_QUERIES_AT_ONCE = 5
_WAIT_FOR_A_QUERY = 5.0  # seconds


def _replacing(table: sa.Table) -> sa.Insert:
    keys = [column.name for column in table.primary_key]
    statement = insert(table)
    others = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


_DIALECT: sa.Dialect = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # untyped there
_STATEMENTS = compiled(_DIALECT, _replacing)
# Not the server's default: with one snapshot for the transaction, the newest row would be that of before the lock.
_BEGIN = Statement("BEGIN ISOLATION LEVEL READ COMMITTED")
_BEGIN_READING = Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
_COMMIT, _ROLLBACK = Statement("COMMIT"), Statement("ROLLBACK")
_LOCK_END = Statement("SELECT seq, hash FROM chain_end WHERE id = 1 FOR UPDATE")
# A statement of its own, as its snapshot has to be made after the lock was granted.
_NEWEST = Statement("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
_MOVE_END = "UPDATE chain_end SET seq = $1, hash = $2 WHERE id = 1"
_HASH_AT = "SELECT hash FROM audit WHERE seq = $1"


@dataclass(slots=True)
class _Write:
    """An open transaction (backend.Write). What is executed waits for the next query or the commit."""

    connection: sa.Connection
    raw: Connection
    last: ChainLink
    fault: str
    end: ChainLink | None = None
    waiting: list[Statement] = field(default_factory=list)

    @property
    def tx(self) -> sa.Connection:
        self.flush()
        return self.connection

    def execute(self, statement: str, values: Sequence[Any]) -> None:
        self.waiting.append(Statement(statement, values))

    def fetch(self, statement: str, values: Sequence[Any]) -> Sequence[Any] | None:
        rows = in_one_trip(self.raw, [*self._taken(), Statement(statement, values)])[-1]
        return rows[0] if rows else None

    def require(self, query: str, values: Sequence[Any], refusal: SellctlError) -> None:
        self.waiting.append(required(query, values, refusal))

    def append_to(self, end: ChainLink) -> None:
        self.end = end
        self.execute(_MOVE_END, (end.seq, end.hash))

    def flush(self) -> None:
        """Execute what waits."""
        if self.waiting:
            in_one_trip(self.raw, self._taken())

    def commit(self) -> None:
        """Execute what waits, and commit, in one round trip."""
        in_one_trip(self.raw, [*self._taken(), _COMMIT])

    def _taken(self) -> list[Statement]:
        taken, self.waiting = self.waiting, []
        return taken


class PostgresDatabase:
    """One connection for writing, one transaction at a time, from any thread. Every error is a JournalError.

    A connection that broke is made anew by the next transaction. While the server can't be reached, it is tried once in
    `retry_after` seconds, and everything in between fails at once.
    """

    statements = _STATEMENTS
    has_its_own_head = True
    lift_refuse_delete = LIFT_REFUSE_DELETE
    restore_refuse_delete = RESTORE_REFUSE_DELETE

    def __init__(
        self,
        location: PostgresLocation,
        *,
        timeouts: Timeouts = WRITING,
        retry_after: float = _RETRY_AFTER,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.location = location
        self._timeouts = timeouts
        self._retry_after = retry_after
        self._monotonic = monotonic
        self._lock = threading.RLock()
        self._engine: sa.Engine | None = None
        self._connection: sa.Connection | None = None
        self._raw: Connection | None = None
        self._failed_until = 0.0
        self._failure: JournalError | None = None
        try:
            with self._lock, map_postgres_errors(location):
                location.folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
                self.id = self._migrated()
        except BaseException:
            self._drop()
            raise

    # --- what the journal asks of a backend --------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The folder of this host for archives."""
        return self.location.folder

    @property
    def head_base(self) -> Path:
        """This host's head file is named after the journal, so that another database's isn't taken for it."""
        return self.location.folder / f"journal-{self.id}"

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that reads the state as of now."""
        with self._transaction(_BEGIN_READING) as tx:
            yield tx

    def rows(self, query: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """All rows of a compiled query, in a transaction of its own: one round trip."""
        with self._lock:
            try:
                return self._begin(Statement(query, values))[2][0]
            except EXTERNAL_ERRORS as error:
                raise postgres_error(error, self.location) from error
            finally:
                self._end()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that may write what isn't evidence: durable when the block has ended, undone when it raised."""
        with self._transaction(_BEGIN) as tx:
            yield tx

    @contextmanager
    def appending(self) -> Iterator[_Write]:
        """A transaction that may append audit rows: durable when the block has ended, undone when it raised.

        When the answer to a commit was lost, the rows are looked for on a new connection. JournalError when they are
        not there, or when that isn't known either.
        """
        with self._lock:
            try:
                write = self._begin_appending()
                yield write
                self._commit(write)
            except EXTERNAL_ERRORS as error:
                raise postgres_error(error, self.location) from error
            finally:
                self._end()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    # --- transactions -------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self, begin: Statement) -> Iterator[sa.Connection]:
        with self._lock:
            try:
                connection, raw, _ = self._begin(begin)
                yield connection
                in_one_trip(raw, [_COMMIT])
            except EXTERNAL_ERRORS as error:
                raise postgres_error(error, self.location) from error
            finally:
                self._end()

    def _begin_appending(self) -> _Write:
        connection, raw, rows = self._begin(_BEGIN, _LOCK_END, _NEWEST)
        last = ChainLink(*rows[2][0]) if rows[2] else START
        if not rows[1]:
            raise JournalError(
                f"The journal {self.location} lacks the row that names the end of its chain.",
                hint="Restore the database; `sellctl history --verify` shows what is intact.",
            )
        head = ChainLink(*rows[1][0])
        fault = "" if head == last else f"its head names row {head.seq}, and the last row found is {last.seq}"
        return _Write(connection, raw, last, fault)

    def _begin(self, *statements: Statement) -> tuple[sa.Connection, Connection, list[list[Row]]]:
        """Execute the first statements of a transaction; the rows of each.

        On a new connection when the old one turns out to be broken: nothing is written yet.

        A server that did not answer in time is not waited for a second time.
        """
        if self._raw is not None and not self._raw.closed:
            connection, raw = self._opened()
            try:
                return connection, raw, in_one_trip(raw, statements)
            except psycopg.OperationalError as error:
                if not raw.closed or is_timeout(error):
                    raise
        self._drop()
        connection, raw = self._opened()
        return connection, raw, in_one_trip(raw, statements)

    def _commit(self, write: _Write) -> None:
        try:
            write.commit()
        except psycopg.OperationalError as error:
            if write.end is None or not write.raw.closed:
                raise  # nothing to look for, or the server itself has refused
            self._find(write.end, error)

    def _find(self, end: ChainLink, error: psycopg.OperationalError) -> None:
        """Find out whether the transaction whose answer was lost is committed. JournalError when it is not.

        Its lock on the end of the chain is granted to nobody else before it has ended, one way or the other.
        """
        self._drop()
        try:
            _, raw, _ = self._begin(_BEGIN, _LOCK_END)
            found = in_one_trip(raw, [Statement(_HASH_AT, (end.seq,)), _ROLLBACK])[0]
        except (*EXTERNAL_ERRORS, JournalError) as second:
            raise JournalConnectionError(
                f"The connection to the journal {self.location} broke during a commit, and whether row {end.seq} is "
                "recorded is not known.",
                hint="Nothing is sent for it; sellctl tries again by itself.",
            ) from second
        if found != [(end.hash,)]:
            raise postgres_error(error, self.location) from error

    def _end(self) -> None:
        """Roll back what is still open, and forget a connection that can't be used any more."""
        raw = self._raw
        if raw is None:
            return
        if not raw.closed and raw.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                raw.execute("ROLLBACK")
        if raw.closed:
            self._drop()

    # --- the connection -----------------------------------------------------------------------------------------------

    def _opened(self) -> tuple[sa.Connection, Connection]:
        """The connection, made anew when there is none."""
        if self._connection is not None and self._raw is not None:
            return self._connection, self._raw
        if self._failure is not None and self._monotonic() < self._failed_until:
            raise JournalConnectionError(self._failure.sentence, hint=self._failure.hint)
        try:
            self._engine = engine_of(self.location, self._timeouts, writes=True, poolclass=StaticPool)
            self._connection = self._engine.connect()
            self._raw = cast("Connection", self._connection.connection.driver_connection)
        except EXTERNAL_ERRORS as error:
            self._drop()
            self._failure = postgres_error(error, self.location)
            self._failed_until = self._monotonic() + self._retry_after
            raise self._failure from error
        self._failure = None
        return self._connection, self._raw

    def _drop(self) -> None:
        """Close the connection and forget it."""
        connection, raw, engine = self._connection, self._raw, self._engine
        self._connection = self._raw = self._engine = None
        for each in (raw, connection):
            if each is not None:
                with suppress(*EXTERNAL_ERRORS):
                    each.close()
        if engine is not None:
            with suppress(*EXTERNAL_ERRORS):
                engine.dispose()

    @contextmanager
    def _without_hurry(self, tx: sa.Connection) -> Iterator[None]:
        """In the open transaction, wait as long as a migration may take, also one that another host is making."""
        _, raw = self._opened()
        raw.limit = _MIGRATION_SECONDS
        try:
            for setting in ("lock_timeout", "statement_timeout"):
                tx.exec_driver_sql(f"SET LOCAL {setting} = '{_MIGRATION_SECONDS}s'")
            yield
        finally:
            raw.limit = self._timeouts.answer

    def _migrated(self) -> str:
        """Bring the schema to the newest version; the journal's own id, which no other database has."""
        with self._transaction(_BEGIN_READING) as tx:
            version = version_of(tx)
        refuse_newer(version, self.location)
        if version != NEWEST:
            load_alembic()  # before the lock is held
            with self._transaction(_BEGIN) as tx, self._without_hurry(tx):
                migrate(tx, self.location)
        with self._transaction(_BEGIN_READING) as tx:
            return str(tx.scalar(sa.select(meta.c.value).where(meta.c.key == "id")))


def read_only(location: PostgresLocation, query: Callable[[sa.Connection], T], *, missing: T) -> T:
    """What `query` returns, in one transaction that reads; `missing` when there is no journal yet."""
    with map_postgres_errors(location), _reader(location).connect() as connection:
        raw = cast("Connection", connection.connection.driver_connection)
        raw.execute(_BEGIN_READING.text.encode())
        try:
            version = version_of(connection)
            refuse_newer(version, location)
            return query(connection) if version else missing
        finally:
            with suppress(psycopg.Error):
                raw.execute("ROLLBACK")


_READERS: dict[PostgresLocation, sa.Engine] = {}


def _reader(location: PostgresLocation) -> sa.Engine:
    """An engine for queries. A connection stays open between them; one that was closed is found before it is used."""
    if location not in _READERS:
        _READERS[location] = engine_of(
            location,
            READING,
            writes=False,
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=_QUERIES_AT_ONCE - 1,
            pool_timeout=_WAIT_FOR_A_QUERY,
            pool_pre_ping=True,
        )
    return _READERS[location]


def close_readers() -> None:
    """Close the connections that stay open between queries."""
    while _READERS:
        _READERS.popitem()[1].dispose()


atexit.register(close_readers)
