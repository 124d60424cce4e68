"""What the journal recorded of exits since a row: what a command tells about a request that another process did."""

from decimal import Decimal
from pathlib import Path

from journal_builders import CALL, a_journal, intend

from sellctl.core.model.exit_record import ExitsSince
from sellctl.journal.exits_since import exits_since, newest_row
from sellctl.journal.schema import FILE_NAME
from sellctl.journal.store import SqliteJournal


def fill(journal: SqliteJournal, order: str, total: str, price: str) -> None:
    detail = {"order_id": order, "symbol": CALL, "filled_qty": total, "filled_avg_price": price}
    journal.record_fill("main", order, detail)


def test_without_a_journal_nothing_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    assert (newest_row(path), exits_since(path, "main", 0)) == (0, {})
    assert list(tmp_path.iterdir()) == []


def test_fills_add_up_over_orders_with_their_average_price(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    fill(journal, "one", "1", "1.10")
    fill(journal, "one", "2", "1.20")
    fill(journal, "two", "2", "1.00")
    found = exits_since(tmp_path / FILE_NAME, "main", 0)[CALL]
    assert (found.filled, found.price) == (Decimal(4), Decimal("1.10"))


def test_a_fill_without_a_price_leaves_the_average_unknown(tmp_path: Path) -> None:
    fill(a_journal(tmp_path), "one", "1", "")
    assert exits_since(tmp_path / FILE_NAME, "main", 0)[CALL].price is None


def test_only_later_rows_of_the_account_count(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    fill(journal, "one", "1", "1.10")
    row = newest_row(tmp_path / FILE_NAME)
    fill(journal, "one", "3", "1.10")
    assert exits_since(tmp_path / FILE_NAME, "main", row)[CALL].filled == Decimal(2)
    assert exits_since(tmp_path / FILE_NAME, "other", 0) == {}


def test_a_refusal_counts_until_the_next_order(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    intend(journal, "sellctl-1")
    journal.outcome("main", "sellctl-1", "refused", {"message": "no such luck"})
    assert exits_since(tmp_path / FILE_NAME, "main", 0)[CALL] == ExitsSince(sent=True, refusal="no such luck")
    intend(journal, "sellctl-2")
    assert exits_since(tmp_path / FILE_NAME, "main", 0)[CALL] == ExitsSince(sent=True)
