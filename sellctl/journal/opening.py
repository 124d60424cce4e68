"""Opens a journal for writing, wherever it is."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sellctl.journal.location import JournalLocation, require_driver
from sellctl.journal.store import SqliteJournal, SqlJournal


def open_journal(location: JournalLocation, now: Callable[[], dt.datetime], **options: Any) -> SqlJournal:
    """The journal at a location, made or migrated where needed. The options are those of SqlJournal."""
    if isinstance(location, Path):
        return SqliteJournal(location, now, **options)
    require_driver()
    from sellctl.journal.postgres.database import PostgresDatabase  # noqa: PLC0415  loads the driver

    database = PostgresDatabase(location)
    try:
        return SqlJournal(database, now, **options)
    except BaseException:
        database.close()
        raise
