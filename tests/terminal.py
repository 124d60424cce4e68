"""The real program on a pseudo-terminal, so that its questions can be answered as a person would."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from stage import MAIN, clean_environment

CTRL_C, CTRL_D = "\x03", "\x04"
PATIENCE = 90.0
TYPED_AGAIN = 5.0  # seconds
_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Terminal:
    """A process whose input and output are a terminal of 80 columns."""

    arguments: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    columns: int = 80
    shown: str = ""  # since the last answer, without colours
    _raw: bytes = b""

    def __enter__(self) -> Self:
        self._terminal, its_end = pty.openpty()
        fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", 50, self.columns, 0, 0))
        self.process = subprocess.Popen(  # noqa: S603  our own interpreter
            [*MAIN, *self.arguments],
            stdin=its_end,
            stdout=its_end,
            stderr=its_end,
            cwd=self.folder,
            env=clean_environment(self.folder) | {"TERM": "xterm"} | dict(self.environment),
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509  Ctrl-C reaches only processes of a controlling terminal
        )
        os.close(its_end)
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._terminal)

    def wait_for(self, text: str) -> str:
        """What was shown since the last answer, once it has the text."""
        ends = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert self._read(ends), f"{text!r} was never shown: {self.shown}"
        return self.shown

    def answer(self, text: str) -> None:
        """Type a text and the key that ends it."""
        self.shown, self._raw = "", b""
        os.write(self._terminal, text.encode())

    def end(self) -> int:
        """The exit status, once the program has ended."""
        ends = time.monotonic() + PATIENCE
        while self._read(ends):
            pass
        return self.process.wait(timeout=PATIENCE)

    def end_by(self, keys: str) -> int:
        """The exit status after a last answer, such as Ctrl-C. As a person does, type it again where nothing happens.

        Python loses a signal that arrives after a question was written and before input is awaited.
        """
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            self.answer(keys)
            until = time.monotonic() + TYPED_AGAIN
            while self._read(until):
                pass
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(timeout=max(until - time.monotonic(), 0.0))
        return self.end()

    def _read(self, ends: float) -> bool:
        """Whether anything more was shown before the end of the program and of the patience."""
        ready, _, _ = select.select([self._terminal], [], [], max(ends - time.monotonic(), 0.0))
        if not ready:
            return False
        try:
            got = os.read(self._terminal, 65_536)
        except OSError:  # Linux: the other end is closed
            return False
        self._raw += got
        self.shown = _STYLES.sub("", self._raw.decode("utf-8", "replace")).replace("\r\n", "\n")
        return bool(got)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
