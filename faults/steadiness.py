"""What many days in one process cost: its memory and its open files, sampled every ten days."""

import gc
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from faults.findings import Outcome

EVERY = 10
SETTLED = 2  # samples until imports, caches and the allocator have taken what they take once
MOST_GROWTH = 1.0  # MB in ten days
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Sample:
    """One process after some days: resident memory in MB, and how many files it has open."""

    days: int
    megabytes: float
    files: int


@dataclass(frozen=True, slots=True)
class Steadiness:
    """Days played one after the other in one process, and what they left behind."""

    outcomes: tuple[Outcome, ...]
    samples: tuple[Sample, ...]

    @property
    def growth(self) -> float:
        """MB in ten days, from when the process had settled to its end."""
        settled = self.samples[SETTLED - 1 :]
        return (settled[-1].megabytes - settled[0].megabytes) / max(len(settled) - 1, 1)

    @property
    def files(self) -> int:
        """How many more files are open at the end."""
        settled = self.samples[SETTLED - 1 :]
        return settled[-1].files - settled[0].files

    @property
    def holds(self) -> bool:
        """Whether memory grows by less than 1 MB in ten days, and files don't."""
        return self.growth < MOST_GROWTH and self.files <= 0

    @property
    def line(self) -> str:
        """The result in one line."""
        last = self.samples[-1]
        return f"{self.growth:+.2f} MB in ten days, {self.files:+d} open files, {last.megabytes:.0f} MB at the end"


def many_days(play: Callable[[int], Outcome], seeds: Sequence[int]) -> Steadiness:
    """Play them in this process."""
    outcomes, samples = [], []
    for place, seed in enumerate(seeds, 1):
        outcomes.append(play(seed))
        if place % EVERY == 0:
            samples.append(_sample(place))
    return Steadiness(tuple(outcomes), tuple(samples))


def _sample(days: int) -> Sample:
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return Sample(days, resident * _PAGE / 1e6, sum(1 for _ in Path("/proc/self/fd").iterdir()))
