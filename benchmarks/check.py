"""The short form for CI: a few ratios beside their recorded values. Only a gross regression fails."""

import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.contenders import Shape
from benchmarks.decide import a_book, as_condors, as_legs, condors, seconds_beside, strategy_one
from benchmarks.exit import one_run
from benchmarks.exit_stage import Market
from benchmarks.load import a_stage, median
from benchmarks.start import commands, help_ratio
from sellctl.core.decision.engine import decide

GROSS = 3.0  # times the recorded ratio; noise on two busy cores stays well below
_SHAPE = Shape(10, 20, 100)
_EXITS = Market(10, 20, 2)
_ROUNDS = 9
_RUNS = 3
_SUM = range(200_000)


def check() -> int:
    """Measure and print the ratios. The exit status is 1 when one exceeds its limit."""
    failed = False
    for name, recorded, measure in RATIOS:
        ratio = measure()
        bad = ratio > GROSS * recorded
        failed |= bad
        decision = "TOO SLOW" if bad else "ok"
        sys.stdout.write(f"{name}: {ratio:.2f}, recorded {recorded}, fails above {GROSS * recorded:.1f}: {decision}\n")
        sys.stdout.flush()
    return int(failed)


def _poll() -> float:
    with a_stage(_SHAPE, ("sellctl", "bare")) as stage:
        costs = stage.rounds(("sellctl", "bare"), _ROUNDS)
    return median(costs["sellctl"], "cpu") / median(costs["bare"], "cpu")


def _help() -> float:
    return help_ratio(len(commands()))[0]


def _cold_run() -> float:
    """The time of a cold run-once until the last order, divided by that of a program with the fewest requests."""
    runs = [[one_run(name, _EXITS).last for name in ("sellctl", "floor")] for _ in range(_RUNS)]
    return statistics.median(ours for ours, _ in runs) / statistics.median(floor for _, floor in runs)


def _cold_requests() -> float:
    """The requests until then, divided by the number of orders."""
    return one_run("sellctl", _EXITS).until / _EXITS.due


def _decide() -> float:
    """The time of a decision on 1,000 holdings, divided by that of a sum of 200,000 numbers."""
    snapshot, policy = a_book(1_000), strategy_one()
    return _seconds(lambda: decide(snapshot, policy)) / _seconds(lambda: sum(number * 2 for number in _SUM))


def _condors() -> float:
    """The time of a decision on 1,000 condors, divided by that of one on their legs alone."""
    together, apart = seconds_beside(condors(1_000), as_condors(), as_legs(), _ROUNDS)
    return together / apart


def _seconds(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)


# Name, recorded ratio, measurement.
RATIOS = (
    ("sellctl --help / a bare Typer app's", 1.2, _help),
    ("a poll of 10 x 20, processor: sellctl / bare RESTClient", 1.0, _poll),
    ("a cold run-once of 10 x 20 until the last order: sellctl / raw floor", 4.0, _cold_run),
    ("a cold run-once of 10 x 20: requests / orders", 5.0, _cold_requests),
    ("a decision on 1,000 holdings / a sum of 200,000 numbers", 3.2, _decide),
    ("a decision on 1,000 condors / their 4,000 legs alone", 1.6, _condors),
)
