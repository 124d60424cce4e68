"""Where the time of some work goes: what runs is sampled every millisecond, waiting included.

Unlike cProfile this doesn't make small functions look dear, and what is written in C counts to the Python function that
calls it. Only the main thread is sampled.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import sellctl

EVERY = 0.001
_WAITING = "waiting for answers"
_OURS = "sellctl"
# A part of a file's path, and what it stands for; the first that fits.
_PACKAGE = f"{Path(sellctl.__file__).parent}{os.sep}"
_PLACES = (
    ("selectors.py", _WAITING),
    ("/site-packages/", ""),  # named after the package
    (_PACKAGE, _OURS),
    ("<string>", _OURS),  # what a dataclass has generated
    ("/asyncio/", "asyncio"),
)


@dataclass
class Samples:
    """How often each place was found at work, and each function of ours."""

    places: Counter[str] = field(default_factory=Counter)
    ours: Counter[str] = field(default_factory=Counter)

    def take(self, frame: FrameType) -> None:
        """Poll once."""
        place = _place_of(frame.f_code.co_filename)
        self.places[place] += 1
        if place == _OURS:
            path = frame.f_code.co_filename.removeprefix(_PACKAGE).removesuffix(".py")
            self.ours[f"{path}: {frame.f_code.co_name}"] += 1

    @property
    def total(self) -> int:
        """All samples."""
        return self.places.total()

    @property
    def outside(self) -> float:
        """The share of the time outside our code."""
        return 1 - self.places[_OURS] / max(self.total, 1)

    def told(self) -> str:
        """The shares, the largest first, and the dearest functions of ours."""
        shares = ", ".join(f"{place} {count / self.total:.0%}" for place, count in self.places.most_common(6))
        dearest = ", ".join(f"{name} {count / self.total:.0%}" for name, count in self.ours.most_common(4))
        return f"{shares}" + (f"; of sellctl: {dearest}" if dearest else "")


def _place_of(path: str) -> str:
    for part, place in _PLACES:
        if part in path:
            return place or path.rpartition("/site-packages/")[2].partition("/")[0]
    return "standard library"


@contextmanager
def sampled() -> Iterator[Samples]:
    """Poll at what runs until the block ends."""
    samples = Samples()

    def poll(_number: int, frame: FrameType | None) -> None:
        if frame is not None:
            samples.take(frame)

    before = signal.signal(signal.SIGALRM, poll)
    signal.setitimer(signal.ITIMER_REAL, EVERY, EVERY)
    try:
        yield samples
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
