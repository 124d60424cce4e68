"""Plays a run with real hosts: starts everything, lets happen what was drawn, and collects what was seen."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from benchmarks.postgres_server import a_server
from faults.day import scratch
from faults.hosts.real.checks import Evidence, errors_of
from faults.hosts.real.draws import Plan, draw_plan
from faults.hosts.real.processes import RealHost, real_hosts, simulator
from faults.hosts.real.stage import NotPlayedError, Stage
from sellctl.core.errors import SellctlError
from sellctl.journal.database import close_readers
from sellctl.journal.location import PostgresLocation
from sellctl.journal.verify import verify


@dataclass(frozen=True, slots=True)
class RealHostsRun:
    """One run: what was planned and seen, and what is wrong with it. `log` is what the hosts said, if anything is."""

    plan: Plan
    seen: Evidence
    errors: tuple[str, ...]
    log: str
    seconds: float

    @property
    def line(self) -> str:
        """The run in a line."""
        times = ", ".join("never" if s.watched_after is None else f"{s.watched_after:.1f} s" for s in self.seen.struck)
        asked = f", close ended with {', '.join(str(a.status) for a in self.seen.asked)}" if self.seen.asked else ""
        return f"{self.plan.line}; watched again after {times or 'nothing'}{asked}, {self.seconds:.0f} s"


def strike_real_hosts(seed: int) -> RealHostsRun:
    """Play the run of a seed, and check it. NoServerError without a PostgreSQL server on this machine."""
    plan, began, log = draw_plan(seed), time.monotonic(), ""
    with a_server() as database, scratch() as name:
        folder, journal = Path(name), f"seed_{seed}"
        url = database.database(journal)
        try:
            with simulator(folder / "sim") as broker, real_hosts(folder, plan.hosts, url, broker) as hosts:
                try:
                    seen = Stage(plan, database, journal, broker, hosts).play()
                finally:
                    log = "\n".join(map(_log_of, hosts.values()))
            seen = replace(seen, chain=verify(PostgresLocation(url, folder)).fault)
        except (NotPlayedError, SellctlError, psycopg.Error, OSError) as error:
            seen = Evidence(trouble_of_bench=f"{type(error).__name__}: {error}")
        finally:
            close_readers()
    errors = errors_of(seen)
    return RealHostsRun(plan, seen, errors, log if errors else "", time.monotonic() - began)


def _log_of(host: RealHost) -> str:
    return "\n".join(f"{host.name} | {line}" for line in host.said().splitlines())
