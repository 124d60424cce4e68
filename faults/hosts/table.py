"""The lease table in memory, with the semantics that the database gives it: one transaction after the other."""

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from sellctl.core.leases import fencing
from sellctl.core.leases.model import Host, Lease, LeaseView, Renewal
from sellctl.core.leases.timing import LEASE_SECONDS


@dataclass(slots=True)
class MemoryTable:
    """A LeaseTable by one clock. `observe` is called after each change with the instant."""

    now: Callable[[], dt.datetime]
    observe: Callable[[dt.datetime], None] = lambda _at: None
    halted: str = ""
    halt_number: int = 0
    _hosts: dict[str, tuple[Host, str]] = field(default_factory=dict)  # by name, with its process
    _leases: dict[str, Lease] = field(default_factory=dict)
    _fences: dict[str, int] = field(default_factory=dict)  # the last one of each account
    _registrations: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def renew(self, renewal: Renewal) -> LeaseView:
        """Carry out a renewal, and return the table after it."""
        return self.renew_now(renewal)

    async def view(self) -> LeaseView:
        """The table without a change."""
        return self.view_now()

    def view_now(self) -> LeaseView:
        """Likewise."""
        return self._view(0)

    async def changed(self, seconds: float) -> None:
        """Return at the next release or change of the halt, after so many seconds at the latest."""
        news = asyncio.ensure_future(self._news.wait())
        await asyncio.wait({news}, timeout=seconds)
        news.cancel()

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    def renew_now(self, renewal: Renewal) -> LeaseView:
        """The transaction itself."""
        now = self.now()
        registration = self._registered(renewal, now)
        if registration:
            self._release(renewal, registration)
            for account in sorted(() if renewal.is_leaving else renewal.acquire):
                self._acquire(account, renewal.host, registration, now)
            if renewal.is_leaving and not self._held_by(registration):
                del self._hosts[renewal.host]
                self._tell()
        if renewal.halt:
            self.halt(renewal.halt)
        self.observe(now)
        return self._view(registration)

    def halt(self, reason: str) -> int:
        """Halt all hosts, as `sellctl halt` does. Return the number of that halt."""
        self.halted = reason
        self.halt_number += 1
        self._tell()
        return self.halt_number

    def resume(self) -> bool:
        """Lift the halt of all hosts, as `sellctl resume` does. Return whether there was one."""
        was_halted, self.halted = bool(self.halted), ""
        self._tell()
        return was_halted

    def lease_of(self, account: str) -> Lease | None:
        """The lease of an account, also one that has ended; None when nobody has it."""
        lease = self._leases.get(account)
        if lease is None:
            return None
        host, _ = self._hosts.get(lease.host, (None, ""))
        is_current = host is not None and host.registration == lease.registration
        return replace(lease, until=host.until if host and is_current else lease.since)

    def process_of(self, lease: Lease) -> str:
        """The process that holds a lease."""
        return self._hosts.get(lease.host, (None, ""))[1]

    def check_fence(self, account: str, fence: int) -> None:
        """LeaseLostError unless the account's lease has this fencing number and hasn't ended."""
        fencing.refuse_stale(account, self.lease_of(account), fence, self.now())

    def _registered(self, renewal: Renewal, now: dt.datetime) -> int:
        """Renew or make the host's registration. Return its number; 0 without one."""
        before, process = self._hosts.get(renewal.host, (None, ""))
        is_live = before is not None and self._is_live(before, now)
        if before and is_live and (process != renewal.process or renewal.registration not in {0, before.registration}):
            return 0
        if not is_live and renewal.registration:
            return 0
        if not is_live:
            self._registrations += 1
        registration = before.registration if before and is_live else self._registrations
        until = now + dt.timedelta(seconds=LEASE_SECONDS)
        host = Host(renewal.host, registration, until, renewal.accounts, renewal.is_leaving)
        self._hosts[renewal.host] = (host, renewal.process)
        return registration

    @staticmethod
    def _is_live(host: Host, now: dt.datetime) -> bool:
        """Whether a registration may be renewed: one that has ended may not."""
        return host.until > now

    def _release(self, renewal: Renewal, registration: int) -> None:
        for account, fence in renewal.release:
            lease = self._leases.get(account)
            if lease and (lease.registration, lease.fence) == (registration, fence):
                del self._leases[account]
                self._tell()

    def _acquire(self, account: str, host: str, registration: int, now: dt.datetime) -> None:
        lease = self.lease_of(account)
        if lease is not None and lease.until > now:
            return
        self._fences[account] = self._fences.get(account, 0) + 1
        self._leases[account] = Lease(account, host, registration, self._fences[account], now, now)

    def _held_by(self, registration: int) -> list[Lease]:
        return [lease for lease in self._leases.values() if lease.registration == registration]

    def _view(self, registration: int) -> LeaseView:
        now = self.now()
        hosts = tuple(host for _, (host, _) in sorted(self._hosts.items()) if host.until > now)
        leases = (self.lease_of(account) for account in sorted(self._leases))
        held = tuple(lease for lease in leases if lease and lease.until > now)
        return LeaseView(now, hosts, held, registration, self.halted, self.halt_number)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
