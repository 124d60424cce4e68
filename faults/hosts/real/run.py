"""Real hosts: two `watch --host-id` on one PostgreSQL and the simulator over HTTP, one of which is struck at an exit.

Three accounts fall through a stop at once. Around that instant the host of one of them is killed, frozen for more than
a lease, asked to end, or all connections to the database are cut.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from benchmarks.postgres_server import Server, a_server
from faults.checkers import ZERO, is_ours
from faults.day import scratch
from sellctl.journal.database import close_readers
from sellctl.journal.location import PostgresLocation
from sellctl.journal.verify import verify
from sellctl.sim.market.price_paths import level
from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer

MAIN = [sys.executable, "-c", "from sellctl.app import main; main()"]
HOSTS = ("one", "two")
ACCOUNTS = {"a": "TSLA261218C00400000", "b": "AAPL261218C00200000", "c": "NVDA261218C00150000"}  # with what falls
QTY, KEPT, KEPT_QTY = Decimal(3), "INTC", Decimal(7)
HELD_AT, FALLEN_TO = Decimal("4.00"), Decimal("2.60")
STARTS_WITHIN = 60.0  # seconds; several processes start beside others
FREEZES_FOR = 14.0  # longer than a lease
# Seconds until another host has the accounts, and until all is sold after that: a stop needs a second quote.
BOUNDS = {"kill": 15.0, "freeze": 30.0, "term": 10.0, "cut": 30.0}
SOLD_WITHIN = 15.0
_ACCOUNTS = "\n".join(
    f"  {name}:\n    positions:\n      - {{symbol: {symbol}, qty: {QTY}, entry: {HELD_AT}}}\n"
    f"      - {{symbol: {KEPT}, qty: {KEPT_QTY}, entry: 30}}"
    for name, symbol in ACCOUNTS.items()
)
_PRICES = "\n".join(f"  {symbol}: {{mid: {HELD_AT}, spread: 0.04}}" for symbol in ACCOUNTS.values())
SCENARIO = f"""
start: 2026-11-24T11:00:00-05:00
settings: {{rate_limit: 0}}
accounts:
{_ACCOUNTS}
prices:
{_PRICES}
  {KEPT}: {{mid: 30, spread: 0.02}}
"""
_HOLDERS = "SELECT l.account, h.name FROM leases AS l JOIN lease_hosts AS h USING (registration)"
_CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()"


@dataclass(frozen=True, slots=True)
class RealHostsRun:
    """One run: what struck which moment, how long the take-over took (None where nothing was to be taken over)."""

    seed: int
    trouble: str
    seconds_after_fall: float
    taken_over_after: float | None
    errors: tuple[str, ...]

    @property
    def line(self) -> str:
        """The run in a line."""
        after = "" if self.taken_over_after is None else f", taken over after {self.taken_over_after:.1f} s"
        return f"real hosts, seed {self.seed}: {self.trouble} {self.seconds_after_fall:+.1f} s from the fall{after}"


def strike_real_hosts(seed: int) -> RealHostsRun:
    """Start two hosts, strike one around the fall, wait until all is sold, check. NoServerError without a server."""
    rng = random.Random(f"{seed} real hosts")  # noqa: S311  a bench's seed, not a secret
    trouble, offset = rng.choice(tuple(BOUNDS)), rng.uniform(-1.0, 3.0)
    with a_server() as database, scratch() as name, SimServer(parse_scenario(SCENARIO), speed=1.0) as broker:
        folder, journal = Path(name), f"seed_{seed}"
        url = database.database(journal)
        with _running(folder, url, broker) as hosts:
            stage = _Stage(database, journal, broker, hosts)
            taken_over, errors = stage.play(trouble, offset, BOUNDS[trouble], HOSTS[0])
        errors += sale_errors(stage.sold(), stage.held())
        fault = verify(PostgresLocation(url, folder)).fault
        close_readers()
    return RealHostsRun(seed, trouble, offset, taken_over, (*errors, *([fault] if fault else [])))


def sale_errors(sold: dict[str, Decimal], held: dict[str, Decimal]) -> list[str]:
    """What is wrong with what our orders have sold in each account, and with what is left there."""
    errors = [f"account {name}: {qty} of {QTY} sold" for name, qty in sold.items() if qty != QTY]
    return errors + [f"account {name}: {qty} of {KEPT} held" for name, qty in held.items() if qty != KEPT_QTY]


@dataclass
class _Stage:
    """The exchange, the database and the hosts of one run."""

    database: Server
    journal: str
    broker: SimServer
    hosts: "dict[str, subprocess.Popen[bytes]]"

    def play(self, trouble: str, offset: float, bound: float, struck: str) -> tuple[float | None, list[str]]:
        """The fall and the trouble; returns how long the take-over took, and what was late."""
        if not self._comes(lambda: len(self.holders()) == len(ACCOUNTS) and len({*self.holders().values()}) > 1):
            return None, [f"the hosts hold {self.holders()} after {STARTS_WITHIN:.0f} s"]
        others = {account for account, host in self.holders().items() if host == struck}
        steps = sorted([(0.0, self._fall), (offset, lambda: self._strike(trouble, struck))], key=lambda step: step[0])
        steps[0][1]()
        time.sleep(abs(offset))
        steps[1][1]()
        began, taken_over = time.monotonic(), None
        thaws_at = began + FREEZES_FOR if trouble == "freeze" else None
        while time.monotonic() - began < bound + SOLD_WITHIN:
            if thaws_at is not None and time.monotonic() > thaws_at:
                self.hosts[struck].send_signal(signal.SIGCONT)
                thaws_at = None
            if taken_over is None and trouble != "cut" and all(self._is_elsewhere(each, struck) for each in others):
                taken_over = time.monotonic() - began
            is_taken_over = taken_over is not None or trouble == "cut"
            if is_taken_over and thaws_at is None and self._all_sold():
                break
            time.sleep(0.1)
        time.sleep(2.0)  # whatever would be sent twice is sent now
        late = [] if self._all_sold() else [f"held {bound + SOLD_WITHIN:.0f} s after it: {self.sold()} sold"]
        if trouble != "cut" and (taken_over is None or taken_over > bound):
            late.append(f"accounts {sorted(others)} were not taken over within {bound:.0f} s")
        return taken_over, late

    def holders(self) -> dict[str, str]:
        """The host of each account, by the lease table."""
        try:
            return {str(account): str(host) for account, host in self.database.sql(_HOLDERS, self.journal)}
        except Exception:  # noqa: BLE001  the tables aren't there yet, or the connection was cut
            return {}

    def sold(self) -> dict[str, Decimal]:
        """How much our orders have sold of what fell, by account."""
        with self.broker.hold() as exchange:
            return {
                name: sum(
                    (o.filled_qty for o in account.orders.values() if is_ours(o) and o.symbol == ACCOUNTS[name]), ZERO
                )
                for name, account in exchange.accounts.items()
            }

    def held(self) -> dict[str, Decimal]:
        """How much of what has to stay is held, by account."""
        with self.broker.hold() as exchange:
            return {name: account.qty_of(KEPT) for name, account in exchange.accounts.items()}

    def _all_sold(self) -> bool:
        with self.broker.hold() as exchange:
            return not any(account.qty_of(ACCOUNTS[name]) for name, account in exchange.accounts.items())

    def _is_elsewhere(self, account: str, host: str) -> bool:
        return self.holders().get(account, host) != host

    def _fall(self) -> None:
        with self.broker.hold() as exchange:
            for symbol in ACCOUNTS.values():
                exchange.market.put(symbol, level(FALLEN_TO, Decimal("0.04")), exchange.now)

    def _strike(self, trouble: str, host: str) -> None:
        if trouble == "cut":
            self.database.sql(_CUT.format(self.journal))
        else:
            signals = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP, "term": signal.SIGTERM}
            self.hosts[host].send_signal(signals[trouble])

    def _comes(self, what: Callable[[], object]) -> bool:
        ends = time.monotonic() + STARTS_WITHIN
        while not what():
            if time.monotonic() > ends:
                return False
            time.sleep(0.1)
        return True


@contextlib.contextmanager
def _running(folder: Path, url: str, broker: SimServer) -> "Iterator[dict[str, subprocess.Popen[bytes]]]":
    """The processes of the hosts, each with a state folder of its own; those that still run are killed at the end."""
    hosts = {name: _start(folder / name, name, url, broker) for name in HOSTS}
    try:
        yield hosts
    finally:
        for process in hosts.values():
            process.kill()
            process.wait()


def _start(folder: Path, name: str, url: str, broker: SimServer) -> "subprocess.Popen[bytes]":
    folder.mkdir()
    accounts = "".join(
        f"  {each}:\n    api_key: {account.key}\n    secret_key: {account.secret}\n"
        f"    endpoints: {{trading: '{broker.url}', data: '{broker.url}'}}\n"
        for each, account in broker.exchange.accounts.items()
    )
    config = folder / "config.yml"
    config.write_text(f"accounts:\n{accounts}sell_module: {{check_interval: 1}}\njournal: {{url: '{url}'}}\n")
    config.chmod(0o600)
    command = [*MAIN, "--config", str(config), "--state-dir", str(folder / "state"), "watch"]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("SELLCTL_", "ALPACA_", "APCA_"))}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen([*command, "--format", "log", "--host-id", name], env=env, stdout=log, stderr=log)  # noqa: S603  our own interpreter
