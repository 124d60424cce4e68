"""Memory and open files of one process over many days, sampled every ten days."""

import gc
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from faults.findings import Outcome

SAMPLE_DAYS = 10
WARM_UP_SAMPLES = 2  # samples until imports, caches and the allocator have reached their size
MAX_GROWTH = 1.0  # MB in ten days
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Sample:
    """The process after some days: its resident memory in MB and its number of open files."""

    days: int
    megabytes: float
    files: int


@dataclass(frozen=True, slots=True)
class Steadiness:
    """Days that ran one after the other in one process, and its samples."""

    outcomes: tuple[Outcome, ...]
    samples: tuple[Sample, ...]

    @property
    def growth(self) -> float:
        """Growth in MB per ten days after the warm-up."""
        settled = self.samples[WARM_UP_SAMPLES - 1 :]
        return (settled[-1].megabytes - settled[0].megabytes) / max(len(settled) - 1, 1)

    @property
    def files(self) -> int:
        """How many more files are open at the end than after the warm-up."""
        settled = self.samples[WARM_UP_SAMPLES - 1 :]
        return settled[-1].files - settled[0].files

    @property
    def holds(self) -> bool:
        """Whether memory grows by less than 1 MB per ten days, and no file stays open."""
        return self.growth < MAX_GROWTH and self.files <= 0

    @property
    def line(self) -> str:
        """The result in one line."""
        last = self.samples[-1]
        return f"{self.growth:+.2f} MB per ten days, {self.files:+d} open files, {last.megabytes:.0f} MB at the end"


def many_days(play: Callable[[int], Outcome], seeds: Sequence[int]) -> Steadiness:
    """Run the days in this process."""
    outcomes, samples = [], []
    for count, seed in enumerate(seeds, 1):
        outcomes.append(play(seed))
        if count % SAMPLE_DAYS == 0:
            samples.append(_sample(count))
    return Steadiness(tuple(outcomes), tuple(samples))


def _sample(days: int) -> Sample:
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return Sample(days, resident * _PAGE / 1e6, sum(1 for _ in Path("/proc/self/fd").iterdir()))
