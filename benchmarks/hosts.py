"""Hosts that share accounts by a journal on PostgreSQL: tick to order beside SQLite, and polls of 200 accounts.

Each host is `sellctl watch --host-id` in a process of its own, and the exchange, which measures, in another. For tick
to order, the market is that of `benchmarks/stream.py`, and watchers on SQLite and on PostgreSQL sell on it in turns.
"""

import math
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import pairwise

from benchmarks.exit_stage import Market, PeakMemory, Stage, a_program, a_stage
from benchmarks.journal import seconds_each
from benchmarks.postgres import bare_commits
from benchmarks.postgres_server import NoServerError, Server, a_server
from benchmarks.stream import APART, cpu_seconds, latencies, watching

Figure = tuple[str, str, str]
TICK_BOUND = 1.3
HELD, TURNS = 30, 2  # positions, half of which reach their target; on each database
COMMITS = 200
SHARED = Market(200, 50, 0)
HOSTS = ("one", "two")
INTERVAL = 5.0  # seconds, the default of `sell_module.check_interval`
LATENESS_BOUND = 0.5  # seconds, a tenth of the interval
MEMORY_BOUND_MB = 250
CALM, WATCHED = 5.0, 30.0  # seconds before the measurement, and of it
_PATIENCE = 90.0
_POLL = "GET /v2/positions"


def figures() -> Iterator[Figure]:
    """Name, measured value, bound; each as soon as it is measured. Without a server, that it was not measured."""
    try:
        with a_server() as server:
            yield tick_to_order(server)
            yield from polls(server)
    except NoServerError as error:
        yield "hosts: tick to order on PostgreSQL, and polls on two hosts", f"not measured: {error}", "listed"


# --- tick to order


def tick_to_order(server: Server, turns: int = TURNS) -> Figure:
    """The median on PostgreSQL, under a lease and less one round trip with commit, over that on SQLite."""
    files: list[float] = []
    shared: list[float] = []
    commits: list[float] = []
    for _ in range(turns):
        files += latencies(HELD, watching, APART)
        journal = f"journal: {{url: '{server.database()}'}}\n"
        shared += latencies(HELD, partial(watching, config=journal, options=("--host-id", "one")), APART)
        commits.append(commit_milliseconds(server))
    ours, its, commit = (statistics.median(each) for each in (shared, files, commits))
    times = f"{len(files)} orders each: {ours:.1f} ms less {commit:.1f} / {its:.1f} ms"
    what = "hosts: tick to order under a lease on PostgreSQL, less one round trip with commit, / on SQLite"
    return what, f"{(ours - commit) / its:.2f} x (medians of {times})", f"<= {TICK_BOUND} x"


def commit_milliseconds(server: Server) -> float:
    """The milliseconds of one round trip that commits a row."""
    import psycopg  # noqa: PLC0415  an extra

    with psycopg.connect(server.database().replace("+psycopg", ""), autocommit=True) as connection:
        return seconds_each(bare_commits(connection), COMMITS) * 1000


# --- many accounts on two hosts


def polls(server: Server, market: Market = SHARED, seconds: float = WATCHED) -> Iterator[Figure]:
    """Whether two hosts poll all accounts on time, while nothing is due; and their memory."""
    url = server.database()
    with a_stage(market, 0.0, "opra") as stage, ExitStack() as stack:
        hosts = [stack.enter_context(a_program(stage.host(name, url), stage.folder)).pid for name in HOSTS]
        each = _wait_until_shared(stage, server, url.rpartition("/")[2])
        time.sleep(CALM)
        stage.command("move", "flat", 0, 0)
        before = [cpu_seconds(pid) for pid in hosts]
        time.sleep(seconds)
        report = stage.command("report", "move")
        spent = [(cpu_seconds(pid) - since) / seconds for pid, since in zip(hosts, before, strict=True)]
        memory = [PeakMemory(pid) for pid in hosts]
        for one in memory:
            one.look()
    late = sorted(lateness(report["chain"], market.accounts))
    what = f"hosts: {market.name} on two hosts"
    numbers = f"median {statistics.median(late):.2f} s, latest {late[-1]:.2f} s of {len(late)} every {INTERVAL:.0f} s"
    hosts_each = f"{' + '.join(map(str, each))} accounts; {' + '.join(f'{share:.0%}' for share in spent)} of a core"
    yield (
        f"{what}: lateness of a poll, 99th percentile",
        f"{percentile(late, 0.99):.2f} s ({numbers}; {hosts_each})",
        f"< {LATENESS_BOUND} s",
    )
    peaks = [one.peak for one in memory]
    measured = f"{max(peaks):.0f} MB (the other {min(peaks):.0f} MB)"
    yield f"{what}: peak memory of a host", measured, f"< {MEMORY_BOUND_MB} MB"


def lateness(chain: Iterable[Sequence[object]], accounts: int) -> list[float]:
    """By how many seconds each poll came later than an interval after the one before; 0 when it did not.

    `chain` is that of the exchange's report. RuntimeError when an account was not polled again.
    """
    polled = defaultdict(list)
    for at, _, key, kind, _ in chain:
        if kind == _POLL:
            polled[key].append(float(str(at)) / 1000)
    again = {key: times for key, times in polled.items() if len(times) > 1}
    if len(again) < accounts:
        raise RuntimeError(f"{accounts - len(again)} of {accounts} accounts were not polled again")
    gaps = (after - before for times in again.values() for before, after in pairwise(times))
    return [max(gap - INTERVAL, 0.0) for gap in gaps]


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the ordered values that this share of them doesn't exceed."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _wait_until_shared(stage: Stage, server: Server, database: str) -> list[int]:
    """Wait until each host has its part of the accounts and all order streams are open; how many each has."""
    began = time.monotonic()
    count, most = stage.market.accounts, -(-stage.market.accounts // len(HOSTS))
    while time.monotonic() - began < _PATIENCE:
        time.sleep(1)
        if stage.command("state")["listening"] == count:
            rows = server.sql(
                "SELECT count(*) FROM leases WHERE registration IS NOT NULL GROUP BY registration", database
            )
            each = [int(str(number)) for (number,) in rows]
            if len(each) == len(HOSTS) and sum(each) == count and max(each) <= most:
                return each
    said = (stage.folder / "programs.log").read_text(encoding="utf-8")
    raise RuntimeError(f"the hosts did not share the accounts: {said[-500:]}")


if __name__ == "__main__":
    for figure in figures():
        sys.stdout.write("  |  ".join(figure) + "\n")
        sys.stdout.flush()
