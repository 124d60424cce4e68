"""A host with a clock of its own, on a lease table in memory, for tests of who may send when."""

import asyncio
import datetime as dt
from dataclasses import dataclass, field

from builders import at

from faults.hosts.table import MemoryTable
from sellctl.core.errors import JournalError
from sellctl.core.leases.keeper import AccountPermit, LeaseKeeper
from sellctl.core.leases.model import LeaseView, Renewal

ACCOUNTS = frozenset({"a", "b", "c", "d"})


@dataclass
class Time:
    """The true time, in seconds since noon. A test moves it."""

    seconds: float = 0.0

    def now(self) -> dt.datetime:
        return at("12:00") + dt.timedelta(seconds=self.seconds)


@dataclass
class HostClock:
    """A host's clock: its wall clock may be wrong, its monotonic one began at some other time."""

    time: Time
    wrong_by: dt.timedelta = dt.timedelta(0)

    def now(self) -> dt.datetime:
        return self.time.now() + self.wrong_by

    def monotonic(self) -> float:
        return 5000.0 + self.time.seconds

    async def sleep(self, _seconds: float) -> None:
        await asyncio.Event().wait()  # a test gives the time


@dataclass
class Told:
    """What a keeper has told. A test says what is being sent, and which accounts have an exit under way."""

    permits: dict[str, AccountPermit] = field(default_factory=dict)
    news: list[str] = field(default_factory=list)
    sending: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    halt: str = ""  # of this host, which the others aren't told of yet
    halts: list[tuple[str, int, bool]] = field(default_factory=list)

    def gained(self, account: str, permit: AccountPermit) -> bool:
        self.permits[account] = permit
        self.news.append(f"+{account}")
        return account not in self.unreadable

    def lost(self, account: str) -> None:
        self.news.append(f"-{account}")

    def is_sending(self, account: str) -> bool:
        return account in self.sending

    def is_busy(self, account: str) -> bool:
        return account in self.busy

    def own_halt(self) -> str:
        return self.halt

    def halt_seen(self, reason: str, number: int, *, was_told: bool) -> None:
        self.halt = "" if was_told else self.halt
        if not self.halts or self.halts[-1] != (reason, number, was_told):
            self.halts.append((reason, number, was_told))

    def lease_problem(self, sentence: str) -> None:
        self.news.append(sentence)


@dataclass
class Database:
    """The table, and what is wrong with the way to it: `down`, or an answer that takes `slow` seconds."""

    time: Time
    down: bool = False
    slow: float = 0.0
    answers_lost: bool = False

    def __post_init__(self) -> None:
        self.table = MemoryTable(self.time.now)

    async def renew(self, renewal: Renewal) -> LeaseView:
        if self.down:
            raise JournalError("The database can't be reached.")
        view = self.table.renew_now(renewal)
        self.time.seconds += self.slow
        if self.answers_lost:
            raise JournalError("The database can't be reached.")
        return view

    async def view(self) -> LeaseView:
        if self.down or self.answers_lost:
            raise JournalError("The database can't be reached.")
        return await self.table.view()

    async def changed(self, _seconds: float) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        """There is nothing to close."""


class World:
    """Some hosts on one database. Each step of a host is called for."""

    def __init__(self) -> None:
        self.time = Time()
        self.database = Database(self.time)

    def a_host(
        self, name: str, process: str = "", wrong_by: dt.timedelta = dt.timedelta(0)
    ) -> "tuple[LeaseKeeper, Told]":
        told = Told()
        clock = HostClock(self.time, wrong_by)
        return LeaseKeeper(name, process or name, ACCOUNTS, self.database, clock, told), told

    def rounds(self, *hosts: LeaseKeeper, times: int = 5) -> None:
        """Let each host renew in turn, some times."""

        async def renew() -> None:
            for _ in range(times):
                for host in hosts:
                    await host.renew()

        asyncio.run(renew())
