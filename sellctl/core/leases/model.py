"""Hosts and their leases, as the lease table shows them. All instants are by the database's clock."""

import datetime as dt

from msgspec import Struct


class Host(Struct, frozen=True):
    """A process that watches accounts. All its leases end at `until`, unless it renews before.

    `registration` grows with each registration of any host: a process that registers again is another holder.
    `accounts` are those that its configuration has. A host that is `leaving` takes none any more.
    """

    name: str
    registration: int
    until: dt.datetime
    accounts: frozenset[str] = frozenset()
    is_leaving: bool = False


class Lease(Struct, frozen=True):
    """The right of one host to send orders for an account, until an instant.

    `fence` is the fencing number: it grows with each acquisition of the account, so that what an earlier holder writes
    can be told from what this one does. The lease was acquired at `since`.
    """

    account: str
    host: str
    registration: int
    fence: int
    until: dt.datetime
    since: dt.datetime


class LeaseView(Struct, frozen=True):
    """The table at one instant: the hosts that are registered now, and their leases.

    `registration` is that of the host that asked; 0 when it has none. `halted` is why all hosts are halted, or "".
    `halt_number` is that of the last halt, also once it was lifted; 0 before the first one.
    """

    at: dt.datetime
    hosts: tuple[Host, ...]
    leases: tuple[Lease, ...]
    registration: int = 0
    halted: str = ""
    halt_number: int = 0

    @property
    def own(self) -> Host | None:
        """The host that asked; None when it isn't registered."""
        return next((host for host in self.hosts if host.registration == self.registration), None)

    def watcher_of(self, account: str) -> str:
        """The name of the host that watches an account, or that takes it over next; "" when no host does.

        Without a lease of the account, any host whose configuration has it is about to take it.
        """
        holder = next((lease.host for lease in self.leases if lease.account == account), "")
        return holder or next((host.name for host in self.hosts if account in host.accounts), "")


class Renewal(Struct, frozen=True):
    """What one host asks of the table in one call.

    `registration` is the one to renew, 0 to register. `process` tells two processes with one host name apart.
    `acquire` are accounts to take if they are free, `release` those to give back, each with its fencing number.
    `halt` is why all hosts are to be halted from now on, under the next number; "" leaves that as it is.
    """

    host: str
    process: str
    registration: int
    accounts: frozenset[str]
    acquire: frozenset[str] = frozenset()
    release: tuple[tuple[str, int], ...] = ()
    is_leaving: bool = False
    halt: str = ""
