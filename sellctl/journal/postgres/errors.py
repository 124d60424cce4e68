"""Maps every error of PostgreSQL, its driver and the connection to a JournalError: one sentence and a hint.

No sentence has the URL's password: the location's text leaves it out, and the server repeats none.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa

from sellctl.core.errors import JournalError
from sellctl.journal.error_types import JournalConnectionError
from sellctl.journal.location import PostgresLocation

EXTERNAL_ERRORS = (psycopg.Error, sa.exc.SQLAlchemyError, OSError)

_NO_WRITES = "Until then nothing new is sent."
_FULL = (
    "The server of the journal {location} has no free connection.",
    "Close programs that hold some, or raise max_connections.",
)
_REFUSED = (
    "The server of the journal {location} refuses the user or the password.",
    "Correct journal.url, or pg_hba.conf on the server.",
)
_READ_ONLY = (
    "The journal {location} can't be written: the database is read-only.",
    f"Name the primary server in journal.url. {_NO_WRITES}",
)
_STOPPING = ("The server of the journal {location} is starting or stopping.", "sellctl tries again by itself.")
_NO_DATABASE = ("The server of the journal {location} has no such database.", "Create it: createdb --owner USER NAME.")
_FORBIDDEN = (
    "The user of the journal {location} may not do this: {error}.",
    "Make that user the owner of the database.",
)
_LOCKED = (
    "The journal {location} is locked by another program.",
    "Close the program that holds it and try again.",
)
_SLOW = ("The server of the journal {location} did not answer in time.", "sellctl tries again by itself.")

# The start of SQLSTATE -> the sentence and the hint. The first match is used.
_BY_STATE = {
    "53300": _FULL,
    "28": _REFUSED,
    "3D": _NO_DATABASE,
    "25006": _READ_ONLY,
    "25P03": (
        "The server of the journal {location} has disconnected this host, which did nothing for too long.",
        "sellctl tries again by itself.",
    ),
    "42501": _FORBIDDEN,
    "53100": ("The journal {location} can't grow: the server's disk is full.", f"Free some space. {_NO_WRITES}"),
    "55P03": _LOCKED,
    "40": _LOCKED,
    "57014": _SLOW,
    "57": _STOPPING,
    "42P": (
        "The journal {location} lacks a table of sellctl: {error}.",
        "Restore the database; `sellctl history --verify` shows what is intact.",
    ),
    "23": ("The journal {location} refuses this change: {error}.", "Recorded rows never change."),
    "P0001": ("The journal {location} refuses this change: {error}.", "Recorded rows never change."),
    "XX": ("The journal {location} is damaged: {error}.", "Restore the database from a backup."),
}
# What the driver's error says where the connection could not be made: it has no SQLSTATE then.
_BY_WORDS = {
    "too many clients": _FULL,
    "too many connections": _FULL,
    "connection slots are reserved": _FULL,
    "authentication failed": _REFUSED,
    "no password supplied": _REFUSED,
    "no pg_hba.conf entry": _REFUSED,
    "session is read-only": _READ_ONLY,
    "in hot standby mode": _READ_ONLY,
    "is not in hot standby mode": _READ_ONLY,
    "the database system is": _STOPPING,
    "permission denied": _REFUSED,
}
_HINT = "Check that the server runs and that journal.url is right."
_MOST = 200  # characters of a foreign text


def postgres_error(error: BaseException, location: PostgresLocation) -> JournalError:
    """The JournalError for an error of the driver, SQLAlchemy or the system."""
    if isinstance(error, sa.exc.DBAPIError) and isinstance(error.orig, Exception):
        error = error.orig
    if isinstance(error, sa.exc.TimeoutError):
        return JournalConnectionError(
            f"Too many queries of the journal {location} run at once.", hint="Try again in a moment."
        )
    state = getattr(error, "sqlstate", None) or ""
    text = _first_line(error)
    found = next((said for code, said in _BY_STATE.items() if state.startswith(code)), None)
    if found is None and not state:
        found = next((said for words, said in _BY_WORDS.items() if words in str(error)), None)
        if found is None and 'database "' in text and text.endswith("does not exist"):
            found = _NO_DATABASE
    kind = JournalConnectionError if is_about_the_connection(error) else JournalError
    if found:
        return kind(found[0].format(location=location, error=text), hint=found[1])
    if is_timeout(error):
        return kind(_SLOW[0].format(location=location), hint=_SLOW[1])
    if kind is JournalConnectionError:
        return kind(f"The journal {location} can't be reached: {text}.", hint=_HINT)
    return JournalError(f"The journal {location} can't be used: {text}.", hint=_HINT)


def is_about_the_connection(error: BaseException) -> bool:
    """Whether the connection failed, and not one statement: any other write would fail in the same way."""
    state = getattr(error, "sqlstate", None) or ""
    return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError, OSError)) and (
        not state or state.startswith(("08", "28", "3D", "53300", "57P"))
    )


def is_timeout(error: BaseException) -> bool:
    """Whether the answer did not come in time, or the connection was not made in time."""
    return "timeout expired" in str(error) or isinstance(error, psycopg.errors.ConnectionTimeout)


def _first_line(error: BaseException) -> str:
    diagnosis = getattr(error, "diag", None)
    text = (diagnosis.message_primary if diagnosis else None) or str(error) or type(error).__name__
    line = text.strip().splitlines()[0]
    return line.rpartition("FATAL:")[2].strip().rstrip(".")[:_MOST]


@contextmanager
def map_postgres_errors(location: PostgresLocation) -> Iterator[None]:
    """Raise a JournalError for whatever the driver, SQLAlchemy or the system raises inside."""
    try:
        yield
    except EXTERNAL_ERRORS as error:
        raise postgres_error(error, location) from error
