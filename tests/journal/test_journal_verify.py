"""A journal that was touched doesn't verify, whatever was touched; one that wasn't does, however it was stopped."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_builders import a_journal, as_attacker, intend

from sellctl.journal.chain import CELLS, GENESIS, START, ChainBreak, ChainLink, follow, row_hash, storable
from sellctl.journal.head import head_path
from sellctl.journal.schema import FILE_NAME
from sellctl.journal.verify import verify


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed journal of four rows."""
    journal = a_journal(tmp_path)
    for number in range(3):
        intend(journal, f"sellctl-{number}")
    journal.note("main", "halt", {"sentence": "halted by hand"})
    journal.close()
    return journal.path


def links(bodies: list[str]) -> Iterator[dict[str, Any]]:
    before = START
    for body in bodies:
        row = dict.fromkeys(CELLS, "") | {"seq": before.seq + 1, "body": body, "prev_hash": before.hash}
        before = ChainLink(before.seq + 1, row_hash(row["seq"], [row[cell] for cell in CELLS]))
        yield {**row, "hash": before.hash}


@given(st.lists(st.text().map(storable), min_size=1, max_size=6))
def test_a_chain_holds_from_first_to_last(bodies: list[str]) -> None:
    rows = list(links(bodies))
    assert list(follow(rows, START))[-1] == ChainLink(len(rows), rows[-1]["hash"])


@given(st.lists(st.text().map(storable), min_size=1, max_size=6), st.data())
def test_a_chain_with_any_cell_changed_breaks_at_that_row_or_the_next(bodies: list[str], data: st.DataObject) -> None:
    rows = list(links(bodies))
    place = data.draw(st.integers(0, len(rows) - 1))
    cell = data.draw(st.sampled_from(["seq", *CELLS, "hash"]))
    rows[place][cell] = data.draw(
        st.one_of(st.text(), st.integers(), st.binary()).filter(lambda x: x != rows[place][cell])
    )
    steps = list(follow(rows, START))
    broken_next = cell == "hash" and place + 1 < len(rows)
    assert isinstance(steps[-1], ChainBreak), broken_next
    assert steps[-1].seq == place + 1


def test_an_untouched_journal_verifies(path: Path) -> None:
    assert verify(path).sentence == "journal intact: 4 entries"


def test_a_journal_that_never_was_verifies_as_empty(tmp_path: Path) -> None:
    assert verify(tmp_path / FILE_NAME).rows == 0
    assert verify(tmp_path / FILE_NAME).fault == ""


@pytest.mark.parametrize("row", [1, 3, 4])
def test_every_changed_byte_of_a_row_is_found(path: Path, row: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER audit_never_changes")
        connection.commit()
        connection.row_factory = sqlite3.Row
        cells = dict(connection.execute("SELECT * FROM audit WHERE seq = ?", (row,)).fetchone())
        del cells["seq"]
        for column, text in cells.items():
            for place in range(len(text)):
                changed = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
                connection.execute(f"UPDATE audit SET {column} = ? WHERE seq = ?", (changed, row))  # noqa: S608  our own column
                assert not _holds(connection), (column, place)
            connection.execute(f"UPDATE audit SET {column} = ? WHERE seq = ?", (text, row))  # noqa: S608  our own column
        assert _holds(connection)


def _holds(connection: Any) -> bool:
    rows = (dict(row) for row in connection.execute("SELECT * FROM audit ORDER BY seq"))
    return not isinstance(list(follow(rows, START))[-1], ChainBreak)


def test_every_flipped_byte_of_a_row_in_the_file_itself_is_found(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    start = whole.index(b"halted by hand") - 250
    copy = tmp_path / "copy" / FILE_NAME
    copy.parent.mkdir()
    shutil.copy(head_path(path), head_path(copy))
    row = slice(whole.index(b"2025-08-26T", start), whole.index(b"halted by hand") + 150)
    for place in range(row.start, row.stop, 7):
        copy.write_bytes(whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :])
        assert verify(copy).fault, place


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE audit SET body = '{}' WHERE seq = 2", "row 2 was changed"),
        (
            "UPDATE audit SET at = CAST('x' AS BLOB) WHERE seq = 2",
            "row 2 was changed: it holds something that sellctl never writes",
        ),
        ("DELETE FROM audit WHERE seq = 4", "row 4 is missing: the head names row 4"),
        ("DELETE FROM audit WHERE seq >= 3", "row 3 is missing: the head names row 4"),
        ("DELETE FROM audit WHERE seq = 2", "row 2 is missing"),
        ("DELETE FROM audit WHERE seq = 1", "row 1 is missing"),
        ("DELETE FROM audit", "row 1 is missing: the head names row 4"),
    ],
)
def test_what_an_attacker_did_is_named(path: Path, statement: str, sentence: str) -> None:
    as_attacker(path, statement)
    assert verify(path).fault == sentence


def test_a_row_rewritten_with_a_right_hash_is_found_by_the_next_row_or_the_head(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM audit WHERE seq = 4").fetchone())
    row["body"] = "{}"
    as_attacker(
        path,
        "UPDATE audit SET body = '{}', hash = ? WHERE seq = 4",
        row_hash(row["seq"], [row[cell] for cell in CELLS]),
    )
    assert verify(path).fault == "row 4 is not the one that the head names"


def test_a_head_that_lags_behind_a_crash_is_no_alarm(path: Path) -> None:
    head_path(path).write_bytes(_line(path, 3))
    assert verify(path).fault == ""
    journal = a_journal(path.parent)
    journal.close()
    assert journal.alarm == ""
    assert head_path(path).read_bytes() == _line(path, 4)


def _line(path: Path, seq: int) -> bytes:
    with closing(sqlite3.connect(path)) as connection:
        digest = connection.execute("SELECT hash FROM audit WHERE seq = ?", (seq,)).fetchone()[0]
    return f"{seq:020d} {digest} {0:020d} {GENESIS}\n".encode()


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 900])
def test_a_damaged_head_is_told_and_stops_no_exit(path: Path, content: bytes) -> None:
    head_path(path).write_bytes(content)
    assert "head" in verify(path).fault
    journal = a_journal(path.parent)
    assert "is damaged" in journal.alarm
    intend(journal, "sellctl-9")
    journal.close()
    assert verify(path).fault.startswith("row 5 records: The journal")


def test_a_missing_head_is_told(path: Path) -> None:
    head_path(path).unlink()
    assert verify(path).fault == "the head file is missing"


def test_an_old_backup_put_back_is_told_and_written_down(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    intend(journal, "sellctl-1")
    journal.close()
    backup = journal.path.read_bytes()
    journal = a_journal(tmp_path)
    intend(journal, "sellctl-2")
    journal.close()
    journal.path.write_bytes(backup)
    assert verify(journal.path).fault == "row 2 is missing: the head names row 2"
    journal = a_journal(tmp_path)
    assert "the head names row 2, and the last row found is 1" in journal.alarm
    intend(journal, "sellctl-3")
    journal.close()
    assert verify(journal.path).fault.startswith("row 2 records: The journal")
    assert verify(journal.path).row == 2


def test_a_database_removed_between_runs_is_told(path: Path) -> None:
    path.unlink()
    assert "is gone or empty, and the head names row 4" in verify(path).fault
    journal = a_journal(path.parent)
    journal.close()
    assert "the head names row 4" in journal.alarm


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=20)), max_size=6))
def test_any_notes_verify(tmp_path_factory: pytest.TempPathFactory, notes: list[tuple[str, str]]) -> None:
    journal = a_journal(tmp_path_factory.mktemp("notes"))
    for kind, text in notes:
        journal.note("main", kind, {"sentence": text})
    journal.close()
    assert verify(journal.path).fault == ""
    assert verify(journal.path).rows == len(notes)


# --- what is derived from the rows, and the schema


@pytest.fixture
def traded(tmp_path: Path) -> Path:
    """A closed journal of two orders: one open, one filled in two parts."""
    journal = a_journal(tmp_path)
    intend(journal, "sellctl-1")
    intend(journal, "sellctl-2")
    for qty in ("1", "3"):
        journal.outcome("main", "sellctl-2", "fill", a_fill(qty))
    journal.outcome("main", "sellctl-2", "filled", {})
    journal.close()
    return journal.path


def a_fill(qty: str) -> dict[str, str]:
    return {"order_id": "an-id", "filled_qty": qty, "filled_avg_price": "1.25"}


def change(path: Path, statement: str) -> None:
    """Change the file without touching its triggers."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_the_derived_tables_follow_from_the_rows(traded: Path) -> None:
    assert verify(traded).sentence == "journal intact: 5 entries"


OPEN_ORDERS = "the table of open orders does not follow from the rows"
FILLS = "the table of fills does not follow from the rows"


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DELETE FROM unresolved", OPEN_ORDERS),
        ("UPDATE unresolved SET seq = 2", OPEN_ORDERS),
        ("UPDATE unresolved SET symbol = CAST('x' AS BLOB)", OPEN_ORDERS),
        ("INSERT INTO unresolved VALUES ('main', 'sellctl-2', 2, 'SPY', 'stop_loss')", OPEN_ORDERS),
        ("DELETE FROM fills", FILLS),
        ("UPDATE fills SET filled_qty = '1'", FILLS),
        ("UPDATE fills SET filled_qty = 'nonsense'", FILLS),
        ("INSERT INTO fills VALUES ('main', 'another', 'sellctl-9', 'SPY', '3', '1.25', '2025-08-26')", FILLS),
        ("CREATE TRIGGER mine AFTER INSERT ON audit BEGIN DELETE FROM unresolved; END", "'mine' isn't sellctl's"),
        ("CREATE TRIGGER mine BEFORE INSERT ON fills BEGIN SELECT RAISE(IGNORE); END", "'mine' isn't sellctl's"),
        ("CREATE VIEW mine AS SELECT * FROM audit", "'mine' isn't sellctl's"),
        ("CREATE TABLE mine (x)", "'mine' isn't sellctl's"),
        ("CREATE UNIQUE INDEX mine ON audit (body)", "'mine' isn't sellctl's"),
        ("DROP TRIGGER audit_never_shrinks", "'audit_never_shrinks' is missing"),
        ("DROP INDEX audit_day", "'audit_day' is missing"),
    ],
)
def test_what_was_changed_beside_the_rows_is_found(traded: Path, statement: str, sentence: str) -> None:
    change(traded, statement)
    assert sentence in verify(traded).fault


def test_a_trigger_that_was_replaced_under_its_name_is_found(traded: Path) -> None:
    change(traded, "DROP TRIGGER audit_never_changes")
    change(traded, "CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit BEGIN SELECT 1; END")
    assert "'audit_never_changes' isn't sellctl's" in verify(traded).fault


@pytest.mark.parametrize(
    "statement",
    [
        (
            "INSERT OR REPLACE INTO audit SELECT seq, at, account, kind, symbol, reason, client_order_id, day, '{}', "
            "prev_hash, hash FROM audit WHERE seq = 2"
        ),
        "REPLACE INTO audit SELECT * FROM audit WHERE seq = 5",
        (
            "INSERT INTO audit SELECT 9, at, account, kind, symbol, reason, client_order_id, day, body, prev_hash, "
            "hash FROM audit WHERE seq = 2"
        ),
        "UPDATE OR REPLACE audit SET seq = 1 WHERE seq = 2",
        "INSERT INTO audit SELECT * FROM audit WHERE seq = 2 ON CONFLICT (seq) DO UPDATE SET body = '{}'",
        "DELETE FROM audit WHERE seq = 5",
    ],
)
def test_no_statement_changes_removes_or_inserts_a_row(traded: Path, statement: str) -> None:
    before = rows_of(traded)
    with pytest.raises(sqlite3.IntegrityError, match="audit rows are"):
        change(traded, statement)
    assert rows_of(traded) == before


def rows_of(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM audit ORDER BY seq").fetchall()
