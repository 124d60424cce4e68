"""Another account behind a name: nothing recorded of the old one is applied to it, and the audit stays whole."""

import asyncio
import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from journal_builders import (
    CALL,
    NOON,
    Ticking,
    a_fill,
    a_holding,
    a_journal,
    a_plan,
    a_snapshot,
    a_step,
    denied,
    intend,
)

from sellctl.core.model.episode import Episode
from sellctl.core.model.exit_record import HistoryKind
from sellctl.core.model.position import Direction
from sellctl.journal.account_numbers import AccountNumber, number_of
from sellctl.journal.episode_store import DryRunEpisodeStore, SqlEpisodeStore
from sellctl.journal.exit_history import exit_history
from sellctl.journal.exits import exits
from sellctl.journal.location import JournalLocation
from sellctl.journal.queries import Filters
from sellctl.journal.store import SqlJournal
from sellctl.journal.verify import verify


def an_episode(peak: str) -> Episode:
    return Episode(CALL, Direction.LONG, NOON, Decimal(3), Decimal("1.50"), peak=Decimal(peak))


def a_busy_journal(folder: Path) -> SqlJournal:
    """Of account PA1: an open intent, a fill, a note, and an episode."""
    journal = a_journal(folder)
    assert journal.set_account_number("main", "PA1") == ""
    intend(journal, "sellctl-1")
    intend(journal, "sellctl-2")
    fill = {"order_id": "b2", "filled_qty": "3", "filled_avg_price": "1.60"}
    journal.outcome("main", "sellctl-2", "filled", fill)
    journal.record_fill("main", "sellctl-2", fill)
    journal.note("main", "no_backstop", {"symbol": CALL})
    asyncio.run(SqlEpisodeStore(journal.database).save("main", {CALL: an_episode("2.00")}))
    return journal


def test_the_first_number_and_the_same_one_again_change_nothing(place: JournalLocation) -> None:
    journal = a_busy_journal(place)
    assert journal.set_account_number("main", "PA1") == ""
    assert journal.open_intents("main") == ("sellctl-1",)
    assert journal.realised("main") == 30
    assert SqlEpisodeStore(journal.database).load("main") == {CALL: an_episode("2.00")}


def test_nothing_of_the_old_account_is_left_for_the_new_one(place: JournalLocation) -> None:
    journal = a_busy_journal(place)
    assert journal.set_account_number("main", "PA2") == "PA1"
    assert journal.set_account_number("main", "PA2") == ""
    assert journal.open_orders("main") == ()
    assert journal.filled_since("main", NOON) == {}
    assert journal.noted_today("main", "no_backstop") == ()
    assert journal.realised("main") == 0
    assert SqlEpisodeStore(journal.database).load("main") == {}


def test_the_first_number_costs_no_commit_of_its_own_and_is_kept_by_a_quiet_process_too(place: JournalLocation) -> None:
    journal = a_journal(place)
    assert journal.set_account_number("main", "PA1") == ""
    with journal.database.reading() as tx:
        assert number_of(tx, "main") == AccountNumber()
    journal.close()
    assert a_journal(place).set_account_number("main", "PA2") == "PA1"


def test_other_names_keep_what_is_theirs(place: JournalLocation) -> None:
    journal = a_busy_journal(place)
    journal.set_account_number("other", "PA1")
    intend(journal, "sellctl-9", account="other")
    journal.set_account_number("main", "PA2")
    assert journal.open_intents("other") == ("sellctl-9",)


def test_the_episodes_of_an_account_that_returns_are_applied_again(place: JournalLocation) -> None:
    journal = a_busy_journal(place)
    journal.set_account_number("main", "PA2")
    asyncio.run(SqlEpisodeStore(journal.database).save("main", {CALL: an_episode("9.00")}))
    assert journal.set_account_number("main", "PA1") == "PA2"
    assert SqlEpisodeStore(journal.database).load("main") == {CALL: an_episode("2.00")}


def test_a_dry_run_loads_the_episodes_of_its_account_only(place: JournalLocation) -> None:
    a_busy_journal(place).close()
    for number, found in (("PA1", {CALL: an_episode("2.00")}), ("PA2", {})):
        episode_store = DryRunEpisodeStore(place)
        assert episode_store.set_account_number("main", number) == ""
        assert episode_store.load("main") == found


def test_the_audit_is_whole_after_the_change_and_says_why_an_intent_ended(place: JournalLocation) -> None:
    journal = a_busy_journal(place)
    journal.set_account_number("main", "PA2")
    journal.close()
    assert verify(place).fault == ""


def test_a_fill_under_an_order_id_of_the_old_account_is_a_fill_of_the_new_one(place: JournalLocation) -> None:
    journal = a_busy_journal(place)
    journal.set_account_number("main", "PA2")
    intend(journal, "sellctl-3")
    fill = {"order_id": "b2", "filled_qty": "3", "filled_avg_price": "1.60"}
    assert journal.record_fill("main", "sellctl-3", fill) == 3
    assert journal.record_fill("main", "sellctl-3", fill) == 0
    assert journal.realised("main") == 30
    journal.close()
    assert verify(place).fault == ""


@pytest.mark.parametrize("days_ahead", [0, 10], ids=["on the broker's date", "on the host's date"])
def test_an_exit_of_the_new_account_does_not_continue_one_of_the_old_account(
    place: JournalLocation, days_ahead: int
) -> None:
    clock = Ticking()
    journal = a_journal(place, clock)
    for number, order, price in (("PA1", "sellctl-1", "1.22"), ("PA2", "sellctl-2", "1.17")):
        clock.at += dt.timedelta(days=days_ahead)
        journal.set_account_number("main", number)
        clock.at = NOON
        a_step(journal, order)
        a_fill(journal, order, "3", price)
    expected = [Decimal("1.22"), Decimal("1.17")]
    assert [each.price for each in exits(journal.location, Filters())] == expected
    assert [each.price for each in exit_history(journal.location, Filters())] == expected[::-1]
    only = Filters(account="main", since=exits(journal.location, Filters())[0].day)
    assert [each.price for each in exits(journal.location, only)] == expected


def test_an_order_of_the_old_account_whose_end_is_unknown_has_ended_in_the_history(place: JournalLocation) -> None:
    journal = a_journal(place)
    journal.set_account_number("main", "PA1")
    a_step(journal, "sellctl-1")
    assert exit_history(journal.location, Filters())[0].kind is HistoryKind.WORKING
    journal.set_account_number("main", "PA2")
    a_step(journal, "sellctl-2")
    new, old = exit_history(journal.location, Filters())
    assert (new.kind, old.kind) == (HistoryKind.WORKING, HistoryKind.NOT_FILLED)


def test_what_the_new_account_does_not_send_is_recorded_though_the_old_one_said_the_same(
    place: JournalLocation,
) -> None:
    journal = a_journal(place)
    for number in ("PA1", "PA2"):
        journal.set_account_number("main", number)
        holding = a_holding()
        asyncio.run(journal.plan_made(a_snapshot(holding), a_plan(denied(holding, "halted (earnings)"))))
    assert [each.kind for each in exit_history(journal.location, Filters())] == [HistoryKind.NOT_SENT] * 2
