"""Two watchers at once on one account: with a shared state folder (L01) and with one each (L02)."""

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
from faults.network import Network
from faults.process_run import ProcessRun
from faults.steps import Steps
from sellctl.core.decision.policy import compile_policy
from sellctl.core.errors import BusyError


@dataclass(frozen=True, slots=True)
class Pair:
    """The result of two watchers: how many orders the broker accepted, and how many duplicates it rejected."""

    seed: int
    shared: bool
    orders: int
    refused: int
    busy: bool
    violations: tuple[Violation, ...]


def play_pair(seed: int, *, shared: bool) -> Pair:
    """Run both for the same nine minutes; the second one's clock and polls differ slightly (L05)."""
    with scratch() as name:
        day = replace(matrix_day(seed), human_actions=())
        stage = a_stage(day, Path(name) / "one")
        folders = (stage.folder, stage.folder if shared else stage.folder.with_name("two"))
        with _listening_to(stage, folders):
            processes = tuple(_process(stage, folder, seed + index) for index, folder in enumerate(folders))
            _run(stage, processes)
        stage.evidence.folders = tuple(dict.fromkeys(folders))
        exactly_once(stage)
        stage.evidence.check_all(compile_policy(config_of(day), ACCOUNT), [])
        logged = [entry for process in processes for entry in process.network.log if entry.what == "submit"]
        busy = any(
            isinstance(state.problem, BusyError)
            for process in processes
            if process.runtime
            for state in process.runtime.scheduler.states
        )
        if shared and not busy:
            stage.findings.add("C1", stage.exchange.now, "two watchers used one state folder")
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
    """Replace the day's checker by one that reads the intents of both folders."""
    stage.exchange.listeners.clear()
    checker = ExchangeChecker(stage.exchange, stage.findings, tuple(dict.fromkeys(folders)))
    checker.listen()
    stage.network.arrives = lambda _name, _order: None
    yield


def _process(stage: Stage, folder: Path, seed: int) -> ProcessRun:
    clock = LoopClock(stage.exchange)
    clock.skew = dt.timedelta(seconds=40 * (seed % 3))
    network = Network(clock, Steps(), stage.day.latency, stage.steps.rng.random, lambda *_: None, stage.network.cancels)
    return ProcessRun(
        stage.exchange, folder, config_of(stage.day), stage.connections, clock, network, Steps(),
        stage.liveness.on_event, stage.day.interval_at,
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
