"""The one writing connection to the journal's file, and the way to read the file without writing anything."""

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.pool import NullPool, StaticPool

from sellctl.core.errors import JournalError
from sellctl.journal.errors import FOREIGN, journal_error, told_clearly
from sellctl.journal.migrations import STEPS, Step, migrate, refuse_newer, version_of
from sellctl.journal.transaction import driver, transaction

T = TypeVar("T")

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "journal_size_limit=4194304")


def apply_pragmas(connection: sqlite3.Connection) -> None:
    """What makes a commit durable before it returns."""
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


class Database:
    """One connection, one transaction at a time, from any thread. Every error is a JournalError."""

    def __init__(self, path: Path, *, busy_timeout: float, steps: Sequence[Step] = STEPS) -> None:
        self.path = path
        self._busy_timeout = busy_timeout
        self._lock = threading.RLock()
        with told_clearly(path):
            self._inode = _make_private(path)
            self.engine = sa.create_engine(
                "sqlite://", creator=self._connect, poolclass=StaticPool, isolation_level="AUTOCOMMIT"
            )
            self._connection = self.engine.connect()
            self.raw = driver(self._connection)
            self.version_found = migrate(self._connection, path, steps)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
        )
        apply_pragmas(connection)
        return connection

    @contextmanager
    def writing(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sa.Connection]:
        """One transaction: durable when the block has ended, undone when it raised.

        It takes the write lock at once, because what reads the chain's end to add to it must not find it moved.
        """
        with self._lock:
            try:
                self.raw.execute(begin)
                yield self._connection
                self._still_ours()
                self.raw.execute("COMMIT")
            except FOREIGN as error:
                self._still_ours()  # under a file that is gone every other sentence would mislead
                raise journal_error(error, self.path) from error
            finally:
                self._undo()

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """The state as of now, on the writing connection."""
        return self.writing("BEGIN")

    def _undo(self) -> None:
        """Roll back what wasn't committed; after a commit there is nothing."""
        if self.raw.in_transaction:
            with suppress(sqlite3.Error):
                self.raw.execute("ROLLBACK")

    def _still_ours(self) -> None:
        """Refuse to write into a file that no longer stands at its path."""
        try:
            inode = os.stat(self.path).st_ino  # noqa: PTH116  a quarter of Path.stat's time, on every order
        except FileNotFoundError:
            inode = 0
        if inode != self._inode:
            raise JournalError(
                f"The journal {self.path} was removed or replaced while sellctl was running.", hint="Restart sellctl."
            )

    def close(self) -> None:
        """Let go of the file."""
        with self._lock, told_clearly(self.path):
            self._connection.close()
            self.engine.dispose()


def _make_private(path: Path) -> int:
    """Make the folder (0700) and the file (0600) where they are missing, and return the file's inode.

    A file that is there isn't opened: closing it would drop the locks that this process holds on it through SQLite.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    return path.stat().st_ino


def look(path: Path, question: Callable[[sa.Connection], T], *, missing: T) -> T:
    """The answer to a question about a journal, without a lock and without a byte written; `missing` without a file.

    SQLite would make its -wal and -shm files on the first read. Without a -wal the file alone is the whole truth and is
    read as such; when a writer came up meanwhile, the question is asked again.
    """
    if not path.exists() or not path.stat().st_size:
        return missing
    if not _wal(path).exists():
        answer, error = _tried(path, question)
        if not _wal(path).exists():
            if error:
                raise error
            return cast("T", answer)
    if not path.with_name(path.name + "-shm").exists():
        return _ask_a_copy(path, question)
    return _ask(path, "mode=ro", question)


def _tried(path: Path, question: Callable[[sa.Connection], T]) -> tuple[T | None, JournalError | None]:
    try:
        return _ask(path, "immutable=1", question), None
    except JournalError as error:
        return None, error


def _wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _ask_a_copy(path: Path, question: Callable[[sa.Connection], T]) -> T:
    """A -wal without its -shm can't be read in place without making one, so a copy elsewhere is read."""
    with told_clearly(path), tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        shutil.copyfile(_wal(path), _wal(copy))
        return _ask(copy, "mode=rw", question)


def _ask(path: Path, how: str, question: Callable[[sa.Connection], T]) -> T:
    uri = f"{path.absolute().as_uri()}?{how}"
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(uri, uri=True, isolation_level=None),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
    )
    with told_clearly(path), engine.connect() as connection, transaction(driver(connection), begin="BEGIN"):
        refuse_newer(version_of(connection), path)
        return question(connection)
