"""Paints pictures, which are lines, on a terminal; and raises the alarm when the event loop doesn't bring any more."""

import threading
import time
from collections.abc import Callable
from typing import TextIO, cast

from rich.console import Console
from rich.text import Text

from sellctl.service.output_stream import OutputStream
from sellctl.ui.frame import frozen_frame
from sellctl.ui.grid import Line

BLOCKED_SECONDS = 3.0  # without a sign of life of the event loop, the screen is stale
_WATCHDOG_SECONDS = 0.5
_SMALLEST = (10, 3)  # columns and lines that a picture is made for, however small the terminal is
_CLEAR = "\x1b[2J"


class Painter:
    """Writes pictures to the terminal, of each only the lines that have changed. Safe to use from two threads."""

    def __init__(self, out: OutputStream) -> None:
        self._out = out
        self._lock = threading.Lock()
        self.console = Console(file=cast("TextIO", out), highlight=False)
        self._painted: list[str] = []
        self._painted_size = (0, 0)
        self._lines: tuple[Line, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal."""
        width, height = self.console.size
        return max(width, _SMALLEST[0]), max(height, _SMALLEST[1])

    def forget(self) -> None:
        """Paint the next picture wholly: the terminal may have changed what it shows."""
        with self._lock:
            self._painted = []

    def paint(self, lines: tuple[Line, ...]) -> None:
        """Paint a picture."""
        with self._lock:
            self._lines = lines
            self._write(lines)

    def paint_frozen(self, seconds: float) -> None:
        """Paint the last picture again as a stale one."""
        with self._lock:
            self._write(tuple(frozen_frame(self._lines, seconds, self.size)))

    def _write(self, lines: tuple[Line, ...]) -> None:
        text = Text("\n").join(Text.assemble(*line) for line in lines)
        with self.console.capture() as captured:
            self.console.print(text, end="", soft_wrap=True)
        painted = captured.get().split("\n")
        if self.size != self._painted_size:
            self._painted, self._painted_size = [], self.size
        changes = [] if self._painted else [_CLEAR]
        changes += [
            f"\x1b[{row + 1};1H\x1b[2K{line}"
            for row, line in enumerate(painted)
            if row >= len(self._painted) or line != self._painted[row]
        ]
        if len(painted) < len(self._painted):
            changes.append(f"\x1b[{len(painted) + 1};1H\x1b[J")
        if changes:
            self._out.write("".join(changes))
        self._painted = painted


class Watchdog:
    """Calls `alarm` with the seconds since the event loop gave its last sign of life, when these are too many."""

    def __init__(
        self, alarm: Callable[[float], None], blocked: float = BLOCKED_SECONDS, every: float = _WATCHDOG_SECONDS
    ) -> None:
        self._alarm = alarm
        self._blocked = blocked
        self._every = every
        self._beat_at = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sellctl-screen", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self.beat()
        self._thread.start()

    def stop(self) -> None:
        """End it, and wait until it has."""
        self._stopped.set()
        self._thread.join()

    def beat(self) -> None:
        """The event loop is alive."""
        self._beat_at = time.monotonic()

    def _watch(self) -> None:
        while not self._stopped.wait(self._every):
            silent = time.monotonic() - self._beat_at
            if silent > self._blocked:
                self._alarm(silent)
