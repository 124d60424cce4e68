"""From streamed quotes to the orders: `watch` when many stops or targets are due in one instant, beside a bare client.

The exchange streams the quotes in one frame and measures; every order fills within a second, so that each round
finds `watch` idle. The bare client reads the frame, commits all orders in one durable transaction, and posts them.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import count

from benchmarks.exit_stage import Market, Run, Stage, a_program, a_stage

Figure = tuple[str, str, str]
MANY, ONE = Market(50, 20, 2), Market(1, 20, 1)
CONFIRMATION = 1.5  # seconds, the default of `guards.confirm`
WORDS = {"low": "stops", "high": "targets"}
DELAYS = (0.0, 0.1)
ONE_BY_ONE = 7  # stops
ROUNDS = 5  # of each kind
CALM = {"watch": 2.0, "bare": 0.2}  # seconds of rest between two rounds, and thrice as many before the first
# Seconds more in each round: without them, all of them would meet the same moment between two polls of `watch`.
LATER = {"watch": 0.7, "bare": 0.0}
_PATIENCE = 20.0
_LOOK_AGAIN = 0.05
Runs = dict[tuple[str, float], list[Run]]  # by level and delay


def figures() -> Iterator[Figure]:
    """Name, measured value, bound; each as soon as it is measured."""
    for which in [(level, delay) for delay in DELAYS for level in WORDS]:
        bare, ours = _both(MANY, ROUNDS * [which])
        level, delay = which
        what = f"exit: {MANY.due} {WORDS[level]} at once, {delay * 1000:.0f} ms: last order"
        yield _compared(what, level, ours[which], bare[which], 2.0)
    bare, ours = _both(ONE, [("low", 0.0)] * ONE_BY_ONE)
    for (level, delay), runs in ours.items():
        what = f"exit: one stop of {ONE.held}, streamed, median of {ONE_BY_ONE}: its order"
        yield _compared(what, level, runs, bare[level, delay], 1.5)


def _compared(what: str, level: str, runs: list[Run], bare: list[Run], bound: float) -> Figure:
    """A time over the bare client's, without the confirmation that a stop waits for."""
    waits = CONFIRMATION if level == "low" else 0.0
    ours, its = _median(runs), _median(bare)
    half = statistics.median(seconds for run in runs for seconds in run.report["first_orders"])
    requests = statistics.median(run.until for run in runs)
    times = f"{_ms(ours)} / {_ms(its)}; half of the orders after {_ms(half)}; {requests:.0f} requests"
    name = f"{what}{f', less {waits} s,' if waits else ''} / bare client, commit and post"
    return name, f"{(ours - waits) / its:.2f} x ({times})", f"<= {bound} x"


def _median(runs: list[Run]) -> float:
    return statistics.median(run.last for run in runs)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _both(market: Market, rounds: list[tuple[str, float]]) -> tuple[Runs, Runs]:
    """The bare client's runs, before and after those of `watch`, and those of `watch`."""
    bare, ours = session("bare", market, rounds), session("watch", market, rounds)
    for which, runs in session("bare", market, rounds).items():
        bare[which] += runs
    return bare, ours


def one_stop(delay: float) -> Run:
    """One stop under `watch`."""
    return session("watch", ONE, [("low", delay)])["low", delay][0]


def session(name: str, market: Market, rounds: list[tuple[str, float]]) -> Runs:
    """The runs of one process, to which in each round other options of every account become due."""
    found: Runs = defaultdict(list)
    with a_stage(market, 0.0, "opra", "fills") as stage, a_program(stage.watcher(name), stage.folder):
        _wait_until_ready(stage, name)
        for (level, delay), first in zip(rounds, count(step=market.due_each), strict=False):
            stage.command("delay", delay)
            found[level, delay].append(_one_round(stage, level, first))
            _wait_for(stage, "working", 0)
            time.sleep(CALM[name] + LATER[name] * len(found[level, delay]))
    return found


def _one_round(stage: Stage, level: str, first: int) -> Run:
    stage.command("move", level, first, stage.market.due_each)
    _wait_for(stage, "arrived", stage.market.due)
    run = Run(stage.command("report", "move"))
    if run.report["refused"]:
        raise RuntimeError(f"offered for sale twice: {', '.join(run.report['refused'])}")
    return run


def _wait_until_ready(stage: Stage, name: str) -> None:
    """Wait until all is streamed, and a while longer, in which `watch` polls."""
    _wait_for(stage, "streamed", stage.market.accounts * stage.market.held)
    if name == "watch":
        _wait_for(stage, "listening", stage.market.accounts)
    time.sleep(3 * CALM[name])


def _wait_for(stage: Stage, what: str, wanted: int) -> None:
    began = time.monotonic()
    while (state := stage.command("state"))[what] != wanted:
        if time.monotonic() - began > _PATIENCE:
            raise RuntimeError(f"{what}: {state[what]} instead of {wanted}")
        time.sleep(_LOOK_AGAIN)
