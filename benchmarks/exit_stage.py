"""The exchange and the programs that sell on it, as processes, for the benchmark of exits."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.load import a_process

_SELLCTL = [sys.executable, "-m", "benchmarks.exit_sellctl"]
_LOOK_AGAIN = 0.05
_PATIENCE = 300.0


@dataclass(frozen=True)
class Market:
    """How many accounts of how many options each, and how many of an account's options become due."""

    accounts: int
    held: int
    due_each: int

    @property
    def name(self) -> str:
        """Accounts x positions."""
        return f"{self.accounts} x {self.held}"

    @property
    def due(self) -> int:
        """How many options become due."""
        return self.accounts * self.due_each


@dataclass
class Run:
    """What the exchange saw of one run of a program, and the program's peak memory."""

    report: dict[str, Any]
    peak_mb: float = 0.0

    @property
    def last(self) -> float:
        """Seconds until the last first order."""
        return float(self.report["first_orders"][-1])

    @property
    def until(self) -> int:
        """Requests until the last first order."""
        return sum(self.report["until"].values())

    @property
    def whole(self) -> int:
        """Requests of the whole run."""
        return sum(self.report["whole"].values())


@dataclass
class Stage:
    """A running exchange and a folder for the programs' files."""

    market: Market
    port: int
    folder: Path

    @property
    def url(self) -> str:
        """The base of the REST APIs."""
        return f"http://127.0.0.1:{self.port}"

    def command(self, *arguments: object) -> Any:
        """Send a command to the exchange; returns its answer."""
        with urlopen(f"{self.url}/bench/{'/'.join(map(str, arguments))}") as answer:  # noqa: S310  our own
            return json.loads(answer.read())

    # --- programs

    def seller(self, name: str) -> list[str]:
        """The command of a program that sells once what is due."""
        if name == "sellctl":
            return [*self._sellctl(), "run-once"]
        return [sys.executable, "-m", "benchmarks.exit_contenders", name, self.url, str(self.market.accounts)]

    def watcher(self, name: str) -> list[str]:
        """The command of a program that waits on the streams."""
        if name == "watch":
            return [*self._sellctl(), "watch", "--format", "log"]
        numbers = (str(self.market.accounts), str(self.market.held))
        return [sys.executable, "-m", "benchmarks.exit_contenders", name, self.url, *numbers]

    def host(self, name: str, journal: str) -> list[str]:
        """The command of a host that shares the accounts with others by the database with this URL."""
        sellctl = self._sellctl(f"journal: {{url: '{journal}'}}\n", f"state-{name}")
        return [*sellctl, "watch", "--format", "log", "--host-id", name]

    def _sellctl(self, more: str = "", state: str = "state") -> list[str]:
        """The command with its options and a configuration of all accounts; `more` are further lines of that."""
        config = self.folder / "config.yml"
        config.touch(mode=0o600)
        config.write_text(self._config() + more, encoding="utf-8")
        return [*_SELLCTL, "--config", str(config), "--state-dir", str(self.folder / state)]

    def _config(self) -> str:
        streams = f"ws://127.0.0.1:{self.port}"
        ends = f"trading: '{self.url}', data: '{self.url}'"
        ends += f", trading_stream: '{streams}/stream', option_stream: '{streams}/v1beta1/opra'"
        accounts = [
            f"  a{n}: {{api_key: k{n}, secret_key: s, endpoints: {{{ends}}}}}\n" for n in range(self.market.accounts)
        ]
        return f"accounts:\n{''.join(accounts)}"

    # --- selling

    def sell(self, name: str, *, whole: bool = False, earlier: bool = False) -> Run:
        """Run a program once with one stale order an account. It is killed after the last first order unless `whole`.

        `earlier`: it has run before, when nothing was due or stale, and knows what it remembers of that.
        """
        if earlier:
            with a_program(self.seller(name), self.folder) as process:
                process.wait()
        self.command("stale")
        self.command("move", "high", 0, self.market.due_each)
        with a_program(self.seller(name), self.folder) as process:
            memory = PeakMemory(process.pid)
            self._wait(process, memory, whole=whole)
        return Run(self.command("report"), memory.peak)

    def _wait(self, process: subprocess.Popen[str], memory: "PeakMemory", *, whole: bool) -> None:
        began = time.monotonic()
        while (running := process.poll() is None) or not whole:
            memory.look()
            if not whole and self.command("state")["arrived"] == self.market.due:
                return
            if not running or time.monotonic() - began > _PATIENCE:
                said = (self.folder / "programs.log").read_text(encoding="utf-8")
                raise RuntimeError(f"a program did not sell everything that is due: {said[-500:]}")
            time.sleep(_LOOK_AGAIN)


@dataclass
class PeakMemory:
    """The peak memory of a process in MB, as long as it could be read."""

    pid: int
    peak: float = 0.0

    def look(self) -> None:
        """Read it again."""
        status = Path(f"/proc/{self.pid}/status")
        lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
        self.peak = max([self.peak, *(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))])


@contextmanager
def a_program(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program for the duration of the block. What it says goes into the folder's log."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with (
        (folder / "programs.log").open("a", encoding="utf-8") as log,
        subprocess.Popen(command, stdout=log, stderr=log, text=True, env=env) as process,  # noqa: S603  our own
    ):
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def a_stage(market: Market, delay: float = 0.0, *words: str) -> Iterator[Stage]:
    """Run the exchange for the duration of the block. Words: `opra`, which keys are granted then, and `fills`."""
    with (
        tempfile.TemporaryDirectory(prefix="sellctl-bench-", ignore_cleanup_errors=True) as folder,
        a_process("benchmarks.exit_market", market.accounts, market.held, *words) as exchange,
    ):
        stage = Stage(market, int(exchange.stdout.readline()), Path(folder))  # type: ignore[union-attr]  # it is a pipe
        stage.command("delay", delay)
        yield stage
