"""A simulated Alpaca and the real program against it, in process or as a process of its own."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from sellctl.app import app
from sellctl.core.errors import SellctlError
from sellctl.sim.server import SimServer

MAIN = [sys.executable, "-c", "from sellctl.app import main; main()"]
_NOT_OURS = ("SELLCTL_", "ALPACA_", "APCA_")
CALL = "AAPL261218C00200000"


def three_calls(bid: str = "1.00", ask: str = "1.02", *, more_prices: str = "", at: str = "2026-11-24 12:00") -> str:
    """A scenario: one account that paid 1.00 each for three calls, which stand at one quote all day."""
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
class Said:
    """What a command said and how it ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Program:
    """The real program with a folder of its own: configuration and state."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.yml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def write(self, text: str, mode: int = 0o600) -> None:
        """A configuration, readable by its owner only unless told otherwise."""
        self.config.write_text(textwrap.dedent(text))
        self.config.chmod(mode)

    def words(self, *words: str) -> list[str]:
        return ["--config", str(self.config), "--state-dir", str(self.state), *words]

    def run(self, *words: str) -> Said:
        """A command, as a user types it, with this configuration and state folder."""
        result = CliRunner().invoke(app, self.words(*words))
        if isinstance(result.exception, SellctlError):
            return Said(int(result.exception.exit_code), result.stdout, f"{result.stderr}{result.exception}")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def spawn(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """The command as a process; the caller ends it."""
        return subprocess.Popen(  # noqa: S603  our own interpreter
            [*MAIN, *self.words(*words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=clean_environment(self.folder) | dict(env or {}),
        )

    def shell(self, *words: str, env: Mapping[str, str] | None = None) -> Said:
        """The command as a process, to its end."""
        return end_of(self.spawn(*words, env=env))


def end_of(process: "subprocess.Popen[str]", seconds: float = 30) -> Said:
    """What a process said, once it has ended."""
    with process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return Said(process.returncode, out, err)


def clean_environment(home: Path) -> dict[str, str]:
    """An environment that says nothing of sellctl or Alpaca, with a home of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_OURS)}
    return kept | {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "xdg"), "XDG_STATE_HOME": str(home / "xdg-state")}


@dataclass(frozen=True)
class Stage(Program):
    """One simulated broker and the program against it."""

    server: SimServer

    def configure(self, rules: str = "") -> None:
        accounts = "".join(
            f"  {a.name}:\n    api_key: {a.key}\n    secret_key: {a.secret}\n"
            f"    endpoints: {{trading: '{self.server.url}', data: '{self.server.url}'}}\n"
            for a in self.server.scenario.accounts
        )
        self.write(f"accounts:\n{accounts}{textwrap.dedent(rules)}")

    def orders(self, account: str = "main") -> list[Any]:
        """Every order that the broker ever accepted in an account, oldest first."""
        return list(self.server.exchange.accounts[account].orders.values())

    def held(self, symbol: str, account: str = "main") -> int:
        return int(self.server.exchange.accounts[account].qty_of(symbol))

    def sent(self) -> list[str]:
        """Every request that could change something."""
        return [f"{r.method} {r.path}" for r in self.server.requests if r.method not in {"GET", "HEAD"}]

    def misbehave(self, name: str, **options: Any) -> None:
        with self.server.hold() as exchange:
            exchange.faults.inject(name, **options)


Play = Callable[..., Stage]
