"""The terminal of the screen with keys: it reads what is typed, in a thread, and owns the modes that this needs.

A thread, so that each key has the time at which it arrived: an event loop that was busy would see a question answered
later than it was, and keys that came one after the other as one paste. In the background nothing is read and no mode is
changed, because the terminal then belongs to another program.
"""

import os
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Protocol

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[H\x1b[2J"  # alternate screen, no cursor, brackets around a paste
_LEAVE = "\x1b[?2004l\x1b[?25h\x1b[?1049l"
_SEQUENCE_SECONDS = 0.025  # an escape sequence that arrives in parts does so within this time
_LEAVE_SECONDS = 0.5  # how long leaving waits for a terminal that doesn't take its output
_BACKGROUND_SECONDS = 1.0  # between two attempts to read in the background
_MOST = 4096  # bytes in one read
_LOCAL_FLAGS = 3  # the index of the local modes in what tcgetattr returns

OnInput = Callable[[bytes, float], None]


def has_keys() -> bool:
    """Whether stdin is a terminal in whose foreground this process runs, and stdout one too."""
    try:
        return sys.stdin.isatty() and sys.stdout.isatty() and _is_in_foreground(sys.stdin.fileno())
    except (OSError, ValueError, AttributeError):  # closed, or replaced by something without a descriptor
        return False


def _is_in_foreground(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False


class Output(Protocol):
    """Where text for the terminal is queued."""

    def write(self, text: str) -> int:
        """Queue a text."""

    def drain(self, seconds: float) -> bool:
        """Wait until everything is written, at most so long."""


class KeyTerminal:
    """Takes over the terminal between `open` and `close`.

    `on_input` is called in the thread, with bytes and their time; `on_change` by a signal handler, when the terminal
    has another size or this process is back in its foreground.
    """

    def __init__(self, out: Output, on_input: OnInput, on_change: Callable[[], None]) -> None:
        self._out = out
        self._on_input = on_input
        self._on_change = on_change
        self._descriptor = sys.stdin.fileno()
        self._saved: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self._wake_up: tuple[int, int] = (-1, -1)
        self._thread: threading.Thread | None = None
        self.is_ours = False  # whether the screen is shown: not after Ctrl-Z, until it is in the foreground again

    def open(self) -> None:
        """Show an empty screen and begin to read."""
        self._saved = termios.tcgetattr(self._descriptor)
        for number, handler in (
            (signal.SIGWINCH, self._on_signal),
            (signal.SIGCONT, self._on_continue),
            (signal.SIGTSTP, self._on_stop),
            (signal.SIGTTIN, signal.SIG_IGN),  # reading in the background then fails, and doesn't stop the watcher
            (signal.SIGTTOU, signal.SIG_IGN),
        ):
            self._handlers[number] = signal.signal(number, handler)
        self._take()
        self._wake_up = os.pipe()
        self._thread = threading.Thread(target=self._read_all, name="sellctl-keys", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give the terminal back as it was. What was typed and not read is discarded: the shell must not get it."""
        if self._saved is None:
            return
        if self._thread:
            os.write(self._wake_up[1], b"\0")
            self._thread.join()
        for descriptor in self._wake_up:
            os.close(descriptor)
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._saved = None

    def _take(self) -> None:
        if self._saved is None or not _is_in_foreground(self._descriptor):
            return
        modes = [*self._saved]
        modes[_LOCAL_FLAGS] = modes[_LOCAL_FLAGS] & ~(termios.ICANON | termios.ECHO)
        with suppress(termios.error):
            termios.tcsetattr(self._descriptor, termios.TCSANOW, modes)
            termios.tcflush(self._descriptor, termios.TCIFLUSH)  # what was typed before anything was shown
        self._out.write(_ENTER)
        self.is_ours = True

    def _give_back(self) -> None:
        if self.is_ours:
            self._out.write(_LEAVE)
            self._out.drain(_LEAVE_SECONDS)
            self.is_ours = False
        if _is_in_foreground(self._descriptor):
            with suppress(termios.error):
                termios.tcflush(self._descriptor, termios.TCIFLUSH)
                # at once: after the output, as usual, could mean to wait for a terminal that doesn't take any
                termios.tcsetattr(self._descriptor, termios.TCSANOW, self._saved or [])

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._on_change()

    def _on_continue(self, _number: int, _frame: FrameType | None) -> None:
        self._take()
        self._on_change()

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        """Give the terminal back before Ctrl-Z stops this process."""
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _read_all(self) -> None:
        while True:
            try:
                if not self._wait_for_input(None):
                    return
                at = time.monotonic()
                data = os.read(self._descriptor, _MOST)
                if data == b"\x1b" and self._wait_for_input(_SEQUENCE_SECONDS):
                    data += os.read(self._descriptor, _MOST)
            except OSError:
                # In the background there is nothing to read. Else the terminal is gone, and the watcher goes on.
                if _is_in_foreground(self._descriptor) or self._ends_within(_BACKGROUND_SECONDS):
                    return
                continue
            if not data:
                return
            self._on_input(data, at)

    def _wait_for_input(self, seconds: float | None) -> bool:
        """Whether there is input, and not the end."""
        ready, _, _ = select.select([self._descriptor, self._wake_up[0]], [], [], seconds)
        return bool(ready) and self._wake_up[0] not in ready

    def _ends_within(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._wake_up[0]], [], [], seconds)
        return bool(ready)
