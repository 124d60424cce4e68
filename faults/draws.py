"""The faults that are drawn separately: each on a share of the days, at the time of that day at which it matters.

Each has a random stream of its own, so that a new one changes nothing else of a day. Pure, like faults/generate.py.
"""

import datetime as dt
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from faults.catalogue import SEPARATE, Fault
from faults.generate import DUE, MINUTE, PEAK_DURATION, SECOND, WINDOW, Day, PlannedFault, PlannedPosition, Role
from faults.structure_draws import ENTERED_WITHIN

MAY_REFUSE_FOR = (2, 3, 5)  # minutes
CLOCK_OUTAGE, WRONG_CLOCK = "T11", "H20"


def with_draws(day: Day, families: Sequence[str] | None = None, *, adapter: bool = False) -> Day:
    """The day with the faults that are drawn separately. `families`: with those of these codes only, in any case."""
    for fault in SEPARATE:
        rng = random.Random(f"{day.seed} {fault.name}")  # noqa: S311  a bench's seed, not a secret
        drawn = rng.random() < fault.share if families is None else fault.name in families
        if drawn and (adapter or not fault.adapter_only):
            day = replace(day, faults=(*day.faults, *_plan(day, fault, rng)))
    return day


def _plan(day: Day, fault: Fault, rng: random.Random) -> tuple[PlannedFault, ...]:
    """When the fault occurs; nothing on a day that has no occasion for it."""
    options = fault.options(rng)
    at, until = _TIMES[fault.name](day, options, rng)
    return (PlannedFault(fault, at, until, options=options),) if at < until else ()


def _any_time(day: Day, _options: dict[str, Any], rng: random.Random) -> tuple[dt.datetime, dt.datetime]:
    """Between the first poll and the end of the faults."""
    return day.begins_at + rng.random() * (day.recovers_at - day.begins_at), day.recovers_at


def _before_the_start(day: Day, _options: dict[str, Any], _rng: random.Random) -> tuple[dt.datetime, dt.datetime]:
    """Before the first poll."""
    return day.begins_at - SECOND, day.recovers_at


def _before_an_exit(day: Day, _options: dict[str, Any], rng: random.Random) -> tuple[dt.datetime, dt.datetime]:
    """Shortly before a position is due, for the order of which it waits."""
    at = _around_an_exit(day, rng)
    return at, min(at + 5 * MINUTE, day.recovers_at)


def _from_early_on(day: Day, _options: dict[str, Any], rng: random.Random) -> tuple[dt.datetime, dt.datetime]:
    """From before the first poll, or from some minutes after it."""
    return day.begins_at + rng.choice((-SECOND, MINUTE, 20 * MINUTE)), day.recovers_at


def _while_armed(day: Day, _options: dict[str, Any], rng: random.Random) -> tuple[dt.datetime, dt.datetime]:
    """After the polls at the peak and before the fall from it; never without such a position or after the faults."""
    for position in day.positions_with(Role.TRAILING):
        if position.due_at is not None and position.due_at < day.recovers_at:
            return position.due_at - PEAK_DURATION + 7 * MINUTE + rng.random() * 18 * MINUTE, position.due_at - MINUTE
    return day.recovers_at, day.recovers_at


def _around_an_exit(day: Day, rng: random.Random) -> dt.datetime:
    """Shortly before a position is due; on a day on which none is in time, when one of the busy times begins."""
    latest = day.recovers_at - WINDOW
    due = [at for at in map(_due_at, day.positions) if at is not None and day.begins_at + MINUTE < at < latest]
    starts = [start for start, _ in day.busy if day.begins_at <= start < latest]
    return rng.choice(due) - rng.randint(5, 40) * SECOND if due else rng.choice(starts) + 30 * SECOND


def _due_at(position: PlannedPosition) -> dt.datetime | None:
    return position.due_at if position.role in DUE else None


def _refusing(day: Day, _options: dict[str, Any], rng: random.Random) -> tuple[dt.datetime, dt.datetime]:
    at = _around_an_exit(day, rng)
    return at, min(at + rng.choice(MAY_REFUSE_FOR) * MINUTE, day.recovers_at)


def _without_a_clock(day: Day, options: dict[str, Any], rng: random.Random) -> tuple[dt.datetime, dt.datetime]:
    """Not on a day with a wrong clock, which ends with the outage, or the outage with it."""
    at = _around_an_exit(day, rng)
    if any(planned.fault.name == WRONG_CLOCK for planned in day.faults):
        return at, at
    return at, min(at + options["seconds"] * SECOND, day.recovers_at)


def _once_entered(day: Day, _options: dict[str, Any], _rng: random.Random) -> tuple[dt.datetime, dt.datetime]:
    """From before the first poll on a day on which every structure is held then, otherwise once all are entered."""
    entries = [structure.enters_at for structure in day.structures if structure.enters_at]
    return (max(entries) + ENTERED_WITHIN if entries else day.begins_at - SECOND), day.recovers_at


def _on_a_structure(day: Day, options: dict[str, Any], rng: random.Random) -> tuple[dt.datetime, dt.datetime]:
    """From the entries on for what an exit of the structure starts, otherwise at any time after that."""
    at, until = _once_entered(day, options, rng)
    later = at + rng.random() * max(until - at, 0 * SECOND)
    return (at if not day.structures or options.get("during", True) else later), until if day.structures else at


_TIMES: dict[str, Callable[[Day, dict[str, Any], random.Random], tuple[dt.datetime, dt.datetime]]] = {
    "A07": _any_time,
    "A11": _from_early_on,
    "A12": _before_an_exit,
    "A13": _once_entered,
    "H21": _refusing,
    "H22": _before_the_start,
    "O16": _while_armed,
    "O17": _before_the_start,
    "O18": _once_entered,
    "O19": _on_a_structure,
    "O20": _on_a_structure,
    "O21": _before_the_start,
    CLOCK_OUTAGE: _without_a_clock,
}
