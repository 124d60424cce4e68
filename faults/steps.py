"""The named steps of a cycle, and who dies at them: a kill -9 inside one process is an exception that ends the loop."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

Step = Callable[[str], None]


class Killed(SystemExit):
    """The process is gone at this very step. A SystemExit, because asyncio stops dead at one and runs nothing more."""


@dataclass(slots=True)
class Steps:
    """Counts every step and kills where told: at the nth time of one name, or by chance."""

    kill_at: str = ""
    nth: int = 1
    rate: float = 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311  a bench's seed, not a secret
    seen: Counter[str] = field(default_factory=Counter)
    total: int = 0
    sure: int = 0  # dies at this many steps (0: nowhere)
    kills: int = 0
    dead: bool = False

    def __call__(self, name: str) -> None:
        """A step is reached."""
        if self.dead:
            raise Killed(name)
        self.seen[name] += 1
        self.total += 1
        chosen = (name == self.kill_at and self.seen[name] == self.nth) or self.total == self.sure
        if chosen or (self.rate and self.rng.random() < self.rate):
            self.kills += 1
            self.dead = True
            raise Killed(name)

    def revive(self) -> None:
        """The next process."""
        self.dead = False
