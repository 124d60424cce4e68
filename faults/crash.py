"""The crash matrix: a kill at every named step, followed by a new process on the same state folder."""

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from faults.checkers import ZERO, is_ours, parts
from faults.day import ACCOUNT, Stage, a_stage, scratch
from faults.findings import Violation
from faults.generate import DUE, MINUTE, SECOND, Day, HumanAction, PlannedPosition, Role, generate_day
from faults.structure_draws import CONDOR, a_structure
from faults.structures import Course, Entry, PlannedStructure
from sellctl.sim.market.price_paths import Linear, Segment, level

_LENGTH = 9 * MINUTE


@dataclass(frozen=True, slots=True)
class Case:
    """A kill at the nth occurrence of a step, in watch or run-once; `seed` varies latency, partial fills and lag."""

    step: str
    nth: int
    once: bool
    seed: int

    @property
    def replay(self) -> str:
        """The command that replays it."""
        once = " --once" if self.once else ""
        return f"python -m faults crash --step '{self.step}' --nth {self.nth}{once} --seed {self.seed}"

    def __str__(self) -> str:
        return f"{'run-once' if self.once else 'watch'} seed {self.seed}, killed at {self.step} #{self.nth}"


@dataclass(frozen=True, slots=True)
class Crash:
    """The result of a case; `happened`: the step was reached."""

    case: Case
    happened: bool
    violations: tuple[Violation, ...]


def matrix_day(seed: int) -> Day:
    """Nine minutes that reach every named step: exits that fill at once, in parts, and late, and that of a condor.

    The first two are due at once: their intents are committed together, and a kill may come between their orders.
    """
    wanted = {Role.UNCOVERED, Role.TARGET, Role.CRASH, Role.UNTRIGGERED}
    days = (generate_day(each, ()) for each in range(1000 * seed, 1000 * seed + 999))
    day = next(day for day in days if wanted <= {position.role for position in day.positions})
    crashes = next(position.symbol for position in day.positions if position.role is Role.CRASH)
    begins_at = day.opens + 60 * MINUTE
    return replace(
        day,
        begins_at=begins_at,
        recovers_at=begins_at + MINUTE,
        ends_at=begins_at + _LENGTH,
        positions=tuple(_moved(position, begins_at) for position in day.positions if position.role in wanted),
        structures=(_closing_condor(day, begins_at),),
        human_actions=(HumanAction(begins_at + 10 * SECOND, "rest", crashes, Decimal("0.5")),),
        busy=((begins_at, begins_at + _LENGTH),),
        style="smart",
        take_over="protective",
        latency=(0.0, 0.4, 1.5)[seed % 3],
    )


def _moved(position: PlannedPosition, begins_at: dt.datetime) -> PlannedPosition:
    """The position with its move: up before these nine minutes, or down within them.

    The fall is slow, so that exits have to be re-priced.
    """
    if position.role is Role.TARGET:
        move = Linear(begins_at - 20 * SECOND, begins_at, level(position.entry * Decimal("1.2"), Decimal("0.04")))
    elif position.role is Role.CRASH:
        move = Linear(
            begins_at + MINUTE, begins_at + 4 * MINUTE, level(position.entry * Decimal("0.5"), Decimal("0.02"))
        )
    else:
        return position
    return replace(position, path=(*position.path[:1], move), due_at=move.until)


def _closing_condor(day: Day, begins_at: dt.datetime) -> PlannedStructure:
    """A condor that moves through its stop within these nine minutes."""
    drawn = a_structure(day, CONDOR, random.Random(day.seed), Course.STOP)  # noqa: S311  a bench's seed, not a secret
    start, until = begins_at + MINUTE, begins_at + 4 * MINUTE
    legs = tuple(replace(leg, path=(*leg.path[:-1], _in_between(leg.path[-1], start, until))) for leg in drawn.legs)
    return replace(drawn, legs=legs, entry=Entry.HELD, enters_at=None, due_at=until)


def _in_between(move: Segment, start: dt.datetime, until: dt.datetime) -> Segment:
    return replace(move, start=start, until=until) if isinstance(move, Linear) else move


def steps_of(seed: int, *, once: bool) -> dict[str, int]:
    """How often each named step is reached in a run without a kill."""
    with scratch() as name:
        stage = a_stage(matrix_day(seed), Path(name) / "state", once=once)
        stage.play()
        return dict(stage.steps.seen)


def cases(seed: int) -> Iterator[Case]:
    """Every step at its first, middle and last occurrence, in watch and in run-once."""
    for once in (False, True):
        for step, count in sorted(steps_of(seed, once=once).items()):
            for nth in sorted({1, (count + 1) // 2, count}):
                yield Case(step, nth, once, seed)


def crash(case: Case) -> Crash:
    """Run one case, including the exactly-once check."""
    with scratch() as name:
        stage = a_stage(matrix_day(case.seed), Path(name) / "state", once=case.once)
        stage.steps.kill_at, stage.steps.nth = case.step, case.nth
        stage.play()
        exactly_once(stage)
        return Crash(case, stage.steps.kills > 0, tuple(stage.findings.found))


def exactly_once(stage: Stage) -> None:
    """R1: each due position and leg was closed completely and once, by our orders only; no other one changed."""
    for position in stage.day.positions:
        _closed_once(stage, position.symbol, position.qty, position.role, is_due=position.role in DUE)
    for structure in stage.day.structures:
        for leg in structure.legs:
            _closed_once(stage, leg.symbol, structure.qty_of(leg), structure.name, is_due=True)


def _closed_once(stage: Stage, symbol: str, qty: Decimal, what: str, *, is_due: bool) -> None:
    account = stage.exchange.accounts[ACCOUNT]
    ours = [part for order in account.orders.values() if is_ours(order) for part in parts(order)]
    closed = sum((part.filled_qty for part in ours if part.symbol == symbol), ZERO)
    wanted, held = abs(qty) if is_due else ZERO, account.qty_of(symbol)
    if closed != wanted or abs(held) != abs(qty) - wanted:
        text = f"{symbol} ({what}): {closed} of {qty} closed by our orders, {held} held"
        stage.findings.add("R1", stage.exchange.now, text)
