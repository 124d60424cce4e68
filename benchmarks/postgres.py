"""The journal on PostgreSQL: a durable intent compared with one round trip that commits a row of the same size."""

import asyncio
import datetime as dt
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.journal import BODY_LENGTH, intents, seconds_each
from benchmarks.postgres_server import NoServerError, Server, a_server
from benchmarks.stream import cpu_seconds
from sellctl.journal.location import PostgresLocation
from sellctl.journal.opening import open_journal

if TYPE_CHECKING:
    import psycopg

INTENT_BOUND = 2.5
_LEASED_INTENT = "durable intent of a leased account"
_BATCH = 20
_BATCHES = 40
_FENCE = 1
_HOST = "INSERT INTO lease_hosts VALUES ('one', 1, 'one', now() + interval '1 hour', '{}', false)"
_LEASE = "INSERT INTO leases VALUES ('main', 1, 1, now())"


def figures() -> Iterator[tuple[str, str, str]]:
    """Name, measured value, bound; without a server, that it was not measured."""
    bound = f"<= {INTENT_BOUND} x"
    try:
        with a_server() as server, tempfile.TemporaryDirectory() as folder:
            for name, is_fenced in (("durable intent", False), (_LEASED_INTENT, True)):
                ratio, bare, ours = intent_ratio(server, Path(folder) / name, is_fenced=is_fenced)
                measured = f"{ratio:.2f} x (median of pairs taken in turns; commit {bare:.0f} us, intent {ours:.0f} us)"
                yield f"{name} on PostgreSQL / one round trip with commit", measured, bound
            parts = processor_times(server, Path(folder) / "parts")
    except NoServerError as error:
        yield "durable intent on PostgreSQL / one round trip with commit", f"not measured: {error}", "listed"
        return
    what = f"{_LEASED_INTENT} on PostgreSQL: processor time of sellctl and of the server"
    yield (
        what,
        f"{parts['intent']} (one round trip with commit {parts['commit']}, an empty one {parts['empty']})",
        "listed",
    )


def intent_ratio(server: Server, folder: Path, *, is_fenced: bool = False) -> tuple[float, float, float]:
    """The ratio, and the microseconds of a bare commit and of an intent, measured in turns on the same server.

    A fenced intent is one that the database refuses unless the host has the account's lease.
    """
    with _side_by_side(server, folder, is_fenced=is_fenced) as (connection, intend):
        commit = bare_commits(connection)
        for warm in (commit, intend):
            seconds_each(warm, _BATCH)
        pairs = [(seconds_each(commit, _BATCH), seconds_each(intend, _BATCH)) for _ in range(_BATCHES)]
    bare, ours = (statistics.median(side) * 1e6 for side in zip(*pairs, strict=True))
    return statistics.median(after / before for before, after in pairs), bare, ours


def processor_times(server: Server, folder: Path) -> dict[str, str]:
    """What each takes of the processor, here and in the server: an intent, a bare commit, an empty round trip."""
    with _side_by_side(server, folder, is_fenced=True) as (connection, intend):
        rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'sellctl'").fetchall()
        journal, ours = int(str(rows[0][0])), connection.info.backend_pid
        acts: dict[str, tuple[int, Callable[[], object]]] = {
            "empty": (ours, lambda: connection.execute("SELECT 1")),
            "commit": (ours, bare_commits(connection)),
            "intent": (journal, intend),
        }
        return {name: _processor_time(*which) for name, which in acts.items()}


def _processor_time(server_process: int, act: Callable[[], object]) -> str:
    times = _BATCH * _BATCHES
    here, there = time.process_time(), cpu_seconds(server_process)
    seconds_each(act, times)
    spent = (time.process_time() - here, cpu_seconds(server_process) - there)
    return " + ".join(f"{seconds / times * 1e6:.0f}" for seconds in spent) + " us"


@contextmanager
def _side_by_side(
    server: Server, folder: Path, *, is_fenced: bool
) -> "Iterator[tuple[psycopg.Connection[tuple[object, ...]], Callable[[], None]]]":
    """A connection to a new database, and a function that writes the next intent into the journal there."""
    import psycopg  # noqa: PLC0415  an extra

    from sellctl.journal.leases.postgres_table import check_intent  # noqa: PLC0415  likewise

    location = PostgresLocation(server.database(), folder)
    check = {"intent_check": check_intent} if is_fenced else {}
    loop = asyncio.new_event_loop()
    with (
        closing(open_journal(location, lambda: dt.datetime.now(dt.UTC), **check)) as journal,
        closing(loop),
        psycopg.connect(location.url.replace("+psycopg", ""), autocommit=True) as connection,
    ):
        connection.execute(_HOST)
        connection.execute(_LEASE)
        yield connection, intents(loop, journal, _BATCH * (_BATCHES + 1), _FENCE if is_fenced else None)


def bare_commits(connection: "psycopg.Connection[tuple[object, ...]]") -> Callable[[], None]:
    """A function that commits one row of the size of an intent, in one round trip."""
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
