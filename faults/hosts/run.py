"""Runs a day with three hosts in virtual time: starts them, and lets happen to them what was drawn."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from faults.day import scratch
from faults.findings import Findings, Violation
from faults.hosts.checks import CHECK_SECONDS, QTY, RECOVERED, HostsChecker
from faults.hosts.draws import (
    ACCOUNTS,
    BEGINS,
    ENDS,
    ENTRY,
    HOSTS,
    HostsDay,
    PlannedTrouble,
    Trouble,
    at,
    draw_day,
)
from faults.hosts.host import Host, Shared, a_folder
from faults.hosts.shared_journal import SharedJournal
from faults.hosts.table import MemoryTable
from faults.loop import VirtualLoop
from sellctl.core.model.event import Event
from sellctl.sim.market.market import Market
from sellctl.sim.market.price_paths import Path as PricePath
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimPosition

Report = Callable[[str], None]
MOST_VIOLATIONS = 20
_STRIKES = 0.7
_MOMENTS, _MOMENT = 60, 0.1  # how many, and seconds between two


@dataclass(frozen=True, slots=True)
class HostsOutcome:
    """The result of one day."""

    seed: int
    troubles: tuple[str, ...]
    requests: int
    takeovers: int
    slowest: float
    processes: int
    violations: tuple[Violation, ...]
    seconds: float

    @property
    def line(self) -> str:
        """The result in one line."""
        return (
            f"hosts, seed {self.seed}: {self.requests} requests about orders, {self.processes} processes, "
            f"{self.takeovers} take-overs, the slowest after {self.slowest:.1f} s, "
            f"{', '.join(self.troubles) or 'calm'}, {self.seconds:.2f} s"
        )


@dataclass(slots=True)
class HostsStage:
    """One day with its exchange, table, journal, hosts and checker."""

    day: HostsDay
    folder: Path
    report: Report | None = None
    findings: Findings = field(default_factory=Findings)
    hosts: dict[str, Host] = field(default_factory=dict)  # the current process by host
    all_hosts: list[Host] = field(default_factory=list)
    shared: Shared = field(init=False)
    checker: HostsChecker = field(init=False)

    def __post_init__(self) -> None:
        exchange = _exchange_of(self.day)
        table = MemoryTable(lambda: exchange.now)
        journal = SharedJournal(table, lambda: exchange.now)
        rng = random.Random(self.day.seed + 1)  # noqa: S311  a bench's seed, not a secret
        self.shared = Shared(exchange, table, journal, rng, self.day.latency)
        self.checker = HostsChecker(self.day, self.shared, self.findings, lambda: self.all_hosts)
        self.shared.arrives = self.checker.arrives
        journal.committed = self.checker.committed
        table.observe = self.checker.changed

    def play(self) -> None:
        """Run the day."""
        loop = VirtualLoop(self.shared.exchange)
        try:
            loop.run_until_complete(self._play())
        finally:
            _end_tasks(loop)
            loop.close()
        self.checker.at_the_end()

    async def _play(self) -> None:
        happening = [asyncio.ensure_future(self._happens(each)) for each in self.day.troubles]
        starting = [asyncio.ensure_future(self._start_at(host, self.shared.rng.uniform(0, 2))) for host in HOSTS]
        for _ in range(int(ENDS / CHECK_SECONDS)):
            await asyncio.sleep(CHECK_SECONDS)
            self.checker.look()
            if len(self.findings.found) > MOST_VIOLATIONS:
                break
        for task in (*happening, *starting):
            if task.done() and not task.cancelled() and task.exception():
                task.result()

    async def _start_at(self, name: str, length: float) -> None:
        await asyncio.sleep(length)
        self._start(name)

    def _start(self, name: str) -> Host:
        host = Host(name, self.shared, a_folder(self.folder), self.day.skews[name], self._tell)
        host.healthy_since = self.checker.now
        self.hosts[name] = host
        self.all_hosts.append(host)
        host.start()
        return host

    async def _worst_moment(self, host: Host) -> None:
        """Often wait for the moment when an order or a cancel of the host is on its way, for some seconds at most."""
        if self.shared.rng.random() < _STRIKES:
            for _ in range(_MOMENTS):
                if host.is_sending:
                    return
                await asyncio.sleep(_MOMENT)

    # --- what happens -------------------------------------------------------------------------------------------------

    async def _happens(self, trouble: PlannedTrouble) -> None:
        await asyncio.sleep(trouble.at)
        self._report(f"{trouble.what} {trouble.host} begins")
        host = self.hosts.get(trouble.host)
        for_seconds = trouble.until - trouble.at
        if trouble.what is Trouble.SLOW:
            self.shared.slow = self.shared.rng.choice((0.3, 1.0, 2.5))
            await asyncio.sleep(for_seconds)
            self.shared.slow = 0.0
        elif trouble.what is Trouble.OUTAGE:
            self.shared.is_down = True
            await asyncio.sleep(for_seconds)
            self.shared.is_down = False
        elif host is not None:
            await _OF_HOST[trouble.what](self, host, for_seconds)
        self._report(f"{trouble.what} {trouble.host} ends")

    async def crash(self, host: Host, length: float) -> None:
        """The process dies; the service manager starts it again after a while."""
        await self._worst_moment(host)
        host.crash()
        await asyncio.sleep(length)
        self._start(host.name)

    async def sigterm(self, host: Host, length: float) -> None:
        """The process is asked to end, and started again after a while."""
        await self._worst_moment(host)
        host.terminate()
        await asyncio.sleep(length)
        self._start(host.name)

    async def pause(self, host: Host, length: float) -> None:
        """The process is frozen for a while."""
        await self._worst_moment(host)
        host.freeze()
        await asyncio.sleep(length)
        host.wake()

    async def suspended(self, host: Host, length: float) -> None:
        """The whole host is, its monotonic clock too."""
        await self._worst_moment(host)
        host.freeze()
        host.has_stood_still = True
        await asyncio.sleep(length)
        host.clock.stood_still += length
        host.wake()

    async def no_database(self, host: Host, length: float) -> None:
        """The host doesn't reach the database; its connections are refused or silent."""
        host.has_database = False
        await asyncio.sleep(length)
        host.has_database = True

    async def hanging(self, host: Host, length: float) -> None:
        """The host's calls of the database hang, and are carried out late."""
        host.has_database, host.hangs = False, True
        await asyncio.sleep(length)
        host.has_database, host.hangs = True, False

    async def no_broker(self, host: Host, length: float) -> None:
        """The host reaches the database only."""
        host.has_broker = False
        await asyncio.sleep(length)
        host.has_broker = True

    async def same_name(self, host: Host, length: float) -> None:
        """Another process is started under the name of a host by mistake."""
        other = Host(host.name, self.shared, a_folder(self.folder), host.skew, self._tell)
        self.all_hosts.append(other)
        other.start()
        await asyncio.sleep(length)
        other.terminate()

    async def halt(self, host: Host, length: float) -> None:
        """A user halts one host, and later lifts the halt there."""
        if host.runtime is None or not host.is_healthy:
            return
        host.runtime.state.halt("the bench", "the bench")
        if self.checker.now - host.healthy_since > RECOVERED:
            self.checker.halted_at = self.checker.now
        await asyncio.sleep(length)
        self.checker.halted_at = None
        host.runtime.state.resume()
        self.shared.table.resume()  # as `sellctl resume` does on any host

    # --- telling ------------------------------------------------------------------------------------------------------

    def _tell(self, host: Host, event: Event) -> None:
        self._report(f"{host.name}: {event.account} {event.kind} {event.sentence}")

    def _report(self, text: str) -> None:
        if self.report:
            self.report(f"{(self.shared.exchange.now - BEGINS).total_seconds():7.2f} {text}")


_OF_HOST = {
    Trouble.CRASH: HostsStage.crash,
    Trouble.SIGTERM: HostsStage.sigterm,
    Trouble.PAUSE: HostsStage.pause,
    Trouble.SUSPENDED: HostsStage.suspended,
    Trouble.NO_DATABASE: HostsStage.no_database,
    Trouble.HANGING: HostsStage.hanging,
    Trouble.NO_BROKER: HostsStage.no_broker,
    Trouble.SAME_NAME: HostsStage.same_name,
    Trouble.HALT: HostsStage.halt,
}


def _exchange_of(day: HostsDay) -> Exchange:
    accounts = [
        SimAccount(
            name,
            f"key-{name}",
            f"secret-{name}",
            f"PA{number:04}",
            positions={held.symbol: SimPosition(held.symbol, QTY, ENTRY) for held in day.held if held.account == name},
        )
        for number, name in enumerate(ACCOUNTS)
    ]
    return Exchange(at(0), accounts, Market({held.symbol: PricePath(list(held.path)) for held in day.held}))


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """End what waits for nothing any more: the processes, also those that have crashed."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))


def play_hosts(seed: int, report: Report | None = None) -> HostsOutcome:
    """Run the day of a seed; `report` receives one line per event."""
    started = time.perf_counter()
    with scratch() as name:
        stage = HostsStage(draw_day(seed), Path(name), report)
        stage.play()
    checker = stage.checker
    return HostsOutcome(
        seed=seed,
        troubles=tuple(str(each.what) for each in stage.day.troubles),
        requests=checker.requests,
        takeovers=checker.takeovers,
        slowest=checker.slowest,
        processes=len(stage.all_hosts),
        violations=tuple(stage.findings.found),
        seconds=time.perf_counter() - started,
    )
