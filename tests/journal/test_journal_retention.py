"""Old rows move to an archive; both halves verify, and no row is lost however it is stopped."""

import datetime as dt
from collections.abc import Iterator

import pytest
from journal_builders import NOON, Ticking, a_journal, as_attacker, intend

from sellctl.journal.location import JournalLocation
from sellctl.journal.queries import Filters, history
from sellctl.journal.retention import prune
from sellctl.journal.store import SqlJournal
from sellctl.journal.verify import verify

TODAY = NOON.date()


@pytest.fixture
def journal(place: JournalLocation) -> Iterator[SqlJournal]:
    """Three days of three notes each; the last day is today."""
    clock = Ticking()
    opened = a_journal(place, clock)
    for days in (2, 1, 0):
        clock.at = NOON - dt.timedelta(days=days)
        for number in range(3):
            opened.note("main", "note", {"symbol": "SPY", "sentence": f"{days} {number}"})
    yield opened
    opened.close()


def test_old_rows_move_and_both_halves_verify(journal: SqlJournal) -> None:
    archive = prune(journal, TODAY)
    assert archive.rows == 6
    assert verify(archive.path).rows == 6
    assert verify(archive.path).fault == ""
    assert verify(journal.location).fault == ""
    assert [row.kind for row in history(journal.location, Filters())] == ["archived", "note", "note", "note"]
    assert [row.seq for row in history(archive.path, Filters())] == [6, 5, 4, 3, 2, 1]


def test_pruning_twice_makes_two_archives_that_follow_each_other(journal: SqlJournal) -> None:
    first, second = prune(journal, TODAY - dt.timedelta(days=1)), prune(journal, TODAY)
    assert (first.rows, second.rows) == (3, 3)
    assert [verify(path).fault for path in (first.path, second.path, journal.location)] == ["", "", ""]
    assert prune(journal, TODAY) is None


def test_what_an_unresolved_order_needs_stays(journal: SqlJournal) -> None:
    intend(journal)
    assert prune(journal, TODAY + dt.timedelta(days=9)).rows == 9
    assert journal.open_intents("main") == ("sellctl-1",)


def test_the_newest_row_stays(journal: SqlJournal) -> None:
    assert prune(journal, TODAY + dt.timedelta(days=9)).rows == 8
    journal.close()
    a_journal(journal.location).close()
    assert verify(journal.location).fault == ""


def test_rows_cut_off_the_front_without_an_archive_are_missed(journal: SqlJournal) -> None:
    prune(journal, TODAY - dt.timedelta(days=1))
    as_attacker(journal.location, "DELETE FROM audit WHERE seq <= 5")
    assert verify(journal.location).fault == "row 1 is missing"


def test_rows_cut_off_an_archive_are_missed(journal: SqlJournal) -> None:
    archive = prune(journal, TODAY)
    as_attacker(archive.path, "DELETE FROM audit WHERE seq <= 2")
    assert verify(archive.path).fault == "row 1 is missing"


@pytest.mark.parametrize("step", ["journal.written", "journal.committed"])
def test_a_stop_in_between_loses_nothing(journal: SqlJournal, step: str) -> None:
    def stop(reached: str) -> None:
        if reached == step:
            raise KeyboardInterrupt

    journal.step = stop
    with pytest.raises(KeyboardInterrupt):
        prune(journal, TODAY)
    journal.step = lambda _: None
    assert verify(journal.location).fault == ""
    prune(journal, TODAY)
    (archive,) = journal.database.folder.glob("*.archive.sqlite")
    assert verify(archive).rows == 6
    assert verify(journal.location).fault == ""
    journal.note("main", "note", {})
    assert verify(journal.location).fault == ""
