"""A transaction is committed whole or leaves nothing, and the connection is free for the next one."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from sellctl.journal.transaction import READ, driver, transaction


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sa.Connection]:
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None, timeout=0),
        poolclass=StaticPool,
        isolation_level="AUTOCOMMIT",
    )
    with engine.connect() as opened:
        opened.exec_driver_sql("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        opened.exec_driver_sql("CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
        opened.exec_driver_sql("PRAGMA foreign_keys=ON")
        yield opened
    engine.dispose()


def rows(connection: sa.Connection, table: str = "parent") -> list[int]:
    return list(connection.exec_driver_sql(f"SELECT id FROM {table}").scalars())  # noqa: S608  our own table


def write_and_raise(connection: sa.Connection, error: type[BaseException]) -> None:
    with transaction(connection) as tx:
        tx.exec_driver_sql("INSERT INTO parent VALUES (1)")
        raise error


def test_what_the_block_wrote_is_there_when_it_has_ended(connection: sa.Connection) -> None:
    with transaction(connection) as tx:
        tx.exec_driver_sql("INSERT INTO parent VALUES (1)")
        assert driver(connection).in_transaction
    assert not driver(connection).in_transaction
    assert rows(connection) == [1]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_leaves_nothing(connection: sa.Connection, error: type[BaseException]) -> None:
    with pytest.raises(error):
        write_and_raise(connection, error)
    assert rows(connection) == []
    with transaction(connection) as tx:
        tx.exec_driver_sql("INSERT INTO parent VALUES (2)")
    assert rows(connection) == [2]


def test_a_commit_that_fails_leaves_nothing(connection: sa.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError), transaction(connection) as tx:
        tx.exec_driver_sql("INSERT INTO child VALUES (9)")
    assert not driver(connection).in_transaction
    assert rows(connection, "child") == []


def test_a_writer_excludes_another_from_its_first_moment_and_a_reader_does_not(
    connection: sa.Connection, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None, timeout=0)
    with transaction(connection, READ):
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    with transaction(connection), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.close()
