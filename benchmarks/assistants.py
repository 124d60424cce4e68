"""A reading tool of `sellctl mcp` at 50 accounts of 20 positions: from the call to the whole answer, over stdio."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.canned import symbol_of
from benchmarks.load import a_process

ACCOUNTS, HELD, SYMBOLS = 50, 20, 200
BOUND_MS = 100
_CALLS = 40
_PROTOCOL = "2025-06-18"
_TOOLS: tuple[tuple[str, dict[str, object]], ...] = (
    ("positions", {}),
    ("positions", {"limit": 1000}),
    ("plan", {}),
    ("explain", {"name": symbol_of(0), "account": "a0"}),
)


def figures() -> Iterator[tuple[str, str, str]]:
    """Name, measured value, bound."""
    with tempfile.TemporaryDirectory() as name, a_process("benchmarks.canned", HELD, SYMBOLS) as broker:
        url = f"http://127.0.0.1:{broker.stdout.readline().strip() if broker.stdout else ''}"
        client = _Client(Path(name), url)
        try:
            client.start()
            for tool, arguments in _TOOLS:
                times, size = client.times(tool, arguments)
                called = f"{tool}({', '.join(f'{key}={value}' for key, value in arguments.items())})"
                slow = sorted(times)[int(len(times) * 0.95)]
                yield (
                    f"mcp: {called} at {ACCOUNTS} x {HELD}",
                    f"{statistics.median(times) * 1000:.0f} ms (95%: {slow * 1000:.0f} ms; {size / 1000:.0f} kB)",
                    f"<= {BOUND_MS} ms",
                )
        finally:
            client.process.kill()


class _Client:
    """A client that has started the server. It parses the answers no further than to find their end."""

    def __init__(self, folder: Path, url: str) -> None:
        config = folder / "config.yml"
        endpoints = f"{{trading: '{url}', data: '{url}'}}"
        accounts = (f"  a{n}: {{api_key: k{n}, secret_key: s, endpoints: {endpoints}}}\n" for n in range(ACCOUNTS))
        config.write_text(f"accounts:\n{''.join(accounts)}market_data: {{option_feed: indicative}}\n")
        config.chmod(0o600)
        code = "from sellctl.app import main; main()"
        arguments = ["--config", str(config), "--state-dir", str(folder / "state"), "mcp"]
        self.process = subprocess.Popen(  # noqa: S603  ours
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._number = 0

    def start(self) -> None:
        """Connect, and wait until every account was read."""
        client = {"protocolVersion": _PROTOCOL, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
        self._ask("initialize", client)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        ends = time.monotonic() + 60
        while f'"positions": {ACCOUNTS * HELD}' not in self._call("positions", {})["result"]["content"][0]["text"]:
            if time.monotonic() > ends:
                raise TimeoutError("the accounts were not read")
            time.sleep(0.5)

    def times(self, tool: str, arguments: dict[str, object]) -> tuple[list[float], int]:
        """The seconds of each call, and the size of an answer in bytes."""
        times, size = [], 0
        for _ in range(_CALLS):
            began = time.monotonic()
            self._number += 1
            self._send(_call(self._number, tool, arguments))
            size = len(self._line())
            times.append(time.monotonic() - began)
            time.sleep(0.05)
        return times, size

    def _call(self, tool: str, arguments: dict[str, object]) -> Any:
        self._number += 1
        self._send(_call(self._number, tool, arguments))
        return json.loads(self._line())

    def _ask(self, method: str, params: Mapping[str, object]) -> Any:
        self._number += 1
        self._send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        return json.loads(self._line())

    def _send(self, message: dict[str, object]) -> None:
        if self.process.stdin:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()

    def _line(self) -> str:
        return self.process.stdout.readline() if self.process.stdout else ""


def _call(number: int, tool: str, arguments: dict[str, object]) -> dict[str, object]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
