"""The bench's programmes, short and long: how much of everything, on two cores, and the table of what came of it."""

import itertools
import multiprocessing
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.pool import AsyncResult, Pool
from pathlib import Path
from typing import TypeVar, cast

from faults.crash import Crash, cases, crash
from faults.day import play
from faults.figures import HEADER, Line, put_into
from faults.findings import Outcome, Violation
from faults.generate import FEWEST_POLLS
from faults.kill9 import Killing, kill_at_random
from faults.mutants import MUTANTS, Hunt, Mutant, hunt
from faults.pairs import differing_seeds
from faults.steadiness import Steadiness, many_days
from faults.two import Pair, play_pair

T = TypeVar("T")
R = TypeVar("R")
Tell = Callable[[str], None]
CORES = 2
KILLERS = 3 * CORES  # real processes wait for real seconds most of their time
PROGRESS = 500  # days between two words of progress


@dataclass(frozen=True, slots=True)
class Programme:
    """How many of each."""

    days: int
    steady_days: int  # so many of them one after the other in one process, whose memory is watched
    sdk_days: int
    matrix_seeds: int
    pairs: int
    kills: int
    bugs: int
    seed_pairs: int


QUICK = Programme(
    days=500, steady_days=100, sdk_days=30, matrix_seeds=1, pairs=10, kills=6, bugs=6, seed_pairs=4
)  # fmt: skip
FULL = Programme(
    days=4000, steady_days=100, sdk_days=300, matrix_seeds=20, pairs=200, kills=260, bugs=len(MUTANTS), seed_pairs=50
)  # fmt: skip
PROGRAMMES = {"short": QUICK, "full": FULL}


def run_bench(name: str, tell: Tell, document: Path | None = None) -> int:
    """Everything, a row of the table as each part ends, and all of it into `document`; 1 when anything was violated."""
    programme, lines = PROGRAMMES[name], list[Line]()
    for row in HEADER:
        tell(row)
    with multiprocessing.get_context("spawn").Pool(CORES, _quiet) as pool:
        workers = Workers(pool, tell)
        for part in _parts(programme, workers):
            lines.append(replace(part, violations=part.violations + workers.spent()))
            tell(lines[-1].cells)
    if document:
        put_into(document, name, [line.cells for line in lines])
    return 1 if any(line.violations for line in lines) else 0


def _parts(programme: Programme, workers: "Workers") -> Iterator[Line]:
    steady = workers.start(_steady, programme.steady_days)
    rest = workers.each(_coarse, range(programme.steady_days + 1, programme.days + 1))
    started = time.perf_counter()
    outcomes = itertools.chain(rest, _when_done(steady))
    yield _days("coarse days", outcomes, "", workers.tell)
    yield _steadiness(steady, time.perf_counter() - started)
    yield _days("days through the SDK", workers.each(_sdk, _first(programme.sdk_days)), "--sdk ", workers.tell)
    all_cases = (case for seed in _first(programme.matrix_seeds) for case in cases(seed))
    yield _crashes(workers.each(crash, all_cases), workers.tell)
    yield _pairs(workers.each(_pair, _first(programme.pairs)), workers.tell)
    with multiprocessing.get_context("spawn").Pool(KILLERS, _quiet) as pool:
        killers = Workers(pool, workers.tell)
        line = _kills(killers.each(kill_at_random, _first(programme.kills)), workers.tell)
        yield replace(line, violations=line.violations + killers.spent())
    yield _seed_pairs(programme.seed_pairs, workers.tell)
    yield _bugs(workers.each(hunt_by_name, [bug.name for bug in spread_out(programme.bugs)]), workers.tell)


def _first(count: int) -> range:
    return range(1, count + 1)


@dataclass(slots=True)
class Workers:
    """The processes that share the work. What raises in one is told with its input, counts, and stops nothing else."""

    pool: Pool
    tell: Tell
    broken: int = 0

    def each(self, work: Callable[[T], R], over: Iterable[T]) -> Iterator[R]:
        """What comes of each, in the order in which they end."""
        for about, done, error in self.pool.imap_unordered(partial(_attempt, work), over, chunksize=1):
            if error:
                self.broken += 1
                self.tell(f"{work.__name__.strip('_')} {about}: {error}")
            else:
                yield cast("R", done)

    def start(self, work: Callable[[T], R], about: T) -> "AsyncResult[R]":
        """One piece of work beside the rest."""
        return self.pool.apply_async(work, (about,))

    def spent(self) -> int:
        """How many raised since this was last asked."""
        broken, self.broken = self.broken, 0
        return broken


def _attempt(work: Callable[[T], R], about: T) -> tuple[str, R | None, str]:
    """An error as text: not every error can travel between processes."""
    try:
        return str(about), work(about), ""
    except Exception:  # noqa: BLE001  whatever ends a run is a finding, and the rest goes on
        return str(about), None, traceback.format_exc()


def run_mutants(wanted: int | list[str], tell: Tell) -> int:
    """Only mutants: that many, or those of these names."""
    names = [bug.name for bug in spread_out(wanted)] if isinstance(wanted, int) else wanted
    with multiprocessing.get_context("spawn").Pool(CORES, _quiet) as pool:
        workers = Workers(pool, tell)
        line = _bugs(workers.each(hunt_by_name, names), tell)
    tell(line.cells)
    return 1 if line.violations or workers.spent() else 0


def spread_out(count: int) -> list[Mutant]:
    """So many bugs, from all over the list."""
    return [MUTANTS[place * len(MUTANTS) // count] for place in range(count)]


def hunt_by_name(name: str) -> Hunt:
    """One mutant, in whichever process."""
    return hunt(next(bug for bug in MUTANTS if bug.name == name))


def _quiet() -> None:
    warnings.filterwarnings("ignore", "coroutine .* was never awaited")


def _coarse(seed: int) -> Outcome:
    return play(seed)


def _sdk(seed: int) -> Outcome:
    return play(seed, sdk=True)


def _steady(days: int) -> Steadiness:
    return many_days(play, range(1, days + 1))


def _when_done(steady: "AsyncResult[Steadiness]") -> Iterator[Outcome]:
    yield from steady.get().outcomes


def _pair(seed: int) -> Pair:
    return play_pair(seed, shared=seed % 2 == 0)


# --- one row each -----------------------------------------------------------------------------------------------------


def _days(what: str, outcomes: Iterable[Outcome], flag: str, tell: Tell) -> Line:
    started, polls, exits, processes, count, broken, fewest = time.perf_counter(), 0, 0, 0, 0, 0, 1 << 30
    faults: Counter[str] = Counter()
    for outcome in outcomes:
        count, polls, exits, processes = (
            count + 1,
            polls + outcome.polls,
            exits + outcome.exits,
            processes + outcome.processes,
        )
        faults, fewest = faults + outcome.faults, min(fewest, outcome.polls)
        if wrong := _wrong_with(outcome):
            broken += 1
            _tell_wrong(outcome.line, wrong, f"python -m faults {flag}--seed {outcome.seed} -v", tell)
        if count % PROGRESS == 0:
            tell(f"  {count} {what}, {broken} violated, {time.perf_counter() - started:.0f} s")
    detail = (
        f"{polls} polls ({fewest} at least), {exits} exits, {sum(faults.values())} faults of {len(faults)} kinds, "
        f"{processes} processes"
    )
    return Line(what, count, detail, broken, time.perf_counter() - started)


def _wrong_with(outcome: Outcome) -> list[str]:
    """Whatever makes a day a failure of the bench."""
    wrong = [str(violation) for violation in outcome.violations]
    if outcome.unfired:
        wrong.append(f"drawn and never triggered: {', '.join(outcome.unfired)}")
    if outcome.polls < FEWEST_POLLS:
        wrong.append(f"{outcome.polls} polls are too few for a day")
    return wrong


def _tell_wrong(what: str, wrong: Iterable[str | Violation], replay: str, tell: Tell) -> None:
    tell(f"{what}; again: {replay}")
    for each in wrong:
        tell(f"  {each}")


def _steadiness(steady: "AsyncResult[Steadiness]", seconds: float) -> Line:
    """The row of the days that one process played; the same days count among the coarse ones."""
    done = steady.get()
    return Line("of these in one process", len(done.outcomes), done.line, not done.holds, seconds)


def _crashes(crashes: Iterable[Crash], tell: Tell) -> Line:
    started, count, broken, steps = time.perf_counter(), 0, 0, set[str]()
    for each in crashes:
        count += each.happened
        steps.add(each.case.step)
        if each.violations:
            broken += 1
            _tell_wrong(str(each.case), each.violations, each.case.replay, tell)
    return Line("crash matrix", count, f"kills at {len(steps)} named steps", broken, time.perf_counter() - started)


def _pairs(pairs: Iterable[Pair], tell: Tell) -> Line:
    started, count, orders, refused, broken = time.perf_counter(), 0, 0, 0, 0
    for pair in pairs:
        count, orders, refused = count + 1, orders + pair.orders, refused + pair.refused
        if pair.violations:
            broken += 1
            _tell_wrong(
                f"two watchers, seed {pair.seed}", pair.violations, f"python -m faults two --seed {pair.seed}", tell
            )
    detail = f"{orders} orders taken, {refused} of the other's refused"
    return Line("two watchers at once", count, detail, broken, time.perf_counter() - started)


def _kills(killings: Iterable[Killing], tell: Tell) -> Line:
    started, count, died, broken = time.perf_counter(), 0, 0, 0
    for killing in killings:
        count, died = count + 1, died + killing.kills
        if killing.faults:
            broken += 1
            again = f"python -m faults kill9 --seed {killing.seed}"
            _tell_wrong(f"kill -9, seed {killing.seed}", killing.faults, again, tell)
    detail = f"{died} real processes killed over HTTP"
    return Line("kill -9 at a random instant", count, detail, broken, time.perf_counter() - started)


def _seed_pairs(count: int, tell: Tell) -> Line:
    started, differ = time.perf_counter(), differing_seeds(1, count)
    for seed in differ:
        tell(f"seed {seed} ended with two journal heads; again: python -m faults pairs --seed {seed}")
    detail = "equal journal heads under other hash seeds and time zones"
    return Line("seed pairs", count, detail, len(differ), time.perf_counter() - started)


def _bugs(hunts: Iterable[Hunt], tell: Tell) -> Line:
    started, found = time.perf_counter(), list[Hunt]()
    for each in hunts:
        found.append(each)
        tell(f"  mutant: {each.name}: " + (f"seed {each.seed}: {each.shown}" if each.seed else "NOT FOUND"))
    missed, most = sum(not each.seed for each in found), max((each.tried for each in found), default=0)
    detail = f"{len(found) - missed} found, the last after {most} seeds"
    return Line("mutants", len(found), detail, missed, time.perf_counter() - started)
