"""Two watchers at once on one account: with a state folder each (L02) and with one (L01)."""

import asyncio
import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from faults.checkers import ExchangeChecker
from faults.crash import exactly_once, matrix_day
from faults.day import ACCOUNT, Stage, a_stage, config_of, scratch
from faults.findings import Violation
from faults.life import Life
from faults.loop import LoopClock, VirtualLoop
from faults.steps import Steps
from faults.wire import Wire
from sellctl.core.decision.policy import compile_policy
from sellctl.core.errors import BusyError


@dataclass(frozen=True, slots=True)
class Pair:
    """What came of two watchers: how many orders were taken, how many duplicates the broker refused."""

    seed: int
    shared: bool
    orders: int
    refused: int
    busy: bool
    violations: tuple[Violation, ...]


def play_pair(seed: int, *, shared: bool) -> Pair:
    """Both watch the same nine minutes; the second's clock and looks are a little off the first's (L05)."""
    with scratch() as name:
        day = replace(matrix_day(seed), deeds=())
        stage = a_stage(day, Path(name) / "one")
        folders = (stage.folder, stage.folder if shared else stage.folder.with_name("two"))
        with _listening_to(stage, folders):
            lives = tuple(_life(stage, folder, seed + place) for place, folder in enumerate(folders))
            _run(stage, lives)
        stage.evidence.folders = tuple(dict.fromkeys(folders))
        exactly_once(stage)
        stage.evidence.all(compile_policy(config_of(day), ACCOUNT), [])
        said = [entry for life in lives for entry in life.wire.log if entry.what == "submit"]
        busy = any(
            isinstance(s.problem, BusyError) for life in lives if life.runtime for s in life.runtime.scheduler.states
        )
        if shared and not busy:
            stage.findings.add("C1", stage.exchange.now, "two watchers worked one state folder")
        return Pair(
            seed=seed,
            shared=shared,
            orders=sum(entry.answer == "ok" for entry in said),
            refused=sum(entry.answer == "refused" for entry in said),
            busy=busy,
            violations=tuple(stage.findings.found),
        )


@contextmanager
def _listening_to(stage: Stage, folders: tuple[Path, ...]) -> Iterator[None]:
    """One checker for the intents of both folders in the place of the day's own."""
    stage.exchange.listeners.clear()
    checker = ExchangeChecker(stage.exchange, stage.findings, tuple(dict.fromkeys(folders)))
    checker.listen()
    stage.wire.arrives = lambda _name, _order: None
    yield


def _life(stage: Stage, folder: Path, seed: int) -> Life:
    clock = LoopClock(stage.exchange)
    clock.skew = dt.timedelta(seconds=40 * (seed % 3))
    wire = Wire(clock, Steps(), stage.day.latency, stage.steps.rng.random, lambda *_: None, stage.wire.cancels)
    return Life(
        stage.exchange, folder, config_of(stage.day), stage.doors, clock, wire, Steps(), stage.liveness.hear,
        stage.day.interval_at,
    )  # fmt: skip


def _run(stage: Stage, lives: tuple[Life, ...]) -> None:
    loop = VirtualLoop(stage.exchange)
    try:
        loop.run_until_complete(_both(stage, lives))
    finally:
        for life in lives:
            life.close()
        loop.close()


async def _both(stage: Stage, lives: tuple[Life, ...]) -> None:
    watching = []
    for life in lives:
        life.assemble()
        watching.append(asyncio.ensure_future(life.watch(stage.day.ends)))
        await asyncio.sleep(stage.steps.rng.choice((0.0, 0.1, 1.0)))
    await asyncio.gather(*watching)
