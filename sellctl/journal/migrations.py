"""Migrates a file with an older schema step by step, after copying it; a newer schema is refused.

STEPS[n] migrates from version n to n + 1, and version 0 is an empty file. The first step creates the current tables, so
the later steps change only what an older file lacks. Audit rows are never rewritten.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from sellctl.core.errors import JournalError
from sellctl.journal.schema import REFUSE_DELETE, REFUSE_INSERT, REFUSE_UPDATE, audit, episodes, meta, tables
from sellctl.journal.transaction import transaction
from sellctl.private_files import open_private

Step = Callable[[sa.Connection], None]


def _create_tables(connection: sa.Connection) -> None:
    tables.create_all(connection)
    connection.exec_driver_sql(REFUSE_UPDATE)
    connection.exec_driver_sql(REFUSE_DELETE)
    connection.exec_driver_sql(REFUSE_INSERT)


def _recreate_episodes(connection: sa.Connection) -> None:
    """Replace the first version of the episodes table, which no released version of sellctl wrote to."""
    episodes.drop(connection, checkfirst=True)
    episodes.create(connection)


def _create_audit_indexes(connection: sa.Connection) -> None:
    """Create the indexes of the audit table, and drop the table that was used as an index before."""
    connection.exec_driver_sql("DROP TABLE IF EXISTS places")
    connection.execute(sa.delete(meta).where(meta.c.key == "placed"))
    for index in sorted(audit.indexes, key=lambda each: str(each.name)):
        index.create(connection, checkfirst=True)


def _add_insert_trigger(connection: sa.Connection) -> None:
    """Create the trigger that stops INSERT OR REPLACE from overwriting an audit row."""
    connection.exec_driver_sql("DROP TRIGGER IF EXISTS audit_only_grows")
    connection.exec_driver_sql(REFUSE_INSERT)


def _keep_past_averages(connection: sa.Connection) -> None:
    """Add the column for earlier average entry prices to the episodes."""
    _add_to_episodes(connection, "averages")


def _keep_whole_structures(connection: sa.Connection) -> None:
    """Add the column for the whole structure that a leg was in to the episodes."""
    _add_to_episodes(connection, "whole")


def _keep_overrides(connection: sa.Connection) -> None:
    """Add the column for the rules that a person has set for a position to the episodes."""
    _add_to_episodes(connection, "override")


def _add_to_episodes(connection: sa.Connection, column: str) -> None:
    if column not in {each["name"] for each in sa.inspect(connection).get_columns(episodes.name)}:
        connection.exec_driver_sql(f"ALTER TABLE episodes ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")


STEPS: tuple[Step, ...] = (
    _create_tables,
    _recreate_episodes,
    _create_audit_indexes,
    _add_insert_trigger,
    _keep_past_averages,
    _keep_whole_structures,
    _keep_overrides,
)


def version_of(connection: sa.Connection) -> int:
    """The version of this file's schema; 0 when it is empty."""
    if not sa.inspect(connection).has_table(meta.name):
        return 0
    value = connection.scalar(sa.select(meta.c.value).where(meta.c.key == "schema"))
    return int(value or 0)


def refuse_newer(version: int, path: Path, newest: int = len(STEPS)) -> None:
    """JournalError when the file's schema is newer than this program's."""
    if version > newest:
        raise JournalError(
            f"The journal {path} was made by a newer sellctl (schema {version}, this one supports {newest}).",
            hint="Upgrade sellctl, or use another state folder.",
        )


def migrate(connection: sa.Connection, path: Path, steps: Sequence[Step] = STEPS) -> None:
    """Bring the file to the newest schema. An older file is copied first."""
    found = version_of(connection)
    refuse_newer(found, path, len(steps))
    if found == len(steps):
        return
    if found:
        back_up(path, path.with_name(f"{path.name}.v{found}.bak"))
    with transaction(connection):
        version = version_of(connection)  # another process may have migrated it meanwhile
        for step in steps[version:]:
            step(connection)
        connection.execute(sa.delete(meta).where(meta.c.key == "schema"))
        connection.execute(sa.insert(meta).values(key="schema", value=str(len(steps))))


def back_up(path: Path, copy: Path) -> None:
    """A complete copy of a database that may be in use, readable only by its owner."""
    os.close(open_private(copy, os.O_RDWR | os.O_CREAT))
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
