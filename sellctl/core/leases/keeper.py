"""LeaseKeeper: one host's leases, and so for which accounts it may send, and until when.

It renews them, takes free accounts, and gives away those that are another host's by the sharing rule.
Until when is measured by this host's monotonic clock from before the renewal was asked for, so that neither a slow
answer nor a wrong host clock makes a lease longer than the database's.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from sellctl.core.errors import JournalError, SellctlError
from sellctl.core.leases.fencing import lost
from sellctl.core.leases.lease_table import LeaseTable
from sellctl.core.leases.model import LeaseView, Renewal
from sellctl.core.leases.sharing import share
from sellctl.core.leases.timing import (
    CALL_SECONDS,
    HANDOVER_SECONDS,
    LEFT_SECONDS,
    MARGIN_SECONDS,
    RENEW_SECONDS,
    UNABLE_SECONDS,
)
from sellctl.core.ports import Clock

T = TypeVar("T")
_NEVER = float("-inf")


class LeaseListener(Protocol):
    """What the keeper tells and asks: the watcher of this host's accounts."""

    def gained(self, account: str, permit: "AccountPermit") -> bool:
        """This host has the account now, and sends for it by this permit. False when it can't: it is given back."""

    def lost(self, account: str) -> None:
        """The account isn't this host's any more: its permit allows nothing."""

    def is_sending(self, account: str) -> bool:
        """Whether a request of the account is on its way to the broker, or about to be."""

    def is_busy(self, account: str) -> bool:
        """Whether an exit of the account is under way, so that another moment is better for handing it over."""

    def own_halt(self) -> str:
        """Why this host is halted by itself, where the other hosts haven't been told yet; "" otherwise."""

    def halt_seen(self, reason: str, number: int, *, was_told: bool) -> None:
        """Why all hosts are halted, "" when they aren't, and the number of the last halt.

        With `was_told`, the table has taken the last `own_halt`.
        """

    def lease_problem(self, sentence: str) -> None:
        """What is wrong with the leases, when it changes; "" when nothing is any more."""


@dataclass(slots=True)
class LeaseKeeper:
    """Keeps one host's leases of `accounts`, those of its configuration. `process` is this process's own name.

    `clock` has to go on while the host is suspended: a lease ends meanwhile.
    """

    host: str
    process: str
    accounts: frozenset[str]
    table: LeaseTable
    clock: Clock
    listener: LeaseListener
    _registration: int = 0
    _held: dict[str, int] = field(default_factory=dict)  # the fencing number by account
    _certain_until: float = _NEVER  # on the monotonic clock: when this host stops sending unless it renews
    _wanted: frozenset[str] = frozenset()  # free accounts that are this host's by the sharing rule
    _left_since: dict[tuple[str, str], float] = field(default_factory=dict)  # of free accounts and whose they are
    _others_unable: dict[int, float] = field(default_factory=dict)  # until when, by registration
    _surplus_since: dict[str, float] = field(default_factory=dict)  # of accounts that are another's by that rule
    _yielding: set[str] = field(default_factory=set)  # nothing new is begun for these
    _releasing: set[str] = field(default_factory=set)  # their release was asked for: nothing is sent any more
    _halted: str = ""
    _problem: str = ""
    _is_cut_off: bool = False  # this host's time has run out without an answer
    _unable_until: float = _NEVER  # an account couldn't be watched: until then this host takes none
    _is_leaving: bool = False
    _wake_up: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def held(self) -> frozenset[str]:
        """The accounts of this host."""
        return frozenset(self._held)

    @property
    def registration(self) -> int:
        """This host's registration in the lease table; 0 without one."""
        return self._registration

    @property
    def halted(self) -> str:
        """Why all hosts are halted, as of the last renewal; "" when they aren't."""
        return self._halted

    def may_begin(self, account: str, fence: int) -> bool:
        """Whether something new may be recorded for an account under a fencing number."""
        return self.may_send(account, fence) and account not in self._yielding

    def may_send(self, account: str, fence: int) -> bool:
        """Whether a request may leave now. Asks nobody: the lease of another moment is worth nothing."""
        is_held = self._held.get(account) == fence and account not in self._releasing
        return is_held and self.clock.monotonic() < self._certain_until

    # --- renewing -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the leases until `leave` was called and every account is given back."""
        while not (self._is_leaving and self._registration == 0 and not self._held):
            if not await self.renew():
                await self._pause()
        self._drop(tuple(self._held))

    def leave(self) -> None:
        """Give every account back, each as soon as none of its requests is on its way; then `run` ends."""
        self._is_leaving = True
        self._yielding |= self._held.keys()
        self._wake_up.set()

    async def renew(self) -> bool:
        """Renew once. Return whether to do so again at once: there are accounts to take or to give back."""
        if self._is_cut_off:
            return await self._ask_only()
        asked_at, halt = self.clock.monotonic(), self.listener.own_halt()
        self._releasing |= {account for account in self._yielding if not self.listener.is_sending(account)}
        renewal = Renewal(
            self.host,
            self.process,
            self._registration,
            self.accounts if asked_at >= self._unable_until else frozenset(),
            acquire=frozenset() if self._is_leaving else self._wanted,
            release=tuple((account, self._held[account]) for account in sorted(self._releasing)),
            is_leaving=self._is_leaving,
            halt=halt,
        )
        self._wanted = frozenset()
        try:
            view = await self._within(CALL_SECONDS, self.table.renew(renewal))
        except SellctlError as error:
            self._failed(error)
            return False
        self._halted = view.halted
        self.listener.halt_seen(view.halted, view.halt_number, was_told=bool(halt))
        self._take(view, asked_at)
        may_release = any(not self.listener.is_sending(account) for account in self._yielding - self._releasing)
        return bool(self._wanted) or may_release or (self._is_leaving and not self._held and bool(self._registration))

    async def _ask_only(self) -> bool:
        """Ask whether the table answers again, and renew only then. Return whether it does.

        Renewals that arrive while their answers are lost would keep accounts for which this host may not send.
        """
        try:
            await self._within(CALL_SECONDS, self.table.view())
        except SellctlError as error:
            self._failed(error)
            return False
        self._is_cut_off = False
        return True

    async def _pause(self) -> None:
        """Wait for the next renewal: until its time, until another host gives something back, or until `leave`."""
        waits: tuple[Coroutine[Any, Any, object], ...] = (self._changed(), self._wake_up.wait())
        waiting = [asyncio.ensure_future(each) for each in waits]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        self._wake_up.clear()

    async def _changed(self) -> None:
        """Wait for news of the table; what it can't tell is seen by the next renewal."""
        try:
            await self.table.changed(RENEW_SECONDS)
        except SellctlError:
            await self.clock.sleep(RENEW_SECONDS)

    async def _within(self, seconds: float, call: Coroutine[Any, Any, T]) -> T:
        """The answer of a call. JournalError when it takes longer; the call is given up then."""
        answer, timer = asyncio.ensure_future(call), asyncio.ensure_future(self.clock.sleep(seconds))
        try:
            await asyncio.wait({answer, timer}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise JournalError("The lease table gives no answer.", hint="Check the database.")
            return answer.result()
        finally:
            timer.cancel()
            answer.cancel()

    def _failed(self, error: SellctlError) -> None:
        """A renewal has no answer. What has run out meanwhile is another's by now, or may be."""
        if self.clock.monotonic() >= self._certain_until:
            self._drop(tuple(self._held))
            self._is_cut_off = True
            if self._is_leaving:
                self._registration = 0
        self._left_since.clear()  # who has taken what meanwhile isn't known
        self._report(f"Leases can't be renewed, and without them this host sends nothing: {error}")

    def _take(self, view: LeaseView, asked_at: float) -> None:
        """Take over what the table says; it was asked at an instant of the monotonic clock."""
        own = view.own
        if own is None:
            was_registered, self._registration = bool(self._registration), 0
            self._certain_until = _NEVER
            self._drop(tuple(self._held))
            if not was_registered and not self._is_leaving:
                self._report(
                    f"Another process watches as host {self.host}: this one takes no account until that has ended. "
                    "Give each its own --host-id."
                )
            return
        self._registration = own.registration
        self._certain_until = asked_at + self._seconds_left(view) - MARGIN_SECONDS
        mine = {lease.account: lease.fence for lease in view.leases if lease.registration == own.registration}
        self._drop([account for account, fence in self._held.items() if mine.get(account) != fence])
        is_certain = self.clock.monotonic() < self._certain_until
        for account in sorted(mine.keys() - self._held.keys()) if is_certain else ():
            self._held[account] = mine[account]
            # While leaving, a call that was given up has acquired it after all.
            if self._is_leaving:
                self._releasing.add(account)
            elif not self.listener.gained(account, AccountPermit(self, account, mine[account])):
                self._releasing.add(account)
                self._unable_until = self.clock.monotonic() + UNABLE_SECONDS
        self._share(view)
        self._report("")

    def _seconds_left(self, view: LeaseView) -> float:
        """How long this host's leases last. Both instants are by the database's clock."""
        return (view.own.until - view.at).total_seconds() if view.own else 0.0

    def _drop(self, accounts: "tuple[str, ...] | list[str]") -> None:
        """These accounts aren't this host's any more."""
        for account in accounts:
            del self._held[account]
            self._surplus_since.pop(account, None)
            self._yielding.discard(account)
            self._releasing.discard(account)
        for account in accounts:
            self.listener.lost(account)

    def _report(self, problem: str) -> None:
        before, self._problem = self._problem, problem
        if problem != before:
            self.listener.lease_problem(problem)

    # --- sharing ------------------------------------------------------------------------------------------------------

    def _share(self, view: LeaseView) -> None:
        """What to take and what to give away, by the sharing rule."""
        if self._is_leaving:
            self._yielding |= self._held.keys()
            return
        now = self.clock.monotonic()
        busy = {account for account in self._held if self.listener.is_busy(account)}
        holders = {lease.account: lease.host for lease in view.leases}
        shared = share(self._known(view, now), holders, busy)
        if self._are_left(shared, view, now):
            shared = share(self._known(view, now), holders, busy)
        self._wanted = frozenset(a for a, host in shared.items() if host == self.host and a not in holders)
        surplus = {account for account in self._held if shared.get(account) != self.host}
        self._surplus_since = {account: self._surplus_since.get(account, now) for account in sorted(surplus)}
        late = {account for account, since in self._surplus_since.items() if now - since >= HANDOVER_SECONDS}
        self._yielding = self._releasing | (surplus - busy) | late

    def _known(self, view: LeaseView, now: float) -> dict[str, frozenset[str]]:
        """The accounts that each host can take. One that is unable keeps what it has, and gets no other."""
        return {
            host.name: frozenset() if now < self._others_unable.get(host.registration, _NEVER) else host.accounts
            for host in view.hosts
            if not host.is_leaving
        }

    def _are_left(self, shared: Mapping[str, str], view: LeaseView, now: float) -> bool:
        """Whether another host leaves free accounts, which are its own: then it is taken for unable from now on.

        A host whose renewals arrive late is registered, and takes nothing.
        """
        held = {lease.account for lease in view.leases}
        left = {(account, host) for account, host in shared.items() if host != self.host and account not in held}
        self._left_since = {each: self._left_since.get(each, now) for each in sorted(left)}
        unable = {host for (_, host), since in self._left_since.items() if now - since >= LEFT_SECONDS}
        self._others_unable = {number: until for number, until in self._others_unable.items() if now < until}
        self._others_unable |= {each.registration: now + UNABLE_SECONDS for each in view.hosts if each.name in unable}
        return bool(unable)


@dataclass(frozen=True, slots=True)
class AccountPermit:
    """The SendPermit of one account, for as long as its lease keeps this fencing number."""

    keeper: LeaseKeeper
    account: str
    fence: int

    def begin(self) -> int | None:
        """The fencing number. LeaseLostError when nothing new may begin."""
        if not self.keeper.may_begin(self.account, self.fence):
            raise lost(self.account)
        return self.fence

    def require(self) -> None:
        """LeaseLostError unless the lease is certain at this instant."""
        if not self.keeper.may_send(self.account, self.fence):
            raise lost(self.account)
