"""The transport over stdin and stdout. A thread reads stdin, so that a signal ends the process while it waits."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server

LONGEST_LINE = 1_000_000  # bytes; calls are far shorter
_AT_ONCE = 65_536  # bytes
_STDIN = 0


async def serve(server: Server[Any]) -> None:
    """Serve one client until it closes stdin. What else is printed on stdout meanwhile goes to stderr."""
    sys.stdout.flush()
    lines: Any = _Lines(_private_stdin())  # of a file, only its lines are read
    async with stdio_server(stdin=lines) as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def _private_stdin() -> int:
    """A descriptor of stdin that only this module reads: child processes get the null device."""
    private = os.dup(_STDIN)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, _STDIN)
    os.close(null)
    return private


class _Lines:
    """The lines of a descriptor. One that is too long is replaced by a blank one, which is no message."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._room = threading.Semaphore(100)  # lines that may wait
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    async def __aiter__(self) -> AsyncIterator[str]:
        while (line := await self._lines.get()) is not None:
            self._room.release()
            yield line

    def _read(self) -> None:
        """Read to the end of stdin. Runs in its thread."""
        kept, is_too_long = b"", False
        while content := self._content():
            *whole, kept = (kept + content).split(b"\n")
            for line in whole:
                self._pass_on("" if is_too_long else line.decode("utf-8", "replace"))
                is_too_long = False
            if len(kept) > LONGEST_LINE:
                kept, is_too_long = b"", True
        self._pass_on(None)

    def _content(self) -> bytes:
        try:
            return os.read(self._descriptor, _AT_ONCE)
        except OSError:
            return b""

    def _pass_on(self, line: str | None) -> None:
        self._room.acquire()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._lines.put_nowait, line)
