"""A simulated Alpaca and the real program connected to it, in process or as a separate process."""

import json
import os
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from sellctl.app import app
from sellctl.core.errors import SellctlError
from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer

MAIN = [sys.executable, "-c", "from sellctl.app import main; main()"]
_NOT_OURS = ("SELLCTL_", "ALPACA_", "APCA_")
CALL = "AAPL261218C00200000"


def three_calls(bid: str = "1.00", ask: str = "1.02", *, more_prices: str = "", at: str = "2026-11-24 12:00") -> str:
    """A scenario: one account with three calls at an entry of 1.00, whose quote is constant."""
    return textwrap.dedent(f"""\
        start: "{at}"
        accounts:
          main:
            key: k
            secret: s
            number: PA1
            positions: [{{symbol: {CALL}, qty: 3, entry: 1.00}}]
        prices:
          {CALL}: [{{fixed: {{bid: {bid}, ask: {ask}}}}}]
        """) + (f"  {more_prices}\n" if more_prices else "")


@dataclass(frozen=True)
class CommandResult:
    """The exit status and the output of a command."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Program:
    """The real program with its own folder for configuration and state."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.yml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def write(self, text: str, mode: int = 0o600) -> None:
        """Write a configuration, by default readable by its owner only."""
        self.config.write_text(textwrap.dedent(text))
        self.config.chmod(mode)

    def arguments(self, *arguments: str) -> list[str]:
        return ["--config", str(self.config), "--state-dir", str(self.state), *arguments]

    def line(self, *arguments: str) -> str:
        """The command line that a user types for a command with this configuration and state folder."""
        return shlex.join(["sellctl", *self.arguments(*arguments)])

    def run(self, *arguments: str) -> CommandResult:
        """Run a command in process with this configuration and state folder."""
        result = CliRunner().invoke(app, self.arguments(*arguments))
        if isinstance(result.exception, SellctlError):
            return CommandResult(int(result.exception.exit_code), result.stdout, f"{result.stderr}{result.exception}")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return CommandResult(result.exit_code, result.stdout, result.stderr)

    def spawn(
        self, *arguments: str, env: Mapping[str, str] | None = None, stdout: int = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Start the command as a process, which the caller ends."""
        return subprocess.Popen(  # noqa: S603  our own interpreter
            [*MAIN, *self.arguments(*arguments)],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=clean_environment(self.folder) | dict(env or {}),
        )

    def shell(self, *arguments: str, env: Mapping[str, str] | None = None) -> CommandResult:
        """Run the command as a process to its end."""
        return end_of(self.spawn(*arguments, env=env))


def end_of(process: "subprocess.Popen[str]", seconds: float = 30) -> CommandResult:
    """Wait for the end of a process and return its result."""
    with process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return CommandResult(process.returncode, out, err)


def clean_environment(home: Path) -> dict[str, str]:
    """An environment without variables of sellctl or Alpaca, and with its own home folder."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_OURS)}
    return kept | {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "xdg"), "XDG_STATE_HOME": str(home / "xdg-state")}


@dataclass(frozen=True)
class Stage(Program):
    """One simulated broker and the program connected to it."""

    server: SimServer

    def configure(self, rules: str = "") -> None:
        accounts = "".join(
            f"  {a.name}:\n    api_key: {a.key}\n    secret_key: {a.secret}\n"
            f"    endpoints: {{trading: '{self.server.url}', data: '{self.server.url}'}}\n"
            for a in self.server.scenario.accounts
        )
        self.write(f"accounts:\n{accounts}{textwrap.dedent(rules)}")

    def orders(self, account: str = "main") -> list[Any]:
        """Every order that the broker has accepted in an account, oldest first."""
        return list(self.server.exchange.accounts[account].orders.values())

    def held(self, symbol: str, account: str = "main") -> int:
        return int(self.server.exchange.accounts[account].qty_of(symbol))

    def sent(self) -> list[str]:
        """Every request with a method that can change something."""
        return [f"{r.method} {r.path}" for r in self.server.requests if r.method not in {"GET", "HEAD"}]

    def inject_fault(self, name: str, **options: Any) -> None:
        with self.server.hold() as exchange:
            exchange.faults.inject(name, **options)


Play = Callable[..., Stage]


@contextmanager
def playing(folder: Path) -> Iterator[Play]:
    """A function that starts a scenario: play(scenario, rules). The simulated clock stands still by itself."""
    running: list[SimServer] = []

    def start(scenario: str, rules: str = "", speed: float = 0) -> Stage:
        server = SimServer(parse_scenario(textwrap.dedent(scenario)), speed=speed).start()
        running.append(server)
        stage = Stage(folder, server)
        stage.configure(rules)
        return stage

    yield start
    for server in running:
        server.stop()
