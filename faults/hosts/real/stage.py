"""The stage of a run with real hosts: the simulator, the database and the hosts, and what happens to them in order."""

import datetime as dt
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal

import psycopg

from benchmarks.postgres_server import Server
from faults.hosts.real.checks import SELL_WITHIN, Asked, Evidence, Struck
from faults.hosts.real.draws import ACCOUNTS, BOUNDS, OF_ONE_HOST, Moment, Plan, Trouble
from faults.hosts.real.processes import ENDS_WITHIN, FALLING, KEPT, STARTS_WITHIN, RealHost, Simulator
from sellctl.core.leases.timing import LEASE_SECONDS

FREEZES_FOR = 14.0  # seconds, longer than a lease
STOPS_FOR = 15.0
ON_ITS_WAY = 1.0  # seconds that an order may take which was recorded before the database was stopped
HALTED_WITHIN = 1.0
STAYS_HALTED = 3.0  # seconds after the take-over, in which the new host sees the stops
LATE = 10.0  # more seconds than a bound, after which nothing is waited for any more
CLOSE_ENDS_WITHIN = 60.0
MOST_CLOSES = 5
SENT_AGAIN_WITHIN = 2.0
LOOKS = 0.1  # seconds between two looks at what is waited for
_LEASES = """
    SELECT l.account, h.name, l.registration, h.until FROM leases AS l JOIN lease_hosts AS h USING (registration)
    WHERE h.until > clock_timestamp()
"""
_INTENTS = "SELECT client_order_id FROM audit WHERE kind = 'intent'"
_CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()"
_SIGNALS = {Trouble.KILL: signal.SIGKILL, Trouble.FREEZE: signal.SIGSTOP, Trouble.TERM: signal.SIGTERM}


class NotPlayedError(Exception):
    """The run could not be played; the text says what did not come to pass."""


@dataclass(frozen=True, slots=True)
class _Lease:
    """An account's lease. `renewed` is when its host renewed last, by the database's clock."""

    host: str
    registration: int
    renewed: dt.datetime


@dataclass(slots=True)
class _Blow:
    """A trouble that has struck: which accounts it concerns, and whose lease of them is none any more.

    `since` is the time from which they have to be watched again; None while the database is stopped.
    """

    trouble: Trouble
    accounts: tuple[str, ...]
    registrations: frozenset[int]
    since: dt.datetime | None


@dataclass(slots=True)
class Stage:
    """One run. `journal` is the name of the database."""

    plan: Plan
    database: Server
    journal: str
    broker: Simulator
    hosts: dict[str, RealHost]
    _blow: _Blow | None = None
    _struck: list[Struck] = field(default_factory=list)
    _asked: list[Asked] = field(default_factory=list)
    _closing: "subprocess.Popen[bytes] | None" = None
    _timers: list[threading.Timer] = field(default_factory=list)
    _failures: list[str] = field(default_factory=list)  # of what happens later
    _stopped_at: int = 0  # orders that had been sent a moment after the database was stopped
    _sent_while_stopped: int = 0
    _sent_while_halted: int = 0

    def play(self) -> Evidence:
        """Let everything happen, and return what was seen. NotPlayedError when something didn't come to pass."""
        try:
            self._until(self._is_shared, STARTS_WITHIN, "the hosts share the accounts")
            self._strike_all()
            sold_after = self._seconds_until_sold()
        finally:
            for timer in self._timers:
                timer.join()
        time.sleep(SENT_AGAIN_WITHIN)
        if self._failures:
            raise NotPlayedError("; ".join(self._failures))
        return Evidence(
            struck=tuple(self._struck),
            sold=self.broker.sold(),
            left=self.broker.left(),
            kept=self.broker.held(dict.fromkeys(ACCOUNTS, KEPT)),
            sold_after=sold_after,
            sell_within=SELL_WITHIN[self.plan.moment],
            refused=self.broker.refused(),
            unrecorded=tuple(sorted(self.broker.ours() - self._recorded())),
            sent_while_stopped=self._sent_while_stopped,
            sent_while_halted=self._sent_while_halted,
            asked=tuple(self._asked),
            wrong_ends={name: wrong for name, host in self.hosts.items() if (wrong := host.wrong_end())},
        )

    # --- in order -----------------------------------------------------------------------------------------------------

    def _strike_all(self) -> None:
        """The fall with the first trouble around it, the second trouble, and the end of a halt."""
        plan = self.plan
        halted_at = self._halt() if plan.moment is Moment.HALT else 0
        steps = [(0.0, self._fall), (plan.offset, lambda: self._strike(plan.first))]
        (_, first), (_, then) = sorted(steps, key=lambda step: step[0])
        first()
        time.sleep(abs(plan.offset))
        then()
        self._struck.append(self._watched_again())
        if plan.second is not None:
            time.sleep(plan.second_after)
            self._strike(plan.second)
            self._struck.append(self._watched_again())
        if plan.moment is Moment.HALT:
            time.sleep(STAYS_HALTED)
            self._sent_while_halted = len(self.broker.sent()) - halted_at
            self._command(self._holder(), "resume", "--reason", "the bench is done")

    def _halt(self) -> int:
        """Halt all hosts. Return how many orders had been sent then."""
        self._command(self._holder(), "halt", "--reason", "the bench")
        time.sleep(HALTED_WITHIN)
        return len(self.broker.sent())

    def _fall(self) -> None:
        is_asked = self.plan.moment is Moment.REQUEST
        self.broker.fall([each for each in ACCOUNTS if not (is_asked and each == self.plan.account)])
        if is_asked:
            self._close()

    def _close(self) -> None:
        """Have the position of the plan's account closed, on the machine of the host that has the account."""
        name = self.plan.account
        self._closing = self._holder().start("close", FALLING[name], "--yes", "--account", name)

    def _watched_again(self) -> Struck:
        """Wait until the accounts that were struck are watched again, and return how long that took."""
        blow = self._blow
        if blow is None:
            raise NotPlayedError("nothing was struck")
        gives_up = time.monotonic() + STOPS_FOR + BOUNDS[blow.trouble] + LATE
        while time.monotonic() < gives_up:
            if self._are_watched(blow) and blow.since is not None:
                return Struck(blow.trouble, blow.accounts, (_now() - blow.since).total_seconds())
            time.sleep(LOOKS)
        return Struck(blow.trouble, blow.accounts, None)

    def _are_watched(self, blow: _Blow) -> bool:
        leases, since = self._leases(), blow.since
        found = [leases[account] for account in blow.accounts if account in leases]
        return (
            since is not None
            and len(found) == len(blow.accounts)
            and all(each.registration not in blow.registrations and each.renewed > since for each in found)
        )

    def _seconds_until_sold(self) -> float | None:
        """Wait until all that was due is sold. Return how long that took; None when it took much too long."""
        began, sold_after = time.monotonic(), None
        while time.monotonic() - began < SELL_WITHIN[self.plan.moment] + LATE:
            left = self.broker.left()
            if sold_after is None and not any(left.values()):
                sold_after = time.monotonic() - began
            self._hear_close(left[self.plan.account])
            if sold_after is not None and self._closing is None:
                break
            time.sleep(LOOKS)
        return sold_after

    def _hear_close(self, left: Decimal) -> None:
        """Note how `close` has ended, and ask once more for what it has left, as a person would."""
        if self._closing is None or self._closing.poll() is None:
            return
        self._asked.append(Asked(self._closing.returncode, self.broker.left()[self.plan.account]))
        self._closing = None
        if left and len(self._asked) < MOST_CLOSES:
            self._close()

    # --- troubles -----------------------------------------------------------------------------------------------------

    def _strike(self, trouble: Trouble) -> None:
        """Let a trouble happen; `_blow` is what has to be made good."""
        leases = self._current_leases()
        own = leases[self.plan.account]
        self._blow = _Blow(trouble, ACCOUNTS, frozenset(), _now())
        if trouble in OF_ONE_HOST:
            self._blow.accounts = tuple(a for a, each in leases.items() if each.registration == own.registration)
            self._blow.registrations = frozenset({own.registration})
            self._strike_host(trouble, self.hosts[own.host])
        elif trouble is Trouble.CUT:
            self.database.sql(_CUT.format(self.journal))
        else:
            self.database.stop()
            if trouble is Trouble.RESTART:
                self.database.start()
                return
            self._blow.since = None
            self._later(ON_ITS_WAY, self._count_orders)
            self._later(STOPS_FOR, self._start_database)

    def _strike_host(self, trouble: Trouble, host: RealHost) -> None:
        if trouble is Trouble.FREEZE:
            process = host.process
            process.send_signal(signal.SIGSTOP)
            self._later(FREEZES_FOR, lambda: process.send_signal(signal.SIGCONT))
            return
        host.end(_SIGNALS[trouble])
        if self.plan.returns_after is not None:
            self._later(self.plan.returns_after, lambda: _return(host))

    def _count_orders(self) -> None:
        self._stopped_at = len(self.broker.sent())

    def _start_database(self) -> None:
        self._sent_while_stopped = len(self.broker.sent()) - self._stopped_at
        self.database.start()
        if self._blow is not None:
            self._blow.since = _now()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        def act() -> None:
            try:
                action()
            except Exception as error:  # noqa: BLE001  a thread has nobody to raise it to; `play` raises it
                self._failures.append(f"{type(error).__name__}: {error}")

        timer = threading.Timer(seconds, act)
        self._timers.append(timer)
        timer.start()

    # --- what is asked ------------------------------------------------------------------------------------------------

    def _leases(self) -> dict[str, _Lease]:
        """The lease of each account that has one which has not ended; empty while the table can't be read."""
        try:
            rows = self.database.sql(_LEASES, self.journal)
        except psycopg.Error:
            return {}
        length = dt.timedelta(seconds=LEASE_SECONDS)
        return {
            str(account): _Lease(str(name), int(str(number)), until - length)
            for account, name, number, until in rows
            if isinstance(until, dt.datetime)
        }

    def _recorded(self) -> set[str]:
        """The client order ids of all intents in the journal."""
        return {str(each) for (each,) in self.database.sql(_INTENTS, self.journal)}

    def _is_shared(self) -> bool:
        leases = self._leases().values()
        return len(leases) == len(ACCOUNTS) and {each.host for each in leases} == set(self.hosts)

    def _current_leases(self) -> dict[str, _Lease]:
        """The leases, with that of the plan's account; NotPlayedError when nobody has it for long."""
        found: dict[str, _Lease] = {}

        def is_found() -> bool:
            nonlocal found
            found = self._leases()
            return self.plan.account in found

        self._until(is_found, STARTS_WITHIN, f"a host has {self.plan.account}")
        return found

    def _holder(self) -> RealHost:
        """The host that has the plan's account."""
        return self.hosts[self._current_leases()[self.plan.account].host]

    def _command(self, host: RealHost, *arguments: str) -> None:
        """Run a command on a machine. NotPlayedError when it fails."""
        status = host.start(*arguments).wait(CLOSE_ENDS_WITHIN)
        if status:
            raise NotPlayedError(f"{' '.join(arguments)} on {host.name} ended with status {status}")

    def _until(self, what: Callable[[], object], seconds: float, text: str) -> None:
        ends = time.monotonic() + seconds
        while not what():
            if time.monotonic() > ends:
                raise NotPlayedError(f"it never came to pass that {text}")
            time.sleep(LOOKS)


def _return(host: RealHost) -> None:
    """Start a host's process again once the one before has ended, as a service manager does; if it ends in time."""
    with suppress(subprocess.TimeoutExpired):  # a violation, of which `wrong_end` tells
        host.process.wait(ENDS_WITHIN)
        host.watch()


def _now() -> dt.datetime:
    """The time of this machine, which is the database's, too."""
    return dt.datetime.now(dt.UTC)
