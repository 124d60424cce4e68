"""Text output that never waits for its reader: a pipe or terminal is written by a thread, from a bounded queue.

A reader that stalls costs itself the newest texts, which are counted, and delays nobody. What is still queued when the
process ends is written for at most DRAIN_SECONDS.
"""

import atexit
import io
import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

DRAIN_SECONDS = 2.0
_MOST = 1_000_000  # characters in the queue


class OutputStream(io.TextIOBase):
    """Writes to a stream without ever waiting for it. Files and other streams that can't stall are written at once.

    `note` makes the text that stands in the place of so many dropped ones; without it they are only counted.
    """

    def __init__(self, stream: TextIO, *, note: Callable[[int], str] | None = None, most: int = _MOST) -> None:
        super().__init__()
        self._stream = stream
        self._note = note
        self._most = most
        self._descriptor = _descriptor_that_may_stall(stream)
        self._queue: deque[str] = deque()
        self._queued = 0  # characters in the queue
        self._unnoted = 0  # dropped since the last note
        self._is_writing = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self.dropped = 0  # texts, since the start
        self.problem = ""  # why nothing can be written any more, as when the reader has gone

    def write(self, text: str) -> int:
        """Queue a text; it is dropped when the queue is full."""
        if not isinstance(text, str):
            raise TypeError("only text can be written")
        if self._descriptor is None:
            self._write_at_once(text)
            return len(text)
        with self._changed:
            if self.problem or not text:
                return len(text)
            if self._queue and self._queued + len(text) > self._most:
                self.dropped += 1
                self._unnoted += 1
                return len(text)
            self._queue_note()
            self._put(text)
            if self._thread is None:
                self._start()
            self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Do nothing: waiting for the reader is what this class avoids. See `drain`."""

    def drain(self, seconds: float = DRAIN_SECONDS) -> bool:
        """Wait until everything is written, at most so long. Returns whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_idle or bool(self.problem), seconds)

    @property
    def is_idle(self) -> bool:
        """Whether everything has been written."""
        return not self._queue and not self._is_writing

    # --- what other libraries ask a stream ----------------------------------------------------------------------------

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream."""
        return self._stream.encoding or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """What the encoding lacks is escaped."""
        return "backslashreplace"

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The descriptor of the stream."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """Always true."""
        return True

    # --- internals ----------------------------------------------------------------------------------------------------

    def _encoded(self, text: str) -> bytes:
        return text.encode(self.encoding, self.errors)

    def _write_at_once(self, text: str) -> None:
        try:
            self._stream.write(self._encoded(text).decode(self.encoding))
            self._stream.flush()
        except OSError as error:
            self.problem = self.problem or _sentence(error)

    def _put(self, text: str) -> None:
        self._queue.append(text)
        self._queued += len(text)

    def _queue_note(self) -> None:
        if self._unnoted and self._note:
            self._put(self._note(self._unnoted))
        self._unnoted = 0

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._write_all, name="sellctl-output", daemon=True)
        self._thread.start()
        atexit.register(self.drain)

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._is_writing = False
                if not self._queue:
                    self._queue_note()
                self._changed.notify_all()
                self._changed.wait_for(lambda: bool(self._queue))
                text = self._queue.popleft()
                self._queued -= len(text)
                self._is_writing = True
            try:
                _write_to(self._descriptor or 0, self._encoded(text))
            except OSError as error:
                with self._changed:
                    self.problem = _sentence(error)
                    self._queue.clear()
                    self._changed.notify_all()
                return


def output_stream(stream: TextIO, note: Callable[[int], str] | None = None) -> OutputStream:
    """The stream as one that never waits; one that is so already is returned as it is."""
    return stream if isinstance(stream, OutputStream) else OutputStream(stream, note=note)


def may_stall(stream: TextIO) -> bool:
    """Whether writing to the stream may have to wait for a reader."""
    return _descriptor_that_may_stall(stream) is not None


def _descriptor_that_may_stall(stream: TextIO) -> int | None:
    """The stream's descriptor when a reader is behind it: a pipe, a socket or a terminal."""
    with suppress(OSError, ValueError, AttributeError):  # a stream in memory has none
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor):
            return descriptor
    return None


def _write_to(descriptor: int, content: bytes) -> None:
    """Write everything, also to a descriptor that doesn't block. OSError when the reader has gone."""
    left = memoryview(content)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


def _sentence(error: OSError) -> str:
    return "its reader has gone" if isinstance(error, BrokenPipeError) else str(error.strerror)
