"""`place`: where a test's journal is, once for each database."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from journal_builders import OPENED
from postgres_fixtures import migrated, postgres, server

from sellctl.core.errors import JournalError
from sellctl.journal.database import close_readers
from sellctl.journal.location import JournalLocation
from sellctl.journal.schema import FILE_NAME

__all__ = ["migrated", "postgres", "server"]


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
