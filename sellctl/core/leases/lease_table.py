"""The port of the lease table, which the hosts share. Its clock alone says which lease has ended."""

from typing import Protocol

from sellctl.core.leases.model import LeaseView, Renewal


class LeaseTable(Protocol):
    """Hosts and leases in a database. JournalError when it gives no answer; then the call may have been carried out.

    A call that is cancelled may still be carried out later.
    """

    async def renew(self, renewal: Renewal) -> LeaseView:
        """Carry out a renewal in one transaction, and return the table after it.

        Registration 0 registers the host, unless another process has its name and a registration that hasn't ended.
        A registration that has ended is never renewed: the host has to register again, and has lost its leases. A host
        without a registration neither acquires nor releases. An account is acquired when nobody holds it, with the next
        fencing number, and released when the host holds it with the fencing number that is named. A host that leaves
        is removed once it holds nothing.
        """

    async def view(self) -> LeaseView:
        """The table without a change."""

    async def changed(self, seconds: float) -> None:
        """Return once a host has released an account or changed the halt, after so many seconds at the latest."""

    async def close(self) -> None:
        """End the connections. The registration and its leases end by themselves, unless the host has left."""
