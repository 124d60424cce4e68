"""Real processes: `run-once` against the simulator over HTTP, killed with SIGKILL at a random time, and run again."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from faults.checkers import ZERO, is_ours
from faults.day import scratch
from sellctl.journal.verify import verify
from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer

MAIN = [sys.executable, "-c", "from sellctl.app import main; main()"]
SPEED = 1.0
DUE = {"TSLA261218C00400000": Decimal(-3), "MSFT": Decimal(40), "AAPL261218C00200000": Decimal(5)}
SCENARIO = """
start: 2026-11-24T11:00:00-05:00
settings: {partial_fills: 0.5, rate_limit: 0}
accounts:
  main:
    positions:
      - {symbol: TSLA261218C00400000, qty: -3, entry: 3.20}
      - {symbol: MSFT, qty: 40, entry: 100}
      - {symbol: AAPL261218C00200000, qty: 5, entry: 2.00}
      - {symbol: INTC, qty: 7, entry: 30}
prices:
  TSLA261218C00400000: {mid: 3.20, spread: 0.04}
  MSFT: {mid: 60, spread: 0.02}
  AAPL261218C00200000: {mid: 2.40, spread: 0.04}
  INTC: {mid: 30, spread: 0.02}
"""
_MAX_RUNS = 12


@dataclass(frozen=True, slots=True)
class KillRun:
    """The result of one run: how many processes were killed, and what was wrong at the end."""

    seed: int
    kills: int
    errors: tuple[str, ...]


def kill_at_random(seed: int) -> KillRun:
    """Kill one or two processes at random times, then run until everything due is sold."""
    rng = random.Random(seed)  # noqa: S311  a bench's seed, not a secret
    with scratch() as name, SimServer(parse_scenario(SCENARIO), speed=SPEED) as server:
        folder = Path(name)
        _configure(folder, server, rng.choice(("smart", "market", "market")))
        kills = sum(_run(folder, rng.uniform(0.3, 5.0)) for _ in range(rng.choice((1, 1, 2))))
        for _ in range(_MAX_RUNS):
            _run(folder, None)
            if _is_done(server):
                break
        return KillRun(seed, kills, (*_sale_errors(server), *_journal_errors(folder)))


def _configure(folder: Path, server: SimServer, style: str) -> None:
    account = next(iter(server.exchange.accounts.values()))
    text = (
        f"accounts:\n  main:\n    api_key: {account.key}\n    secret_key: {account.secret}\n"
        f"    endpoints: {{trading: '{server.url}', data: '{server.url}'}}\n"
        "sell_module: {strategy_one: {applies_to: [option, stock]}}\n"
        f"execution: {{style: {style}}}\n"
    )
    path = folder / "config.yml"
    path.write_text(text)
    path.chmod(0o600)


def _run(folder: Path, dies_after: float | None) -> bool:
    """Run `run-once`; True when it was killed."""
    command = [*MAIN, "--config", str(folder / "config.yml"), "--state-dir", str(folder / "state"), "run-once"]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("SELLCTL_", "ALPACA_", "APCA_"))}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  our own interpreter
    try:
        process.wait(timeout=90 if dies_after is None else dies_after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    time.sleep(0.05)
    return False


def _is_done(server: SimServer) -> bool:
    with server.hold() as exchange:
        return not DUE.keys() & next(iter(exchange.accounts.values())).positions.keys()


def _sale_errors(server: SimServer) -> list[str]:
    """Errors unless each due position was sold completely and once by our orders, and the other one stayed."""
    errors = []
    with server.hold() as exchange:
        account = next(iter(exchange.accounts.values()))
        for symbol, qty in DUE.items():
            sold = sum((o.filled_qty for o in account.orders.values() if o.symbol == symbol and is_ours(o)), ZERO)
            if sold != abs(qty) or account.qty_of(symbol):
                errors.append(f"{symbol}: {sold} of {qty} sold, {account.qty_of(symbol)} held")
        if account.qty_of("INTC") != 7:  # noqa: PLR2004  as the scenario says
            errors.append("INTC changed")
    return errors


def _journal_errors(folder: Path) -> list[str]:
    fault = verify(folder / "state" / "journal.sqlite").fault
    return [fault] if fault else []
