"""What hosts share besides their leases, on a real PostgreSQL: exempt symbols, rules to resume, requests, the halt."""

import asyncio
import datetime as dt
import time
from collections.abc import Iterator

import pytest
from journal_builders import execute
from postgres_fixtures import PostgresLocation, a_host

from sellctl.core.errors import JournalError
from sellctl.core.leases.model import Renewal
from sellctl.journal.leases.postgres_table import PostgresLeaseTable
from sellctl.journal.leases.shared_state import SharedState

NOON = dt.datetime(2026, 11, 24, 17, 0, tzinfo=dt.UTC)


@pytest.fixture
def shared(postgres: PostgresLocation) -> Iterator[SharedState]:
    state = SharedState(postgres)
    yield state
    state.close()


# --- exempt symbols ---------------------------------------------------------------------------------------------------


def test_what_is_exempt_has_its_end_and_each_change_the_next_number(shared: SharedState) -> None:
    assert (shared.exemptions().number, shared.exemptions().ends) == (0, {})
    assert shared.exempt({"TSLA": None}).number == 1
    both = shared.exempt({"AAPL": NOON})
    assert (both.number, both.ends) == (2, {"TSLA": None, "AAPL": NOON})
    assert shared.manage("TSLA").ends == {"AAPL": NOON}
    assert shared.look().exemptions == shared.exemptions()


def test_an_end_that_is_news_replaces_the_one_before_and_of_others_the_later_one_counts(shared: SharedState) -> None:
    later = NOON + dt.timedelta(days=1)
    shared.exempt({"TSLA": NOON})
    assert shared.exempt({"TSLA": later}, is_news=False).ends == {"TSLA": later}
    assert shared.exempt({"TSLA": NOON}, is_news=False).ends == {"TSLA": later}
    assert shared.exempt({"TSLA": None}, is_news=False).ends == {"TSLA": None}
    assert shared.exempt({"TSLA": NOON}, is_news=False).ends == {"TSLA": None}
    assert shared.exempt({"TSLA": NOON}).ends == {"TSLA": NOON}


def test_a_change_can_be_given_a_number_after_one_that_the_database_has_lost(shared: SharedState) -> None:
    assert shared.exempt({"TSLA": None}, least=7).number == 8


# --- rules to resume --------------------------------------------------------------------------------------------------


def test_rules_are_resumed_once_by_the_host_that_has_the_account(
    shared: SharedState, postgres: PostgresLocation
) -> None:
    one, two = a_host(postgres, "one", "main"), a_host(postgres, "two", "income")
    shared.resume_rules("AAPL", ["main"])
    assert shared.look(two, ["main"]).rules == ()
    assert shared.look(0, ["main"]).rules == ()
    assert shared.look(one, ["main"]).rules == (("main", "AAPL"),)
    assert shared.look(one, ["main"]).rules == ()


def test_without_hosts_rules_are_resumed_by_the_process_that_works_the_account(shared: SharedState) -> None:
    shared.resume_rules("AAPL", ["main", "income"])
    assert shared.look(0, ["main"]).rules == (("main", "AAPL"),)
    assert shared.look(0, ["income"]).rules == (("income", "AAPL"),)


# --- requests ---------------------------------------------------------------------------------------------------------


def test_a_request_is_taken_once_and_only_by_the_host_that_has_the_account(
    shared: SharedState, postgres: PostgresLocation
) -> None:
    one, two = a_host(postgres, "one", "main"), a_host(postgres, "two", "income")
    shared.ask("r1", "main", "{}")
    assert shared.look(two, ["main"]).requests == ()
    assert shared.look(0, ["main"]).requests == ()
    assert shared.is_waiting("r1")
    assert shared.look(one, ["main"]).requests == (("r1", "{}"),)
    assert not shared.is_waiting("r1")
    assert shared.look(one, ["main"]).requests == ()


def test_a_host_takes_nothing_for_an_account_that_it_does_not_watch_yet(
    shared: SharedState, postgres: PostgresLocation
) -> None:
    one = a_host(postgres, "one", "main")
    shared.ask("r1", "main", "{}")
    shared.resume_rules("AAPL", ["main"])
    assert (shared.look(one).requests, shared.look(one).rules) == ((), ())
    assert shared.look(one, ["main"]).requests == (("r1", "{}"),)


def test_a_host_whose_leases_have_ended_takes_no_request(shared: SharedState, postgres: PostgresLocation) -> None:
    one = a_host(postgres, "one", "main")
    shared.ask("r1", "main", "{}")
    execute(postgres, "UPDATE lease_hosts SET until = clock_timestamp() - interval '1 second'")
    assert shared.look(one, ["main"]).requests == ()


def test_a_request_that_was_taken_cannot_be_withdrawn_and_one_that_was_not_can(
    shared: SharedState, postgres: PostgresLocation
) -> None:
    one = a_host(postgres, "one", "main")
    shared.ask("r1", "main", "{}")
    assert shared.withdraw("r1")
    assert shared.look(one, ["main"]).requests == ()
    shared.ask("r2", "main", "{}")
    shared.look(one, ["main"])
    assert not shared.withdraw("r2")


def test_a_request_that_has_waited_too_long_is_carried_out_by_nobody(
    shared: SharedState, postgres: PostgresLocation
) -> None:
    one = a_host(postgres, "one", "main")
    shared.ask("r1", "main", "{}")
    shared.ask("r2", "nobody's", "{}")
    execute(postgres, "UPDATE requests SET asked_at = asked_at - interval '31 seconds'")
    found = shared.look(one, ["main"])
    assert (found.requests, found.late) == ((), ("r1",))
    assert not shared.is_waiting("r2")


def test_a_halt_whose_reason_can_not_be_stored_halts_all_the_same(
    shared: SharedState, postgres: PostgresLocation
) -> None:
    shared.halt("fed \udcff day\0")
    assert shared.look().hosts.halted == "fed ? day?"

    async def told() -> str:
        table = PostgresLeaseTable(postgres.conninfo)
        try:
            return (await table.renew(Renewal("one", "p", 0, frozenset(), halt="a \udcff\0"))).halted
        finally:
            await table.close()

    assert asyncio.run(told()) == "a ??"


def test_a_look_that_is_repeated_keeps_its_connection_and_gets_a_new_one_when_that_broke(
    shared: SharedState, postgres: PostgresLocation
) -> None:
    for _ in range(2):
        assert shared.look(keep=True).exemptions.number == 0
    execute(postgres, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sellctl'")
    with pytest.raises(JournalError):
        shared.look(keep=True)
    assert shared.look(keep=True).exemptions.number == 0


# --- hosts and their halt ---------------------------------------------------------------------------------------------


def test_a_halt_has_the_next_number_and_keeps_it_when_it_is_lifted(shared: SharedState) -> None:
    assert (shared.look().hosts.halted, shared.look().hosts.halt_number) == ("", 0)
    assert shared.halt("earnings") == 1
    assert shared.halt("fed day") == 2
    assert (shared.look().hosts.halted, shared.look().hosts.halt_number) == ("fed day", 2)
    assert shared.resume(1) is False
    assert shared.resume(2) is True
    assert shared.resume() is False
    assert (shared.hosts().halted, shared.hosts().halt_number) == ("", 2)
    assert shared.halt("again") == 3
    assert shared.resume() is True


def test_halting_all_hosts_wakes_them_and_so_does_lifting_it(postgres: PostgresLocation, shared: SharedState) -> None:
    async def work() -> None:
        table = PostgresLeaseTable(postgres.conninfo)
        try:
            for call in (lambda: shared.halt("earnings"), shared.resume):
                waiting = asyncio.ensure_future(table.changed(30.0))
                await asyncio.sleep(0.5)  # a real connection begins to listen
                started = time.monotonic()
                call()
                await waiting
                assert time.monotonic() - started < 5
        finally:
            await table.close()

    asyncio.run(work())


def test_what_is_wrong_with_the_database_is_one_sentence(shared: SharedState, postgres: PostgresLocation) -> None:
    shared.look()
    execute(postgres, "DROP TABLE exemptions")
    with pytest.raises(JournalError, match="The database has no lease table, or one of an older sellctl"):
        shared.look()
    with pytest.raises(JournalError, match="can't be reached") as caught:
        SharedState(PostgresLocation("postgresql+psycopg://me:s3cret@127.0.0.1:1/nothing", postgres.folder)).look()
    assert "s3cret" not in str(caught.value)
