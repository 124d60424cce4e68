"""`sellctl serve` as a separate process against a simulated Alpaca, used over loopback."""

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api_stage import SECRET

from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer

MAIN = [sys.executable, "-c", "from sellctl.app import main; main()"]
START_SECONDS = 60


@dataclass
class Served:
    """A running `sellctl serve`."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    server: SimServer
    log: Path

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def ask(self, method: str, path: str, token: str = "", body: bytes | None = None) -> tuple[int, Any]:
        """One request; its status and its document."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            headers |= {"Content-Type": "application/json"} if body else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another command beside it."""
        return run(self.folder, *words)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=20)


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SELLCTL_", "ALPACA_", "APCA_"))}
    return kept | {"SELLCTL_API_SECRET": SECRET} | more


def run(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A command with this folder's configuration, to its end."""
    given = ["--config", str(folder / "config.yml"), "--state-dir", str(folder / "state"), *words]
    return subprocess.run(  # noqa: S603  our own program
        [*MAIN, *given], env=environment(**more), capture_output=True, text=True, timeout=60, check=False
    )


def write_config(folder: Path, server: SimServer, rules: str = "") -> None:
    endpoints = (
        f"{{trading: '{server.url}', data: '{server.url}', trading_stream: '{server.stream_url}/stream', "
        f"stock_stream: '{server.stream_url}/v2/iex', option_stream: '{server.stream_url}/v1beta1/indicative'}}"
    )
    accounts = "".join(
        f"  {a.name}: {{api_key: {a.key}, secret_key: {a.secret}, endpoints: {endpoints}}}\n"
        for a in server.scenario.accounts
    )
    config = folder / "config.yml"
    config.write_text(f"accounts:\n{accounts}{rules}")
    config.chmod(0o600)


@contextmanager
def serving(folder: Path, scenario: str, rules: str = "", *, speed: float = 0) -> Iterator[Served]:
    """The program, serving; `speed` is the simulated market's."""
    with SimServer(parse_scenario(scenario), speed=speed) as server:
        write_config(folder, server, rules)
        log = folder / "serve.log"
        words = ["--config", str(folder / "config.yml"), "--state-dir", str(folder / "state")]
        process = subprocess.Popen(  # noqa: S603  our own program
            [*MAIN, *words, "serve", "--port", "0"], env=environment(), stderr=subprocess.PIPE
        )
        try:
            port = _port_of(process)
            yield Served(process, port, folder, server, log)
        finally:
            if process.poll() is None:
                process.kill()
            _, rest = process.communicate(timeout=20)
            log.write_bytes(rest)


def _port_of(process: subprocess.Popen[bytes]) -> int:
    """The port that the program prints at its start."""
    assert process.stderr is not None
    ready, _, _ = select.select([process.stderr], [], [], START_SECONDS)
    assert ready, "serve said nothing"
    line = process.stderr.readline().decode()
    assert "listens on" in line, line
    return int(line.split("://")[1].split(". ")[0].rsplit(":", 1)[1])
