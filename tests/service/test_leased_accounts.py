"""Accounts join a running watcher with their lease, as at a start, and leave it without sending anything."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders import CALL
from postgres_fixtures import PostgresLocation
from shell_fakes import FakeBroker, World

from faults.hosts.table import MemoryTable
from sellctl.core.errors import JournalError
from sellctl.core.events import EventPublisher
from sellctl.core.leases.keeper import AccountPermit, LeaseKeeper
from sellctl.core.leases.model import Renewal
from sellctl.core.leases.permit import SendPermit
from sellctl.core.leases.timing import LEASE_SECONDS
from sellctl.core.manual.verb import Verb
from sellctl.core.scheduler import AccountScheduler
from sellctl.core.sell_watcher import SellWatcher
from sellctl.core.watching.manual_requests import CommandRequest
from sellctl.service.leased_accounts import LeasedAccounts
from sellctl.service.state_folder import StateFolder

DUE = ("1.20", "1.22")


@dataclass
class SharingHost:
    """A host with two accounts and nothing on its screen yet. Its table has the fakes' clock."""

    folder: Path
    world: World = field(default_factory=World)
    made: list[str] = field(default_factory=list)
    unreadable: bool = False

    def __post_init__(self) -> None:
        world = self.world
        self.brokers = {name: FakeBroker(world.clock, name) for name in ("main", "other")}
        publish = EventPublisher("", world.clock.now, world.events.append, world.journal)
        interval = dt.timedelta(seconds=5)
        self.scheduler = AccountScheduler((), world.market_clock, world.prices, world.clock, interval, publish)
        self.state = StateFolder(self.folder)
        self.table = MemoryTable(world.clock.now)
        self.leased = LeasedAccounts(self.scheduler, self.make_watcher, self.state, publish)
        self.leased.share_by(self.table, world.clock, "one", "process-1", frozenset(self.brokers))

    def make_watcher(self, account: str, permit: SendPermit) -> SellWatcher:
        if self.unreadable:
            raise JournalError("The journal can't be read.")
        self.made.append(account)
        return self.world.a_watcher(self.brokers[account], permit=permit)

    @property
    def keeper(self) -> LeaseKeeper:
        return self.leased.keeper

    @property
    def watched(self) -> list[str]:
        return [watcher.name for watcher in self.scheduler.watchers]

    def permit(self, account: str) -> Any:
        return next(each for each in self.scheduler.watchers if each.name == account).orders.permit

    async def take_all(self) -> None:
        for _ in range(2):
            await self.keeper.renew()


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await work()

    asyncio.run(whole())


def test_a_host_begins_without_accounts_and_polls_each_once_it_has_its_lease(tmp_path: Path) -> None:
    host = SharingHost(tmp_path)

    async def work() -> None:
        await host.scheduler.poll()
        assert host.watched == []
        await host.take_all()
        await host.scheduler.poll()
        assert host.watched == ["main", "other"]
        assert [state.plan is not None for state in host.scheduler.states] == [True, True]

    run(work)
    assert "watched by this host now (fence 1)" in host.world.texts


def test_accounts_that_are_won_and_leases_that_end_are_counted(tmp_path: Path) -> None:
    host = SharingHost(tmp_path)
    counted: list[tuple[str, str]] = []
    host.leased.count = lambda account, change: counted.append((account, change))

    async def work() -> None:
        await host.take_all()
        host.leased.lost("main")

    run(work)
    assert counted == [("main", "won"), ("other", "won"), ("main", "ended")]


def test_what_is_due_in_a_new_account_is_sold_with_the_leases_number(tmp_path: Path) -> None:
    host = SharingHost(tmp_path)
    host.world.quoted(*DUE)

    async def work() -> None:
        await host.take_all()
        await host.scheduler.poll()

    run(work)
    assert [order.symbol for order in host.brokers["main"].sent] == [CALL]
    assert isinstance(host.permit("main"), AccountPermit)


def test_an_account_that_is_lost_is_read_no_more_and_nothing_is_sent_for_it(tmp_path: Path) -> None:
    host = SharingHost(tmp_path)
    broker = host.brokers["main"]

    async def work() -> None:
        await host.take_all()
        broker.gate = asyncio.Event()
        host.world.quoted(*DUE)
        polling = asyncio.ensure_future(host.scheduler.poll())
        await asyncio.sleep(0)
        host.world.clock.seconds += LEASE_SECONDS + 1
        another = Renewal("two", "process-2", 0, frozenset(host.brokers), acquire=frozenset(host.brokers))
        host.table.renew_now(another)
        await host.keeper.renew()
        broker.gate.set()
        await polling
        await host.scheduler.poll()

    run(work)
    assert host.watched == []
    assert (broker.sent, host.brokers["other"].sent) == ([], [])
    assert "no longer watched by this host" in host.world.texts


def test_an_order_whose_lease_ends_before_it_leaves_is_not_sent(tmp_path: Path) -> None:
    host = SharingHost(tmp_path)

    async def work() -> None:
        await host.take_all()
        await host.scheduler.poll()
        host.world.quoted(*DUE)
        host.world.clock.seconds += LEASE_SECONDS
        await host.scheduler.poll()

    run(work)
    assert host.brokers["main"].sent == []
    problem = "This host has no lease of account main now: nothing is sent."
    assert any(problem in text for text in host.world.texts)


def test_an_account_that_comes_back_is_watched_as_at_a_start(tmp_path: Path) -> None:
    host = SharingHost(tmp_path)

    async def work() -> None:
        await host.take_all()
        await host.scheduler.poll()
        host.world.clock.seconds += LEASE_SECONDS + 1
        await host.keeper.renew()
        await host.take_all()
        await host.take_all()
        assert all(state.plan is None for state in host.scheduler.states)
        await host.scheduler.poll()

    run(work)
    assert host.made == ["main", "other", "main", "other"]
    assert [state.plan is not None for state in host.scheduler.states] == [True, True]


def test_an_account_whose_memory_can_not_be_read_is_given_back(tmp_path: Path) -> None:
    host = SharingHost(tmp_path)
    host.unreadable = True

    async def work() -> None:
        await host.take_all()
        await host.keeper.renew()

    run(work)
    assert host.watched == []
    assert host.table.lease_of("main") is None
    assert "degraded: main can't be watched: The journal can't be read." in host.world.texts


def test_an_account_with_a_close_that_was_asked_for_is_busy_and_its_loss_is_told(tmp_path: Path) -> None:
    host = SharingHost(tmp_path)

    async def work() -> None:
        await host.take_all()
        assert not host.leased.is_busy("main")
        main = next(watcher for watcher in host.scheduler.watchers if watcher.name == "main")
        main.take_request(CommandRequest("ab12", Verb.CLOSE, CALL, ("main",), "ana"))
        assert host.leased.is_busy("main")
        host.leased.lost("main")
        host.leased.lost("other")

    run(work)
    told = [text for text in host.world.texts if "ask again" in text]
    assert told == ["alert: what was asked for by hand isn't all done, and no other host knows of it: ask again"]


def test_an_account_is_watched_with_what_is_exempt_by_then(tmp_path: Path, postgres: PostgresLocation) -> None:
    host = SharingHost(tmp_path)
    state = host.leased.state = StateFolder(tmp_path / "one", journal_url=lambda: postgres.url)
    state.make()
    state.look_at_shared()
    elsewhere = StateFolder(tmp_path / "two", journal_url=lambda: postgres.url)
    elsewhere.set_exempt("TSLA", wanted=True)  # while this host was frozen, or cut off
    run(host.take_all)
    assert (host.watched, state.exempt()) == (["main", "other"], {"TSLA"})


def test_the_lock_of_an_account_is_released_with_it(tmp_path: Path) -> None:
    host = SharingHost(tmp_path)
    host.world.admit = lambda facts: host.state.lock(facts.number, "watch")

    async def work() -> None:
        await host.take_all()
        await host.scheduler.poll()

    async def lose() -> None:
        for account in ("main", "other"):
            host.leased.lost(account)

    run(work)
    assert [file.name for file in tmp_path.glob("*.holder")] == ["account-PA1.holder"]
    run(lose)
    assert not list(tmp_path.glob("*.holder"))
    StateFolder(tmp_path).lock("PA1", "watch")


def test_a_stop_gives_every_account_back_and_then_ends(tmp_path: Path) -> None:
    host = SharingHost(tmp_path)

    async def work() -> None:
        stop = asyncio.Event()
        sharing = asyncio.ensure_future(host.leased.run(stop))
        for _ in range(20):
            await asyncio.sleep(0)
        assert host.keeper.held == {"main", "other"}
        stop.set()
        await asyncio.wait_for(sharing, 10)

    run(work)
    assert host.watched == []
    assert [host.table.lease_of(account) for account in ("main", "other")] == [None, None]


def test_a_halt_of_this_host_is_told_to_the_others_once_and_lifted_here_when_any_lifts_it(tmp_path: Path) -> None:
    host = SharingHost(tmp_path)

    async def work() -> None:
        await host.take_all()
        host.state.halt("fed day", "ana")
        for _ in range(3):
            await host.keeper.renew()
        assert (host.table.halted, host.table.halt_number) == ("fed day", 1)
        host.table.resume()
        await host.keeper.renew()
        assert (host.state.halted(), host.keeper.halted) == ("", "")
        await host.keeper.renew()
        assert (host.table.halted, host.table.halt_number) == ("", 1)

    run(work)
    assert [event.text for event in host.world.events if "all hosts" in event.text] == [
        "all hosts are halted: fed day",
        "the halt of all hosts is lifted",
    ]


def test_a_host_that_starts_with_a_halt_that_was_lifted_elsewhere_lifts_its_own_and_halts_nobody(
    tmp_path: Path,
) -> None:
    host = SharingHost(tmp_path)

    async def work() -> None:
        await host.take_all()
        host.state.halt("fed day", "ana")
        await host.keeper.renew()
        host.table.resume()  # this host is down meanwhile
        again = SharingHost(tmp_path, world=host.world)
        again.leased.share_by(host.table, host.world.clock, "one", "process-1", frozenset(again.brokers))
        await again.keeper.renew()
        assert (again.state.halted(), host.table.halted) == ("", "")

    run(work)


def test_a_table_that_has_lost_a_halt_is_told_again_and_nothing_is_lifted(tmp_path: Path) -> None:
    host = SharingHost(tmp_path)

    async def work() -> None:
        await host.take_all()
        host.state.halt("fed day", "ana")
        await host.keeper.renew()
        host.table.halted, host.table.halt_number = "", 0  # a failover to a standby that didn't have it yet
        for _ in range(2):
            await host.keeper.renew()
            assert host.state.halted() == "fed day"
        assert host.table.halted == "fed day"

    run(work)


def test_a_halt_that_others_made_halts_this_host_without_a_flag_of_its_own(tmp_path: Path) -> None:
    host = SharingHost(tmp_path)

    async def work() -> None:
        await host.take_all()
        host.table.halt("fed day")
        await host.keeper.renew()
        assert (host.keeper.halted, host.state.halted()) == ("fed day", "")

    run(work)
