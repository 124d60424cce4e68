"""Every way in which the file can fail is one clear sentence, and the next write works once the cause is gone."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from journal_builders import a_journal, intend

from sellctl.core.errors import JournalError
from sellctl.journal.database import apply_pragmas, read_only
from sellctl.journal.exits_since import newest_row
from sellctl.journal.queries import Filters, history
from sellctl.journal.schema import FILE_NAME
from sellctl.journal.store import SqliteJournal
from sellctl.journal.verify import verify


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = a_journal(tmp_path, busy_timeout=0.01)
    intend(opened)
    yield opened
    opened.close()


def test_a_lock_held_elsewhere_is_told(journal: SqliteJournal) -> None:
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="is locked by another program"):
            intend(journal, "sellctl-2")
        other.execute("ROLLBACK")
    intend(journal, "sellctl-2")
    assert journal.open_intents("main") == ("sellctl-1", "sellctl-2")


def test_a_full_disk_is_told_and_nothing_is_half_written(journal: SqliteJournal) -> None:
    pages = journal.database.raw.execute("PRAGMA page_count").fetchone()[0]
    journal.database.raw.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(JournalError, match="the disk is full"):
        journal.note("main", "note", {"sentence": "x" * 100_000})
    journal.database.raw.execute("PRAGMA max_page_count=1000000")
    intend(journal, "sellctl-2")
    assert verify(journal.path).rows == 2
    assert verify(journal.path).fault == ""


def test_a_read_only_file_is_told(journal: SqliteJournal) -> None:
    journal.database.raw.execute("PRAGMA query_only=ON")
    with pytest.raises(JournalError, match="it is read-only"):
        intend(journal, "sellctl-2")
    journal.database.raw.execute("PRAGMA query_only=OFF")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(JournalError, match="Permission denied"):
        a_journal(tmp_path)
    tmp_path.chmod(0o700)


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(JournalError, match=r"can't be used: (Not a directory|File exists)"):
        a_journal(tmp_path / "state")


@pytest.mark.parametrize("replaced", [False, True])
def test_a_database_removed_under_us_is_told(journal: SqliteJournal, replaced: bool) -> None:
    journal.path.unlink()
    if replaced:
        journal.path.write_bytes(b"")
    with pytest.raises(JournalError, match="was removed or replaced while sellctl was running"):
        intend(journal, "sellctl-2")


def test_a_head_removed_under_us_is_told_by_the_check_and_at_the_next_start(journal: SqliteJournal) -> None:
    (journal.path.parent / f"{FILE_NAME}.head").unlink()
    intend(journal, "sellctl-2")
    assert verify(journal.path).fault == "the head file is missing"
    journal.close()
    again = a_journal(journal.path.parent)
    again.close()
    assert "the head file was missing" in again.alarm


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"what is this" * 1000)
    with pytest.raises(JournalError, match="is damaged: it is not a database"):
        a_journal(tmp_path)
    with pytest.raises(JournalError, match="is damaged"):
        history(tmp_path / FILE_NAME, Filters())
    assert "is damaged" in verify(tmp_path / FILE_NAME).fault


def test_pages_of_garbage_are_told(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    for number in range(100):
        intend(journal, f"sellctl-{number}")
    journal.close()
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[:4096] + b"\x13" * (len(whole) - 4096))
    assert "is damaged" in verify(journal.path).fault
    with pytest.raises(JournalError, match="is damaged"):
        a_journal(tmp_path)


def test_an_empty_file_is_a_new_journal(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"")
    assert history(tmp_path / FILE_NAME, Filters()) == ()
    journal = a_journal(tmp_path)
    intend(journal)
    journal.close()
    assert verify(journal.path).rows == 1


@pytest.mark.parametrize("left", [(), ("-wal", "-shm"), ("-wal",)], ids=["alone", "open", "without -shm"])
def test_a_file_whose_making_was_killed_before_its_first_table_is_a_new_journal(
    tmp_path: Path, left: tuple[str, ...]
) -> None:
    killed, path = tmp_path / "killed", tmp_path / FILE_NAME
    with closing(sqlite3.connect(killed)) as connection:
        apply_pragmas(connection)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE audit (seq)")
        for suffix in ("", *left):
            shutil.copyfile(f"{killed}{suffix}", f"{path}{suffix}")
    assert path.stat().st_size > 0
    assert history(path, Filters()) == ()
    assert newest_row(path) == 0
    assert verify(path).fault == ""
    journal = a_journal(tmp_path)
    intend(journal)
    journal.close()
    assert verify(path).rows == 1


def test_a_write_ahead_log_cut_short_is_told(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    for number in range(20):
        intend(journal, f"sellctl-{number}")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}.head"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    journal.close()
    assert verify(copy / FILE_NAME).rows == 20
    wal = copy / f"{FILE_NAME}-wal"
    wal.write_bytes(wal.read_bytes()[:-9000])
    assert "is missing: the head names row 20" in verify(copy / FILE_NAME).fault
    restored = a_journal(copy)
    restored.close()
    assert "the head names row 20" in restored.alarm


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_reading_writes_nothing_beside_a_running_writer(journal: SqliteJournal) -> None:
    before = contents(journal.path.parent)
    assert len(history(journal.path, Filters())) == 1
    assert verify(journal.path).fault == ""
    after = contents(journal.path.parent)
    shared = f"{FILE_NAME}-shm"  # SQLite's lock bytes, in memory shared with the writer
    assert {k: v for k, v in after.items() if k != shared} == {k: v for k, v in before.items() if k != shared}


def test_reading_writes_nothing_after_a_clean_stop(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    intend(journal)
    journal.close()
    before = contents(tmp_path)
    assert len(history(journal.path, Filters())) == 1
    assert verify(journal.path).fault == ""
    assert contents(tmp_path) == before
    assert set(before) == {FILE_NAME, f"{FILE_NAME}.head"}


def test_reading_what_was_never_there_makes_nothing(tmp_path: Path) -> None:
    assert history(tmp_path / "state" / FILE_NAME, Filters()) == ()
    assert not (tmp_path / "state").exists()


def test_reading_asks_again_when_a_writer_came_up_meanwhile(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    intend(journal)
    journal.close()
    writers = []

    def question(connection: Any) -> int:
        if not writers:
            writers.append(a_journal(tmp_path))
            intend(writers[0], "sellctl-2")
        return connection.exec_driver_sql("SELECT count(*) FROM audit").scalar()

    assert read_only(journal.path, question, missing=0) == 2
    writers[0].close()


# --- something else in the place of a file


def a_link(path: Path) -> Path:
    """A link in the place of this file; returns what it points at, which nothing may change."""
    target = path.with_name("target")
    target.write_text("precious\n" * 40)
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    return target


def test_a_link_at_the_journals_head_is_replaced_and_told_and_its_target_is_left_alone(tmp_path: Path) -> None:
    target = a_link(tmp_path / f"{FILE_NAME}.head")
    journal = a_journal(tmp_path)
    intend(journal)
    journal.close()
    assert target.read_text() == "precious\n" * 40
    assert "it is a symbolic link" in journal.alarm
    assert not (tmp_path / f"{FILE_NAME}.head").is_symlink()


def test_a_link_in_the_place_of_the_draft_of_the_head_changes_no_target(tmp_path: Path) -> None:
    target = a_link(tmp_path / f"{FILE_NAME}.head.new")
    a_journal(tmp_path).close()
    assert target.read_text() == "precious\n" * 40


def test_a_fifo_at_the_journals_head_is_told_without_waiting(tmp_path: Path) -> None:
    a_journal(tmp_path).close()
    (tmp_path / f"{FILE_NAME}.head").unlink()
    os.mkfifo(tmp_path / f"{FILE_NAME}.head")
    assert "it is not a regular file" in verify(tmp_path / FILE_NAME).fault
    journal = a_journal(tmp_path)
    assert "it is not a regular file" in journal.alarm
    journal.close()


def test_a_link_in_the_place_of_the_journal_is_refused_and_its_target_is_left_alone(tmp_path: Path) -> None:
    target = a_link(tmp_path / FILE_NAME)
    target.chmod(0o644)
    with pytest.raises(JournalError, match="it is a symbolic link"):
        a_journal(tmp_path)
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("precious\n" * 40, 0o644)


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_a_link_in_the_place_of_sqlites_own_files_changes_no_target(tmp_path: Path, suffix: str) -> None:
    target = a_link(tmp_path / f"{FILE_NAME}{suffix}")
    with suppress(JournalError):
        a_journal(tmp_path).close()
    assert target.read_text() == "precious\n" * 40
