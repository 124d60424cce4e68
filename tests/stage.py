"""A simulated Alpaca and the real program against it, in process."""

import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from sellctl.app import app
from sellctl.core.errors import SellctlError
from sellctl.sim.server import SimServer


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass
class Stage:
    """One simulated broker, a folder for the program, and a way to run it."""

    server: SimServer
    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.yml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def configure(self, rules: str = "") -> None:
        accounts = "".join(
            f"  {a.name}:\n    api_key: {a.key}\n    secret_key: {a.secret}\n"
            f"    endpoints: {{trading: '{self.server.url}', data: '{self.server.url}'}}\n"
            for a in self.server.scenario.accounts
        )
        self.config.write_text(f"accounts:\n{accounts}{textwrap.dedent(rules)}")
        self.config.chmod(0o600)

    def run(self, *words: str) -> Said:
        """A command, as a user types it, with this stage's configuration and state folder."""
        given = ["--config", str(self.config), "--state-dir", str(self.state), *words]
        result = CliRunner().invoke(app, given)
        if isinstance(result.exception, SellctlError):
            return Said(int(result.exception.exit_code), result.stdout, f"{result.stderr}{result.exception}")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def orders(self, account: str = "main") -> list[Any]:
        """Every order that the broker ever accepted in an account, oldest first."""
        return list(self.server.exchange.accounts[account].orders.values())

    def held(self, symbol: str, account: str = "main") -> int:
        return int(self.server.exchange.accounts[account].qty_of(symbol))

    def sent(self) -> list[str]:
        """Every request that could change something."""
        return [f"{r.method} {r.path}" for r in self.server.requests if r.method not in {"GET", "HEAD"}]


Play = Callable[..., Stage]
