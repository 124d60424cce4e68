"""`place`: where a test's journal is, once for each database. The server of PostgreSQL is started once per session."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from journal_builders import OPENED

from benchmarks.postgres_server import NoServerError, Server, a_server
from sellctl.core.errors import JournalError
from sellctl.journal.database import close_readers
from sellctl.journal.location import JournalLocation, PostgresLocation
from sellctl.journal.schema import FILE_NAME


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="the extra postgres isn't installed")
    try:
        with a_server() as running:
            yield running
    except NoServerError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def migrated(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of an empty journal's database, to be copied: a migration takes longer than most tests."""
    from sellctl.journal.postgres.database import PostgresDatabase  # noqa: PLC0415  an extra

    PostgresDatabase(PostgresLocation(server.database("migrated"), tmp_path_factory.mktemp("migrated"))).close()
    return "migrated"


@pytest.fixture
def postgres(server: Server, migrated: str, tmp_path: Path) -> PostgresLocation:
    """An empty journal on PostgreSQL."""
    return PostgresLocation(server.database(template=migrated), tmp_path)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Close what a test has opened and left open: the driver warns of a connection that is forgotten."""
    yield
    while OPENED:
        with suppress(JournalError):
            OPENED.pop().close()
    close_readers()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> JournalLocation:
    """Where a journal may be opened: a file that doesn't exist yet, or an empty database."""
    if request.param == "sqlite":
        return tmp_path / FILE_NAME
    location: JournalLocation = request.getfixturevalue("postgres")
    return location
