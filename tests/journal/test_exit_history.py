"""What happened, a line per exit: closed, closed in part, not sent, cancelled."""

import asyncio
import datetime as dt
from decimal import Decimal

import pytest
from builders import an_order, replace
from journal_builders import (
    CALL,
    NOON,
    Ticking,
    a_fill,
    a_holding,
    a_journal,
    a_plan,
    a_signal,
    a_snapshot,
    a_step,
    denied,
    intend,
)

from sellctl.core.model.exit_record import HistoryEntry, HistoryKind
from sellctl.core.model.plan import CancelOrder, DecisionState, PositionDecision, halt_violation
from sellctl.journal.exit_history import exit_history
from sellctl.journal.location import JournalLocation
from sellctl.journal.queries import Filters
from sellctl.journal.store import SqlJournal

HALTED = "stop loss: -20%; halted (earnings tonight)"


def a_journal_at(place: JournalLocation, at: dt.datetime = NOON) -> SqlJournal:
    return a_journal(place, Ticking(at))


@pytest.fixture
def journal(place: JournalLocation) -> SqlJournal:
    return a_journal_at(place)


def entries(journal: SqlJournal, **filters: object) -> tuple[HistoryEntry, ...]:
    return exit_history(journal.location, Filters(**filters))


def is_denied(journal: SqlJournal, why: str, at: dt.datetime = NOON) -> None:
    """A plan that does not send a stop."""
    holding = a_holding()
    snapshot = a_snapshot(holding)
    snapshot = replace(snapshot, market=replace(snapshot.market, now=at))
    asyncio.run(journal.plan_made(snapshot, a_plan(denied(holding, why))))


def test_an_exit_of_two_orders_is_one_entry_with_its_gain_and_why(journal: SqlJournal) -> None:
    a_step(journal, "sellctl-1")
    a_fill(journal, "sellctl-1", "1", "1.22")
    a_step(journal, "sellctl-2", 2)
    a_fill(journal, "sellctl-2", "2", "1.17")
    (entry,) = entries(journal)
    assert (entry.symbol, entry.kind, entry.reason, entry.why) == (CALL, "closed", "stop_loss", "stop loss: -20%")
    assert (entry.qty, entry.held, entry.pnl) == (Decimal(3), Decimal(3), Decimal("-94.00"))
    assert entry.at == NOON + dt.timedelta(seconds=5)  # of the last fill


def test_what_is_left_of_a_position_makes_it_partly_closed(journal: SqlJournal) -> None:
    a_step(journal, "sellctl-1")
    a_fill(journal, "sellctl-1", "1", "1.22")
    journal.outcome("main", "sellctl-1", "canceled", {})
    (entry,) = entries(journal)
    assert (entry.kind, entry.qty, entry.held) == (HistoryKind.PARTLY_CLOSED, Decimal(1), Decimal(3))


@pytest.mark.parametrize(
    ("ended", "kind"),
    [
        ("canceled", HistoryKind.NOT_FILLED),
        ("expired", HistoryKind.NOT_FILLED),
        ("rejected", HistoryKind.REJECTED),
        ("absent", HistoryKind.NOT_SENT),
        ("accepted", HistoryKind.WORKING),
    ],
)
def test_an_exit_without_a_fill_is_what_became_of_its_last_order(
    journal: SqlJournal, ended: str, kind: HistoryKind
) -> None:
    a_step(journal, "sellctl-1")
    journal.outcome("main", "sellctl-1", ended, {})
    (entry,) = entries(journal)
    assert (entry.kind, entry.qty, entry.price, entry.pnl) == (kind, Decimal(3), None, None)


def test_the_brokers_refusal_is_part_of_the_reason(journal: SqlJournal) -> None:
    a_step(journal, "sellctl-1")
    journal.outcome("main", "sellctl-1", "refused", {"message": "insufficient qty available"})
    (entry,) = entries(journal)
    assert entry.kind is HistoryKind.REJECTED
    assert entry.why == "stop loss: -20%; Alpaca refused the order: insufficient qty available"


def test_a_fill_without_a_price_has_an_unknown_gain(journal: SqlJournal) -> None:
    a_step(journal, "sellctl-1")
    a_fill(journal, "sellctl-1", "3", "")
    (entry,) = entries(journal)
    assert (entry.kind, entry.price, entry.pnl) == (HistoryKind.CLOSED, None, None)


# --- not sent -----------------------------------------------------------------------------------------------------


def test_an_exit_that_was_due_and_not_sent_is_an_entry(journal: SqlJournal) -> None:
    is_denied(journal, HALTED)
    (entry,) = entries(journal)
    assert (entry.kind, entry.symbol, entry.qty, entry.why) == (HistoryKind.NOT_SENT, CALL, Decimal(3), HALTED)


def test_what_says_the_same_with_other_numbers_is_one_entry(journal: SqlJournal) -> None:
    is_denied(journal, "the spread 0.40 is above 0.25")
    is_denied(journal, "halted (by you)", NOON + dt.timedelta(minutes=1))
    is_denied(journal, "halted (by you, 2)", NOON + dt.timedelta(minutes=2))
    is_denied(journal, "halted (by you, 3)", NOON + dt.timedelta(minutes=3))
    assert [entry.why for entry in entries(journal)] == [
        "halted (by you, 2)",
        "halted (by you)",
        "the spread 0.40 is above 0.25",
    ]


def test_what_is_in_the_way_changes_within_a_minute_and_stays_one_entry(journal: SqlJournal) -> None:
    is_denied(journal, "confirming the stop: waiting for a second quote")
    is_denied(journal, HALTED, NOON + dt.timedelta(seconds=2))
    (entry,) = entries(journal)
    assert (entry.at, entry.why) == (NOON, HALTED)


def test_a_stop_that_is_confirmed_and_sent_within_a_minute_is_only_the_exit(journal: SqlJournal) -> None:
    is_denied(journal, "confirming the stop: waiting for a second quote")
    a_step(journal, "sellctl-1")
    assert [entry.kind for entry in entries(journal)] == [HistoryKind.WORKING]


def test_what_a_halt_held_is_an_entry_however_soon_the_exit_left_after_it(journal: SqlJournal) -> None:
    is_denied(journal, "confirming the stop: waiting for a second quote")
    is_denied(journal, halt_violation("earnings tonight"))
    is_denied(journal, "the quote is 12s old")
    a_step(journal, "sellctl-1")
    sent, held = entries(journal)
    assert (sent.kind, held.kind) == (HistoryKind.WORKING, HistoryKind.NOT_SENT)
    assert held.why == "halted (earnings tonight)"


def test_what_was_not_sent_for_longer_is_an_entry_besides_the_exit(place: JournalLocation) -> None:
    journal = a_journal_at(place, NOON + dt.timedelta(minutes=5))
    is_denied(journal, HALTED)
    a_step(journal, "sellctl-1")
    assert [entry.kind for entry in entries(journal)] == [HistoryKind.WORKING, HistoryKind.NOT_SENT]


def test_an_exit_that_an_order_of_the_user_blocks_is_an_entry(journal: SqlJournal) -> None:
    holding = a_holding()
    sentence = "target +10%; blocked by your order: sell 3 limit $4.00"
    decision = PositionDecision(holding, DecisionState.BLOCKED, sentence, signal=a_signal(holding))
    asyncio.run(journal.plan_made(a_snapshot(holding), a_plan(decision)))
    (entry,) = entries(journal)
    assert (entry.kind, entry.why) == (HistoryKind.BLOCKED, sentence)


# --- cancelled ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order_id", "why", "kind", "shown"),
    [
        ("mine", "stale: 16 min old, 3 min allowed", "cancelled stale", "16 min old, 3 min allowed (limit $1.10)"),
        ("mine", "because an exit needs it", "cancelled", "because an exit needs it (limit $1.10)"),
    ],
)
def test_an_order_that_was_cancelled_is_an_entry(
    journal: SqlJournal, order_id: str, why: str, kind: str, shown: str
) -> None:
    cancel = CancelOrder(an_order(CALL, limit="1.10", client_order_id=order_id), why)
    asyncio.run(journal.intend("main", (), (cancel,)))
    asyncio.run(journal.plan_made(a_snapshot(a_holding()), a_plan(stale=(cancel,))))
    (entry,) = entries(journal)
    assert (entry.symbol, entry.kind, entry.why) == (CALL, kind, shown)


def test_a_cancel_within_an_exit_is_none(journal: SqlJournal) -> None:
    a_step(journal, "sellctl-1")
    cancel = CancelOrder(an_order(CALL, client_order_id="sellctl-1"), "to reprice")
    asyncio.run(journal.intend("main", (), (cancel,)))
    assert len(entries(journal)) == 1


# --- pages --------------------------------------------------------------------------------------------------------


def test_the_newest_are_first_and_days_are_read_until_a_page_is_full(place: JournalLocation) -> None:
    for day in range(3):
        journal = a_journal_at(place, NOON + dt.timedelta(days=day))
        intend(journal, f"sellctl-{day}")
        journal.close()
    assert [entry.at.day for entry in entries(journal)] == [28, 27, 26]
    first = entries(journal, limit=2)
    assert [entry.at.day for entry in first] == [28, 27]
    assert [entry.at.day for entry in entries(journal, limit=2, before=first[-1].row)] == [26]
    assert [entry.at.day for entry in entries(journal, since="2025-08-27")] == [28, 27]
    assert [entry.at.day for entry in entries(journal, day="2025-08-27")] == [27]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"account": "main"}, 1),
        ({"account": "other"}, 0),
        ({"reason": "stop_loss"}, 1),
        ({"reason": "take_profit"}, 0),
        ({"symbol": CALL}, 1),
        ({"symbol": "AAPL"}, 0),
    ],
)
def test_filters_narrow_it(journal: SqlJournal, filters: dict[str, str], found: int) -> None:
    intend(journal)
    assert len(entries(journal, **filters)) == found


def test_without_a_journal_it_is_empty(place: JournalLocation) -> None:
    assert exit_history(place, Filters()) == ()
