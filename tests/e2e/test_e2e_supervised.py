"""A watcher under a supervisor: killed with SIGKILL and restarted repeatedly, it always restores the same state."""

import random
import signal
import time
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from stage import Play, Stage, end_of

if TYPE_CHECKING:
    import subprocess

TRAILED, TARGET, SPARED, HALTED = (f"AAPL261218C00{strike}000" for strike in (200, 210, 220, 230))
SCENARIO = f"""
    start: "2026-11-24 12:00"
    accounts:
      main:
        key: k
        secret: s
        number: PA1
        positions:
          - {{symbol: {TRAILED}, qty: 3, entry: 1.00}}
          - {{symbol: {TARGET}, qty: 2, entry: 1.00}}
          - {{symbol: {SPARED}, qty: 1, entry: 1.00}}
          - {{symbol: {HALTED}, qty: 1, entry: 1.00}}
    prices:
      {TRAILED}: [{{fixed: {{bid: 1.40, ask: 1.42}}}}]
      {TARGET}: [{{fixed: {{bid: 1.20, ask: 1.22}}}}]
      {SPARED}: [{{fixed: {{bid: 0.50, ask: 0.52}}}}]
      {HALTED}: [{{fixed: {{bid: 1.00, ask: 1.02}}}}]
"""
RULES = f"""
    sell_module:
      check_interval: 1
      strategies:
        - {{name: trail, match: {{symbol: {TRAILED}}}, rules: {{trailing_stop: {{activation: 20%, trail: 10pt}}}}}}
"""
PATIENCE = 20.0


class Supervisor:
    """Restarts the watcher whenever it was killed."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.process: subprocess.Popen[str] | None = None
        self.lives = 0

    def start(self) -> None:
        self.process, self.lives = self.stage.spawn("watch", "--format", "log"), self.lives + 1

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        assert end_of(self.process).status == -signal.SIGKILL

    def end(self) -> str:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        result = end_of(self.process)
        assert result.status == 0, result.err
        return result.err

    def until(self, what: Callable[[], object]) -> None:
        ends = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < ends, "it never came to pass"
            time.sleep(0.01)

    def wait_for_requests(self, more: int) -> None:
        """Wait for that many more requests to the broker."""
        before = len(self.stage.server.requests)
        self.until(lambda: len(self.stage.server.requests) >= before + more)


def quote(stage: Stage, symbol: str, bid: str, ask: str) -> None:
    with stage.server.hold() as exchange:
        exchange.set_quote(symbol, Decimal(bid), Decimal(ask))


def test_a_watcher_that_is_killed_repeatedly_restores_the_same_state(play: Play) -> None:
    rng = random.Random(7)  # noqa: S311  a test's seed
    stage = play(SCENARIO, RULES, speed=1)
    assert stage.run("exempt", SPARED).status == 0
    supervisor = Supervisor(stage)
    supervisor.start()
    supervisor.until(lambda: stage.held(TARGET) == 0)
    supervisor.wait_for_requests(24)  # two polls confirm the peak of the position with the trailing stop
    for _ in range(3):
        supervisor.kill()
        supervisor.start()
        supervisor.wait_for_requests(rng.randint(1, 12))
    supervisor.kill()
    quote(stage, TRAILED, "1.28", "1.30")  # 12 points below the peak, which only the stored state contains
    supervisor.start()
    supervisor.until(lambda: stage.held(TRAILED) == 0)
    supervisor.end()
    assert (stage.held(SPARED), stage.held(HALTED)) == (1, 1)
    sold = {symbol: sum(o.filled_qty for o in stage.orders() if o.symbol == symbol) for symbol in (TRAILED, TARGET)}
    assert sold == {TRAILED: 3, TARGET: 2}
    assert stage.run("history", "--verify").status == 0


def test_a_halt_survives_every_kill(play: Play) -> None:
    stage = play(SCENARIO, RULES, speed=1)
    assert stage.run("halt", "--reason", "fed day").status == 0
    supervisor = Supervisor(stage)
    for _ in range(2):
        supervisor.start()
        supervisor.wait_for_requests(8)
        supervisor.kill()
    assert stage.orders() == []
    assert stage.run("resume", "--reason", "over").status == 0
    supervisor.start()
    supervisor.until(lambda: stage.held(TARGET) == 0)
    supervisor.end()
