"""Real processes: `watch` over HTTP, while the reader of its output stalls or a strategy of the user's is hostile.

Both can stop a whole process, which virtual time can't show. Each seed is one case; the price of a position falls
through its stop some seconds after the beginning, and at the end the process gets SIGTERM.
"""

import contextlib
import fcntl
import os
import pty
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from faults.checkers import is_ours
from faults.day import scratch
from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer

MAIN = "from sellctl.app import main; main()"
FALLING, HOSTILE, STAYING = "TSLA261218C00400000", "NVDA261218C00150000", "INTC"
TARGET = "AAPL261218C00200000"
DUE = (FALLING, TARGET)
SCENARIO = """
start: 2026-11-24T11:00:00-05:00
settings: {{rate_limit: 0}}
accounts:
  main:
    positions:
      - {{symbol: TSLA261218C00400000, qty: 3, entry: 4.00}}
      - {{symbol: AAPL261218C00200000, qty: 5, entry: 2.00}}
      - {{symbol: NVDA261218C00150000, qty: 2, entry: 5.00}}
      - {{symbol: INTC, qty: 7, entry: 30}}
prices:
  TSLA261218C00400000:
    - fixed: {{bid: 3.98, ask: 4.02}}
    - {{at: +{falls_at}s, linear: {{bid: 2.58, ask: 2.62, until: +{fallen_at}s}}}}
  AAPL261218C00200000: {{mid: 2.40, spread: 0.04}}
  NVDA261218C00150000: {{mid: 5.00, spread: 0.04}}
  INTC: {{mid: 30, spread: 0.02}}
"""
# What the hostile strategy does each time that it is asked about its position.
BEHAVIOURS = {
    "loop": "while True: pass",
    "sleep": "time.sleep(10)",
    "exit": "sys.exit(3)",
    "interrupt": "raise KeyboardInterrupt",
    "cancelled": "raise asyncio.CancelledError",
    "generator exit": "raise GeneratorExit",
    "hard exit": "os._exit(3)",
    "signals": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "closed output": "os.close(1); os.close(2)",
    "recursion": "return self.evaluate(holding, market)",
}
STRATEGY = """
import asyncio, os, signal, sys, time
from dataclasses import dataclass
from sellctl.core.sell_strategies.base_strategy import BaseStrategy

@dataclass(frozen=True)
class Hostile(BaseStrategy):
    def evaluate(self, holding, market):
        {deed}
        return None
"""
READERS = ("log", "json", "screen")
CASES = (*READERS, *BEHAVIOURS)
SOLD_WITHIN = 30.0  # seconds from the start of the process, or from due: it may start slowly beside others
ENDS_WITHIN = 15.0  # R5
_PIPE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class WatchRun:
    """The result of one seed: what was hostile, and what was wrong."""

    seed: int
    case: str
    errors: tuple[str, ...]


def watch_beside(seed: int, main: str = MAIN, case: str = "") -> WatchRun:
    """Run the case of a seed, or the one that is named. `main` is the program of the process."""
    rng = random.Random(f"{seed} watch")  # noqa: S311  a bench's seed, not a secret
    case, falls_at = case or CASES[seed % len(CASES)], rng.choice((4, 8))
    scenario = parse_scenario(SCENARIO.format(falls_at=falls_at, fallen_at=falls_at + 1))
    with scratch() as name, SimServer(scenario, speed=1.0) as server:
        folder = Path(name)
        configure(folder, server, case)
        with _output(case) as output, _running(folder, case, output, main) as process:
            errors = [*_sale_errors(server, process, falls_at), *_end_errors(process)]
        return WatchRun(seed, case, tuple(errors))


def configure(folder: Path, server: SimServer, case: str) -> None:
    """Write the configuration of a case, and its strategy."""
    account = next(iter(server.exchange.accounts.values()))
    strategies = ""
    if deed := BEHAVIOURS.get(case):
        (folder / "hostile.py").write_text(STRATEGY.format(deed=deed))
        (folder / "hostile.py").chmod(0o600)
        strategies = ", strategies: [{use: './hostile.py:Hostile', match: {underlying: [NVDA]}}]"
    urls = {"trading_stream": "/stream", "stock_stream": "/v2/iex", "option_stream": "/v1beta1/indicative"}
    streams = ", ".join(f"{key}: '{server.stream_url}{path}'" for key, path in urls.items())
    path = folder / "config.yml"
    path.write_text(
        f"accounts:\n  main:\n    api_key: {account.key}\n    secret_key: {account.secret}\n"
        f"    endpoints: {{trading: '{server.url}', data: '{server.url}', {streams}}}\n"
        f"sell_module: {{strategy_one: {{applies_to: [option, stock]}}, check_interval: 1{strategies}}}\n"
    )
    path.chmod(0o600)


@contextlib.contextmanager
def _output(case: str) -> Iterator[tuple[int, int]]:
    """The process's stdout and stderr: one that nobody reads, or none."""
    with Path(os.devnull).open("wb") as nothing, contextlib.ExitStack() as stack:
        unread = stack.enter_context(_unread_terminal() if case == "screen" else full_pipe())
        outputs = {
            "log": (nothing.fileno(), unread),
            "json": (unread, nothing.fileno()),
            "screen": (unread, unread),
        }
        yield outputs.get(case, (nothing.fileno(), nothing.fileno()))


@contextlib.contextmanager
def full_pipe() -> Iterator[int]:
    """The write end of a pipe that is full, and that nobody reads."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"." * _PIPE_BYTES)
    os.set_blocking(writer, True)
    try:
        yield writer
    finally:
        os.close(reader)
        os.close(writer)


@contextlib.contextmanager
def _unread_terminal() -> Iterator[int]:
    """A terminal whose output nobody reads, as after Ctrl-S."""
    master, terminal = pty.openpty()
    try:
        yield terminal
    finally:
        os.close(master)
        os.close(terminal)


@contextlib.contextmanager
def _running(folder: Path, case: str, output: tuple[int, int], main: str) -> Iterator["subprocess.Popen[bytes]"]:
    shown = {"json": "json", "screen": "table"}.get(case, "log")
    command = [sys.executable, "-c", main, "--config", str(folder / "config.yml"), "--state-dir", str(folder / "state")]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("SELLCTL_", "ALPACA_", "APCA_"))}
    stdout, stderr = output
    process = subprocess.Popen(  # noqa: S603  our own interpreter
        [*command, "watch", "--format", shown], env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _sale_errors(server: SimServer, process: "subprocess.Popen[bytes]", falls_at: float) -> list[str]:
    """R7, R9: what is due is sold in time, whatever is hostile; the rest stays."""
    ends_at = time.monotonic() + falls_at + SOLD_WITHIN
    while time.monotonic() < ends_at and process.poll() is None and _held(server, *DUE):
        time.sleep(0.1)
    errors = [f"R9: {symbol} was not sold within {SOLD_WITHIN:.0f} s" for symbol in _held(server, *DUE)]
    if process.poll() is not None:
        errors.append(f"R7: the process ended with status {process.returncode}")
    errors += [f"must-not-fire: an order for {symbol} was sent" for symbol in _ordered(server, HOSTILE, STAYING)]
    return errors


def _held(server: SimServer, *symbols: str) -> list[str]:
    with server.hold() as exchange:
        account = next(iter(exchange.accounts.values()))
        return [symbol for symbol in symbols if account.qty_of(symbol)]


def _ordered(server: SimServer, *symbols: str) -> list[str]:
    with server.hold() as exchange:
        orders = next(iter(exchange.accounts.values())).orders.values()
        return sorted({order.symbol for order in orders if is_ours(order) and order.symbol in symbols})


def _end_errors(process: "subprocess.Popen[bytes]") -> list[str]:
    """R5: after SIGTERM it ends in time, with status 0."""
    if process.poll() is not None:
        return []
    process.send_signal(signal.SIGTERM)
    try:
        status = process.wait(ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        return [f"R5: it did not end within {ENDS_WITHIN:.0f} s of SIGTERM"]
    return [f"R5: after SIGTERM it ended with status {status}"] if status else []
