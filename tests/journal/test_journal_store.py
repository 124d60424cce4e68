"""What is written down, once, durably, and found again."""

import asyncio
import datetime as dt
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from builders import an_order as a_resting_order
from builders import replace
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_builders import (
    CALL,
    NOON,
    a_holding,
    a_journal,
    a_plan,
    a_snapshot,
    an_intended_order,
    denied,
    held,
    intend,
    leaving,
)

from sellctl.core.errors import JournalError
from sellctl.core.model.gain import CostBasis
from sellctl.core.model.intent import Intent
from sellctl.core.model.order import Order, OrderType, Side
from sellctl.core.model.plan import CancelOrder, Reason, Urgency
from sellctl.core.model.position import Direction
from sellctl.journal.location import JournalLocation
from sellctl.journal.queries import Filters, history, unpack
from sellctl.journal.schema import FILE_NAME
from sellctl.journal.store import SqlJournal
from sellctl.journal.verify import verify

SECOND = dt.timedelta(seconds=1)


@pytest.fixture
def journal(place: JournalLocation) -> Iterator[SqlJournal]:
    opened = a_journal(place)
    yield opened
    opened.close()


def kinds(journal: SqlJournal, **wanted: Any) -> list[str]:
    return [row.kind for row in history(journal.location, Filters(**wanted))]


def test_the_intents_of_one_decision_are_one_transaction(place: JournalLocation) -> None:
    steps: list[str] = []
    journal = a_journal(place, step=steps.append)
    intend(journal, "sellctl-1", "sellctl-2", "sellctl-3")
    journal.close()
    assert steps == ["journal.written", "journal.committed", "journal.headed"]
    assert [row.client_order_id for row in history(journal.location, Filters())] == [
        "sellctl-3",
        "sellctl-2",
        "sellctl-1",
    ]
    assert verify(journal.location).fault == ""


def test_the_cancels_of_a_decision_are_in_the_same_transaction_as_its_intents(place: JournalLocation) -> None:
    steps: list[str] = []
    journal = a_journal(place, step=steps.append)
    cancels = [CancelOrder(a_resting_order(CALL, client_order_id=name), "stale") for name in ("by-hand-1", "by-hand-2")]
    asyncio.run(journal.intend("main", (an_intended_order("sellctl-1"),), cancels))
    journal.close()
    assert steps.count("journal.committed") == 1
    rows = history(journal.location, Filters())
    assert [(row.kind, row.client_order_id) for row in rows] == [
        ("cancel", "by-hand-2"),
        ("cancel", "by-hand-1"),
        ("intent", "sellctl-1"),
    ]
    assert rows[0].body == {"client_order_id": "by-hand-2", "symbol": CALL, "why": "stale"}
    assert verify(journal.location).fault == ""


def test_of_a_decision_that_can_not_be_committed_no_intent_is_recorded(place: JournalLocation) -> None:
    def fail(step: str) -> None:
        if step == "journal.written":
            raise JournalError("The disk is full.")

    journal = a_journal(place, step=fail)
    with pytest.raises(JournalError):
        intend(journal, "sellctl-1", "sellctl-2")
    assert (journal.open_intents("main"), kinds(journal)) == ((), [])
    journal.close()
    assert verify(journal.location).fault == ""


def test_an_intent_is_open_until_its_end_is_seen(journal: SqlJournal) -> None:
    intend(journal, "sellctl-1")
    intend(journal, "sellctl-2")
    intend(journal, "sellctl-3", account="other")
    asyncio.run(journal.accepted("main", "sellctl-1", {"order_id": "x"}))
    journal.outcome("main", "sellctl-1", "unknown", {"error": "time-out"})
    assert journal.open_intents("main") == ("sellctl-1", "sellctl-2")
    journal.outcome("main", "sellctl-1", "filled", {})
    assert journal.open_intents("main") == ("sellctl-2",)
    assert [row.client_order_id for row in history(journal.location, Filters(only_open=True))] == [
        "sellctl-3",
        "sellctl-2",
    ]


@pytest.mark.parametrize("end", ["filled", "canceled", "expired", "rejected", "replaced", "refused", "absent"])
def test_every_end_resolves_an_intent(journal: SqlJournal, end: str) -> None:
    intend(journal)
    journal.outcome("main", "sellctl-1", end, {})
    assert journal.open_intents("main") == ()


@pytest.mark.parametrize("word", ["accepted", "unknown", "not_found", "lookup_failed", "done_for_day", "brand_new"])
def test_no_other_word_resolves_an_intent(journal: SqlJournal, word: str) -> None:
    intend(journal)
    journal.outcome("main", "sellctl-1", word, {})
    assert journal.open_intents("main") == ("sellctl-1",)


def test_an_intent_repeated_with_the_same_id_stays_one_open_intent(journal: SqlJournal) -> None:
    intend(journal)
    intend(journal)
    assert journal.open_intents("main") == ("sellctl-1",)
    assert kinds(journal) == ["intent", "intent"]


def test_intents_survive_a_restart(place: JournalLocation) -> None:
    first = a_journal(place)
    intend(first)
    first.close()
    second = a_journal(place)
    assert second.open_intents("main") == ("sellctl-1",)
    assert second.alarm == ""
    second.close()


def test_an_intent_is_read_back_even_after_its_end(journal: SqlJournal) -> None:
    intend(journal)
    journal.outcome("main", "sellctl-1", "filled", {})
    intent = journal.intent_of("main", "sellctl-1")
    assert intent == Intent(
        "sellctl-1",
        CALL,
        Decimal(3),
        Reason.STOP_LOSS,
        Urgency.PROTECTIVE,
        1,
        Decimal("1.25"),
        NOON + SECOND,
        basis=CostBasis(Decimal("1.50"), Decimal(100)),
    )
    assert journal.intent_of("main", "sellctl-2") is None
    assert journal.intent_of("other", "sellctl-1") is None


def test_an_outcome_carries_the_symbol_and_reason_of_its_intent(journal: SqlJournal) -> None:
    intend(journal)
    asyncio.run(journal.accepted("main", "sellctl-1", {}))
    assert kinds(journal, symbol=CALL, reason="stop_loss") == ["accepted", "intent"]


def test_a_plan_is_stored_once_while_it_says_the_same(journal: SqlJournal) -> None:
    holding = a_holding()
    for bid in ("1.20", "1.19", "1.18"):
        moved = a_holding(bid=bid)
        asyncio.run(journal.plan_made(a_snapshot(moved), a_plan(denied(moved, f"the spread {bid} is above 0.25"))))
    assert kinds(journal) == ["refusal", "plan"]
    asyncio.run(journal.plan_made(a_snapshot(holding), a_plan(denied(holding, "halted"))))
    asyncio.run(journal.plan_made(a_snapshot(holding), a_plan(held(holding))))
    asyncio.run(journal.plan_made(a_snapshot(holding), a_plan(held(holding))))
    assert kinds(journal) == ["plan", "refusal", "plan", "refusal", "plan"]


def test_a_plan_that_has_nothing_to_say_is_not_stored(journal: SqlJournal) -> None:
    asyncio.run(journal.plan_made(a_snapshot(a_holding()), a_plan(held(a_holding()))))
    assert kinds(journal) == []


def test_a_working_exit_that_changes_is_news(journal: SqlJournal) -> None:
    order = Order("o1", "sellctl-1", CALL, Side.SELL, "new", OrderType.LIMIT, "day", Decimal(3), Decimal(0), None)
    for now in (order, order, replace(order, filled_qty=Decimal(1), status="partially_filled")):
        asyncio.run(journal.plan_made(a_snapshot(a_holding(), orders=(now,)), a_plan(held(a_holding()))))
    assert kinds(journal) == ["plan", "plan"]


def test_the_next_process_knows_what_plan_was_stored_last(place: JournalLocation) -> None:
    holding = a_holding()
    for _ in range(2):
        journal = a_journal(place)
        asyncio.run(journal.plan_made(a_snapshot(holding), a_plan(leaving(holding))))
        journal.close()
    assert kinds(journal) == ["plan"]


def test_a_stored_plan_unpacks_to_what_was_decided(journal: SqlJournal) -> None:
    holding = a_holding()
    snapshot, plan = a_snapshot(holding), a_plan(leaving(holding))
    asyncio.run(journal.plan_made(snapshot, plan))
    assert unpack(history(journal.location, Filters())[0]) == (snapshot, plan)


def test_a_stored_plan_leaves_out_what_is_quiet(journal: SqlJournal) -> None:
    due, quiet = a_holding(), a_holding("MSFT")
    asyncio.run(journal.plan_made(a_snapshot(due, quiet), a_plan(leaving(due), held(quiet))))
    assert unpack(history(journal.location, Filters())[0]) == (a_snapshot(due), a_plan(leaving(due)))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from("123"), min_size=1, max_size=8))
def test_fills_fold_to_the_largest_quantity_however_they_arrive(
    tmp_path_factory: pytest.TempPathFactory, events: list[str]
) -> None:
    journal = a_journal(tmp_path_factory.mktemp("fills"))
    intend(journal)
    new = [journal.record_fill("main", "sellctl-1", {"order_id": "o1", "filled_qty": qty}) for qty in events]
    journal.close()
    fills = history(journal.path, Filters(kind="fill"))
    assert Decimal(fills[0].body["filled_qty"]) == max(map(Decimal, events)) == sum(new)
    assert {(fill.symbol, fill.client_order_id) for fill in fills} == {(CALL, "sellctl-1")}


def test_a_doubled_fill_outcome_is_written_once(journal: SqlJournal) -> None:
    for _ in range(3):
        journal.outcome("main", "sellctl-1", "fill", {"order_id": "o1", "filled_qty": "2", "filled_avg_price": "1.2"})
    assert kinds(journal) == ["fill"]


def test_strange_evidence_is_still_evidence(journal: SqlJournal) -> None:
    journal.note("ma\ud800in", "refusal", {"symbol": "A\x00\ud83d", "x": float("nan"), "when": object, 3: {"b", "a"}})
    journal.note("main", "halt", {"symbol": None, "sentence": "halted by hand"})
    assert kinds(journal) == ["halt", "refusal"]
    assert verify(journal.location).fault == ""


def test_all_of_todays_notes_of_a_kind_are_known_however_many(journal: SqlJournal) -> None:
    symbols = [f"S{number}" for number in range(60)]
    for symbol in symbols:
        journal.note("main", "no_backstop", {"symbol": symbol})
    journal.note("other", "no_backstop", {"symbol": "QQQ"})
    journal.note("main", "note", {"symbol": "QQQ"})
    assert sorted(journal.noted_today("main", "no_backstop")) == sorted(symbols)


def test_known_secrets_are_masked_in_whatever_is_written(tmp_path: Path) -> None:
    journal = a_journal(tmp_path, redact=lambda text: text.replace("canary", "***"))
    journal.note("main", "error", {"error": "the header APCA: canary was refused"})
    journal.close()
    assert b"canary" not in journal.path.read_bytes()


def test_a_run_is_written_down_with_its_configuration(journal: SqlJournal) -> None:
    journal.run_started("0.1.0", "abc123", {"main": "paper"})
    assert history(journal.location, Filters())[0].body == {
        "version": "0.1.0",
        "config_hash": "abc123",
        "modes": {"main": "paper"},
    }


def test_the_day_is_the_exchanges(place: JournalLocation) -> None:
    late = dt.datetime(2025, 8, 27, 2, 30, tzinfo=dt.UTC)
    journal = a_journal(place, lambda: late)
    journal.note("main", "halt", {})
    journal.close()
    assert history(journal.location, Filters(day="2025-08-26"))[0].at == "2025-08-27T02:30:00.000000+00:00"


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "state")
    intend(journal)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "state").iterdir()}
    journal.close()
    assert set(modes) >= {FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}.head"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_audit_rows_refuse_update_and_delete(journal: SqlJournal) -> None:
    intend(journal)
    for statement in ("UPDATE audit SET body = '{}'", "DELETE FROM audit"):
        with pytest.raises(JournalError, match="never"), journal.database.writing() as tx:
            tx.exec_driver_sql(statement)
    assert kinds(journal) == ["intent"]


def test_two_processes_share_one_chain(place: JournalLocation) -> None:
    first, second = a_journal(place), a_journal(place)
    for turn in range(6):
        intend(first if turn % 2 else second, f"sellctl-{turn}", account=f"acc{turn % 2}")
    first.close()
    second.close()
    assert verify(first.location) == verify(second.location)
    assert verify(first.location).rows == 6
    assert verify(first.location).fault == ""


@pytest.mark.parametrize("count", [1, 6, 100])
def test_pages_follow_each_other_without_a_gap(journal: SqlJournal, count: int) -> None:
    for number in range(count):
        symbol = "SPY" if number % 3 else "QQQ"
        journal.note(f"acc{number % 2}", "note", {"symbol": symbol, "reason": "stop_loss" if number % 5 else ""})
    wanted = Filters(symbol="QQQ", account="acc0", limit=7)
    seen = []
    while page := history(journal.location, wanted):
        seen += [row.seq for row in page]
        wanted = replace(wanted, before=page[-1].seq)
    assert seen == [n + 1 for n in reversed(range(count)) if n % 6 == 0]
    pairs = history(journal.location, Filters(account="acc1", reason="stop_loss", limit=count))
    assert [row.seq for row in pairs] == [n + 1 for n in reversed(range(count)) if n % 2 and n % 5]


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from journal_builders import a_journal, intend
def die(step: str) -> None:
    if step == {step!r} and armed: os.kill(os.getpid(), signal.SIGKILL)
armed = False
journal = a_journal(Path({folder!r}), step=die)
intend(journal, "sellctl-1")
armed = True
intend(journal, "sellctl-2", "sellctl-3")
"""


@pytest.mark.parametrize(
    ("step", "survives"), [("journal.written", False), ("journal.committed", True), ("journal.headed", True)]
)
def test_kill_9_leaves_a_whole_journal(tmp_path: Path, step: str, survives: bool) -> None:
    script = KILLED.format(tests=str(Path(__file__).parent), step=step, folder=str(tmp_path))
    killed = subprocess.run([sys.executable, "-c", script], check=False)  # noqa: S603  our own words
    assert killed.returncode == -signal.SIGKILL
    assert verify(tmp_path / FILE_NAME).fault == ""
    journal = a_journal(tmp_path)
    assert journal.alarm == ""
    assert journal.open_intents("main") == (("sellctl-1", "sellctl-2", "sellctl-3") if survives else ("sellctl-1",))
    intend(journal, "sellctl-4")
    journal.close()
    assert verify(tmp_path / FILE_NAME).fault == ""


def a_fill(qty: str, price: str) -> dict[str, object]:
    return {"order_id": "x", "filled_qty": qty, "filled_avg_price": price}


def test_the_days_profit_counts_every_fill_once_against_the_entry_price(journal: SqlJournal) -> None:
    intend(journal)  # three calls that cost 1.50
    assert journal.realised("main") == 0
    journal.record_fill("main", "sellctl-1", a_fill("1", "1.60"))
    assert journal.realised("main") == 10
    journal.record_fill("main", "sellctl-1", a_fill("1", "1.60"))
    journal.record_fill("main", "sellctl-1", a_fill("3", "1.40"))
    assert journal.realised("main") == -30
    assert journal.realised("other") == 0


def test_the_days_profit_survives_a_restart(journal: SqlJournal) -> None:
    intend(journal)
    journal.record_fill("main", "sellctl-1", a_fill("3", "1.70"))
    journal.close()
    again = a_journal(journal.location)
    assert again.realised("main") == 60
    again.close()


def test_a_cover_makes_what_it_cost_less_than_the_short_brought(journal: SqlJournal) -> None:
    short = a_holding()
    short = replace(short, position=replace(short.position, direction=Direction.SHORT))
    asyncio.run(journal.intend("main", (an_intended_order(holding=short),), ()))
    journal.record_fill("main", "sellctl-1", a_fill("3", "1.00"))
    assert journal.realised("main") == 150


def test_the_days_profit_is_unknown_while_one_fill_has_no_price(journal: SqlJournal) -> None:
    intend(journal)
    journal.record_fill("main", "sellctl-1", a_fill("3", ""))
    assert journal.realised("main") is None


def test_the_days_profit_is_unknown_without_an_entry_price(journal: SqlJournal) -> None:
    given = a_holding()
    given = replace(given, position=replace(given.position, entry_price=None))
    asyncio.run(journal.intend("main", (an_intended_order(holding=given),), ()))
    journal.record_fill("main", "sellctl-1", a_fill("3", "1.00"))
    assert journal.realised("main") is None
