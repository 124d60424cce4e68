"""The journal on PostgreSQL: a durable intent compared with one round trip that commits a row of the same size."""

import asyncio
import datetime as dt
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.journal import BODY_LENGTH, intents, seconds_each
from benchmarks.postgres_server import NoServerError, Server, a_server
from sellctl.journal.location import PostgresLocation
from sellctl.journal.opening import open_journal

if TYPE_CHECKING:
    import psycopg

INTENT_BOUND = 2.5
_BATCH = 20
_BATCHES = 40


def figures() -> Iterator[tuple[str, str, str]]:
    """Name, measured value, bound; without a server, that it was not measured."""
    name, bound = "durable intent on PostgreSQL / one round trip with commit", f"<= {INTENT_BOUND} x"
    try:
        with a_server() as server, tempfile.TemporaryDirectory() as folder:
            ratio, bare, ours = intent_ratio(server, Path(folder))
    except NoServerError as error:
        yield name, f"not measured: {error}", "listed"
        return
    yield name, f"{ratio:.2f} x (median of pairs taken in turns; commit {bare:.0f} us, intent {ours:.0f} us)", bound


def intent_ratio(server: Server, folder: Path) -> tuple[float, float, float]:
    """The ratio, and the microseconds of a bare commit and of an intent, measured in turns on the same server."""
    import psycopg  # noqa: PLC0415  an extra

    location = PostgresLocation(server.database(), folder)
    journal = open_journal(location, lambda: dt.datetime.now(dt.UTC))
    loop = asyncio.new_event_loop()
    intend = intents(loop, journal, _BATCH * (_BATCHES + 1))
    with closing(loop), psycopg.connect(location.url.replace("+psycopg", ""), autocommit=True) as connection:
        commit = _bare_commits(connection)
        for warm in (commit, intend):
            seconds_each(warm, _BATCH)
        pairs = [(seconds_each(commit, _BATCH), seconds_each(intend, _BATCH)) for _ in range(_BATCHES)]
    journal.close()
    bare, ours = (statistics.median(side) * 1e6 for side in zip(*pairs, strict=True))
    return statistics.median(after / before for before, after in pairs), bare, ours


def _bare_commits(connection: "psycopg.Connection[tuple[object, ...]]") -> Callable[[], None]:
    connection.execute("CREATE TABLE bare (seq bigint PRIMARY KEY, id text, body text, prev text, hash text)")
    numbers = count(1)

    def commit() -> None:
        number = next(numbers)
        row = (number, f"sellctl-{number:020x}", "b" * BODY_LENGTH, "0" * 64, "f" * 64)
        connection.execute("INSERT INTO bare VALUES (%s, %s, %s, %s, %s)", row)

    return commit


if __name__ == "__main__":
    for figure in figures():
        print(*figure, sep=" | ")  # noqa: T201  its output
