"""The lease table does the same in memory and on a real PostgreSQL: registering, renewing, acquiring, releasing."""

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest
from journal_builders import a_journal
from postgres_fixtures import PostgresLocation

from benchmarks.postgres_server import Server
from faults.hosts.table import MemoryTable
from sellctl.core.errors import BusyError, JournalError, LeaseLostError
from sellctl.core.leases.lease_table import LeaseTable
from sellctl.core.leases.model import LeaseView, Renewal
from sellctl.journal.leases.postgres_table import PostgresLeaseTable, check_intent, check_unleased_intent

ACCOUNTS = frozenset({"a", "b"})


@pytest.fixture
def url(postgres: PostgresLocation) -> str:
    """A database with a journal, and so with the lease tables."""
    return postgres.url


@pytest.fixture(params=["memory", "postgres"])
def open_table(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Opens the same table for each host."""
    if request.param == "memory":
        table = MemoryTable(lambda: dt.datetime.now(dt.UTC))
        return lambda: table
    url = request.getfixturevalue("url")
    return lambda: PostgresLeaseTable(url.replace("+psycopg", ""))


def ask(host: str, registration: int = 0, process: str = "", **more: Any) -> Renewal:
    return Renewal(host, process or host, registration, ACCOUNTS, **more)


def run(open_table: Callable[[], Any], work: Callable[..., Awaitable[None]], tables: int = 2) -> None:
    """Run something with so many hosts' ways to the table."""

    async def whole() -> None:
        opened = [open_table() for _ in range(tables)]
        try:
            await work(*opened)
        finally:
            for table in opened:
                if isinstance(table, PostgresLeaseTable):
                    await table.close()

    asyncio.run(whole())


def holders(view: LeaseView) -> dict[str, tuple[str, int]]:
    return {lease.account: (lease.host, lease.fence) for lease in view.leases}


def test_a_host_registers_acquires_and_another_finds_its_accounts_taken(open_table: Callable[[], Any]) -> None:
    async def work(one: LeaseTable, two: LeaseTable) -> None:
        first = await one.renew(ask("one"))
        assert (first.own and first.own.name, holders(first)) == ("one", {})
        taken = await one.renew(ask("one", first.registration, acquire=ACCOUNTS))
        assert holders(taken) == {"a": ("one", 1), "b": ("one", 1)}
        second = await two.renew(ask("two"))
        assert second.registration > first.registration
        refused = await two.renew(ask("two", second.registration, acquire=ACCOUNTS))
        assert holders(refused) == holders(taken)
        assert [host.name for host in refused.hosts] == ["one", "two"]
        assert all(9 < (host.until - refused.at).total_seconds() <= 10 for host in refused.hosts)

    run(open_table, work)


def test_what_is_released_with_its_number_is_free_and_its_next_number_is_greater(
    open_table: Callable[[], Any],
) -> None:
    async def work(one: LeaseTable, two: LeaseTable) -> None:
        first = (await one.renew(ask("one"))).registration
        second = (await two.renew(ask("two"))).registration
        await one.renew(ask("one", first, acquire=ACCOUNTS))
        kept = await one.renew(ask("one", first, release=(("a", 7),)))
        assert holders(kept)["a"] == ("one", 1)
        await one.renew(ask("one", first, release=(("a", 1),)))
        view = await two.renew(ask("two", second, acquire=ACCOUNTS))
        assert holders(view) == {"a": ("two", 2), "b": ("one", 1)}

    run(open_table, work)


def test_another_process_of_a_name_gets_no_registration_and_the_same_one_its_own_again(
    open_table: Callable[[], Any],
) -> None:
    async def work(one: LeaseTable, two: LeaseTable) -> None:
        first = await one.renew(ask("one", process="p1"))
        assert (await two.renew(ask("one", process="p2"))).registration == 0
        assert (await one.renew(ask("one", process="p1"))).registration == first.registration
        assert (await one.renew(ask("one", first.registration + 100, process="p1"))).registration == 0

    run(open_table, work)


def test_a_host_that_leaves_is_gone_once_it_holds_nothing(open_table: Callable[[], Any]) -> None:
    async def work(one: LeaseTable, two: LeaseTable) -> None:
        first = (await one.renew(ask("one"))).registration
        await one.renew(ask("one", first, acquire=frozenset({"a"})))
        leaving = await one.renew(ask("one", first, is_leaving=True))
        assert [host.is_leaving for host in leaving.hosts] == [True]
        gone = await one.renew(ask("one", first, is_leaving=True, release=(("a", 1),)))
        assert (gone.hosts, gone.own) == ((), None)
        assert (await two.view()).hosts == ()

    run(open_table, work)


def test_a_halt_and_a_release_are_news_for_the_other_hosts(open_table: Callable[[], Any]) -> None:
    async def work(one: LeaseTable, two: LeaseTable) -> None:
        first = (await one.renew(ask("one"))).registration
        await two.renew(ask("two"))
        waiting = asyncio.ensure_future(two.changed(30.0))
        await asyncio.sleep(0.5)  # a real connection begins to listen
        started = time.monotonic()
        await one.renew(ask("one", first, halt="earnings"))
        await waiting
        assert time.monotonic() - started < 5
        assert (await two.view()).halted == "earnings"
        assert (await one.renew(ask("one", first))).halted == "earnings"

    run(open_table, work)


# --- PostgreSQL only --------------------------------------------------------------------------------------------------


def ended(url: str) -> None:
    """Let every registration end."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("UPDATE lease_hosts SET until = clock_timestamp() - interval '1 second'")


def test_a_registration_that_has_ended_is_not_renewed_and_its_accounts_are_free(url: str) -> None:
    async def work(one: LeaseTable, two: LeaseTable) -> None:
        first = (await one.renew(ask("one"))).registration
        second = (await two.renew(ask("two"))).registration
        await one.renew(ask("one", first, acquire=ACCOUNTS))
        ended(url)
        assert (await one.renew(ask("one", first))).registration == 0
        again = await two.renew(ask("two"))
        assert again.registration not in {0, second}
        view = await two.renew(ask("two", again.registration, acquire=ACCOUNTS))
        assert holders(view) == {"a": ("two", 2), "b": ("two", 2)}
        assert [host.name for host in view.hosts] == ["two"]

    run(lambda: PostgresLeaseTable(url.replace("+psycopg", "")), work)


def test_a_host_whose_renewal_is_being_committed_keeps_its_accounts_although_its_time_is_up(url: str) -> None:
    conninfo = url.replace("+psycopg", "")

    async def work(one: LeaseTable, two: LeaseTable) -> None:
        first = (await one.renew(ask("one"))).registration
        await one.renew(ask("one", first, acquire=ACCOUNTS))
        ended(url)
        second = (await two.renew(ask("two"))).registration
        with psycopg.connect(conninfo) as renewing:
            renewing.execute("UPDATE lease_hosts SET until = clock_timestamp() + interval '10 s' WHERE name = 'one'")
            view = await two.renew(ask("two", second, acquire=ACCOUNTS))
            assert "two" not in {lease.host for lease in view.leases}
            renewing.commit()
        assert holders(await two.view()) == {"a": ("one", 1), "b": ("one", 1)}

    run(lambda: PostgresLeaseTable(conninfo), work)


def test_of_many_hosts_that_acquire_at_once_each_account_has_one(url: str) -> None:
    accounts = frozenset(f"account-{number}" for number in range(20))

    async def work(*tables: LeaseTable) -> None:
        names = [f"host-{number}" for number in range(len(tables))]
        asked = [Renewal(name, name, 0, accounts) for name in names]
        views = [await table.renew(each) for table, each in zip(tables, asked, strict=True)]

        async def acquire(table: LeaseTable, name: str, registration: int) -> LeaseView:
            while True:
                try:
                    return await table.renew(Renewal(name, name, registration, accounts, acquire=accounts))
                except JournalError:
                    continue

        found = zip(tables, names, views, strict=True)
        await asyncio.gather(*(acquire(table, name, view.registration) for table, name, view in found))
        view = await tables[0].view()
        assert {lease.account for lease in view.leases} == accounts
        assert {lease.fence for lease in view.leases} == {1}

    run(lambda: PostgresLeaseTable(url.replace("+psycopg", "")), work, tables=6)


def test_the_journals_check_refuses_an_old_number_and_a_lease_that_has_ended(
    postgres: PostgresLocation, url: str
) -> None:
    journal = a_journal(postgres)

    def check(fence: int | None) -> None:
        with journal.appending() as batch:
            check_intent(batch, "a", fence)

    async def work(one: LeaseTable) -> None:
        first = (await one.renew(ask("one"))).registration
        await one.renew(ask("one", first, acquire=ACCOUNTS))

    run(lambda: PostgresLeaseTable(url.replace("+psycopg", "")), work, tables=1)
    check(1)
    for fence in (0, 2, None):
        with pytest.raises(LeaseLostError):
            check(fence)
    ended(url)
    with pytest.raises(LeaseLostError):
        check(1)


def test_nobody_acquires_an_account_while_an_intent_of_it_is_being_committed(
    postgres: PostgresLocation, url: str
) -> None:
    journal = a_journal(postgres)

    async def work(one: LeaseTable, two: LeaseTable) -> None:
        first = (await one.renew(ask("one"))).registration
        await one.renew(ask("one", first, acquire=ACCOUNTS))
        with journal.appending() as batch:
            check_intent(batch, "a", 1)
            assert batch.tx.in_transaction()  # the check has been executed now
            ended(url)
            second = (await two.renew(ask("two"))).registration
            view = await two.renew(ask("two", second, acquire=ACCOUNTS))
            assert holders(view) == {"b": ("two", 2)}
        assert holders(await two.renew(ask("two", second, acquire=ACCOUNTS)))["a"] == ("two", 2)

    run(lambda: PostgresLeaseTable(url.replace("+psycopg", "")), work)


# --- an intent of a process without leases ----------------------------------------------------------------------------


def test_an_intent_without_a_lease_is_refused_while_a_host_lives_that_has_the_account(
    postgres: PostgresLocation, url: str
) -> None:
    journal = a_journal(postgres)

    def check(account: str = "a") -> None:
        with journal.appending() as batch:
            check_unleased_intent(batch, account, None)

    async def work(one: LeaseTable) -> None:
        first = (await one.renew(ask("one"))).registration
        with pytest.raises(BusyError, match="Account a is watched by one of the hosts"):
            check()  # nobody has acquired it yet, and the host is about to
        await one.renew(ask("one", first, acquire=ACCOUNTS))
        with pytest.raises(BusyError):
            check()
        check("of no host")
        ended(url)
        check()

    check()
    run(lambda: PostgresLeaseTable(url.replace("+psycopg", "")), work, tables=1)


@pytest.mark.parametrize("knows", [True, False], ids=["known before", "never leased before"])
def test_no_host_acquires_an_account_while_an_intent_without_a_lease_is_being_committed(
    postgres: PostgresLocation, url: str, knows: bool
) -> None:
    journal = a_journal(postgres)
    if knows:
        with journal.appending() as batch:
            check_unleased_intent(batch, "a", None)

    async def work(one: LeaseTable) -> None:
        with journal.appending() as batch:
            check_unleased_intent(batch, "a", None)
            assert batch.tx.in_transaction()  # the check has been executed now
            acquiring = asyncio.ensure_future(acquired(one))
            await asyncio.wait({acquiring}, timeout=0.5)
            assert "a" not in {lease.account for lease in (await view_of(url)).leases}
        await asyncio.wait({acquiring})
        while acquiring.exception() or "a" not in acquiring.result():  # the first one may have been in the way
            acquiring = asyncio.ensure_future(acquired(one))
            await asyncio.wait({acquiring})

    run(lambda: PostgresLeaseTable(url.replace("+psycopg", "")), work, tables=1)
    with pytest.raises(BusyError), journal.appending() as batch:
        check_unleased_intent(batch, "a", None)


async def acquired(table: LeaseTable) -> dict[str, tuple[str, int]]:
    """Register, and take every account that is free."""
    registration = (await table.renew(ask("one"))).registration
    return holders(await table.renew(ask("one", registration, acquire=ACCOUNTS)))


async def view_of(url: str) -> LeaseView:
    table = PostgresLeaseTable(url.replace("+psycopg", ""))
    try:
        return await table.view()
    finally:
        await table.close()


def test_a_call_that_hangs_is_given_up_and_the_next_one_does_not_wait_for_it(url: str) -> None:
    conninfo = url.replace("+psycopg", "")

    async def work(one: LeaseTable) -> None:
        first = (await one.renew(ask("one"))).registration
        with psycopg.connect(conninfo) as hanging:
            hanging.execute("LOCK TABLE lease_hosts")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(one.renew(ask("one", first)), 0.5)
        assert (await one.renew(ask("one", first))).registration == first

    run(lambda: PostgresLeaseTable(conninfo), work, tables=1)


def test_a_database_that_is_too_slow_is_one_sentence(url: str) -> None:
    conninfo = url.replace("+psycopg", "")

    async def work(one: LeaseTable) -> None:
        with psycopg.connect(conninfo) as hanging:
            hanging.execute("LOCK TABLE lease_hosts")
            with pytest.raises(JournalError, match="The database of the leases is too slow"):
                await one.renew(ask("one"))

    run(lambda: PostgresLeaseTable(conninfo), work, tables=1)


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DROP TABLE lease_hosts", "The database has no lease table, or one of an older sellctl."),
        ("ALTER DATABASE {name} SET default_transaction_read_only = on", "The database of the leases is read-only."),
    ],
)
def test_what_is_wrong_with_the_database_is_one_sentence(
    server: Server, url: str, statement: str, sentence: str
) -> None:
    name = url.rpartition("/")[2]
    server.sql(statement.format(name=name), name)

    async def work(one: LeaseTable) -> None:
        with pytest.raises(JournalError, match=sentence):
            await one.renew(ask("one"))

    run(lambda: PostgresLeaseTable(url.replace("+psycopg", "")), work, tables=1)


def test_a_server_that_is_not_there_is_one_sentence_without_a_password() -> None:
    async def work(one: LeaseTable) -> None:
        with pytest.raises(JournalError) as caught:
            await one.renew(ask("one"))
        assert str(caught.value) == ("The database of the leases can't be reached. Check the server and journal.url.")

    run(lambda: PostgresLeaseTable("postgresql://me:s3cret@127.0.0.1:1/nothing"), work, tables=1)
