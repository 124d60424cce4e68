"""Both databases have the same tables, and of several hosts that start at once one makes them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sqlalchemy as sa
from journal_builders import a_journal, intend

from benchmarks.postgres_server import Server
from sellctl.journal.location import PostgresLocation
from sellctl.journal.schema import FILE_NAME, tables
from sellctl.journal.verify import verify


def described(connection: sa.Connection) -> dict[str, object]:
    found = sa.inspect(connection)
    return {
        name: (
            [(each["name"], bool(each["nullable"])) for each in found.get_columns(name)],
            found.get_pk_constraint(name)["constrained_columns"],
            sorted((each["name"], each["column_names"]) for each in found.get_indexes(name)),
        )
        for name in tables.tables
    }


def test_the_migrations_of_both_databases_make_the_same_tables(tmp_path: Path, postgres: PostgresLocation) -> None:
    both = [a_journal(tmp_path / FILE_NAME), a_journal(postgres)]
    found = []
    for journal in both:
        with journal.database.reading() as tx:
            found.append(described(tx))
    assert found[0] == found[1]


def test_hosts_that_start_at_once_on_an_empty_database_share_one_journal(server: Server, tmp_path: Path) -> None:
    url = server.database()
    with ThreadPoolExecutor(3) as pool:
        hosts = list(pool.map(lambda host: a_journal(PostgresLocation(url, tmp_path / str(host))), range(3)))
    for number, host in enumerate(hosts):
        intend(host, f"sellctl-{number}")
    assert (verify(hosts[0].location).rows, verify(hosts[0].location).fault) == (3, "")
