"""One real transaction on SQLite, begun and ended by us: SQLAlchemy builds the statements, the driver runs the clock.

The engines here are in AUTOCOMMIT mode, so SQLAlchemy begins nothing of its own.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import sqlalchemy as sa


def driver(connection: sa.Connection) -> sqlite3.Connection:
    """SQLite's own connection beneath: for the order path, where a statement's bookkeeping costs more than itself."""
    return cast("sqlite3.Connection", connection.connection.driver_connection)


@contextmanager
def transaction(raw: sqlite3.Connection, *, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """Committed when the block has ended, undone when it raised.

    It takes the write lock at once, because what reads the chain's end to add to it must not find it moved.
    """
    raw.execute(begin)
    try:
        yield
        raw.execute("COMMIT")
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise
