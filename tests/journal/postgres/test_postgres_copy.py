"""`sellctl journal copy`: every row as it was, or nothing."""

import asyncio
import datetime as dt
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from journal_builders import CALL, NOON, Ticking, a_fill, a_journal, a_step, as_attacker, execute, intend
from stage import Program

from benchmarks.postgres_server import PASSWORD
from sellctl.core.errors import JournalError, SafetyRefusalError
from sellctl.core.model.episode import Episode
from sellctl.core.model.position import Direction
from sellctl.journal.database import read_only
from sellctl.journal.episode_store import SqlEpisodeStore
from sellctl.journal.location import JournalLocation, PostgresLocation
from sellctl.journal.queries import Filters, history
from sellctl.journal.retention import prune
from sellctl.journal.schema import FILE_NAME
from sellctl.journal.store import SqlJournal
from sellctl.journal.verify import verify

EPISODE = Episode(CALL, Direction.LONG, NOON, Decimal(3), Decimal("1.50"), peak=Decimal("2.00"))


def a_full_journal(folder: Path) -> SqlJournal:
    """Open and ended intents, fills, plans, an episode and a run."""
    journal = a_journal(folder)
    journal.set_account_number("main", "PA1")
    journal.run_started("1", "abc", {"main": "paper"})
    a_step(journal, "sellctl-1")
    a_fill(journal, "sellctl-1", "3", "1.22")
    journal.outcome("main", "sellctl-1", "filled", {})
    intend(journal, "sellctl-2")
    asyncio.run(SqlEpisodeStore(journal.database).save("main", {CALL: EPISODE}))
    return journal


def rows(location: JournalLocation, table: str) -> list[tuple[object, ...]]:
    def query(tx: object) -> list[tuple[object, ...]]:
        return sorted(map(tuple, tx.exec_driver_sql(f"SELECT * FROM {table}")))  # type: ignore[attr-defined]  # noqa: S608

    return read_only(location, query, missing=[])


def copy(source: Path, target: PostgresLocation, progress: object = lambda _done, _count: None) -> int:
    from sellctl.journal.postgres.copying import copy_journal  # noqa: PLC0415  an extra

    return copy_journal(source, target, progress).rows  # type: ignore[arg-type]


def test_the_copy_has_every_row_with_its_hash_and_everything_that_is_remembered(
    tmp_path: Path, postgres: PostgresLocation
) -> None:
    a_full_journal(tmp_path).close()
    source = tmp_path / FILE_NAME
    told: list[tuple[int, int]] = []
    count = copy(source, postgres, lambda done, total: told.append((done, total)))
    assert told[-1] == (count, count)
    for table in ("audit", "unresolved", "fills", "episodes", "runs"):
        assert rows(postgres, table) == rows(source, table) != []
    assert (verify(postgres).rows, verify(postgres).fault) == (count, "")
    journal = a_journal(postgres)
    assert journal.alarm == ""
    assert journal.open_intents("main") == ("sellctl-2",)
    assert journal.set_account_number("main", "PA2") == "PA1"
    journal.run_started("2", "def")
    assert verify(postgres).fault == ""


def test_a_journal_of_which_a_part_was_archived_is_copied_from_its_first_row_on(
    tmp_path: Path, postgres: PostgresLocation
) -> None:
    clock = Ticking(NOON - dt.timedelta(days=1))
    journal = a_journal(tmp_path, clock)
    for day in (NOON - dt.timedelta(days=1), NOON):
        clock.at = day
        journal.note("main", "note", {"sentence": "x"})
    prune(journal, NOON.date())
    journal.close()
    assert copy(tmp_path / FILE_NAME, postgres) == 2
    assert verify(postgres).fault == ""
    intend(a_journal(postgres))
    assert verify(postgres).fault == ""


def test_a_target_that_is_not_empty_is_refused_and_left_as_it_is(tmp_path: Path, postgres: PostgresLocation) -> None:
    a_full_journal(tmp_path).close()
    intend(a_journal(postgres), "sellctl-7")
    with pytest.raises(SafetyRefusalError, match="isn't empty: its table audit has rows"):
        copy(tmp_path / FILE_NAME, postgres)
    assert [row.client_order_id for row in history(postgres, Filters())] == ["sellctl-7"]


def test_a_source_that_another_program_writes_to_is_refused(tmp_path: Path, postgres: PostgresLocation) -> None:
    a_full_journal(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="is locked by another program"):
            copy(tmp_path / FILE_NAME, postgres)
    assert history(postgres, Filters()) == ()


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE audit SET body = '{}' WHERE seq = 2", "row 2 was changed"),
        ("DELETE FROM audit WHERE seq = (SELECT MAX(seq) FROM audit)", "is missing"),
    ],
)
def test_a_chain_that_is_broken_is_refused_and_nothing_is_copied(
    tmp_path: Path, postgres: PostgresLocation, statement: str, sentence: str
) -> None:
    a_full_journal(tmp_path).close()
    as_attacker(tmp_path / FILE_NAME, statement)
    with pytest.raises(JournalError, match=sentence):
        copy(tmp_path / FILE_NAME, postgres)
    assert history(postgres, Filters()) == ()
    assert execute(postgres, "SELECT seq FROM chain_end") == [(0,)]


# --- the command


CONFIG = """
accounts: {{main: {{api_key: PKAAAAAAAAAAAAAAAAAA, secret_key: s}}}}
journal: {{url: "{url}"}}
"""


def a_program(folder: Path, url: str) -> Program:
    program = Program(folder)
    program.write(CONFIG.format(url=url))
    return program


def test_the_command_copies_the_journal_and_history_reads_the_copy(tmp_path: Path, postgres: PostgresLocation) -> None:
    program = a_program(tmp_path, postgres.url)
    a_full_journal(program.state).close()
    copied = program.run("journal", "copy")
    assert copied.status == 0
    assert copied.out.startswith("Copied 6 entries to postgresql://sellctl@127.0.0.1:")
    assert "copying: 6 of 6 entries, 100%" in copied.err
    assert f"Check the copy: sellctl --config {program.config}" in copied.err
    assert program.run("history", "--verify").out == "journal intact: 6 entries\n"
    again = program.run("journal", "copy")
    assert (again.status, "isn't empty" in again.err) == (5, True)
    assert PASSWORD not in f"{copied}{again}"


def test_without_a_database_in_the_configuration_the_command_says_what_to_write(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.write("accounts: {main: {api_key: PKAAAAAAAAAAAAAAAAAA, secret_key: s}}")
    result = program.run("journal", "copy")
    assert result.status == 2
    assert "names no database for the journal" in result.err


def test_without_a_journal_in_the_state_folder_there_is_nothing_to_copy(
    tmp_path: Path, postgres: PostgresLocation
) -> None:
    result = a_program(tmp_path, postgres.url).run("journal", "copy")
    assert result.status == 1
    assert "There is no journal at" in result.err
