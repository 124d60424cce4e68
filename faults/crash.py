"""The crash matrix: a kill at every named step of a cycle, before and after, and a fresh process on what survived."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from faults.checkers import ZERO, is_ours
from faults.day import ACCOUNT, Stage, a_stage, scratch
from faults.findings import Violation
from faults.generate import DUE, MINUTE, SECOND, Day, HumanAction, Lot, Role, generate_day
from sellctl.sim.market.price_paths import Linear, level

_LENGTH = 9 * MINUTE


@dataclass(frozen=True, slots=True)
class Case:
    """One crash: at the nth time of a step, in watch or in run-once; `seed` varies latency, partial fills and lag."""

    step: str
    nth: int
    once: bool
    seed: int

    @property
    def replay(self) -> str:
        """The command that plays it again."""
        once = " --once" if self.once else ""
        return f"python -m faults crash --step '{self.step}' --nth {self.nth}{once} --seed {self.seed}"

    def __str__(self) -> str:
        return f"{'run-once' if self.once else 'watch'} seed {self.seed}, killed at {self.step} #{self.nth}"


@dataclass(frozen=True, slots=True)
class Crash:
    """What came of it."""

    case: Case
    happened: bool
    violations: tuple[Violation, ...]


def matrix_day(seed: int) -> Day:
    """Nine minutes in which everything that writes or sends happens: exits that fill at once, in parts, and late."""
    wanted = {Role.UNCOVERED, Role.TARGET, Role.CRASH, Role.QUIET}
    days = (generate_day(each, ()) for each in range(1000 * seed, 1000 * seed + 999))
    whole = next(day for day in days if wanted <= {lot.role for lot in day.lots})
    crashes = next(lot.symbol for lot in whole.lots if lot.role is Role.CRASH)
    begins_at = whole.opens + 60 * MINUTE
    return replace(
        whole,
        begins_at=begins_at,
        recovers_at=begins_at + MINUTE,
        ends_at=begins_at + _LENGTH,
        lots=tuple(_moved(lot, begins_at) for lot in whole.lots if lot.role in wanted),
        human_actions=(HumanAction(begins_at + 10 * SECOND, "rest", crashes, Decimal("0.5")),),
        busy=((begins_at, begins_at + _LENGTH),),
        style="smart",
        take_over="protective",
        latency=(0.0, 0.4, 1.5)[seed % 3],
    )


def _moved(lot: Lot, begins_at: dt.datetime) -> Lot:
    """The holding with its move in these nine minutes; the fall is slow, so that exits have to be re-priced."""
    if lot.role is Role.TARGET:
        move = Linear(
            begins_at + 70 * SECOND, begins_at + 90 * SECOND, level(lot.entry * Decimal("1.2"), Decimal("0.04"))
        )
    elif lot.role is Role.CRASH:
        move = Linear(begins_at + MINUTE, begins_at + 4 * MINUTE, level(lot.entry * Decimal("0.5"), Decimal("0.02")))
    else:
        return lot
    return replace(lot, path=(*lot.path[:1], move), due_at=move.until)


def steps_of(seed: int, *, once: bool) -> dict[str, int]:
    """Every named step of the day when nobody is killed, and how often it is reached."""
    with scratch() as name:
        stage = a_stage(matrix_day(seed), Path(name) / "state", once=once)
        stage.play()
        return dict(stage.steps.seen)


def cases(seed: int) -> Iterator[Case]:
    """Every step at its first and its last time, in both modes."""
    for once in (False, True):
        for step, count in sorted(steps_of(seed, once=once).items()):
            for nth in sorted({1, (count + 1) // 2, count}):
                yield Case(step, nth, once, seed)


def crash(case: Case) -> Crash:
    """One cell of the matrix, and the exactly-once check."""
    with scratch() as name:
        stage = a_stage(matrix_day(case.seed), Path(name) / "state", once=case.once)
        stage.steps.kill_at, stage.steps.nth = case.step, case.nth
        stage.play()
        exactly_once(stage)
        return Crash(case, stage.steps.kills > 0, tuple(stage.findings.found))


def exactly_once(stage: Stage) -> None:
    """R1: each due position left whole and once, and by orders of ours alone; nothing else moved."""
    account = stage.exchange.accounts[ACCOUNT]
    for lot in stage.day.lots:
        ours = [o for o in account.orders.values() if o.symbol == lot.symbol and is_ours(o)]
        sold = sum((o.filled_qty for o in ours), ZERO)
        wanted = abs(lot.qty) if lot.role in DUE else ZERO
        if sold != wanted or abs(account.qty_of(lot.symbol)) != abs(lot.qty) - wanted:
            text = (
                f"{lot.symbol} ({lot.role}): {sold} of {lot.qty} left by our orders, {account.qty_of(lot.symbol)} held"
            )
            stage.findings.add("R1", stage.exchange.now, text)
