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
_FENCE = 1
_HOST = "INSERT INTO lease_hosts VALUES ('one', 1, 'one', now() + interval '1 hour', '{}', false)"
_LEASE = "INSERT INTO leases VALUES ('main', 1, 1, now())"


def figures() -> Iterator[tuple[str, str, str]]:
    """Name, measured value, bound; without a server, that it was not measured."""
    bound = f"<= {INTENT_BOUND} x"
    for name, is_fenced in (("durable intent", False), ("durable intent of a leased account", True)):
        name += " on PostgreSQL / one round trip with commit"  # noqa: PLW2901
        try:
            with a_server() as server, tempfile.TemporaryDirectory() as folder:
                ratio, bare, ours = intent_ratio(server, Path(folder), is_fenced=is_fenced)
        except NoServerError as error:
            yield name, f"not measured: {error}", "listed"
            continue
        yield name, f"{ratio:.2f} x (median of pairs taken in turns; commit {bare:.0f} us, intent {ours:.0f} us)", bound


def intent_ratio(server: Server, folder: Path, *, is_fenced: bool = False) -> tuple[float, float, float]:
    """The ratio, and the microseconds of a bare commit and of an intent, measured in turns on the same server.

    A fenced intent is one that the database refuses unless the host has the account's lease.
    """
    import psycopg  # noqa: PLC0415  an extra

    from sellctl.journal.leases.postgres_table import check_intent  # noqa: PLC0415  likewise

    location = PostgresLocation(server.database(), folder)
    check = {"intent_check": check_intent} if is_fenced else {}
    journal = open_journal(location, lambda: dt.datetime.now(dt.UTC), **check)
    loop = asyncio.new_event_loop()
    intend = intents(loop, journal, _BATCH * (_BATCHES + 1), _FENCE if is_fenced else None)
    with closing(loop), psycopg.connect(location.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(_HOST)
        connection.execute(_LEASE)
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
