"""The hosts that share the journal, as a machine sees them: their common halt, and what has no lease sends nothing."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sellctl.core.errors import ConfigError, SellctlError
from sellctl.core.leases.fencing import watched
from sellctl.core.model.event import EventKind

if TYPE_CHECKING:
    from sellctl.core.events import EventPublisher
    from sellctl.core.leases.model import LeaseView
    from sellctl.journal.leases.shared_state import SharedState
    from sellctl.service.state_folder import StateFolder


def hosts_of(state: "StateFolder") -> "LeaseView":
    """The hosts and their leases now. ConfigError when the journal is this machine's own, JournalError as usual."""
    return require_shared(state, "fleet", "Give `journal: {url: ...}` a PostgreSQL database.").hosts()


def require_shared(state: "StateFolder", what: str, hint: str) -> "SharedState":
    """What hosts share in the journal's database. ConfigError when that is a file: `what` needs one they share."""
    shared = state.shared
    if shared is None:
        raise ConfigError(
            f"{what} needs a journal that hosts share, and this one is a file of this machine.", hint=hint
        )
    return shared


def halt_all(state: "StateFolder", reason: str) -> bool:
    """Halt all hosts that share the journal, after this machine. False when the journal is this machine's own.

    JournalError when they can't be told, ConfigError when the secret with the journal's URL isn't there.
    """
    shared = state.shared
    if shared is None:
        return False
    untold = state.untold_halt()
    number = shared.halt(reason)
    if untold:
        state.halt_was_told(untold[1], number)
    return True


def why_all_halted(state: "StateFolder") -> str:
    """Why all hosts that share the journal are halted; "" when they aren't, or the journal is this machine's own.

    Errors as in `halt_all`.
    """
    return state.shared.hosts().halted if state.shared else ""


def resume_all(state: "StateFolder") -> bool:
    """Lift the halt of all hosts that share the journal. Return whether there was one. Errors as in `halt_all`."""
    return state.shared.resume() if state.shared else False


@dataclass(frozen=True, slots=True)
class BesideHosts:
    """The permit of an account for a process without leases: nothing is sent while a host watches it."""

    state: "StateFolder"
    account: str

    def begin(self) -> int | None:
        """None, as there is no fencing number. BusyError when a host watches the account."""
        self.require()
        return None

    def require(self) -> None:
        """BusyError when a host watches the account, as of the last look."""
        host = self.state.hosts.watcher_of(self.account) if self.state.hosts else ""
        if host:
            raise watched(self.account, host)


@dataclass(slots=True)
class SharedHalt:
    """This machine's halt beside that of all hosts: they are told once, and it ends here when it is lifted anywhere."""

    state: "StateFolder"
    publish: "EventPublisher"
    _told_flag: str = ""  # which halt of this machine the hosts are being told of
    _all_halted: str = ""  # why all hosts are halted, as it was last published

    def untold(self) -> str:
        """Why this machine is halted by its own flag, where the hosts haven't been told yet; "" otherwise."""
        halt, self._told_flag = self.state.untold_halt() or (None, "")
        return halt.reason if halt else ""

    def seen(self, reason: str, number: int, *, was_told: bool) -> None:
        """Remember that the hosts were told, lift this machine's flag once it was lifted on any host, publish both.

        Only the number of a halt that was lifted says so: a table that has lost a halt lifts none.
        """
        if was_told:
            self.state.halt_was_told(self._told_flag, number)
        elif not reason:
            self._lift_own(number)
        before, self._all_halted = self._all_halted, reason
        if reason and reason != before:
            self.publish("", EventKind.NOTE, f"all hosts are halted: {reason}")
        elif before and not reason:
            self.publish("", EventKind.NOTE, "the halt of all hosts is lifted")

    async def share(self) -> None:
        """Tell all hosts of a halt of this machine, and follow theirs, as of the last look. For who keeps no leases."""
        shared, hosts = self.state.shared, self.state.hosts
        if shared is None or hosts is None:
            return
        if why := self.untold():
            self.seen(why, await asyncio.to_thread(shared.halt, why), was_told=True)
        else:
            self.seen(hosts.halted, hosts.halt_number, was_told=False)

    def _lift_own(self, number: int) -> None:
        try:
            self.state.lift_told_halt(number)
        except SellctlError as error:
            if not self._all_halted:
                return  # it was said before
            self.publish("", EventKind.DEGRADED, f"this host stays halted: {error}", failed=True)
