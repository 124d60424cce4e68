"""What a mutant is, and the kinds of runs that search for one."""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from faults.catalogue import CATALOGUE
from faults.crash import cases, crash
from faults.day import ConnectionsOf, a_stage, in_process, play, scratch
from faults.draws import with_draws
from faults.generate import MINUTE, SECOND, Day, PlannedFault, generate_day
from faults.pressure import play_pressure
from faults.real_watch import watch_beside
from faults.structure_draws import BUTTERFLY, CALENDAR, CONDOR, Kind, a_structure
from faults.structures import LEAVES_BY_ITS_RULES
from faults.transport import through_adapter
from faults.two import play_pair

Patch = tuple[Any, str, Any]
Search = Callable[[int], tuple[str, ...]]
LAG = 9 * SECOND  # how long the positions don't show a fill: longer than a new process takes to start


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mutant: its description, what it patches, and the kind of run that searches for it."""

    name: str
    text: str
    patches: tuple[Patch, ...]
    search: Search


def by_day(seed: int, families: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """A day with the in-process broker."""
    return tuple(map(str, play(seed, families).violations))


def by_adapter(seed: int) -> tuple[str, ...]:
    """A day through the adapter."""
    return tuple(map(str, play(seed, adapter=True).violations))


def by_exit(*draws: str, kind: Kind | None = None, dies_at: str = "") -> Search:
    """Only one structure that is due, of a kind, until some minutes after that, and these separate draws.

    `dies_at`: the process is killed when it first reaches this step, and the broker's positions lag behind fills.
    """

    def search(seed: int) -> tuple[str, ...]:
        day, rng = generate_day(seed, ()), random.Random(seed)  # noqa: S311  a bench's seed, not a secret
        course = rng.choice(sorted(LEAVES_BY_ITS_RULES))
        each = a_structure(day, kind or rng.choice((CONDOR, CALENDAR, BUTTERFLY)), rng, course)
        at = each.due_at or day.opens
        day = replace(day, positions=(), structures=(each,), recovers_at=at, ends_at=at + 5 * MINUTE)
        if dies_at:
            day = replace(day, settings=replace(day.settings, position_lag=LAG))
        return _violations_on(with_draws(day, draws), dies_at=dies_at)

    return search


def by_fault_of_adapter(name: str, rate: float, **options: str) -> Search:
    """A day through the adapter on which nothing goes wrong but one fault, at this rate and with these options."""
    fault = next(each for each in CATALOGUE if each.name == name)

    def search(seed: int) -> tuple[str, ...]:
        day = generate_day(seed, (), adapter=True)
        planned = PlannedFault(fault, day.begins_at, day.recovers_at, rate, options=dict(options))
        return _violations_on(replace(day, faults=(planned,)), through_adapter)

    return search


def _violations_on(day: Day, connections_of: ConnectionsOf = in_process, dies_at: str = "") -> tuple[str, ...]:
    with scratch() as name:
        stage = a_stage(day, Path(name) / "state", connections_of)
        stage.steps.kill_at = dies_at
        stage.play()
        return tuple(map(str, stage.findings.found))


def by_crash(seed: int) -> tuple[str, ...]:
    """One case of the crash matrix."""
    case = next(itertools.islice(cases(1 + seed // 60), (seed * 7) % 60, None), None)
    return tuple(map(str, crash(case).violations)) if case else ()


def by_pair(seed: int) -> tuple[str, ...]:
    """Two watchers, with a shared state folder on even seeds and with one each on odd seeds."""
    return tuple(map(str, play_pair(seed, shared=seed % 2 == 0).violations))


def by_draw(*names: str) -> Search:
    """A day on which nothing goes wrong but faults that are drawn separately, or those of a family."""
    return lambda seed: tuple(map(str, play(seed, names).violations))


def by_adapter_draw(name: str) -> Search:
    """The same through the adapter."""
    return lambda seed: tuple(map(str, play(seed, (name,), adapter=True).violations))


def by_pressure(seed: int) -> tuple[str, ...]:
    """One seed of budget pressure."""
    return tuple(map(str, play_pressure(seed).violations))


def by_watch(name: str, case: str) -> Search:
    """A real watcher with the mutant of a name, in the one case that reveals it."""
    main = f"from faults.mutants import run_mutated; run_mutated({name!r})"
    return lambda seed: watch_beside(seed, main, case).errors
