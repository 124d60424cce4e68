"""Mutants of what lets several hosts share accounts, each to be found by a day with three hosts."""

import asyncio
from typing import Any

from faults.hosts.run import play_hosts
from faults.hosts.table import MemoryTable
from faults.mutant_searches import Mutant
from sellctl.core.leases import fencing
from sellctl.core.leases.keeper import LeaseKeeper
from sellctl.core.leases.model import LeaseView
from sellctl.core.order_manager import OrderManager
from sellctl.service.leased_accounts import LeasedAccounts


def by_hosts(seed: int) -> tuple[str, ...]:
    """A day with three hosts."""
    return tuple(map(str, play_hosts(seed).violations))


def _none(*_args: Any) -> None:
    return None


def _by_the_hosts_clock(self: LeaseKeeper, view: LeaseView) -> float:
    return (view.own.until - self.clock.now()).total_seconds() if view.own else 0.0


def _always(*_args: Any) -> bool:
    return True


def _never(*_args: Any) -> bool:
    return False


_INTEND = OrderManager._intend  # noqa: SLF001  a mutant replaces private functions deliberately
_BEHIND: set["asyncio.Task[None]"] = set()


async def _intend_behind(self: OrderManager, *args: Any) -> None:
    async def intend() -> None:
        await asyncio.sleep(0.5)
        await _INTEND(self, *args)

    task = asyncio.ensure_future(intend())
    _BEHIND.add(task)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())


HOST_MUTANTS = (
    Mutant("no fencing", "the journal accepts an old fencing number", ((fencing, "refuse_stale", _none),), by_hosts),
    Mutant("lease by host clock", "a lease ends by the host's clock",
        ((LeaseKeeper, "_seconds_left", _by_the_hosts_clock),), by_hosts),
    Mutant("renewed after its end", "a lease that has ended is renewed",
        ((MemoryTable, "_is_live", staticmethod(_always)),), by_hosts),
    Mutant("sent before the commit", "an order is sent while its intent is being recorded",
        ((OrderManager, "_intend", _intend_behind),), by_hosts),
    Mutant("halt of one host", "a halt stays on the host on which it was made",
        ((LeaseKeeper, "halted", property(lambda _self: "")),), by_hosts),
    Mutant("released too early", "an account is given back while an order of it is on its way",
        ((LeasedAccounts, "is_sending", _never),), by_hosts),
    Mutant("left to a host that hangs", "a free account waits for its next host as long as that is registered",
        ((LeaseKeeper, "_are_left", _never),), by_hosts),
)  # fmt: skip
