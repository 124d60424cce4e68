"""What the journal keeps of a multi-leg order: its legs come back, and its fills are those of each leg."""

import asyncio
from decimal import Decimal
from pathlib import Path

from journal_builders import CALL, HIGHER, NOON, VERTICAL, a_journal, an_intended_structure

from sellctl.core.model.order import Side
from sellctl.journal.exits_since import exits_since
from sellctl.journal.location import JournalLocation
from sellctl.journal.store import SqlJournal

FILL = {
    "order_id": "b1", "symbol": VERTICAL, "filled_qty": "2", "filled_avg_price": "0.90",
    "legs": {CALL: "1", HIGHER: "1"},
}  # fmt: skip


def a_journal_with_a_structure(folder: Path) -> SqlJournal:
    journal = a_journal(folder)
    asyncio.run(journal.intend("main", [an_intended_structure()], ()))
    return journal


def test_a_restart_takes_up_its_legs_and_whether_the_structure_was_paid_for(place: JournalLocation) -> None:
    journal = a_journal_with_a_structure(place)
    (order,) = journal.open_orders("main")
    assert (order.intent.symbol, order.intent.side) == (VERTICAL, Side.SELL)
    assert order.intent.legs == an_intended_structure().request.legs


def test_its_fill_is_one_of_each_of_its_symbols_that_positions_may_not_show_yet(place: JournalLocation) -> None:
    journal = a_journal_with_a_structure(place)
    assert journal.record_fill("main", "sellctl-1", FILL) == 2
    assert journal.record_fill("main", "sellctl-1", FILL) == 0
    assert journal.filled_since("main", NOON).keys() == {VERTICAL, CALL, HIGHER}


def test_its_profit_counts_on_the_net_entry(place: JournalLocation) -> None:
    journal = a_journal_with_a_structure(place)
    journal.record_fill("main", "sellctl-1", FILL)
    assert journal.realised("main") == (Decimal("0.90") - Decimal("1.50")) * 2 * 1


def test_what_was_sent_and_filled_is_found_by_its_name_with_the_price_and_by_each_leg_without(
    place: JournalLocation,
) -> None:
    journal = a_journal_with_a_structure(place)
    journal.record_fill("main", "sellctl-1", FILL)
    found = exits_since(place, "main", 0)
    assert (found[VERTICAL].filled, found[VERTICAL].price) == (2, Decimal("0.90"))
    assert [(found[leg].sent, found[leg].filled, found[leg].price) for leg in (CALL, HIGHER)] == [(True, 2, None)] * 2
