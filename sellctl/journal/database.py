"""The writing connection to a journal in an SQLite file, and read-only queries of any journal that write nothing."""

import os
import shutil
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.pool import NullPool, StaticPool

from sellctl.core.errors import JournalError, SellctlError
from sellctl.journal.chain import START, ChainLink
from sellctl.journal.errors import EXTERNAL_ERRORS, journal_error, map_errors
from sellctl.journal.location import JournalLocation, require_driver
from sellctl.journal.migrations import STEPS, Step, migrate, refuse_newer, version_of
from sellctl.journal.schema import LIFT_REFUSE_DELETE, REFUSE_DELETE
from sellctl.journal.statements import compiled
from sellctl.journal.transaction import READ, WRITE, driver, transaction
from sellctl.private_files import PRIVATE_FILE, PRIVATE_FOLDER, check_is_file, open_private

T = TypeVar("T")

BUSY_TIMEOUT = 5.0  # seconds to wait for another process's transaction
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "journal_size_limit=4194304")

_STATEMENTS = compiled(dialect(), lambda table: sa.insert(table).prefix_with("OR REPLACE"))


@dataclass(slots=True)
class _Write:
    """An open transaction (backend.Write). SQLite's head is a file, which is written after the commit."""

    tx: sa.Connection
    last: ChainLink
    _raw: sqlite3.Connection
    fault: str = ""

    def execute(self, statement: str, values: Sequence[Any]) -> None:
        self._raw.execute(statement, values)

    def fetch(self, statement: str, values: Sequence[Any]) -> Sequence[Any] | None:
        row: Sequence[Any] | None = self._raw.execute(statement, values).fetchone()
        return row

    def require(self, query: str, values: Sequence[Any], refusal: SellctlError) -> None:
        if self.fetch(query, values) is None:
            raise refusal

    def append_to(self, end: ChainLink) -> None:
        """Nothing to do: the row is the end."""


def apply_pragmas(connection: sqlite3.Connection) -> None:
    """Make a commit durable before it returns."""
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


class Database:
    """One connection, one transaction at a time, from any thread. Every error is a JournalError.

    `raw` is the driver's own connection, for the statements of the order path.
    """

    statements = _STATEMENTS
    has_its_own_head = False
    lift_refuse_delete = LIFT_REFUSE_DELETE
    restore_refuse_delete = REFUSE_DELETE

    def __init__(self, path: Path, *, busy_timeout: float, steps: Sequence[Step] = STEPS) -> None:
        self.path = path
        self.location: JournalLocation = path
        self._busy_timeout = busy_timeout
        self._lock = threading.RLock()
        with map_errors(path):
            self._inode = _make_private(path)
            self._engine = sa.create_engine(
                "sqlite://", creator=self._connect, poolclass=StaticPool, isolation_level="AUTOCOMMIT"
            )
            self._connection = self._engine.connect()
            self.raw = driver(self._connection)
            migrate(self._connection, path, steps)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
        )
        apply_pragmas(connection)
        return connection

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that may write: durable when the block has ended, undone when it raised."""
        return self._transaction(WRITE, self._open)

    def appending(self) -> AbstractContextManager[_Write]:
        """A transaction that may append audit rows: durable when the block has ended, undone when it raised."""
        return self._transaction(WRITE, self._write)

    def _write(self) -> _Write:
        row = self.raw.execute(_STATEMENTS.newest).fetchone()
        return _Write(self._connection, ChainLink(row[0], row[1]) if row else START, self.raw)

    def _open(self) -> sa.Connection:
        return self._connection

    @property
    def folder(self) -> Path:
        """The folder for archives."""
        return self.path.parent

    @property
    def head_base(self) -> Path:
        """The path beside which the head file lies: the file's own."""
        return self.path

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that reads the state as of now."""
        return self._transaction(READ, self._open)

    def rows(self, query: str, values: Sequence[object]) -> Sequence[Sequence[Any]]:
        """All rows of a compiled query, in a transaction of its own."""
        with self._transaction(READ, self._open):
            return self.raw.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self, begin: str, begun: Callable[[], T]) -> Iterator[T]:
        """A transaction; the block gets what `begun` returns in it."""
        with self._lock:
            try:
                with transaction(self._connection, begin):
                    yield begun()
                    self._check_file()
            except EXTERNAL_ERRORS as error:
                self._check_file()  # when the file is gone, every other explanation would mislead
                raise journal_error(error, self.path) from error

    def _check_file(self) -> None:
        """JournalError when the file was removed, or replaced by another one."""
        try:
            inode = self.path.stat().st_ino
        except FileNotFoundError:
            inode = 0
        if inode != self._inode:
            raise JournalError(
                f"The journal {self.path} was removed or replaced while sellctl was running.", hint="Restart sellctl."
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock, map_errors(self.path):
            self._connection.close()
            self._engine.dispose()


def _make_private(path: Path) -> int:
    """Make the folder (0700) and the file (0600) where they are missing, and return the file's inode.

    A file that exists is not opened: closing it would drop the locks that this process holds on it through SQLite.
    """
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    check_is_file(path)  # SQLite follows a link in the place of its file, but of no -wal, -shm or -journal
    path.chmod(PRIVATE_FILE)
    return path.stat().st_ino


def read_only(location: JournalLocation, query: Callable[[sa.Connection], T], *, missing: T) -> T:
    """What `query` returns, without a lock and without a byte written; `missing` when there is no journal yet.

    There is none without a file, nor in one without a table: a process that was killed while it made the file leaves it
    so, and the next one that writes goes on from there.

    SQLite would create its -wal and -shm files on the first read. Without a -wal, the file alone is complete and is
    opened as immutable; when a writer has started meanwhile, the query is run again.
    """
    if not isinstance(location, Path):
        require_driver()
        from sellctl.journal.postgres.database import read_only as read_postgres  # noqa: PLC0415  loads the driver

        return read_postgres(location, query, missing=missing)
    path = location
    if not path.exists() or not path.stat().st_size:
        return missing
    wal = _wal(path)
    if not wal.exists():
        try:
            answer = _run(path, "immutable=1", query, missing)
        except JournalError:
            if not wal.exists():
                raise
        else:
            if not wal.exists():
                return answer
    if not path.with_name(path.name + "-shm").exists():
        return _run_on_a_copy(path, query, missing)
    return _run(path, "mode=ro", query, missing)


def close_readers() -> None:
    """Close the connections that queries have left open for the next one; those to files are never."""
    if "sellctl.journal.postgres.database" in sys.modules:
        from sellctl.journal.postgres.database import close_readers as close_of_postgres  # noqa: PLC0415  the driver

        close_of_postgres()


def _wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _run_on_a_copy(path: Path, query: Callable[[sa.Connection], T], missing: T) -> T:
    """A -wal without its -shm cannot be read in place without creating one, so a copy elsewhere is read."""
    with map_errors(path), tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        shutil.copyfile(_wal(path), _wal(copy))
        return _run(copy, "mode=rw", query, missing)


def _run(path: Path, how: str, query: Callable[[sa.Connection], T], missing: T) -> T:
    engine = _reader(f"{path.absolute().as_uri()}?{how}")
    with map_errors(path), engine.connect() as connection, transaction(connection, READ):
        version = version_of(connection)
        refuse_newer(version, path)
        return query(connection) if version or sa.inspect(connection).get_table_names() else missing


@lru_cache(maxsize=16)
def _reader(uri: str) -> sa.Engine:
    """An engine for queries. It keeps no file open, only compiled statements: without them a query took 4 ms, not 1."""
    return sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(uri, uri=True, isolation_level=None),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
    )
