"""What was done to a journal on a server behind sellctl's back is found, and so is a database that was set back."""

import pytest
from journal_builders import a_journal, as_attacker, execute, intend

from sellctl.journal.location import PostgresLocation
from sellctl.journal.queries import Filters, history
from sellctl.journal.verify import verify


@pytest.fixture
def written(postgres: PostgresLocation) -> PostgresLocation:
    """A closed journal of four rows."""
    journal = a_journal(postgres)
    for number in range(3):
        intend(journal, f"sellctl-{number}")
    journal.note("main", "halt", {"sentence": "halted by hand"})
    journal.close()
    return postgres


def test_an_untouched_journal_verifies(written: PostgresLocation) -> None:
    assert verify(written).sentence == "journal intact: 4 entries"


def test_a_database_without_a_journal_verifies_as_empty(server: object, written: PostgresLocation) -> None:
    new = PostgresLocation(server.database(), written.folder)  # type: ignore[attr-defined]
    assert (verify(new).rows, verify(new).fault, history(new, Filters())) == (0, "", ())


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE audit SET body = '{}' WHERE seq = 2", "row 2 was changed"),
        ("DELETE FROM audit WHERE seq = 4", "row 4 is missing: the head names row 4"),
        ("DELETE FROM audit WHERE seq = 2", "row 2 is missing"),
        ("DELETE FROM audit WHERE seq = 1", "row 1 is missing"),
        ("DELETE FROM chain_end", "the head file is missing"),
        ("DELETE FROM unresolved", "the table of open orders does not follow from the rows"),
        ("DROP TRIGGER audit_never_changes ON audit", "'audit_never_changes' is missing: the database was changed"),
        (
            "ALTER TABLE audit DISABLE TRIGGER audit_never_shrinks",
            "'audit_never_shrinks' is off or not sellctl's: the database was changed",
        ),
        (
            "CREATE OR REPLACE FUNCTION audit_never_changes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
            "'audit_never_changes' is off or not sellctl's: the database was changed",
        ),
        ("DROP INDEX audit_day", "'audit_day' is missing: the database was changed"),
    ],
)
def test_what_an_attacker_did_is_named(written: PostgresLocation, statement: str, sentence: str) -> None:
    as_attacker(written, statement)
    assert verify(written).fault == sentence


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET body = '{}'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "INSERT INTO audit SELECT 9, at, account, kind, symbol, reason, client_order_id, day, body, at, at FROM audit",
        "INSERT INTO audit SELECT * FROM audit WHERE seq = 1 ON CONFLICT (seq) DO UPDATE SET body = '{}'",
    ],
)
def test_audit_rows_refuse_every_change(written: PostgresLocation, statement: str) -> None:
    import psycopg  # noqa: PLC0415  an extra

    with pytest.raises(psycopg.errors.RaiseException, match=r"audit rows are (never|only)"):
        execute(written, statement)
    assert verify(written).fault == ""


def set_back(location: PostgresLocation) -> None:
    """Set the database back to row 3, as an old backup does, or a failover that lost the last commit."""
    as_attacker(
        location,
        "DELETE FROM audit WHERE seq = 4; "
        "UPDATE chain_end SET (seq, hash) = (SELECT seq, hash FROM audit WHERE seq = 3)",
    )


def test_a_database_that_was_set_back_is_missed_by_the_host_that_wrote_to_it(written: PostgresLocation) -> None:
    set_back(written)
    assert verify(written).fault == "row 4, which this host has recorded, is missing or another one"
    journal = a_journal(written)
    assert "the head names row 4, and the last row found is 3" in journal.alarm
    intend(journal, "sellctl-9")
    journal.close()
    assert [row.kind for row in history(written, Filters(limit=2))] == ["intent", "gap"]
    assert "may have lost rows" in verify(written).fault


def test_a_host_that_never_wrote_to_it_cannot_know(written: PostgresLocation) -> None:
    set_back(written)
    elsewhere = PostgresLocation(written.url, written.folder / "elsewhere")
    assert verify(elsewhere).fault == ""


def test_rows_that_disappear_while_it_runs_are_recorded_with_the_next_one(postgres: PostgresLocation) -> None:
    journal = a_journal(postgres)
    intend(journal, "sellctl-1")
    intend(journal, "sellctl-2")
    as_attacker(postgres, "DELETE FROM audit WHERE seq = 2")
    intend(journal, "sellctl-3")
    assert [row.kind for row in history(postgres, Filters(limit=2))] == ["intent", "gap"]
    assert "its head names row 2, and the last row found is 1" in verify(postgres).fault
