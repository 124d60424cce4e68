"""The bench's programmes, short and long: how many runs of each kind, on two cores, and the table of the results."""

import gc
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
from faults.figures import HEADER, Row, write_table
from faults.findings import Outcome, Violation
from faults.generate import FEWEST_POLLS
from faults.hosts.run import HostsOutcome, play_hosts
from faults.kill9 import KillRun, kill_at_random
from faults.mutant_searches import Mutant
from faults.mutants import MUTANTS, SearchResult, search_for
from faults.pairs import differing_seeds
from faults.pressure import PressureRun, play_pressure
from faults.real_watch import CASES, WatchRun, watch_beside
from faults.steadiness import Steadiness, many_days
from faults.two import Pair, play_pair

T = TypeVar("T")
R = TypeVar("R")
Report = Callable[[str], None]
CORES = 2
KILL_WORKERS = 3 * CORES  # real processes mostly wait
PROGRESS_INTERVAL = 100  # days between two lines of progress


@dataclass(frozen=True, slots=True)
class Programme:
    """How many runs of each kind, from which seed on."""

    days: int
    steady_days: int  # of the days, this many run in one process whose memory is measured
    adapter_days: int
    matrix_seeds: int
    pairs: int
    pressures: int
    hosts: int
    kills: int
    watches: int
    mutants: int
    seed_pairs: int
    first_seed: int = 1

    def seeds(self, count: int) -> range:
        """The seeds of that many runs."""
        return range(self.first_seed, self.first_seed + count)


SHORT = Programme(
    days=500, steady_days=100, adapter_days=30, matrix_seeds=1, pairs=10, pressures=10, hosts=20, kills=6,
    watches=len(CASES), mutants=6, seed_pairs=4,
)  # fmt: skip
# Sized to end within 75 minutes on two cores, so that it is run before each hand-over. `--seed` plays other days.
FULL = Programme(
    days=800, steady_days=100, adapter_days=75, matrix_seeds=4, pairs=100, pressures=50, hosts=200,
    kills=130, watches=2 * len(CASES), mutants=len(MUTANTS), seed_pairs=25,
)  # fmt: skip
PROGRAMMES = {"short": SHORT, "full": FULL}


def run_bench(name: str, report: Report, document: Path | None = None, first_seed: int = 1) -> int:
    """Run all parts, report a table row as each ends, and write the table into `document`; 1 after a violation."""
    programme, rows = replace(PROGRAMMES[name], first_seed=first_seed), list[Row]()
    for row in HEADER:
        report(row)
    with multiprocessing.get_context("spawn").Pool(CORES, _prepare) as pool:
        workers = Workers(pool, report)
        for part in _parts(programme, workers):
            rows.append(replace(part, violations=part.violations + workers.take_errors()))
            report(rows[-1].cells)
    if document:
        write_table(document, name, [each.cells for each in rows])
    return 1 if any(each.violations for each in rows) else 0


def _parts(programme: Programme, workers: "Workers") -> Iterator[Row]:
    steady = workers.start(_steady, programme.seeds(programme.steady_days))
    rest = workers.each(_day, programme.seeds(programme.days)[programme.steady_days :])
    started = time.perf_counter()
    outcomes = itertools.chain(rest, _when_done(steady))
    yield _days("days", outcomes, "", workers.report)
    yield _steadiness(steady, time.perf_counter() - started)
    yield _days(
        "days through the adapter",
        workers.each(_adapter_day, programme.seeds(programme.adapter_days)),
        "--adapter ",
        workers.report,
    )
    all_cases = (case for seed in programme.seeds(programme.matrix_seeds) for case in cases(seed))
    yield _crashes(workers.each(crash, all_cases), workers.report)
    yield _pairs(workers.each(_pair, programme.seeds(programme.pairs)), workers.report)
    yield _pressures(workers.each(play_pressure, programme.seeds(programme.pressures)), workers.report)
    yield _hosts(workers.each(play_hosts, programme.seeds(programme.hosts)), workers.report)
    with multiprocessing.get_context("spawn").Pool(KILL_WORKERS, _prepare) as pool:
        kill_workers = Workers(pool, workers.report)
        row = _kills(kill_workers.each(kill_at_random, programme.seeds(programme.kills)), workers.report)
        yield replace(row, violations=row.violations + kill_workers.take_errors())
        row = _watches(kill_workers.each(watch_beside, programme.seeds(programme.watches)), workers.report)
        yield replace(row, violations=row.violations + kill_workers.take_errors())
    yield _seed_pairs(programme.seeds(programme.seed_pairs), workers.report)
    yield _mutants(
        workers.each(search_by_name, [mutant.name for mutant in evenly_spaced(programme.mutants)]), workers.report
    )


@dataclass(slots=True)
class Workers:
    """The processes that share the work. An exception in one is reported with its input, and the others continue."""

    pool: Pool
    report: Report
    broken: int = 0

    def each(self, work: Callable[[T], R], over: Iterable[T]) -> Iterator[R]:
        """The results in the order in which they arrive."""
        for item, done, error in self.pool.imap_unordered(partial(_attempt, work), over, chunksize=1):
            if error:
                self.broken += 1
                self.report(f"{work.__name__.strip('_')} {item}: {error}")
            else:
                yield cast("R", done)

    def start(self, work: Callable[[T], R], item: T) -> "AsyncResult[R]":
        """Start one call in the background."""
        return self.pool.apply_async(work, (item,))

    def take_errors(self) -> int:
        """How many exceptions occurred since the last call."""
        broken, self.broken = self.broken, 0
        return broken


def _attempt(work: Callable[[T], R], item: T) -> tuple[str, R | None, str]:
    """The result or the traceback as text, because not every exception can be pickled."""
    try:
        return str(item), work(item), ""
    except Exception:  # noqa: BLE001  every exception is a finding, and the others continue
        return str(item), None, traceback.format_exc()


def run_mutants(wanted: int | list[str], report: Report) -> int:
    """Search for mutants only: that many, or those with these names."""
    names = [mutant.name for mutant in evenly_spaced(wanted)] if isinstance(wanted, int) else wanted
    with multiprocessing.get_context("spawn").Pool(CORES, _prepare) as pool:
        workers = Workers(pool, report)
        line = _mutants(workers.each(search_by_name, names), report)
    report(line.cells)
    return 1 if line.violations or workers.take_errors() else 0


def evenly_spaced(count: int) -> list[Mutant]:
    """That many mutants, evenly spaced over the list."""
    return [MUTANTS[index * len(MUTANTS) // count] for index in range(count)]


def search_by_name(name: str) -> SearchResult:
    """Search for the mutant with a name."""
    return search_for(next(mutant for mutant in MUTANTS if mutant.name == name))


def _prepare() -> None:
    """Set a process of the pool up. Python's search for garbage skips what is imported: a tenth of the time."""
    gc.freeze()
    warnings.filterwarnings("ignore", "coroutine .* was never awaited")


def _day(seed: int) -> Outcome:
    return play(seed)


def _adapter_day(seed: int) -> Outcome:
    return play(seed, adapter=True)


def _steady(seeds: range) -> Steadiness:
    return many_days(play, seeds)


def _when_done(steady: "AsyncResult[Steadiness]") -> Iterator[Outcome]:
    yield from steady.get().outcomes


def _pair(seed: int) -> Pair:
    return play_pair(seed, shared=seed % 2 == 0)


# --- rows -----------------------------------------------------------------------------------------------------------


def _days(what: str, outcomes: Iterable[Outcome], flag: str, report: Report) -> Row:
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
        if failures := _failures_of(outcome):
            broken += 1
            _report_failure(outcome.line, failures, f"python -m faults {flag}--seed {outcome.seed} -v", report)
        if count % PROGRESS_INTERVAL == 0:
            report(f"  {count} {what}, {broken} violated, {time.perf_counter() - started:.0f} s")
    detail = (
        f"{polls} polls (at least {fewest}), {exits} exits, {sum(faults.values())} faults of {len(faults)} kinds, "
        f"{processes} processes"
    )
    return Row(what, count, detail, broken, time.perf_counter() - started)


def _failures_of(outcome: Outcome) -> list[str]:
    """Everything that makes a day a failure."""
    failures = [str(violation) for violation in outcome.violations]
    if outcome.unfired:
        failures.append(f"drawn and never triggered: {', '.join(outcome.unfired)}")
    if outcome.polls < FEWEST_POLLS:
        failures.append(f"{outcome.polls} polls are too few for a day")
    return failures


def _report_failure(what: str, failures: Iterable[str | Violation], replay: str, report: Report) -> None:
    report(f"{what}; replay: {replay}")
    for each in failures:
        report(f"  {each}")


def _steadiness(steady: "AsyncResult[Steadiness]", seconds: float) -> Row:
    """The row of the days that ran in one process. They are also counted in the row of all days."""
    done = steady.get()
    return Row("of these in one process", len(done.outcomes), done.line, not done.holds, seconds)


def _crashes(crashes: Iterable[Crash], report: Report) -> Row:
    started, count, broken, steps = time.perf_counter(), 0, 0, set[str]()
    for each in crashes:
        count += each.happened
        steps.add(each.case.step)
        if each.violations:
            broken += 1
            _report_failure(str(each.case), each.violations, each.case.replay, report)
    return Row("crash matrix", count, f"kills at {len(steps)} named steps", broken, time.perf_counter() - started)


def _pairs(pairs: Iterable[Pair], report: Report) -> Row:
    started, count, orders, refused, broken = time.perf_counter(), 0, 0, 0, 0
    for pair in pairs:
        count, orders, refused = count + 1, orders + pair.orders, refused + pair.refused
        if pair.violations:
            broken += 1
            _report_failure(
                f"two watchers, seed {pair.seed}", pair.violations, f"python -m faults two --seed {pair.seed}", report
            )
    detail = f"{orders} orders accepted, {refused} duplicates rejected"
    return Row("two watchers at once", count, detail, broken, time.perf_counter() - started)


def _pressures(runs: Iterable[PressureRun], report: Report) -> Row:
    started, count, orders, most, slowest, broken = time.perf_counter(), 0, 0, 0, 0.0, 0
    for run in runs:
        count, orders = count + 1, orders + run.orders
        most, slowest = max(most, run.most_requests), max(slowest, run.slowest)
        if run.violations:
            broken += 1
            replay = f"python -m faults pressure --seed {run.seed}"
            _report_failure(f"budget pressure, seed {run.seed}", run.violations, replay, report)
    detail = f"{orders} orders, at most {most} requests of a key in a minute, each stop sent within {slowest:.1f} s"
    return Row("budget pressure", count, detail, broken, time.perf_counter() - started)


def _hosts(runs: Iterable[HostsOutcome], report: Report) -> Row:
    started, count, requests, takeovers, troubles, broken = time.perf_counter(), 0, 0, 0, 0, 0
    for run in runs:
        count, requests, takeovers = count + 1, requests + run.requests, takeovers + run.takeovers
        troubles += len(run.troubles)
        if run.violations:
            broken += 1
            _report_failure(run.line, run.violations, f"python -m faults hosts --seed {run.seed} -v", report)
    detail = f"{requests} requests about orders, {troubles} troubles of hosts and database, {takeovers} take-overs"
    return Row("three hosts, ten accounts", count, detail, broken, time.perf_counter() - started)


def _kills(runs: Iterable[KillRun], report: Report) -> Row:
    started, count, died, broken = time.perf_counter(), 0, 0, 0
    for run in runs:
        count, died = count + 1, died + run.kills
        if run.errors:
            broken += 1
            replay = f"python -m faults kill9 --seed {run.seed}"
            _report_failure(f"kill -9, seed {run.seed}", run.errors, replay, report)
    detail = f"{died} real processes killed over HTTP"
    return Row("kill -9 at random times", count, detail, broken, time.perf_counter() - started)


def _watches(runs: Iterable[WatchRun], report: Report) -> Row:
    started, count, cases, broken = time.perf_counter(), 0, set[str](), 0
    for run in runs:
        count += 1
        cases.add(run.case)
        if run.errors:
            broken += 1
            replay = f"python -m faults watch --seed {run.seed}"
            _report_failure(f"real watch, seed {run.seed}, {run.case}", run.errors, replay, report)
    detail = f"{len(cases)} kinds of unread output and of hostile strategies"
    return Row("real watch", count, detail, broken, time.perf_counter() - started)


def _seed_pairs(seeds: range, report: Report) -> Row:
    started, differ = time.perf_counter(), differing_seeds(seeds.start, len(seeds))
    for seed in differ:
        report(f"seed {seed} ended with two journal heads; replay: python -m faults pairs --seed {seed}")
    detail = "equal journal heads under other hash seeds and time zones"
    return Row("seed pairs", len(seeds), detail, len(differ), time.perf_counter() - started)


def _mutants(results: Iterable[SearchResult], report: Report) -> Row:
    started, found = time.perf_counter(), list[SearchResult]()
    for each in results:
        found.append(each)
        report(f"  mutant: {each.name}: " + (f"seed {each.seed}: {each.violation}" if each.seed else "NOT FOUND"))
    missed, last = sum(not each.seed for each in found), max((each.tried for each in found), default=0)
    detail = f"{len(found) - missed} found, the last after {last} seeds"
    return Row("mutants", len(found), detail, missed, time.perf_counter() - started)
