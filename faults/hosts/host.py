"""One host: sellctl's own composition root and watcher, with a broker and a database that can fail it."""

import asyncio
import datetime as dt
import itertools
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from faults.hosts.draws import ACCOUNTS
from faults.hosts.shared_journal import SharedJournal
from faults.hosts.table import MemoryTable
from faults.loop import seconds
from faults.patching import patched
from sellctl import bootstrap
from sellctl.alpaca import connect as connect_module
from sellctl.bootstrap import Leases, Records, RunOptions, Runtime, assemble
from sellctl.core.config.schema import AccountConfig, Config, SellModuleConfig
from sellctl.core.config_manager import LoadedConfig
from sellctl.core.errors import BrokerError, FailureKind, JournalError, UnknownOutcomeError
from sellctl.core.leases.model import Lease, LeaseView, Renewal
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.event import Event
from sellctl.core.model.plan import SubmitOrder
from sellctl.service.options import Options
from sellctl.sim.inprocess import SimBroker, SimQuotes, body_of
from sellctl.sim.venue.exchange import Exchange

if TYPE_CHECKING:
    from sellctl.service.leased_accounts import LeasedAccounts

T = TypeVar("T")
HANG_SECONDS = 8.0  # how late a call is carried out that hung: the system then gives its connection up
_HANGS = 0.7
TIMEOUT = 2.0  # seconds until a request without an answer is given up
CONFIG = Config(
    sell_module=SellModuleConfig(check_interval=dt.timedelta(seconds=7)),
    accounts={name: AccountConfig(f"key-{name}", f"secret-{name}") for name in ACCOUNTS},
)
_UNDONE = JournalError("The database can't be reached.")


class HostClock:
    """A host's clock, on which nothing wakes while its process is frozen."""

    def __init__(self, host: "Host") -> None:
        self._host = host
        self.skew = dt.timedelta(0)
        self.stood_still = 0.0  # seconds

    def now(self) -> dt.datetime:
        """The wall clock, with its error."""
        return self._host.exchange.now + self.skew

    def monotonic(self) -> float:
        """Seconds since the host's own beginning; without those for which it stood still."""
        return seconds(self._host.exchange.now) - self.stood_still

    async def sleep(self, length: float) -> None:
        """Wait, and until the process is awake."""
        await asyncio.sleep(max(length, 0.0))
        await self._host.awake()


@dataclass(slots=True)
class Shared:
    """What all hosts share, and what all their requests do."""

    exchange: Exchange
    table: MemoryTable
    journal: SharedJournal
    rng: random.Random
    latency: float
    arrives: Callable[["Host", str, str], None] = lambda _host, _account, _client_order_id: None
    slow: float = 0.0  # seconds that the database takes at most, each way
    is_down: bool = False


@dataclass(slots=True)
class Host:
    """One process on one host, from its start to its end or its crash. Dead processes stay at what they wait for."""

    name: str
    shared: Shared
    folder: Path
    skew: dt.timedelta
    listener: Callable[["Host", Event], None]
    has_database: bool = True
    has_broker: bool = True
    hangs: bool = False
    is_dead: bool = False
    is_frozen: bool = False
    is_leaving: bool = False
    left_well: bool = False  # it was healthy when it was asked to end
    has_stood_still: bool = False  # and hasn't renewed since
    healthy_since: float = 0.0  # seconds of the loop
    hung_at: float = 0.0  # when a call of the database last hung: it may be carried out late
    runtime: Runtime | None = None
    problem: str = ""  # what ended the process, if it was an error
    _awake: asyncio.Event = field(default_factory=asyncio.Event)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _deliveries: set["asyncio.Task[Any]"] = field(default_factory=set)
    _running: "asyncio.Task[None] | None" = None
    clock: HostClock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = HostClock(self)
        self.clock.skew = self.skew
        self._awake.set()

    @property
    def exchange(self) -> Exchange:
        """The one exchange."""
        return self.shared.exchange

    @property
    def is_running(self) -> bool:
        """Whether the process lives, frozen or not."""
        return self._running is not None and not self._running.done() and not self.is_dead

    @property
    def was_told_to_end(self) -> bool:
        """Whether the process was asked to end while nothing kept it from giving its leases back."""
        return self.is_leaving and self.left_well and not self.is_dead and not self.is_frozen

    @property
    def is_healthy(self) -> bool:
        """Whether nothing keeps it from its leases."""
        reaches = self.has_database and self.has_broker and not self.shared.slow and not self.shared.is_down
        return self.is_running and reaches and not self.is_frozen and not self.is_leaving

    # --- the process --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process."""
        self._assemble()
        self._running = asyncio.ensure_future(self._run())

    def _assemble(self) -> None:
        options = Options(None, self.folder, live=False, debug=False, log_file=None)
        with ExitStack() as stack:
            stack.enter_context(patched(connect_module, "connect", lambda *_, **__: _Connected(self)))
            stack.enter_context(patched(bootstrap, "RealClock", lambda: self.clock))
            stack.enter_context(patched(bootstrap, "open_records", lambda *_: self._records()))
            stack.enter_context(patched(bootstrap, "open_leases", lambda *_: Leases(HostTable(self), self.clock)))
            run_options = RunOptions("watch", RunMode.ACT, host_id=self.name)
            loaded = LoadedConfig(CONFIG, None, {}, ())
            self.runtime = assemble(loaded, options, run_options, partial(self.listener, self), self.clock)

    def _records(self) -> Records:
        journal: Any = HostJournal(self)
        return Records(journal, journal, journal, self.shared.journal.set_account_number)

    async def _run(self) -> None:
        """What `sellctl watch` does."""
        runtime = cast("Runtime", self.runtime)
        leased = cast("LeasedAccounts", runtime.leased)
        try:
            sharing = asyncio.ensure_future(leased.run(self._stop))
            await runtime.scheduler.watch(self._stop, lambda _wait: None)
            await sharing
        except Exception as error:  # noqa: BLE001  whatever ends the process is a finding
            self.problem = f"{type(error).__name__}: {error}"
        finally:
            runtime.close()

    def may_send(self, account: str) -> bool:
        """Whether the process holds itself allowed to send for an account."""
        keeper = self.runtime.leased.keeper if self.runtime and self.runtime.leased else None
        return keeper is not None and any(keeper.may_send(account, fence) for fence in [self.fence(account)] if fence)

    def fence(self, account: str) -> int:
        """The fencing number of the account's lease, as far as the process knows; 0 when it does not watch it."""
        watchers = self.runtime.scheduler.watchers if self.runtime else ()
        watcher = next((each for each in watchers if each.name == account), None)
        return getattr(watcher.orders.permit, "fence", 0) if watcher else 0

    def is_holder(self, lease: Lease) -> bool:
        """Whether a lease is this process's, and not that of another one with its name."""
        return self.shared.table.process_of(lease) == self.process

    @property
    def process(self) -> str:
        """The name of the process in the table."""
        return self.runtime.leased.keeper.process if self.runtime and self.runtime.leased else ""

    @property
    def halted(self) -> str:
        """Why the process sends nothing."""
        runtime = self.runtime
        return (runtime.state.halted() or (runtime.leased.keeper.halted if runtime.leased else "")) if runtime else ""

    @property
    def is_sending(self) -> bool:
        """Whether a request about an order is on its way."""
        return self.runtime is not None and any(each.is_executing for each in self.runtime.scheduler.watchers)

    # --- what happens to it -------------------------------------------------------------------------------------------

    def terminate(self) -> None:
        """SIGTERM."""
        self.left_well = self.is_healthy
        self.is_leaving = True
        self._stop.set()

    def crash(self) -> None:
        """What is on its way arrives; the process does nothing any more."""
        self.is_dead = True
        self._awake.clear()

    def freeze(self) -> None:
        """The process does nothing until it wakes."""
        self.is_frozen = True
        self._awake.clear()

    def wake(self) -> None:
        """It goes on where it was."""
        self.is_frozen = False
        if not self.is_dead:
            self._awake.set()

    async def awake(self) -> None:
        """Return once the process isn't frozen; never for a dead one."""
        while not self._awake.is_set():
            await self._awake.wait()

    # --- its ways to the others ---------------------------------------------------------------------------------------

    async def query(self, work: Callable[[], T], *, may_be_late: bool = False) -> T:
        """Carry out a transaction in the database, and return its answer. JournalError without one.

        A call that is given up is carried out all the same. One that `may_be_late` is on a connection that was open
        before, so that it often hangs where others are refused.
        """
        await self.awake()
        hangs = self.hangs or (may_be_late and self.shared.rng.random() < _HANGS)
        call = asyncio.ensure_future(self._transaction(work, hangs=hangs))
        self._deliveries.add(call)
        call.add_done_callback(self._deliveries.discard)
        call.add_done_callback(lambda done: done.cancelled() or done.exception())
        answer = await asyncio.shield(call)
        await self.awake()
        return answer

    async def _transaction(self, work: Callable[[], T], *, hangs: bool) -> T:
        if self.shared.is_down or not self.has_database:
            if not hangs:
                await asyncio.sleep(self.shared.rng.choice((0.0, TIMEOUT)))
                raise _UNDONE
            self.hung_at = seconds(self.exchange.now) if self.hangs else self.hung_at
            await asyncio.sleep(self.shared.rng.uniform(0, HANG_SECONDS))
            if self.shared.is_down:
                raise _UNDONE
            done = work()
            await asyncio.sleep(HANG_SECONDS)
            return done
        await asyncio.sleep(self.shared.slow * self.shared.rng.random())
        done = work()
        await asyncio.sleep(self.shared.slow * self.shared.rng.random())
        if not self.has_database:  # the connection broke after the commit
            raise _UNDONE
        return done

    def query_now(self, work: Callable[[], T]) -> T:
        """Likewise for what the program doesn't wait for."""
        if self.is_dead or self.shared.is_down or not self.has_database:
            raise _UNDONE
        return work()

    def _reaches_broker(self) -> bool:
        return self.has_broker

    async def request(self, call: Callable[[], Awaitable[T]]) -> T:
        """Send a request to the broker, and return the answer. UnknownOutcomeError without one."""
        await self.awake()
        way = self.shared.latency * self.shared.rng.random()
        if not self.has_broker:
            await self.clock.sleep(TIMEOUT)
            raise UnknownOutcomeError("The broker can't be reached.", kind=FailureKind.TIMEOUT)
        await asyncio.sleep(way)
        error: BrokerError | None = None
        answer: T | None = None
        try:
            answer = await call()
        except BrokerError as refusal:
            error = refusal
        await asyncio.sleep(way)
        if not self._reaches_broker():  # it did when the request left
            await asyncio.sleep(TIMEOUT)
            error = UnknownOutcomeError("The broker's answer was lost.", kind=FailureKind.TIMEOUT)
        await self.awake()
        if error:
            raise error
        return cast("T", answer)


class HostBroker:
    """One account's broker, over the host's network."""

    def __init__(self, host: Host, account: str) -> None:
        self._host = host
        self._inner = SimBroker(host.exchange, account)
        self.name = account
        self.load = 0.0

    def __getattr__(self, name: str) -> Any:
        return partial(self._read, getattr(self._inner, name))

    async def _read(self, read: Callable[..., Awaitable[T]], *args: Any, **options: Any) -> T:
        return await self._host.request(lambda: read(*args, **options))

    def body(self, order: SubmitOrder) -> Mapping[str, object]:
        """The fields of the request that submits an order."""
        return body_of(order)

    async def submit(self, order: SubmitOrder) -> Any:
        """Send an order; the checker sees it when it arrives."""

        async def arrive() -> Any:
            self._host.shared.arrives(self._host, self.name, order.client_order_id)
            return await self._inner.submit(order)

        return await self._host.request(arrive)

    async def cancel(self, order_id: str) -> None:
        """Likewise for a cancel."""

        async def arrive() -> None:
            self._host.shared.arrives(self._host, self.name, "")
            await self._inner.cancel(order_id)

        await self._host.request(arrive)


class HostQuotes:
    """Quotes over the host's network."""

    last_problems: tuple[str, ...] = ()

    def __init__(self, host: Host) -> None:
        self._host = host
        self._inner = SimQuotes(host.exchange)

    async def latest(self, *args: Any) -> Any:
        """The newest quotes."""
        return await self._host.request(lambda: self._inner.latest(*args))

    async def splits(self, *args: Any) -> Any:
        """The splits of a day."""
        return await self._host.request(lambda: self._inner.splits(*args))


class _Connected:
    """Replaces the composition root's connections to Alpaca."""

    def __init__(self, host: Host) -> None:
        self.brokers = {name: HostBroker(host, name) for name in host.exchange.accounts}
        self.quotes = HostQuotes(host)

    def close(self) -> None:
        """Nothing is open."""


class HostTable:
    """The lease table over the host's connection to the database."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def renew(self, renewal: Renewal) -> LeaseView:
        """Renew. What was asked before the clock stood still says nothing about the time since."""
        asked_at = self._host.clock.stood_still
        view = await self._host.query(lambda: self._host.shared.table.renew_now(renewal))
        if self._host.clock.stood_still == asked_at and not self._host.is_frozen:
            self._host.has_stood_still = False
        return view

    async def view(self) -> LeaseView:
        """Read."""
        return await self._host.query(self._host.shared.table.view_now)

    async def changed(self, length: float) -> None:
        """Wait for news, which a host without the database doesn't get."""
        if not self._host.has_database or self._host.shared.is_down:
            await self._host.clock.sleep(length)
            return
        await self._host.shared.table.changed(length)
        await self._host.awake()

    async def close(self) -> None:
        """Do nothing: the connection is the host's."""


class HostJournal:
    """The shared journal and its episodes over the same connection."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._inner: Any = host.shared.journal
        self._saved: dict[str, Mapping[str, Any]] = {}  # the episodes of each account

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name in {"intend", "accepted"}:
            return partial(self._committed, method)
        return partial(self._now, method) if name != "plan_made" else method

    async def save(self, account: str, episodes: Mapping[str, Any]) -> None:
        """Save episodes; without a change this needs no database."""
        if self._saved.get(account) != episodes:
            await self._committed(self._inner.save, account, episodes)
            self._saved[account] = dict(episodes)

    async def _committed(self, write: Callable[..., Any], *args: Any, **options: Any) -> None:
        await self._host.query(lambda: _run_at_once(write(*args, **options)), may_be_late=True)

    def _now(self, work: Callable[..., T], *args: Any, **options: Any) -> T:
        return self._host.query_now(lambda: work(*args, **options))


def _run_at_once(work: Any) -> None:
    """Run a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("a transaction in memory waits for nothing")


_NUMBERS = itertools.count(1)


def a_folder(scratch: Path) -> Path:
    """A state folder of a process's own."""
    return scratch / f"process-{next(_NUMBERS)}"
