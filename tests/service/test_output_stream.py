"""A stream that never waits for its reader: what a slow one, a stalled one and a lost one get."""

import io
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

import pytest

from sellctl.service.output_stream import OutputStream, output_stream


@dataclass
class Pipe:
    """A pipe whose other end reads only when the test does."""

    reader: int
    writer: TextIO

    def read_all(self) -> str:
        """Close the writing end, and read to the end."""
        self.writer.close()
        with os.fdopen(self.reader, encoding="utf-8") as file:
            return file.read()

    def start_to_read(self) -> Callable[[], str]:
        """Read in the background. The function returned closes the writing end and returns everything that was read."""
        parts: list[bytes] = []

        def read() -> None:
            while part := os.read(self.reader, 65_536):
                parts.append(part)

        def read_to_the_end() -> str:
            self.writer.close()
            thread.join(10)
            return b"".join(parts).decode()

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return read_to_the_end


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as file:
        yield Pipe(reader, file)


def note(count: int) -> str:
    return f"[{count} dropped]\n"


def test_a_reader_that_reads_gets_everything_in_order(pipe: Pipe) -> None:
    out = OutputStream(pipe.writer)
    lines = [f"{number}\n" for number in range(1_000)]
    for line in lines:
        print(line, end="", file=out)
    assert out.drain()
    assert pipe.read_all() == "".join(lines)
    assert out.dropped == 0


def test_a_reader_that_stalls_delays_nobody_and_finds_the_count_of_what_it_missed(pipe: Pipe) -> None:
    out = OutputStream(pipe.writer, note=note, most=100_000)
    line = "x" * 99 + "\n"
    for _ in range(50_000):
        out.write(line)
    assert not out.drain(0.01)
    assert out.dropped > 45_000
    read_to_the_end = pipe.start_to_read()
    assert out.drain(10)
    out.write("later\n")
    assert out.drain(10)
    text = read_to_the_end()
    assert text.endswith(" dropped]\nlater\n")
    assert text.count(line) + out.dropped == 50_000
    assert sum(int(count) for count in re.findall(r"\[(\d+) dropped\]", text)) == out.dropped


def test_a_text_longer_than_the_queue_is_not_dropped_when_nothing_waits(pipe: Pipe) -> None:
    out = OutputStream(pipe.writer, most=10)
    out.write("x" * 1_000)
    assert out.drain()
    assert pipe.read_all() == "x" * 1_000


def test_a_pipe_that_does_not_block_gets_everything_too(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer.fileno(), False)
    out = OutputStream(pipe.writer)
    out.write("x" * 300_000)
    read_to_the_end = pipe.start_to_read()
    assert out.drain(10)
    assert read_to_the_end() == "x" * 300_000


def test_a_reader_that_has_gone_is_told_and_later_texts_cost_nothing(pipe: Pipe) -> None:
    os.close(pipe.reader)
    out = OutputStream(pipe.writer)
    out.write("lost\n")
    out.drain()
    assert out.problem == "its reader has gone"
    out.write("lost too\n")
    assert out.is_idle or out.drain()


def test_a_stream_that_cannot_stall_is_written_at_once() -> None:
    memory = io.StringIO()
    out = OutputStream(memory)
    out.write("now")
    assert (memory.getvalue(), out.is_idle, out.problem) == ("now", True, "")


def test_what_the_encoding_lacks_is_escaped() -> None:
    memory = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    OutputStream(memory).write("5 €")
    memory.seek(0)
    assert memory.read() == "5 \\u20ac"


def test_only_text_can_be_written_and_a_stream_is_wrapped_once(pipe: Pipe) -> None:
    out = output_stream(pipe.writer)
    with pytest.raises(TypeError):
        out.write(b"bytes")  # type: ignore[arg-type]
    assert output_stream(out) is out
    assert (out.fileno(), out.isatty(), out.encoding) == (pipe.writer.fileno(), False, "utf-8")
