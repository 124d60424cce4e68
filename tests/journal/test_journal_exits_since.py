"""What the journal recorded of exits since a row: what a command tells about a request that another process did."""

from decimal import Decimal
from pathlib import Path

from journal_builders import CALL, a_journal, intend

from sellctl.core.model.exit_record import ExitsSince
from sellctl.journal.exits_since import exits_since, newest_row
from sellctl.journal.location import JournalLocation
from sellctl.journal.notes_since import accounts_noted_since
from sellctl.journal.schema import FILE_NAME
from sellctl.journal.store import SqlJournal

OTHER, VERTICAL = "SPY250829C00510000", "SPY-ratio-250829-500x2-510C"


def fill(journal: SqlJournal, order: str, total: str, price: str) -> None:
    detail = {"order_id": order, "symbol": CALL, "filled_qty": total, "filled_avg_price": price}
    journal.record_fill("main", order, detail)


def test_without_a_journal_nothing_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    assert (newest_row(path), exits_since(path, "main", 0)) == (0, {})
    assert list(tmp_path.iterdir()) == []


def test_the_accounts_with_notes_of_a_kind_after_a_row_are_found_with_the_newest_row(place: JournalLocation) -> None:
    path = place
    assert accounts_noted_since(path, ["override"], 0) == (frozenset(), 0)
    journal = a_journal(place)
    for account, kind in (("main", "override"), ("ira", "override ended"), ("other", "exempt")):
        journal.note(account, kind, {})
    kinds, newest = ("override", "override ended"), newest_row(path)
    assert accounts_noted_since(path, kinds, 0) == ({"main", "ira"}, newest)
    assert accounts_noted_since(path, kinds, newest) == (frozenset(), newest)


def test_fills_add_up_over_orders_with_their_average_price(place: JournalLocation) -> None:
    journal = a_journal(place)
    fill(journal, "one", "1", "1.10")
    fill(journal, "one", "2", "1.20")
    fill(journal, "two", "2", "1.00")
    found = exits_since(place, "main", 0)[CALL]
    assert (found.filled, found.price) == (Decimal(4), Decimal("1.10"))


def test_a_fill_without_a_price_leaves_the_average_unknown(place: JournalLocation) -> None:
    fill(a_journal(place), "one", "1", "")
    assert exits_since(place, "main", 0)[CALL].price is None


def test_the_fill_of_a_multi_leg_order_has_its_net_price_for_each_leg_and_not_beside_an_order_of_the_leg(
    place: JournalLocation,
) -> None:
    journal, path = a_journal(place), place
    detail = {"legs": [{"symbol": CALL, "ratio": "2"}, {"symbol": OTHER, "ratio": "1"}], "symbol": VERTICAL}
    journal.note("main", "intent", {**detail, "client_order_id": "one"})
    filled = {"order_id": "1", "symbol": VERTICAL, "filled_qty": "3", "filled_avg_price": "-0.80"}
    journal.record_fill("main", "one", filled)
    found = exits_since(path, "main", 0)
    assert (found[CALL].filled, found[CALL].price, found[CALL].net) == (6, None, Decimal("-0.80"))
    assert (found[VERTICAL].price, found[VERTICAL].net) == (Decimal("-0.80"), None)
    fill(journal, "two", "1", "1.00")
    assert exits_since(path, "main", 0)[CALL].net is None


def test_only_later_rows_of_the_account_count(place: JournalLocation) -> None:
    journal = a_journal(place)
    fill(journal, "one", "1", "1.10")
    row = newest_row(place)
    fill(journal, "one", "3", "1.10")
    assert exits_since(place, "main", row)[CALL].filled == Decimal(2)
    assert exits_since(place, "other", 0) == {}


def test_a_refusal_counts_until_the_next_order(place: JournalLocation) -> None:
    journal = a_journal(place)
    intend(journal, "sellctl-1")
    journal.outcome("main", "sellctl-1", "refused", {"message": "no such luck"})
    assert exits_since(place, "main", 0)[CALL] == ExitsSince(sent=True, refusal="no such luck", why="stop loss: -20%")
    intend(journal, "sellctl-2")
    assert exits_since(place, "main", 0)[CALL] == ExitsSince(sent=True, why="stop loss: -20%")
