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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from stage import MAIN, clean_environment

CTRL_C, CTRL_D = "\x03", "\x04"
PATIENCE = 90.0
TYPED_AGAIN = 5.0  # seconds
_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CLEARED = "\x1b[2J"
_PAINTED = re.compile(r"\x1b\[(?P<row>\d+);1H\x1b\[2K(?P<line>.*?)(?=\x1b\[\d+;1H|\x1b\[\?|$)", re.DOTALL)


@dataclass
class Terminal:
    """A process whose input and output are a terminal, by default of 80 columns."""

    arguments: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    columns: int = 80
    rows: int = 50
    program: tuple[str, ...] = tuple(MAIN)
    shown: str = ""  # since the last answer, without colours
    output: bytes = b""  # since the start, as it was written
    _raw: bytes = b""

    def __enter__(self) -> Self:
        self._terminal, its_end = pty.openpty()
        self.resize(self.columns, self.rows)
        self.first_modes = self.modes
        self.process = subprocess.Popen(  # noqa: S603  our own interpreter
            [*self.program, *self.arguments],
            stdin=its_end,
            stdout=its_end,
            stderr=its_end,
            cwd=self.folder,
            env=_of_a_terminal(clean_environment(self.folder)) | dict(self.environment),
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

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size, of which its process is told."""
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def modes(self) -> list[object]:
        """The modes of the terminal, such as whether it echoes."""
        return list(termios.tcgetattr(self._terminal))

    def picture(self) -> list[str]:
        """The lines that a screen which paints line by line shows now."""
        text = self.output.decode("utf-8", "replace").rpartition(_CLEARED)[2]
        painted = {int(each["row"]): _STYLES.sub("", each["line"]).rstrip() for each in _PAINTED.finditer(text)}
        return [painted.get(row, "") for row in range(1, max(painted, default=0) + 1)]

    def wait_for_picture(self, *texts: str) -> str:
        """The picture, once it has each of these texts."""
        ends = time.monotonic() + PATIENCE
        while not all(text in "\n".join(self.picture()) for text in texts):
            assert self._read(ends), f"{texts} were never shown: {self.picture()}"
        return "\n".join(self.picture())

    def wait_until(self, is_true: Callable[[str], bool]) -> None:
        """Wait until this is true of the picture."""
        ends = time.monotonic() + PATIENCE
        while not is_true("\n".join(self.picture())):
            assert self._read(ends), f"it was never true: {self.picture()}"

    def pass_time(self, seconds: float) -> None:
        """Read what is shown for so long."""
        ends = time.monotonic() + seconds
        while self._read(ends):
            pass

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
        self.output += got
        self.shown = _STYLES.sub("", self._raw.decode("utf-8", "replace")).replace("\r\n", "\n")
        return bool(got)


def _of_a_terminal(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the size of another terminal."""
    return {name: value for name, value in environment.items() if name not in {"COLUMNS", "LINES"}} | {"TERM": "xterm"}


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
