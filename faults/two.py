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
from faults.loop import LoopClock, VirtualLoop
from faults.process_run import ProcessRun
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
    """Both watch the same nine minutes; the second's clock and polls are a little off the first's (L05)."""
    with scratch() as name:
        day = replace(matrix_day(seed), human_actions=())
        stage = a_stage(day, Path(name) / "one")
        folders = (stage.folder, stage.folder if shared else stage.folder.with_name("two"))
        with _listening_to(stage, folders):
            processes = tuple(_life(stage, folder, seed + place) for place, folder in enumerate(folders))
            _run(stage, processes)
        stage.evidence.folders = tuple(dict.fromkeys(folders))
        exactly_once(stage)
        stage.evidence.all(compile_policy(config_of(day), ACCOUNT), [])
        logged = [entry for process in processes for entry in process.wire.log if entry.what == "submit"]
        busy = any(
            isinstance(state.problem, BusyError)
            for process in processes
            if process.runtime
            for state in process.runtime.scheduler.states
        )
        if shared and not busy:
            stage.findings.add("C1", stage.exchange.now, "two watchers worked one state folder")
        return Pair(
            seed=seed,
            shared=shared,
            orders=sum(entry.answer == "ok" for entry in logged),
            refused=sum(entry.answer == "refused" for entry in logged),
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


def _life(stage: Stage, folder: Path, seed: int) -> ProcessRun:
    clock = LoopClock(stage.exchange)
    clock.skew = dt.timedelta(seconds=40 * (seed % 3))
    wire = Wire(clock, Steps(), stage.day.latency, stage.steps.rng.random, lambda *_: None, stage.wire.cancels)
    return ProcessRun(
        stage.exchange, folder, config_of(stage.day), stage.connections, clock, wire, Steps(), stage.liveness.hear,
        stage.day.interval_at,
    )  # fmt: skip


def _run(stage: Stage, processes: tuple[ProcessRun, ...]) -> None:
    loop = VirtualLoop(stage.exchange)
    try:
        loop.run_until_complete(_both(stage, processes))
    finally:
        for process in processes:
            process.close()
        loop.close()


async def _both(stage: Stage, processes: tuple[ProcessRun, ...]) -> None:
    watching = []
    for process in processes:
        process.assemble()
        watching.append(asyncio.ensure_future(process.watch(stage.day.ends_at)))
        await asyncio.sleep(stage.steps.rng.choice((0.0, 0.1, 1.0)))
    await asyncio.gather(*watching)
