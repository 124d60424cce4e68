"""Every way in which the server or the connection can fail is one clear sentence, and nothing is recorded by halves."""

import contextlib
import dataclasses
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from journal_builders import OPENED, Ticking, execute, intend, with_leases
from postgres_proxy import Proxy, a_proxy

from benchmarks.postgres_server import PASSWORD, Server
from sellctl.core.errors import ConfigError, JournalError, LeaseLostError
from sellctl.journal.audit_log import Entry
from sellctl.journal.location import PostgresLocation
from sellctl.journal.queries import Filters, history
from sellctl.journal.store import SqlJournal
from sellctl.journal.verify import verify

pytest.importorskip("psycopg", reason="the extra postgres isn't installed")

from sellctl.journal.leases.postgres_table import check_intent
from sellctl.journal.postgres.connection import Timeouts
from sellctl.journal.postgres.database import PostgresDatabase

QUICK = Timeouts(answer=0.5, lock=0.2, statement=0.4)


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with a_proxy(server.port) as running:
        yield running


def through(proxy: Proxy, location: PostgresLocation) -> PostgresLocation:
    before, _, name = location.url.rpartition("/")
    return replace_url(location, f"{before.rpartition(':')[0]}:{proxy.port}/{name}")


def replace_url(location: PostgresLocation, url: str) -> PostgresLocation:
    return PostgresLocation(url, location.folder, location.simulated)


def opened(location: PostgresLocation, timeouts: Timeouts = QUICK, **options: Any) -> SqlJournal:
    """A journal that tries an unreachable server again at once."""
    journal = SqlJournal(PostgresDatabase(location, timeouts=timeouts, retry_after=0), Ticking(), **options)
    OPENED.append(journal)
    return journal


def orders(location: PostgresLocation) -> list[str]:
    return [row.client_order_id for row in reversed(history(location, Filters()))]


def test_an_intent_takes_two_round_trips(postgres: PostgresLocation, proxy: Proxy) -> None:
    journal = opened(through(proxy, postgres))
    intend(journal, "sellctl-1")
    before = proxy.turns
    intend(journal, "sellctl-2", "sellctl-3")
    assert proxy.turns - before == 2


def test_an_intent_that_is_fenced_by_a_lease_takes_two_round_trips_too(
    postgres: PostgresLocation, proxy: Proxy
) -> None:
    with_leases(postgres, "main", "other")
    journal = opened(through(proxy, postgres), intent_check=check_intent)
    intend(journal, "sellctl-1", fence=1)
    before = proxy.turns
    intend(journal, "sellctl-2", "sellctl-3", fence=1)
    assert proxy.turns - before == 2
    with pytest.raises(LeaseLostError):
        intend(journal, "sellctl-4", account="other", fence=2)
    before = proxy.turns
    intend(journal, "sellctl-5", account="other", fence=1)
    assert proxy.turns - before == 2
    assert orders(postgres) == ["sellctl-1", "sellctl-2", "sellctl-3", "sellctl-5"]


def test_a_connection_that_hangs_ends_in_an_error_soon_and_the_next_write_works(
    postgres: PostgresLocation, proxy: Proxy
) -> None:
    journal = opened(through(proxy, postgres))
    intend(journal, "sellctl-1")
    proxy.stall()
    start = time.monotonic()
    with pytest.raises(JournalError, match="did not answer in time"):
        intend(journal, "sellctl-2")
    assert time.monotonic() - start < 5
    proxy.flow()
    intend(journal, "sellctl-3")
    assert orders(postgres) == ["sellctl-1", "sellctl-3"]


def test_a_commit_whose_answer_is_lost_is_found_on_a_new_connection_and_recorded_once(
    postgres: PostgresLocation, proxy: Proxy
) -> None:
    lose: list[str] = []

    def step(name: str) -> None:
        if lose and name == lose[0]:
            lose.clear()
            proxy.lose_answers()

    journal = opened(through(proxy, postgres), step=step)
    lose.append("journal.written")
    intend(journal, "sellctl-1")
    assert orders(postgres) == ["sellctl-1"]
    intend(journal, "sellctl-2")
    assert orders(postgres) == ["sellctl-1", "sellctl-2"]
    assert verify(postgres).fault == ""


def test_a_connection_that_breaks_before_the_commit_leaves_nothing_and_says_so(
    postgres: PostgresLocation, proxy: Proxy
) -> None:
    def step(name: str) -> None:
        if name == "journal.written" and cuts:
            cuts.clear()
            proxy.cut()

    cuts = ["once"]
    journal = opened(through(proxy, postgres), step=step)
    with pytest.raises(JournalError, match="can't be reached"):
        intend(journal, "sellctl-1")
    assert orders(postgres) == []
    intend(journal, "sellctl-2")
    assert orders(postgres) == ["sellctl-2"]


def test_where_it_cannot_be_found_out_whether_a_commit_was_made_nothing_is_sent_for_it(
    postgres: PostgresLocation, proxy: Proxy
) -> None:
    def step(name: str) -> None:
        if name == "journal.written" and armed:
            proxy.lose_answers(refuse=True)

    armed = False
    journal = opened(through(proxy, postgres), step=step)
    intend(journal, "sellctl-1")
    armed = True
    with pytest.raises(JournalError, match="whether row 2 is recorded is not known"):
        intend(journal, "sellctl-2")
    armed = False
    proxy.flow()
    intend(journal, "sellctl-2")
    assert journal.open_intents("main") == ("sellctl-1", "sellctl-2")
    assert verify(postgres).fault == ""


def test_a_session_that_the_server_has_ended_is_replaced_unnoticed(postgres: PostgresLocation) -> None:
    journal = opened(postgres)
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    assert execute(postgres, f"SELECT pg_terminate_backend(pid, 5000) {others}")
    intend(journal, "sellctl-1")
    assert orders(postgres) == ["sellctl-1"]


def test_a_server_that_is_gone_is_tried_once_in_a_while_and_everything_between_fails_at_once(
    postgres: PostgresLocation, proxy: Proxy
) -> None:
    now = [0.0]
    database = PostgresDatabase(through(proxy, postgres), timeouts=QUICK, retry_after=1.0, monotonic=lambda: now[0])
    journal = SqlJournal(database, Ticking())
    OPENED.append(journal)
    proxy.lose_answers(refuse=True)
    for _ in range(2):
        with pytest.raises(JournalError, match="can't be reached"):
            intend(journal)
    proxy.flow()
    with pytest.raises(JournalError, match="can't be reached"):
        intend(journal)
    now[0] = 2.0
    intend(journal)
    assert orders(postgres) == ["sellctl-1"]


def test_a_lock_that_another_host_holds_is_told(postgres: PostgresLocation) -> None:
    first, second = opened(postgres), opened(postgres)
    with first.database.appending(), pytest.raises(JournalError, match="is locked by another program"):
        intend(second)
    intend(second)
    assert orders(postgres) == ["sellctl-1"]


def test_a_transaction_of_a_frozen_host_is_ended_so_that_others_can_append(postgres: PostgresLocation) -> None:
    frozen = opened(postgres, dataclasses.replace(QUICK, idle=0.1))
    waiting = opened(postgres, dataclasses.replace(QUICK, lock=3.0, statement=3.5, answer=5.0))

    def append_after_another_host() -> None:
        with frozen.appending() as batch:
            intend(waiting, "sellctl-2")
            batch.append(Entry("main", "note", {}))

    with pytest.raises(JournalError, match=r"disconnected this host|can't be reached"):
        append_after_another_host()
    assert orders(postgres) == ["sellctl-2"]


def test_a_read_only_database_is_told(server: Server, postgres: PostgresLocation) -> None:
    name = postgres.url.rpartition("/")[2]
    server.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(JournalError, match="can't be written: the database is read-only"):
        opened(postgres)


def test_a_database_that_becomes_read_only_is_told(postgres: PostgresLocation) -> None:
    journal = opened(postgres)
    with journal.database.reading() as tx:
        tx.exec_driver_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    with pytest.raises(JournalError, match="can't be written: the database is read-only"):
        intend(journal)


def test_a_schema_of_a_newer_sellctl_is_refused_and_left_as_it_is(postgres: PostgresLocation) -> None:
    execute(postgres, "UPDATE alembic_version SET version_num = '9999'")
    for act in (lambda: opened(postgres), lambda: history(postgres, Filters())):
        with pytest.raises(JournalError, match=r"was made by a newer sellctl \(schema 9999"):
            act()
    assert execute(postgres, "SELECT version_num FROM alembic_version") == [("9999",)]


def test_a_table_that_was_deleted_is_told(postgres: PostgresLocation) -> None:
    journal = opened(postgres)
    execute(postgres, "DROP TABLE unresolved")
    with pytest.raises(JournalError, match="lacks a table of sellctl"):
        intend(journal)
    assert orders(postgres) == []
    assert "'unresolved' is missing" in verify(postgres).fault


def test_the_row_that_names_the_end_of_the_chain_is_missed(postgres: PostgresLocation) -> None:
    journal = opened(postgres)
    execute(postgres, "DELETE FROM chain_end")
    with pytest.raises(JournalError, match="lacks the row that names the end of its chain"):
        intend(journal)


@pytest.mark.parametrize(
    ("role", "sentence"),
    [
        ("CONNECTION LIMIT 0", "has no free connection"),
        ("", "may not do this: permission denied"),
        ("PASSWORD 'another'", "refuses the user or the password"),
        ("NOLOGIN", "is not permitted to log in"),
    ],
)
def test_a_user_that_cannot_work_is_told(
    server: Server, postgres: PostgresLocation, request: pytest.FixtureRequest, role: str, sentence: str
) -> None:
    name = f"user_{abs(hash(request.node.name))}"
    server.sql(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    server.sql(f"ALTER ROLE {name} {role}") if role else None
    location = replace_url(postgres, server.url(postgres.url.rpartition("/")[2], name))
    with pytest.raises(JournalError, match=sentence) as raised:
        opened(location)
    assert PASSWORD not in "".join(traceback.format_exception(raised.value))


def test_a_database_that_is_not_there_is_told(server: Server, tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="has no such database"):
        opened(PostgresLocation(server.url("nowhere"), tmp_path))


def test_more_queries_at_once_than_connections_are_told(
    postgres: PostgresLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sellctl.journal.postgres.database._WAIT_FOR_A_QUERY", 0.1)
    monkeypatch.setattr("sellctl.journal.postgres.database._QUERIES_AT_ONCE", 1)
    from sellctl.journal.database import read_only  # noqa: PLC0415  after the limits are set

    def query(_tx: object) -> object:
        return read_only(postgres, lambda tx: tx.exec_driver_sql("SELECT 1").scalar(), missing=None)

    with pytest.raises(JournalError, match="Too many queries"):
        read_only(postgres, query, missing=None)


@pytest.mark.parametrize("url", ["postgresql://%zz:can4ry-s3cret@host/db", "postgresql://u:can4ry-s3cret@host/db?x=y"])
def test_a_url_that_is_none_is_told_without_a_word_of_it(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"journal\.url is not a URL of PostgreSQL") as raised:
        opened(PostgresLocation(url, tmp_path))
    assert PASSWORD not in "".join(traceback.format_exception(raised.value))


def test_no_text_of_a_location_has_its_password(postgres: PostgresLocation) -> None:
    assert PASSWORD in postgres.url
    for text in (str(postgres), repr(postgres), f"{postgres}"):
        assert PASSWORD not in text


def test_several_hosts_append_to_one_chain(postgres: PostgresLocation, tmp_path: Path) -> None:
    patient = Timeouts()
    hosts = [opened(PostgresLocation(postgres.url, tmp_path / str(host)), patient) for host in range(3)]

    def write(host: int) -> None:
        for number in range(15):
            hosts[host].note(f"acc{host}", "note", {"sentence": f"{number}"})

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    assert (verify(postgres).rows, verify(postgres).fault) == (45, "")
    for host in hosts:
        host.close()
        again = opened(host.location, patient)
        assert again.alarm == ""


def test_what_else_is_in_the_same_database_is_left_alone(postgres: PostgresLocation) -> None:
    execute(postgres, "CREATE TABLE somebody_elses (x int)")
    intend(opened(postgres))
    assert verify(postgres).fault == ""


def test_simulated_accounts_have_a_journal_of_their_own_in_the_same_database(postgres: PostgresLocation) -> None:
    simulated = PostgresLocation(postgres.url, postgres.folder, simulated=True)
    assert history(simulated, Filters()) == ()
    intend(opened(postgres), "sellctl-1")
    intend(opened(simulated), "sellctl-2")
    assert (orders(postgres), orders(simulated)) == (["sellctl-1"], ["sellctl-2"])
    assert (verify(postgres).fault, verify(simulated).fault) == ("", "")


@pytest.mark.parametrize("where", ["here", "database"])
def test_a_check_in_the_same_transaction_refuses_an_intent(postgres: PostgresLocation, where: str) -> None:
    def check(batch: Any, account: str, _fence: int | None) -> None:
        if account != "other":
            return
        if where == "here":
            raise JournalError("The lease has ended.")
        batch.execute("SELECT 1 / $1::int", (0,))  # an error that only the database sees

    journal = opened(postgres, intent_check=check)
    intend(journal, "sellctl-1")
    with pytest.raises(JournalError):
        intend(journal, "sellctl-2", account="other")
    intend(journal, "sellctl-3")
    assert orders(postgres) == ["sellctl-1", "sellctl-3"]


def test_a_note_that_cannot_be_written_leaves_the_connection_usable(postgres: PostgresLocation) -> None:
    journal = opened(postgres)
    with contextlib.suppress(JournalError), journal.appending() as batch:
        batch.execute("SELECT nonsense", ())
    intend(journal)
    assert orders(postgres) == ["sellctl-1"]


def test_hosts_append_one_after_the_other_whatever_isolation_the_server_has_as_its_default(
    server: Server, postgres: PostgresLocation
) -> None:
    name = postgres.url.rpartition("/")[2]
    server.sql(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    first, second = opened(postgres, Timeouts()), opened(postgres, Timeouts())
    for number in range(4):
        intend((first, second)[number % 2], f"sellctl-{number}")
    assert (verify(postgres).rows, verify(postgres).fault) == (4, "")


def test_a_commit_is_on_disk_although_the_server_would_not_wait_for_it(
    server: Server, postgres: PostgresLocation
) -> None:
    name = postgres.url.rpartition("/")[2]
    server.sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    with opened(postgres).database.reading() as tx:
        assert tx.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
