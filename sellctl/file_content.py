"""Reads a file that a user names, which may be a pipe: `--config <(command)`, or the FIFO of a program for secrets.

A pipe gives its content once, while a command reads its configuration several times. So the content of one is
remembered as long as the process runs.
"""

import os
import select
import stat
from functools import cache
from pathlib import Path
from typing import Final

PIPE_SECONDS: Final = 5.0  # how long a pipe may say nothing
_CHUNK = 65_536


def read_content(path: Path, most_bytes: int) -> tuple[int, bytes]:
    """The mode of a file and its content, cut after `most_bytes`. OSError when it can't be read."""
    if not stat.S_ISFIFO(path.stat().st_mode):
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_mode, file.read(most_bytes)
    return _pipe_content(path, most_bytes)


@cache
def _pipe_content(path: Path, most_bytes: int) -> tuple[int, bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.fstat(descriptor).st_mode, _read(descriptor, path, most_bytes)
    finally:
        os.close(descriptor)


def _read(descriptor: int, path: Path, most_bytes: int) -> bytes:
    """What is written to a pipe until its end. TimeoutError when nothing is for PIPE_SECONDS."""
    poll, content = select.poll(), b""
    poll.register(descriptor, select.POLLIN)
    while len(content) < most_bytes:
        if not poll.poll(PIPE_SECONDS * 1000):
            raise TimeoutError(0, "nothing is written to this pipe", str(path))
        chunk = os.read(descriptor, min(_CHUNK, most_bytes - len(content)))
        if not chunk:
            break
        content += chunk
    return content
