"""What must hold while several hosts share accounts: E1 to E6, and that each due exit happens exactly once (R1)."""

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from faults.findings import Findings
from faults.hosts.draws import ACCOUNTS, HostsDay
from faults.hosts.host import Host, Shared
from faults.loop import seconds
from sellctl.core.leases.timing import CALL_SECONDS
from sellctl.sim.venue.exchange import Exchange

QTY = Decimal(10)
CHECK_SECONDS = 0.4
AFTER_CRASH, AFTER_PARTITION, AFTER_SIGTERM = 15.0, 30.0, 3.0
HALTED_WITHIN = 1.0
RECOVERED = CALL_SECONDS + 1.0  # a call that hung when all is well again is given up first, and then made again
_LATE = 0.5  # seconds until a checker has seen what it measures


@dataclass(slots=True)
class HostsChecker:
    """Checks the exchange, the table and the processes of one day."""

    day: HostsDay
    shared: Shared
    findings: Findings
    hosts: Callable[[], Iterable[Host]]
    _unattended_since: dict[str, float] = field(default_factory=dict)
    _last_holder: dict[str, Host] = field(default_factory=dict)
    _seen: dict[str, tuple[int, dt.datetime]] = field(default_factory=dict)  # of each lease: number and end
    halted_at: float | None = None  # when a host was halted whose way to the database is sound
    requests: int = 0
    takeovers: int = 0
    slowest: float = 0.0

    @property
    def exchange(self) -> Exchange:
        """The one exchange."""
        return self.shared.exchange

    @property
    def now(self) -> float:
        """Seconds of the loop."""
        return seconds(self.exchange.now)

    # --- at each event ------------------------------------------------------------------------------------------------

    def arrives(self, host: Host, account: str, client_order_id: str) -> None:
        """E1: no request about an order arrives from a host that has lost the account's lease. I2: its intent is there.

        A host whose monotonic clock stood still can't know that; only what was recorded before may leave it, and the
        broker refuses that under the client order id of the next holder.
        """
        self.requests += 1
        lease = self.shared.table.lease_of(account)
        is_held = lease is not None and lease.until > self.exchange.now and host.is_holder(lease)
        if not is_held and not host.has_stood_still:
            self._violated("E1", f"host {host.name} sent for {account}, and has no lease of it")
        if client_order_id and (account, client_order_id) not in self.shared.journal.intents:
            self._violated("I2", f"host {host.name} sent an order for {account} without a recorded intent")

    def committed(self, account: str, fence: int | None) -> None:
        """E2: no intent is recorded under an old fencing number."""
        lease = self.shared.table.lease_of(account)
        if lease is None or lease.fence != fence or lease.until <= self.exchange.now:
            self._violated("E2", f"an intent of {account} was recorded without the account's lease (number {fence})")

    def changed(self, now: dt.datetime) -> None:
        """E3: a lease that has ended is never renewed."""
        for account in ACCOUNTS:
            lease = self.shared.table.lease_of(account)
            if lease is None:
                self._seen.pop(account, None)
                continue
            fence, until = self._seen.get(account, (0, now))
            if lease.fence == fence and lease.until > until and until <= now:
                self._violated("E3", f"the lease of {account} had ended and was renewed")
            self._seen[account] = lease.fence, lease.until

    # --- from time to time --------------------------------------------------------------------------------------------

    def look(self) -> None:
        """E4: one host at most may send for an account. E5: none is without a host for long. E6: a halt halts all."""
        alive = [host for host in self.hosts() if host.is_running]
        for host in self.hosts():
            if not host.is_healthy:
                host.healthy_since = self.now
        for account in ACCOUNTS:
            certain = [host for host in alive if not host.has_stood_still and host.may_send(account)]
            if len(certain) > 1:
                names = ", ".join(host.name for host in certain)
                self._violated("E4", f"several hosts hold themselves allowed to send for {account}: {names}")
            self._check_attended(account, [host for host in alive if not host.is_frozen and host.may_send(account)])
        if self.halted_at is not None and self.now > self.halted_at + HALTED_WITHIN + CHECK_SECONDS:
            for host in alive:
                if self.now - host.healthy_since > RECOVERED + _LATE and not host.halted:
                    self._violated("E6", f"host {host.name} isn't halted a second after another one was")

    def _check_attended(self, account: str, holders: list[Host]) -> None:
        if holders:
            if account in self._unattended_since and account in self._last_holder:
                self.takeovers += 1
                self.slowest = max(self.slowest, self.now - self._unattended_since[account])
            self._last_holder[account] = holders[0]
            self._unattended_since.pop(account, None)
            return
        self._unattended_since.setdefault(account, self.now)
        self._see_taker(account)
        since, last = self._unattended_since[account], self._last_holder.get(account)
        bound = self._takeover_bound(last)
        able = [host for host in self.hosts() if host.is_healthy and self.now - host.healthy_since > bound + _LATE]
        if able and self.now - since > bound + _LATE:
            self._violated("E5", f"no host has watched {account} for {bound:.0f} s")

    def _takeover_bound(self, last: Host | None) -> float:
        """Within how many seconds an account is watched again that `last` has watched; None: nobody has yet."""
        if last is not None and last.was_told_to_end and all(map(self._is_settled, self.hosts())):
            return AFTER_SIGTERM
        if last is not None and (last.is_running or self.now - last.hung_at < AFTER_PARTITION):
            return AFTER_PARTITION
        return AFTER_CRASH

    def _is_settled(self, host: Host) -> bool:
        """Whether a host delays no take-over: it has been well for long, or has ended as it was asked to."""
        if host.was_told_to_end:
            return True
        return host.is_healthy and self.now - host.healthy_since > AFTER_PARTITION

    def _see_taker(self, account: str) -> None:
        """Whoever has taken an account since it was last looked at, and can't attend to it, is its holder now.

        From when it knew of that, or died of it, it is a trouble of its own for which the account is unattended.
        """
        lease = self.shared.table.lease_of(account)
        if lease is None or lease.until <= self.exchange.now:
            return
        for host in self.hosts():
            if (host.is_running or host.is_dead) and host.is_holder(lease):
                self._last_holder[account] = host
                if host.is_dead or host.fence(account) == lease.fence:
                    self._unattended_since[account] = max(self._unattended_since[account], seconds(lease.since))

    def at_the_end(self) -> None:
        """R1: what was due was closed once and completely, and nothing else."""
        for held in self.day.held:
            account = self.exchange.accounts[held.account]
            orders = [order for order in account.orders.values() if order.symbol == held.symbol]
            closed = sum((order.filled_qty for order in orders), Decimal(0))
            wanted = QTY if held.due_at is not None else Decimal(0)
            if closed != wanted or account.qty_of(held.symbol) != QTY - wanted:
                text = f"{held.account}: {closed} of {wanted} of {held.symbol} closed, due at {held.due_at}"
                self._violated("R1", text)
        for host in self.hosts():
            if host.problem:
                self._violated("R7", f"host {host.name} ended: {host.problem}")

    def _violated(self, invariant: str, text: str) -> None:
        self.findings.add(invariant, self.exchange.now, text)
