"""The names for shell completion are read without SQLAlchemy and without writing."""

import asyncio
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from journal_builders import CALL, NOON, VERTICAL, a_journal, an_intended_order, an_intended_structure, intend

from sellctl.core.model.episode import Episode
from sellctl.core.model.position import Direction
from sellctl.journal import names
from sellctl.journal.episode_store import SqlEpisodeStore
from sellctl.journal.schema import FILE_NAME


def an_episode(symbol: str, suspended: str = "") -> Episode:
    return Episode(symbol, Direction.LONG, NOON, Decimal(3), Decimal("1.10"), suspended=suspended)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with orders of two accounts, and with positions that are held, suspended and archived."""
    journal = a_journal(tmp_path)
    intend(journal, "sellctl-1", account="income")
    asyncio.run(journal.intend("main", [an_intended_structure("sellctl-2")], ()))
    asyncio.run(journal.intend("main", [an_intended_order("sellctl-3", symbol="TSLA")], ()))
    episodes = SqlEpisodeStore(journal.database)
    asyncio.run(episodes.save("main", {"TSLA": an_episode("TSLA"), "F": an_episode("F", suspended="split")}))
    asyncio.run(episodes.save("income", {"TSLA": an_episode("TSLA")}))
    asyncio.run(episodes.save("main\nPA2", {"GONE": an_episode("GONE")}))
    journal.close()
    return tmp_path / FILE_NAME


def test_accounts_on_record_are_named_once(path: Path) -> None:
    assert names.accounts(path) == ["income", "main"]


def test_symbols_on_record_begin_where_asked(path: Path) -> None:
    assert names.symbols(path, "") == [VERTICAL, CALL, "TSLA"]
    assert names.symbols(path, "T") == ["TSLA"]


def test_positions_of_another_account_behind_a_name_are_not_held(path: Path) -> None:
    assert names.held(path) == ["F", "TSLA"]
    assert names.suspended(path) == ["F"]


def test_names_are_read_while_a_watcher_writes(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    intend(journal)
    assert names.accounts(tmp_path / FILE_NAME) == ["main"]
    journal.close()


def test_reading_leaves_no_file_behind(path: Path) -> None:
    before = sorted(path.parent.iterdir())
    names.held(path)
    assert sorted(path.parent.iterdir()) == before


def test_without_a_journal_there_are_no_names(tmp_path: Path) -> None:
    assert names.held(tmp_path / FILE_NAME) == []


def test_an_interrupted_writers_log_is_left_alone(path: Path) -> None:
    path.with_name(f"{FILE_NAME}-wal").write_bytes(b"")
    assert names.held(path) == []


def test_a_damaged_journal_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 1000)
    with pytest.raises(sqlite3.Error):
        names.held(tmp_path / FILE_NAME)
