"""An older journal is brought forward after a copy; a newer one is left alone."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from journal_builders import a_journal, intend

from sellctl.core.errors import JournalError
from sellctl.journal.database import Database
from sellctl.journal.migrations import STEPS
from sellctl.journal.queries import Filters, history
from sellctl.journal.verify import verify


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of this version with one row."""
    journal = a_journal(tmp_path)
    intend(journal)
    journal.close()
    return journal.path


def add_a_column(connection: Any) -> None:
    connection.exec_driver_sql("ALTER TABLE episodes ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'")


def break_down(connection: Any) -> None:
    add_a_column(connection)
    connection.exec_driver_sql("ALTER TABLE nowhere ADD COLUMN x TEXT")


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()[0])


def columns(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[1] for row in connection.execute("PRAGMA table_info(episodes)")]


def test_a_step_forward_keeps_the_rows_and_leaves_a_copy(path: Path) -> None:
    Database(path, busy_timeout=0, steps=(*STEPS, add_a_column)).close()
    copy = path.with_name(f"{path.name}.v{len(STEPS)}.bak")
    assert version(path) == len(STEPS) + 1
    assert version(copy) == len(STEPS)
    assert "mood" in columns(path)
    assert "mood" not in columns(copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM audit").fetchone() == (1,)


def test_a_step_that_fails_changes_nothing(path: Path) -> None:
    with pytest.raises(JournalError, match="no such table: nowhere"):
        Database(path, busy_timeout=0, steps=(*STEPS, break_down))
    assert version(path) == len(STEPS)
    assert "mood" not in columns(path)
    assert verify(path).fault == ""


def test_a_journal_of_this_version_is_not_copied(path: Path) -> None:
    Database(path, busy_timeout=0).close()
    assert not list(path.parent.glob("*.bak"))


def test_a_newer_journal_is_refused_and_left_alone(path: Path) -> None:
    Database(path, busy_timeout=0, steps=(*STEPS, add_a_column)).close()
    before = path.read_bytes()
    for attempt in (lambda: a_journal(path.parent), lambda: history(path, Filters())):
        with pytest.raises(JournalError, match="was made by a newer sellctl"):
            attempt()
    assert "newer sellctl" in verify(path).fault
    assert path.read_bytes() == before
