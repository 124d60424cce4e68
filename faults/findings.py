"""The results of a run: violations by the codes of the invariants (docs/reliability.md), and its figures."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken invariant."""

    invariant: str
    at: dt.datetime
    text: str

    def __str__(self) -> str:
        return f"{self.invariant} at {self.at:%H:%M:%S.%f}: {self.text}"


@dataclass(slots=True)
class Findings:
    """The violations of one run, without duplicates."""

    found: list[Violation] = field(default_factory=list)

    def add(self, invariant: str, at: dt.datetime, text: str) -> None:
        """Add a violation unless the same one was added before."""
        if not any(v.invariant == invariant and v.text == text for v in self.found):
            self.found.append(Violation(invariant, at, text))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one day."""

    seed: int
    polls: int
    exits: int
    orders: int
    processes: int
    faults: Counter[str]
    unfired: tuple[str, ...]
    violations: tuple[Violation, ...]
    head: str
    seconds: float

    @property
    def line(self) -> str:
        """The result in one line."""
        fired = " ".join(f"{name}x{count}" for name, count in sorted(self.faults.items()))
        return (
            f"seed {self.seed}: {self.polls} polls, {self.exits} exits, {self.orders} orders, "
            f"{self.processes} processes, faults {fired or 'none'}, "
            f"{len(self.violations)} violations, {self.seconds:.2f} s"
        )
