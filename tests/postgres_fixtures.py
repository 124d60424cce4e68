"""Fixtures of the tests that need PostgreSQL: one server per session, and an empty journal on it for each test."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.postgres_server import NoServerError, Server, a_server
from sellctl.core.leases.model import Renewal
from sellctl.journal.database import close_readers
from sellctl.journal.location import PostgresLocation


@contextmanager
def a_server_if_there_is_one() -> Iterator[Server]:
    """A server of PostgreSQL; the test is skipped where none is installed, or no driver."""
    pytest.importorskip("psycopg", reason="the extra postgres isn't installed")
    try:
        with a_server() as running:
            yield running
    except NoServerError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with a_server_if_there_is_one() as running:
        yield running


@pytest.fixture(scope="session")
def migrated(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of an empty journal's database, to be copied: a migration takes longer than most tests."""
    from sellctl.journal.postgres.database import PostgresDatabase  # noqa: PLC0415  an extra

    PostgresDatabase(PostgresLocation(server.database("migrated"), tmp_path_factory.mktemp("migrated"))).close()
    return "migrated"


@pytest.fixture
def postgres(server: Server, migrated: str, tmp_path: Path) -> Iterator[PostgresLocation]:
    """An empty journal on PostgreSQL. What queries left open is closed afterwards: the driver warns of it."""
    yield PostgresLocation(server.database(template=migrated), tmp_path)
    close_readers()


def a_host(postgres: PostgresLocation, name: str, *accounts: str) -> int:
    """The registration of a host that knows these accounts and has their leases."""
    from sellctl.journal.leases.postgres_table import PostgresLeaseTable  # noqa: PLC0415  an extra

    known = frozenset(accounts)

    async def work() -> int:
        table = PostgresLeaseTable(postgres.conninfo)
        try:
            registration = (await table.renew(Renewal(name, name, 0, known))).registration
            return (await table.renew(Renewal(name, name, registration, known, acquire=known))).registration
        finally:
            await table.close()

    return asyncio.run(work())
