"""The crash matrix: a kill at every named step, followed by a new process on the same state folder."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from faults.checkers import ZERO, is_ours
from faults.day import ACCOUNT, Stage, a_stage, scratch
from faults.findings import Violation
from faults.generate import DUE, MINUTE, SECOND, Day, HumanAction, PlannedPosition, Role, generate_day
from sellctl.sim.market.price_paths import Linear, level

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
    """Nine minutes that reach every named step: exits that fill at once, in parts, and late.

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
    """R1: each due position was sold completely and once, by our orders only; no other one changed."""
    account = stage.exchange.accounts[ACCOUNT]
    for position in stage.day.positions:
        ours = [o for o in account.orders.values() if o.symbol == position.symbol and is_ours(o)]
        sold = sum((o.filled_qty for o in ours), ZERO)
        wanted = abs(position.qty) if position.role in DUE else ZERO
        held = account.qty_of(position.symbol)
        if sold != wanted or abs(held) != abs(position.qty) - wanted:
            text = f"{position.symbol} ({position.role}): {sold} of {position.qty} closed by our orders, {held} held"
            stage.findings.add("R1", stage.exchange.now, text)
