"""The processes of a run with real hosts: `sellctl sim`, and hosts with a configuration and a state folder each."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import yaml

from faults.checkers import PREFIX
from faults.hosts.real.checks import KEPT_QTY, QTY
from faults.hosts.real.draws import ACCOUNTS

MAIN = [sys.executable, "-c", "from sellctl.app import main; main()"]
FALLING = dict(zip(ACCOUNTS, ("TSLA261218C00400000", "AAPL261218C00200000", "NVDA261218C00150000"), strict=True))
KEPT = "INTC"
HELD_AT, FALLEN_TO, SPREAD = Decimal("4.00"), Decimal("2.60"), Decimal("0.04")
STARTS_WITHIN = 60.0  # seconds; several processes start beside others
ENDS_WITHIN = 20.0
OK = 200
_ACCOUNTS = "\n".join(
    f"  {name}:\n    positions:\n      - {{symbol: {symbol}, qty: {QTY}, entry: {HELD_AT}}}\n"
    f"      - {{symbol: {KEPT}, qty: {KEPT_QTY}, entry: 30}}"
    for name, symbol in FALLING.items()
)
_PRICES = "\n".join(f"  {symbol}: {{mid: {HELD_AT}, spread: {SPREAD}}}" for symbol in FALLING.values())
SCENARIO = f"""
start: 2026-11-24T11:00:00-05:00
settings: {{rate_limit: 0}}
accounts:
{_ACCOUNTS}
prices:
{_PRICES}
  {KEPT}: {{mid: 30, spread: 0.02}}
"""


@dataclass(frozen=True, slots=True)
class Simulator:
    """A running `sellctl sim`. `accounts` are those of its configuration, with keys and endpoints."""

    url: str
    accounts: dict[str, Any]

    def fall(self, accounts: "list[str]") -> None:
        """Let prices fall through the stops of these accounts."""
        quote = {"bid": str(FALLEN_TO - SPREAD / 2), "ask": str(FALLEN_TO + SPREAD / 2)}
        self._json("/sim/quotes", {FALLING[account]: quote for account in accounts})

    def sold(self) -> dict[str, Decimal]:
        """How much our orders have sold of what was due, by account."""
        orders: dict[str, Any] = self._json("/sim/orders")
        return {
            account: sum((Decimal(each["filled_qty"]) for each in of_account if _is_of(each, symbol)), Decimal(0))
            for account, symbol in FALLING.items()
            for of_account in [orders[account]]
        }

    def ours(self) -> set[str]:
        """The client order ids of all our orders."""
        orders: dict[str, Any] = self._json("/sim/orders")
        ids = {str(each["client_order_id"]) for of_account in orders.values() for each in of_account}
        return {each for each in ids if each.startswith(PREFIX)}

    def held(self, symbols: dict[str, str]) -> dict[str, Decimal]:
        """How much is held of one symbol of each account."""
        positions: dict[str, Any] = self._json("/sim/positions")
        return {account: Decimal(positions[account].get(symbol, 0)) for account, symbol in symbols.items()}

    def left(self) -> dict[str, Decimal]:
        """How much is held of what was due, by account."""
        return self.held(FALLING)

    def sent(self) -> list[dict[str, Any]]:
        """Every request so far that submits an order, as the simulator has logged it."""
        requests: list[dict[str, Any]] = self._json("/sim/requests")
        return [each for each in requests if each["method"] == "POST" and each["path"] == "/v2/orders"]

    def refused(self) -> tuple[str, ...]:
        """The orders that it refused."""
        return tuple(
            f"{each['status']} {each['account']} {each['body']}" for each in self.sent() if each["status"] != OK
        )

    def _json(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.url}{path}", data=data), timeout=10) as answer:  # noqa: S310  loopback
            return json.load(answer)


def _is_of(order: dict[str, Any], symbol: str) -> bool:
    """Whether an order of ours is for a symbol."""
    return bool(order["symbol"] == symbol and order["client_order_id"].startswith(PREFIX))


@contextlib.contextmanager
def simulator(folder: Path) -> Iterator[Simulator]:
    """A `sellctl sim` of its own with the scenario. ChildProcessError when it doesn't start."""
    folder.mkdir()
    scenario, written = folder / "scenario.yml", folder / "sim.yml"
    scenario.write_text(SCENARIO)
    options = ("sim", "--scenario", str(scenario), "--port", "0", "--config-out", str(written))
    process = _spawn(folder / "log", "--state-dir", str(folder / "state"), *options)
    try:
        ends = time.monotonic() + STARTS_WITHIN
        while not written.exists():
            if process.poll() is not None or time.monotonic() > ends:
                raise ChildProcessError(f"the simulator did not start: {(folder / 'log').read_text()}")
            time.sleep(0.05)
        accounts = yaml.safe_load(written.read_text())["accounts"]
        yield Simulator(accounts[ACCOUNTS[0]]["endpoints"]["trading"], accounts)
    finally:
        _kill(process)


@dataclass(slots=True)
class RealHost:
    """One machine: its configuration and state folder, and its processes of `watch`, the current one last."""

    name: str
    folder: Path
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    to_end: dict[int, int] = field(default_factory=dict)  # the status with which a process has to end, by its id

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The current process of `watch`."""
        return self.processes[-1]

    @property
    def is_up(self) -> bool:
        """Whether that runs and wasn't asked to end."""
        return self.process.poll() is None and self.process.pid not in self.to_end

    def watch(self) -> None:
        """Start `watch`, also again."""
        self.processes.append(self.start("watch", "--format", "log", "--host-id", self.name))

    def end(self, number: int) -> None:
        """Send SIGTERM or SIGKILL."""
        self.to_end[self.process.pid] = 0 if number == signal.SIGTERM else -number
        self.process.send_signal(number)

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a command on this machine."""
        options = ("--config", str(self.folder / "config.yml"), "--state-dir", str(self.folder / "state"))
        return _spawn(self.folder / "log", *options, *arguments)

    def said(self) -> str:
        """What all of its processes have said."""
        return (self.folder / "log").read_text(errors="replace")

    def wrong_end(self) -> str:
        """How a process ended, or didn't, that should have done otherwise; "" when all is right."""
        for process in self.processes:
            wanted = self.to_end.get(process.pid)
            if wanted is None:
                if process.poll() is not None:
                    return f"ended by itself with status {process.returncode}"
                continue
            try:
                status = process.wait(ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                return f"did not end within {ENDS_WITHIN:.0f} s of its signal"
            if status != wanted:
                return f"ended with status {status}, not {wanted}"
        return ""

    def kill(self) -> None:
        """Kill what still runs."""
        for process in self.processes:
            _kill(process)


@contextlib.contextmanager
def real_hosts(folder: Path, names: tuple[str, ...], url: str, broker: Simulator) -> Iterator[dict[str, RealHost]]:
    """The hosts, each watching; what still runs at the end is killed."""
    hosts = {name: _configured(folder / name, name, url, broker) for name in names}
    try:
        for host in hosts.values():
            host.watch()
        yield hosts
    finally:
        for host in hosts.values():
            host.kill()


def _configured(folder: Path, name: str, url: str, broker: Simulator) -> RealHost:
    folder.mkdir()
    accounts = {
        each: {
            "api_key": account["api_key"],
            "secret_key": account["secret_key"],
            "endpoints": {"trading": broker.url, "data": broker.url},
        }
        for each, account in broker.accounts.items()
    }
    config = folder / "config.yml"
    config.write_text(
        yaml.safe_dump({"accounts": accounts, "sell_module": {"check_interval": 1}, "journal": {"url": url}})
    )
    config.chmod(0o600)
    return RealHost(name, folder)


def _spawn(log: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    env = {key: value for key, value in os.environ.items() if not key.startswith(("SELLCTL_", "ALPACA_", "APCA_"))}
    with log.open("ab") as file:
        return subprocess.Popen([*MAIN, *arguments], env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file)  # noqa: S603  our own interpreter


def _kill(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
