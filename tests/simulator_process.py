"""`sellctl sim` as a process: what it says at its start, and its control endpoint."""

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from stage import MAIN, clean_environment, end_of

_LAST = "  curl "  # how the last line of its start begins


@dataclass(frozen=True)
class Simulator:
    """A running simulator. `lines` are those of its start."""

    folder: Path
    lines: list[str]

    @property
    def url(self) -> str:
        line = next(line for line in self.lines if "listens on" in line)
        return line.split("listens on ")[1].split(": ")[0]

    @property
    def keys(self) -> dict[str, str]:
        """The keys that it named, as headers."""
        line = next(line for line in self.lines if line.startswith("Keys of main"))
        key, secret = line.split(": ")[1].split(" and ")
        return {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}

    def get(self, path: str) -> Any:
        """The answer to a request, with the keys of the account."""
        with urlopen(Request(f"{self.url}{path}", headers=self.keys)) as answer:  # noqa: S310  loopback
            return json.load(answer)

    def command(self, ending: str) -> str:
        """The command line that it named, with this ending."""
        return next(line.strip() for line in self.lines if line.startswith("  ") and line.endswith(ending))


@contextlib.contextmanager
def a_simulator(folder: Path, *arguments: str) -> Iterator[Simulator]:
    """Start the simulator in a folder, on any free port, and end it."""
    process = subprocess.Popen(  # noqa: S603  our own interpreter
        [*MAIN, "sim", "--port", "0", *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=clean_environment(folder),
    )
    kill = threading.Timer(20, process.kill)  # a start that hangs must not hang the tests
    kill.start()
    try:
        yield Simulator(folder, _lines_of_the_start(process, kill))
    finally:
        process.terminate()
        end_of(process)


def _lines_of_the_start(process: "subprocess.Popen[str]", kill: threading.Timer) -> list[str]:
    assert process.stderr
    lines = []
    for line in process.stderr:
        lines.append(line.rstrip("\n"))
        if line.startswith(_LAST):
            break
    kill.cancel()
    return lines
