"""The bench's programmes, short and long: how much of everything, on two cores, and the table of what came of it."""

import multiprocessing
import resource
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from faults.crash import Crash, cases, crash
from faults.day import play
from faults.kill9 import Killing, kill_at_random
from faults.planted import BUGS, Bug, Hunt, hunt
from faults.two import Pair, play_pair
from faults.verdicts import Outcome, Violation

T = TypeVar("T")
R = TypeVar("R")
Tell = Callable[[str], None]
CORES = 2


@dataclass(frozen=True, slots=True)
class Programme:
    """How many of each."""

    days: int
    sdk_days: int
    matrix_seeds: int
    pairs: int
    kills: int
    bugs: int
    seed_pairs: int


QUICK = Programme(days=500, sdk_days=30, matrix_seeds=1, pairs=10, kills=6, bugs=6, seed_pairs=4)
FULL = Programme(days=4000, sdk_days=300, matrix_seeds=20, pairs=200, kills=200, bugs=len(BUGS), seed_pairs=50)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table."""

    what: str
    count: int
    detail: str
    violations: int
    seconds: float

    @property
    def cells(self) -> str:
        """As markdown."""
        return f"| {self.what} | {self.count} | {self.detail} | {self.violations} | {self.seconds:.0f} |"


HEADER = ("| what | runs | in them | violations | seconds |", "|---|---:|---|---:|---:|")


def run_bench(programme: Programme, tell: Tell) -> int:
    """Everything; the table at the end. 1 when anything was violated."""
    lines: list[Line] = []
    with multiprocessing.get_context("spawn").Pool(CORES, _quiet) as pool:

        def spread(work: Callable[[T], R], over: Iterable[T]) -> Iterator[R]:
            return pool.imap_unordered(work, over, chunksize=1)

        lines.append(_days("coarse days", spread(_coarse, range(1, programme.days + 1)), tell))
        lines.append(_days("days through the SDK", spread(_sdk, range(1, programme.sdk_days + 1)), tell))
        all_cases = (case for seed in range(1, programme.matrix_seeds + 1) for case in cases(seed))
        lines.append(_crashes(spread(crash, all_cases), tell))
        lines.append(_pairs(spread(_pair, range(1, programme.pairs + 1)), tell))
        lines.append(_kills(spread(kill_at_random, range(1, programme.kills + 1)), tell))
        lines.append(_seed_pairs(spread(_twice, range(1, programme.seed_pairs + 1)), tell))
        lines.append(_bugs(spread(hunt_by_name, [bug.name for bug in spread_out(programme.bugs)]), tell))
    for row in (*HEADER, *(line.cells for line in lines), _memory()):
        tell(row)
    return 1 if any(line.violations for line in lines) else 0


def run_planted(count: int, tell: Tell) -> int:
    """Only the planted bugs."""
    with multiprocessing.get_context("spawn").Pool(CORES, _quiet) as pool:
        line = _bugs(pool.imap_unordered(hunt_by_name, [bug.name for bug in spread_out(count)]), tell)
    tell(f"{line.count - line.violations} of {line.count} planted bugs found ({line.detail})")
    return 1 if line.violations else 0


def spread_out(count: int) -> list[Bug]:
    """So many bugs, from all over the list."""
    return [BUGS[place * len(BUGS) // count] for place in range(count)]


def hunt_by_name(name: str) -> Hunt:
    """One planted bug, in whichever process."""
    return hunt(next(bug for bug in BUGS if bug.name == name))


def _quiet() -> None:
    warnings.filterwarnings("ignore", "coroutine .* was never awaited")


def _coarse(seed: int) -> Outcome:
    return play(seed)


def _sdk(seed: int) -> Outcome:
    return play(seed, sdk=True)


def _pair(seed: int) -> Pair:
    return play_pair(seed, shared=seed % 2 == 0)


def _twice(seed: int) -> bool:
    return play(seed).head == play(seed).head


def _days(what: str, outcomes: Iterable[Outcome], tell: Tell) -> Line:
    started, looks, exits, lives, count, broken = time.perf_counter(), 0, 0, 0, 0, 0
    faults: Counter[str] = Counter()
    for outcome in outcomes:
        count, looks, exits, lives = count + 1, looks + outcome.looks, exits + outcome.exits, lives + outcome.lives
        faults += outcome.faults
        if outcome.violations or outcome.unfired:
            broken += 1
            _tell_violations(outcome.line, outcome.violations, tell)
            if outcome.unfired:
                tell(f"  drawn and never struck: {', '.join(outcome.unfired)}")
    detail = f"{looks} looks, {exits} exits, {sum(faults.values())} faults of {len(faults)} kinds, {lives} processes"
    return Line(what, count, detail, broken, time.perf_counter() - started)


def _tell_violations(what: str, violations: Iterable[Violation], tell: Tell) -> None:
    tell(what)
    for violation in violations:
        tell(f"  {violation}")


def _crashes(crashes: Iterable[Crash], tell: Tell) -> Line:
    started, count, broken, steps = time.perf_counter(), 0, 0, set[str]()
    for each in crashes:
        count += each.happened
        steps.add(each.case.step)
        if each.violations:
            broken += 1
            _tell_violations(str(each.case), each.violations, tell)
    return Line("crash matrix", count, f"kills at {len(steps)} named steps", broken, time.perf_counter() - started)


def _pairs(pairs: Iterable[Pair], tell: Tell) -> Line:
    started, count, orders, refused, broken = time.perf_counter(), 0, 0, 0, 0
    for pair in pairs:
        count, orders, refused = count + 1, orders + pair.orders, refused + pair.refused
        if pair.violations:
            broken += 1
            _tell_violations(f"pair {pair.seed}", pair.violations, tell)
    detail = f"{orders} orders taken, {refused} of the other's refused"
    return Line("two watchers at once", count, detail, broken, time.perf_counter() - started)


def _kills(killings: Iterable[Killing], tell: Tell) -> Line:
    started, count, died, broken = time.perf_counter(), 0, 0, 0
    for killing in killings:
        count, died = count + 1, died + killing.kills
        if killing.faults:
            broken += 1
            tell(f"kill -9, seed {killing.seed}: {'; '.join(killing.faults)}")
    detail = f"{died} real processes killed over HTTP"
    return Line("kill -9 at a random instant", count, detail, broken, time.perf_counter() - started)


def _seed_pairs(equal: Iterable[bool], tell: Tell) -> Line:
    started, results = time.perf_counter(), list(equal)
    if not all(results):
        tell("the same seed ended with two journal heads")
    detail = "equal journal heads"
    return Line("seeds played twice", len(results), detail, results.count(False), time.perf_counter() - started)


def _bugs(hunts: Iterable[Hunt], tell: Tell) -> Line:
    started, found = time.perf_counter(), list(hunts)
    for each in found:
        tell(f"planted: {each.name}: " + (f"seed {each.seed}: {each.shown}" if each.seed else "NOT FOUND"))
    missed, most = sum(not each.seed for each in found), max((each.tried for each in found), default=0)
    detail = f"{len(found) - missed} found, the last after {most} seeds"
    return Line("planted bugs", len(found), detail, missed, time.perf_counter() - started)


def _memory() -> str:
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return f"| memory of the largest process | | {most:.0f} MB | | |"
