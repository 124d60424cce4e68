"""Builders of days for the bench's tests, with chosen positions, faults and length."""

import datetime as dt
import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from builders import replace

from faults.catalogue import CATALOGUE, SEPARATE
from faults.day import Stage, a_stage
from faults.generate import Day, PlannedFault, Role, generate_day
from faults.network import LoggedRequest
from faults.structure_draws import Kind, a_structure
from faults.structures import Course, Entry
from sellctl.core.config.schema import BackstopConfig
from sellctl.sim.settings import Settings


def a_day(*roles: Role, seed: int = 2, hours: float | None = None) -> Day:
    """A day without faults, with the positions of these roles only, or all of them; `hours` shortens it."""
    days = (generate_day(each, ()) for each in itertools.count(seed))
    drawn = next(day for day in days if set(roles) <= {position.role for position in day.positions})
    day = replace(drawn, human_actions=(), style="smart", latency=0.0, backstop=BackstopConfig())
    positions = tuple(position for position in day.positions if not roles or position.role in roles)
    ends = day.ends_at if hours is None else day.begins_at + dt.timedelta(hours=hours)
    return replace(day, positions=positions, ends_at=ends)


def a_structures_day(
    kind: Kind, course: Course, entry: Entry = Entry.HELD, seed: int = 2, settings: Settings | None = None
) -> Day:
    """A day without faults on which nothing is held but one structure, whose course is given."""
    day = replace(a_day(Role.UNTRIGGERED, seed=seed), positions=(), settings=settings or Settings())
    chance = random.Random(seed)  # noqa: S311  a test's seed, not a secret
    drawn = (a_structure(day, kind, chance, course) for _ in itertools.count())
    structure = next(each for each in drawn if (each.entry, each.course) == (entry, course))
    return replace(day, structures=(structure,))


def with_fault(
    day: Day, name: str, at: dt.datetime, minutes: float = 5, times: int | None = None, **options: Any
) -> Day:
    """The day with one more fault, for some minutes or a number of times."""
    fault = next(each for each in (*CATALOGUE, *SEPARATE) if each.name == name)
    planned = PlannedFault(fault, at, at + dt.timedelta(minutes=minutes), times=times, options=options)
    return replace(day, faults=(*day.faults, planned))


def played(day: Day, folder: Path) -> Stage:
    """Run the day to its end."""
    stage = a_stage(day, folder / "state")
    stage.play()
    return stage


def found(stage: Stage) -> Sequence[str]:
    """The violations, one sentence each."""
    return [str(violation) for violation in stage.findings.found]


def sent(at: dt.datetime, what: str = "sending", kind: str = "", process: int = 1) -> LoggedRequest:
    """A request about an order of MSFT, or its answer: `kind` says what was refused, "" that it was accepted."""
    answer = "" if what == "sending" else "refused" if kind else "ok"
    return LoggedRequest(at, what, "sellctl-1", answer, {"symbol": "MSFT"}, process, kind)
