"""Names in the journal, for shell completion. Read by sqlite3 alone: SQLAlchemy would double the time of each Tab."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sellctl.journal.location import JournalLocation

MOST = 200  # names; a shell shows no more at once
_SECONDS = 0.2  # the longest wait for a writer
# Each step of these finds the next name in the index, however many rows have the same one.
_NAMES_ON_RECORD = """
WITH RECURSIVE names(name) AS (
    SELECT min({column}) FROM audit WHERE {column} >= :first
    UNION ALL
    SELECT (SELECT min({column}) FROM audit WHERE {column} > name) FROM names WHERE name IS NOT NULL
)
SELECT name FROM names WHERE name <> '' LIMIT :most
"""
# An account name with a line break in it is where the episodes of another account are archived.
_HELD = "SELECT DISTINCT symbol FROM episodes WHERE instr(account, char(10)) = 0 {more} ORDER BY symbol LIMIT :most"


def accounts(journal: JournalLocation) -> list[str]:
    """The accounts on record. sqlite3.Error when the journal can't be read; without one, none."""
    return _names(journal, _NAMES_ON_RECORD.format(column="account"), first="")


def symbols(journal: JournalLocation, first: str) -> list[str]:
    """The symbols and structures on record, in order, from `first` on. sqlite3.Error as above."""
    return _names(journal, _NAMES_ON_RECORD.format(column="symbol"), first=first)


def held(journal: JournalLocation) -> list[str]:
    """The positions that were held when sellctl last checked. sqlite3.Error as above."""
    return _names(journal, _HELD.format(more=""))


def suspended(journal: JournalLocation) -> list[str]:
    """Those of them whose rules are suspended. sqlite3.Error as above."""
    return _names(journal, _HELD.format(more="AND frozen <> ''"))


def _names(journal: JournalLocation, query: str, **values: str) -> list[str]:
    """The first column of a query; a -wal without its -shm is left alone, as reading it would create one.

    Nothing from a database on a server: completion uses no network.
    """
    if not isinstance(journal, Path):
        return []
    wal, shm = (journal.with_name(f"{journal.name}-{end}") for end in ("wal", "shm"))
    if not journal.exists() or (wal.exists() and not shm.exists()):
        return []
    how = "mode=ro" if wal.exists() else "immutable=1"
    uri = f"{journal.absolute().as_uri()}?{how}"
    with closing(sqlite3.connect(uri, uri=True, timeout=_SECONDS)) as connection:
        return [str(name) for (name,) in connection.execute(query, {"most": MOST, **values})]
