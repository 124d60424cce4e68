"""From any older schema to this one, step by step, after a copy of the file; never from a newer one.

STEPS[n] leads from version n to n + 1, and version 0 is an empty file. A step that was released never changes.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from sellctl.core.errors import JournalError
from sellctl.journal.schema import REFUSE_DELETE, REFUSE_UPDATE, episodes, meta, tables
from sellctl.journal.transaction import driver, transaction

Step = Callable[[sa.Connection], None]


def _first_tables(connection: sa.Connection) -> None:
    tables.create_all(connection)
    connection.exec_driver_sql(REFUSE_UPDATE)
    connection.exec_driver_sql(REFUSE_DELETE)


def _other_episodes(connection: sa.Connection) -> None:
    """The first form of position memory was never written to; it is made anew."""
    episodes.drop(connection, checkfirst=True)
    episodes.create(connection)


STEPS: tuple[Step, ...] = (_first_tables, _other_episodes)


def version_of(connection: sa.Connection) -> int:
    """The schema's version in this file; 0 when it is empty."""
    if not sa.inspect(connection).has_table(meta.name):
        return 0
    value = connection.scalar(sa.select(meta.c.value).where(meta.c.key == "schema"))
    return int(value or 0)


def refuse_newer(version: int, path: Path, newest: int = len(STEPS)) -> None:
    """JournalError when the file's schema is newer than this program's."""
    if version > newest:
        raise JournalError(
            f"The journal {path} was made by a newer sellctl (schema {version}, this one knows {newest}).",
            hint="Upgrade sellctl, or use another state folder.",
        )


def migrate(connection: sa.Connection, path: Path, steps: Sequence[Step] = STEPS) -> int:
    """Bring the file to the newest schema and return the version it had. An older file is copied first."""
    found = version_of(connection)
    refuse_newer(found, path, len(steps))
    if 0 < found < len(steps):
        back_up(path, path.with_name(f"{path.name}.v{found}.bak"))
    if found < len(steps):
        with transaction(driver(connection)):
            _climb(connection, version_of(connection), steps)  # asked again: another process may have been faster
    return found


def _climb(connection: sa.Connection, version: int, steps: Sequence[Step]) -> None:
    for step in steps[version:]:
        step(connection)
    if version == len(steps):
        return
    connection.execute(sa.delete(meta).where(meta.c.key == "schema"))
    connection.execute(sa.insert(meta).values(key="schema", value=str(len(steps))))


def back_up(path: Path, copy: Path) -> None:
    """A whole copy of a database that may be in use, readable only by its owner."""
    copy.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
