"""Begins and ends every transaction on SQLite.

The engines of the journal are in AUTOCOMMIT mode, so that neither SQLAlchemy nor the driver begins transactions itself:
the driver of Python 3.11 would begin one only before the first change.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

import sqlalchemy as sa

# Takes the write lock at once: no other process can append between reading the end of the chain and appending to it.
WRITE = "BEGIN IMMEDIATE"
READ = "BEGIN"


def driver(connection: sa.Connection) -> sqlite3.Connection:
    """The sqlite3 module's connection that SQLAlchemy uses."""
    return cast("sqlite3.Connection", connection.connection.driver_connection)


@contextmanager
def transaction(connection: sa.Connection, begin: str = WRITE) -> Iterator[sa.Connection]:
    """Committed when the block has ended, rolled back when it raised. Errors are those of the driver and SQLAlchemy."""
    raw = driver(connection)
    raw.execute(begin)
    try:
        yield connection
        raw.execute("COMMIT")
    finally:
        if raw.in_transaction:  # the block raised, or the commit failed
            with suppress(sqlite3.Error):
                raw.execute("ROLLBACK")
