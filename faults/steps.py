"""Named steps of the program at which a run can be killed. A kill is an exception that ends the event loop."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

Step = Callable[[str], None]


class Killed(SystemExit):
    """The process was killed at a step. A SystemExit, because asyncio stops at one without running anything else."""


@dataclass(slots=True)
class Steps:
    """Counts the steps and kills at the nth occurrence of one, after a number of steps, or with a probability."""

    kill_at: str = ""
    nth: int = 1
    rate: float = 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311  a bench's seed, not a secret
    seen: Counter[str] = field(default_factory=Counter)
    total: int = 0
    kill_at_total: int = 0  # dies at this many steps (0: nowhere)
    kills: int = 0
    killed: bool = False

    def __call__(self, name: str) -> None:
        """Count a step, or raise Killed."""
        if self.killed:
            raise Killed(name)
        self.seen[name] += 1
        self.total += 1
        chosen = (name == self.kill_at and self.seen[name] == self.nth) or self.total == self.kill_at_total
        if chosen or (self.rate and self.rng.random() < self.rate):
            self.kills += 1
            self.killed = True
            raise Killed(name)

    def restart(self) -> None:
        """Begin the next process."""
        self.killed = False
