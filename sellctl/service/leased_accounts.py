"""The accounts of a host that shares them with others: each is watched while this host has its lease."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from sellctl.core.errors import SellctlError
from sellctl.core.events import EventPublisher
from sellctl.core.leases.keeper import AccountPermit, LeaseKeeper
from sellctl.core.leases.lease_table import LeaseTable
from sellctl.core.leases.permit import SendPermit
from sellctl.core.leases.timing import RENEW_SECONDS
from sellctl.core.model.event import EventKind
from sellctl.core.ports import Clock
from sellctl.core.scheduler import AccountScheduler
from sellctl.core.sell_watcher import SellWatcher
from sellctl.service.hosts import SharedHalt
from sellctl.service.state_folder import StateFolder


@dataclass(slots=True)
class LeasedAccounts:
    """Lets accounts join and leave a running scheduler with their leases.

    `make_watcher` builds an account's watcher as at a start: open intents, memory and positions are read anew.
    `count` is told of each account that is "won", and of each whose lease has "ended".
    """

    scheduler: AccountScheduler
    make_watcher: Callable[[str, SendPermit], SellWatcher]
    state: StateFolder
    publish: EventPublisher
    count: Callable[[str, str], None] = lambda _account, _change: None
    _keeper: LeaseKeeper = field(init=False)
    _watchers: dict[str, SellWatcher] = field(default_factory=dict)
    _halt: SharedHalt = field(init=False)
    _looked_at: float = float("-inf")  # when it was read what is exempt, for accounts that were won then

    def __post_init__(self) -> None:
        self._halt = SharedHalt(self.state, self.publish)

    def share_by(self, table: LeaseTable, clock: Clock, host: str, process: str, accounts: frozenset[str]) -> None:
        """Share these accounts by a lease table. To be called before `run`."""
        self._keeper = LeaseKeeper(host, process, accounts, table, clock, self)

    @property
    def keeper(self) -> LeaseKeeper:
        """This host's leases."""
        return self._keeper

    def registration(self) -> int:
        """This host's registration in the lease table; 0 without one."""
        return self._keeper.registration

    async def run(self, stop: asyncio.Event) -> None:
        """Keep leases until `stop` is set, then give them back. An error of the keeper sets it."""
        keeping = asyncio.create_task(self._keeper.run())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({keeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            self._keeper.leave()
            await keeping
        finally:
            keeping.cancel()
            stopping.cancel()
            await self._keeper.table.close()

    # --- what the keeper tells and asks -------------------------------------------------------------------------------

    def gained(self, account: str, permit: AccountPermit) -> bool:
        """Watch an account from now on, as at a start. False when what is remembered of it can't be read."""
        try:
            self._look_again()
            watcher = self._watchers[account] = self.make_watcher(account, permit)
        except SellctlError as error:
            self.publish("", EventKind.DEGRADED, f"{account} can't be watched: {error}", failed=True)
            return False
        watcher.publish("", EventKind.NOTE, f"watched by this host now (fence {permit.fence})")
        self.scheduler.join(watcher)
        self.count(account, "won")
        return True

    def _look_again(self) -> None:
        """Read what is exempt before an account is watched, once for several: it may be news of another machine."""
        now = self._keeper.clock.monotonic()
        if now - self._looked_at >= RENEW_SECONDS:
            self.state.look_at_shared()
            self._looked_at = now

    def lost(self, account: str) -> None:
        """Watch an account no more."""
        watcher = self._watchers.pop(account, None)
        if watcher is None:
            return
        self.scheduler.leave(account)
        facts = watcher.state.facts
        if facts is not None:
            self.state.unlock(facts.number)
        watcher.publish("", EventKind.NOTE, "no longer watched by this host")
        if watcher.requests.are_pending:
            asked = "what was asked for by hand isn't all done, and no other host knows of it: ask again"
            watcher.publish("", EventKind.ALERT, asked, failed=True)
        self.count(account, "ended")

    def is_sending(self, account: str) -> bool:
        """Whether an order or a cancel is being recorded, or is on its way to the broker."""
        return account in self._watchers and self._watchers[account].is_executing

    def is_busy(self, account: str) -> bool:
        """Whether an exit is under way, or was asked for by hand."""
        watcher = self._watchers.get(account)
        if watcher is None:
            return False
        state = watcher.state
        is_pressing = state.is_pressing or watcher.requests.are_pending
        return watcher.is_executing or is_pressing or bool(state.pending_symbols or state.unknown_orders)

    def own_halt(self) -> str:
        """Why this host is halted by its own flag, where the other hosts haven't been told yet."""
        return self._halt.untold()

    def halt_seen(self, reason: str, number: int, *, was_told: bool) -> None:
        """Keep this host's halt and that of all hosts together (SharedHalt.seen)."""
        self._halt.seen(reason, number, was_told=was_told)

    def lease_problem(self, sentence: str) -> None:
        """Publish what is wrong with the leases, once until it changes."""
        if sentence:
            self.publish("", EventKind.DEGRADED, sentence, failed=True)
        else:
            self.publish("", EventKind.RECOVERED, "leases are renewed")
