"""The keys of `watch`, through a terminal: the time to the screen with 200 positions, and what they cost its start."""

import fcntl
import os
import pty
import re
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.load import a_process

POSITIONS = 200
KEY_BOUND_MS = 50
START_BOUND_SECONDS = 0.15
_KEYS = 60
_PAIRS = 7
_FEW = 10  # positions, where the start is measured: with more of one expiry, recognising structures dominates it
_APART_SECONDS = 0.11  # between two keys, so that they come at every moment of a poll
_PATIENCE = 60.0
_MAIN = "from sellctl.app import main; main()"
_CONFIG = """
accounts:
  main: {{api_key: k0, secret_key: s, endpoints: {{trading: "{url}", data: "{url}"}}}}
"""
_STYLES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_QUESTION = b"y does it"


def figures() -> Iterator[tuple[str, str, str]]:
    """Name, measured value, bound."""
    with _broker(POSITIONS) as folder:
        for key, milliseconds in _to_screen(folder).items():
            worst = sorted(milliseconds)[-max(len(milliseconds) // 20, 1)]
            text = f"{statistics.median(milliseconds):.0f} ms (95% within {worst:.0f} ms)"
            yield f"{key} to the screen, {POSITIONS} positions", text, f"<= {KEY_BOUND_MS} ms"
    with _broker(_FEW) as folder:
        _first_screen(folder, keys=True)  # compiles the bytecode, and stores what is remembered
        pairs = [(_first_screen(folder, keys=False), _first_screen(folder, keys=True)) for _ in range(_PAIRS)]
        grown = statistics.median(after - before for before, after in pairs)
        plain, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
        text = f"{grown:+.2f} s (median of {_PAIRS} pairs taken in turns; {ours:.2f} / {plain:.2f} s)"
        yield "what the keys add to the first screen of watch", text, f"<= {START_BOUND_SECONDS} s"


@contextmanager
def _broker(positions: int) -> Iterator[Path]:
    """A folder with the configuration of an account at a canned broker that holds so many positions."""
    with tempfile.TemporaryDirectory() as name, a_process("benchmarks.canned", positions, positions) as broker:
        folder, url = Path(name), f"http://127.0.0.1:{broker.stdout.readline().strip() if broker.stdout else ''}"
        (folder / "config.yml").write_text(_CONFIG.format(url=url))
        (folder / "config.yml").chmod(0o600)
        yield folder


def _to_screen(folder: Path) -> dict[str, list[float]]:
    """Milliseconds from a key until the terminal has got its effect, for a move, an explanation and a question."""
    took: dict[str, list[float]] = {"a key that selects": [], "the key that explains": [], "the key that closes": []}
    with _watch(folder, keys=True) as terminal:
        _wait(terminal, b"? help")
        for number in range(_KEYS):
            time.sleep(_APART_SECONDS)
            took["a key that selects"].append(_timed(terminal, b"j", b"selected: "))
            if number % 4 == 0:
                took["the key that explains"].append(_timed(terminal, b"\r", b"quantity"))
                _timed(terminal, b"\x1b", b"nearest trigger")
                took["the key that closes"].append(_timed(terminal, b"c", _QUESTION))
                _timed(terminal, b"n", b"Nothing was done")
    return took


def _timed(terminal: int, key: bytes, effect: bytes) -> float:
    began = time.perf_counter()
    os.write(terminal, key)
    _wait(terminal, effect)
    return (time.perf_counter() - began) * 1000


def _first_screen(folder: Path, *, keys: bool) -> float:
    """Seconds from the start of the process until the first position is on the terminal."""
    began = time.perf_counter()
    with _watch(folder, keys=keys) as terminal:
        _wait(terminal, b"AAPL 18 Dec 26")
        return time.perf_counter() - began


def _wait(terminal: int, text: bytes) -> None:
    """Read what the terminal gets until it has got this text."""
    got, ends = b"", time.monotonic() + _PATIENCE
    while text not in _STYLES.sub(b"", got):
        ready, _, _ = select.select([terminal], [], [], max(ends - time.monotonic(), 0.0))
        if not ready:
            raise RuntimeError(f"{text!r} was never shown: {got[-500:]!r}")
        got += os.read(terminal, 65_536)


@contextmanager
def _watch(folder: Path, *, keys: bool) -> Iterator[int]:
    """A watch on a terminal of 80x24, of which this is the other end; without keys its input is no terminal."""
    terminal, its_end = pty.openpty()
    fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    options = ("--config", str(folder / "config.yml"), "--state-dir", str(folder / "state"))
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(  # noqa: S603  our own interpreter
        [sys.executable, "-c", _MAIN, *options, "watch"],
        stdin=its_end if keys else subprocess.DEVNULL,
        stdout=its_end,
        stderr=subprocess.DEVNULL,
        env=kept | {"TERM": "xterm"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0),  # noqa: PLW1509  keys need a controlling terminal
    )
    os.close(its_end)
    try:
        yield terminal
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
