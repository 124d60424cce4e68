"""Maps every error of a journal to a JournalError: one sentence and a hint."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sellctl.core.errors import JournalError

if TYPE_CHECKING:
    from sellctl.journal.location import JournalLocation


_RESTORE = (
    "Move it away with its -wal, -shm and .head files and start again; `sellctl history --verify` shows what is intact."
)
_LOCKED = ("The journal {path} is locked by another program.", "Close the program that holds it and try again.")
_ROOM = "Free some space; until then nothing new is sent."

EXTERNAL_ERRORS = (sqlite3.Error, sa.exc.SQLAlchemyError, OSError)

# The start of SQLite's error name -> the sentence and the hint. The first match is used.
ERRORS = {
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_FULL": ("The journal {path} can't grow: the disk is full.", _ROOM),
    "SQLITE_READONLY": ("The journal {path} can't be written: it is read-only.", "Make it and its folder writable."),
    "SQLITE_PERM": ("The journal {path} can't be opened: permission denied.", "Make yourself the owner of its folder."),
    "SQLITE_CANTOPEN": ("The journal {path} can't be opened.", "Check that its folder exists and is yours."),
    "SQLITE_CORRUPT": ("The journal {path} is damaged.", _RESTORE),
    "SQLITE_NOTADB": ("The journal {path} is damaged: it is not a database.", _RESTORE),
    "SQLITE_IOERR": ("The disk failed under the journal {path}.", "Check the disk; until then nothing new is sent."),
    "SQLITE_CONSTRAINT": ("The journal {path} refuses this change: {error}.", "Recorded rows never change."),
}


def journal_error(error: Exception, path: Path) -> JournalError:
    """The JournalError for an error of SQLite, SQLAlchemy or the system."""
    if isinstance(error, sa.exc.DBAPIError) and isinstance(error.orig, Exception):
        error = error.orig
    name = getattr(error, "sqlite_errorname", "")
    for code, (sentence, hint) in ERRORS.items():
        if name.startswith(code):
            return JournalError(sentence.format(path=path, error=error), hint=hint)
    if isinstance(error, OSError):
        found = error.filename or path
        return JournalError(f"The journal {found} can't be used: {error.strerror or error}.", hint="Check its folder.")
    return JournalError(f"The journal {path} can't be read: {error}.", hint=_RESTORE)


@contextmanager
def map_errors(path: "JournalLocation") -> Iterator[None]:
    """Raise a JournalError for whatever the database, SQLAlchemy or the system raises inside."""
    if not isinstance(path, Path):
        from sellctl.journal.postgres.errors import map_postgres_errors  # noqa: PLC0415  loads the driver

        with map_postgres_errors(path):
            yield
        return
    try:
        yield
    except EXTERNAL_ERRORS as error:
        raise journal_error(error, path) from error
