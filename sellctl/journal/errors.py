"""What can go wrong with the journal's file, as one clear sentence and what to do. Every foreign error ends here."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from sellctl.core.errors import JournalError

_RESTORE = (
    "Move it away with its -wal, -shm and .head files, and start again; `sellctl history --verify` tells what holds."
)
_ROOM = "Free some space; until then nothing new is sent."

FOREIGN = (sqlite3.Error, sa.exc.SQLAlchemyError, OSError)

# SQLite's result code (the start of its extended name), the sentence, and what to do. The first that fits speaks.
TROUBLES = (
    ("SQLITE_BUSY", "The journal {path} is locked by another program.", "Close what holds it open and try again."),
    ("SQLITE_LOCKED", "The journal {path} is locked by another program.", "Close what holds it open and try again."),
    ("SQLITE_FULL", "The journal {path} can't grow: the disk is full.", _ROOM),
    ("SQLITE_READONLY", "The journal {path} can't be written: it is read-only.", "Make it and its folder writable."),
    ("SQLITE_PERM", "The journal {path} can't be opened: permission denied.", "Make it and its folder yours."),
    ("SQLITE_CANTOPEN", "The journal {path} can't be opened.", "Check that its folder exists and is yours."),
    ("SQLITE_CORRUPT", "The journal {path} is damaged.", _RESTORE),
    ("SQLITE_NOTADB", "The journal {path} is damaged: it is not a database.", _RESTORE),
    ("SQLITE_IOERR", "The disk failed under the journal {path}.", "Check the disk; until then nothing new is sent."),
    ("SQLITE_CONSTRAINT", "The journal {path} refuses this change: {error}.", "What is written down stays."),
)


def journal_error(error: Exception, path: Path) -> JournalError:
    """The JournalError that says what an SQLite or system error means."""
    if isinstance(error, sa.exc.DBAPIError) and isinstance(error.orig, Exception):
        error = error.orig
    name = getattr(error, "sqlite_errorname", "")
    for code, sentence, hint in TROUBLES:
        if name.startswith(code):
            return JournalError(sentence.format(path=path, error=error), hint=hint)
    if isinstance(error, OSError):
        return JournalError(f"The journal {path} can't be used: {error.strerror or error}.", hint="Check its folder.")
    return JournalError(f"The journal {path} can't be read: {error}.", hint=_RESTORE)


@contextmanager
def told_clearly(path: Path) -> Iterator[None]:
    """Whatever SQLite, SQLAlchemy or the system raises inside comes out as a JournalError."""
    try:
        yield
    except FOREIGN as error:
        raise journal_error(error, path) from error
