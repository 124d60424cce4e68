"""From nothing, or from a price, to the order: `run-once` and `watch` when many options are due, beside other programs.

Each program runs in a process of its own, and the exchange, which measures, in another. `python -m benchmarks.exit
--requests sellctl` prints the requests of one cold run as they came (with numbers: accounts, options, due, delay).
"""

import statistics
import sys
from collections.abc import Iterator, Sequence

from benchmarks.exit_stage import Market, Run, Stage, a_stage
from benchmarks.request_log import as_table

Figure = tuple[str, str, str]
SMALL, BOOK, LARGEST = Market(1, 10, 1), Market(50, 20, 2), Market(200, 50, 5)
DELAYS = (0.0, 0.1)
ROUNDS = 3
PLAIN = ("floor", "threaded")
# By market and delay: the bound of sellctl's time over the floor's. There, the script must be slower than sellctl.
FLOOR_BOUNDS = {(SMALL.name, 0.1): 1.25, (BOOK.name, 0.1): 1.5, (BOOK.name, 0.0): 2.5}
UNTIL_BOUND, WHOLE_BOUND = 400, 1600
BUDGET = 180  # requests per minute and key
MEMORY_BOUND_MB = 300


def figures() -> Iterator[Figure]:
    """Name, measured value, bound; each as soon as it is measured."""
    for market, delays in ((SMALL, DELAYS[1:]), (BOOK, DELAYS)):
        with a_stage(market) as stage:
            for delay in delays:
                yield from _cold(stage, delay)
            if market is BOOK:
                yield from _whole(stage)
    yield from _largest()


# --- cold run-once


def _cold(stage: Stage, delay: float) -> Iterator[Figure]:
    """A process that knows nothing of the market, and sellctl also with what an earlier run remembered."""
    stage.command("set", "delay", 0)
    remembered = stage.remembered()
    stage.command("set", "delay", delay)
    runs: dict[str, list[Run]] = {name: [] for name in (*PLAIN, "sellctl", "later")}
    for _ in range(ROUNDS):
        for name in (*PLAIN, "sellctl"):
            runs[name].append(stage.sell(name))
        runs["later"].append(stage.sell("sellctl", state=stage.copy_of(remembered)))
    what = f"exit: cold run-once, {stage.market.name}, {delay * 1000:.0f} ms"
    floor, threaded, ours, later = (statistics.median(run.last for run in each) for each in runs.values())
    _print_counts(what, {name: each[0] for name, each in runs.items()})
    bound = FLOOR_BOUNDS[stage.market.name, delay]
    yield f"{what}: sellctl / raw floor", f"{ours / floor:.2f} x ({_ms(ours)} / {_ms(floor)})", f"<= {bound} x"
    yield f"{what}: with what an earlier run remembered", f"{later / floor:.2f} x ({_ms(later)})", ""
    if stage.market == BOOK:
        measured = f"{ours / threaded:.2f} x ({_ms(ours)} / {_ms(threaded)})"
        yield f"{what}: sellctl / threaded alpaca-py script", measured, "< 1 x"
        requests = statistics.median(run.until for run in runs["sellctl"])
        others = ", ".join(f"{name} {statistics.median(run.until for run in runs[name]):.0f}" for name in PLAIN)
        yield f"{what}: requests until the last order", f"{requests:.0f} ({others})", f"<= {UNTIL_BOUND}"
    _raise_if_refused(runs["sellctl"] + runs["later"])


def _whole(stage: Stage) -> Iterator[Figure]:
    """One run to its end, in which every order walks and nothing fills."""
    stage.command("set", "delay", 0)
    run = stage.sell("sellctl", whole=True)
    what = f"exit: cold run-once, {stage.market.name}"
    _print_counts(what, {"until": run, "whole": run})
    yield f"{what}: requests of the whole run, four steps an exit", f"{run.whole}", f"<= {WHOLE_BOUND}"
    _raise_if_refused([run])


def _largest() -> Iterator[Figure]:
    """One run of the largest market to its end."""
    with a_stage(LARGEST) as stage:
        run = stage.sell("sellctl", whole=True)
    what = f"exit: cold run-once, {LARGEST.name}, {LARGEST.due:,} due"
    lost = LARGEST.due - len(run.report["first_orders"])
    yield f"{what}: last order", f"{run.last:.1f} s ({run.until} requests, {run.whole} of the whole run)", ""
    yield f"{what}: due options without an order, or offered twice", f"{lost + len(run.report['refused'])}", "0"
    yield f"{what}: most requests of a key in 60 s", f"{run.report['busiest']}", f"<= {BUDGET}"
    yield f"{what}: peak memory", f"{run.peak_mb:.0f} MB", f"< {MEMORY_BOUND_MB} MB"


def _raise_if_refused(runs: Sequence[Run]) -> None:
    refused = [each for run in runs for each in run.report["refused"]]
    if refused:
        raise RuntimeError(f"offered for sale twice: {', '.join(refused)}")


def _print_counts(what: str, runs: dict[str, Run]) -> None:
    """The requests by kind, on stderr beside the figures."""
    counts = {name: run.report["whole" if name == "whole" else "until"] for name, run in runs.items()}
    sys.stderr.write(f"  {what}: requests {'' if 'whole' in runs else 'until the last order'}\n")
    sys.stderr.writelines(f"    {line}\n" for line in as_table(counts))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


# --- one run's requests


def print_requests(name: str, market: Market = SMALL, delay: float = DELAYS[1]) -> None:
    """The requests of a cold run until every due option has its first order, as they came."""
    with a_stage(market) as stage:
        stage.command("set", "delay", delay)
        run = stage.sell(name)
    sys.stdout.write(f"{name}, {market.name}, {delay * 1000:.0f} ms per answer\n   begins     ends ms\n")
    for begin, end, key, kind, symbol in run.report["chain"]:
        if begin <= run.last * 1000:
            sys.stdout.write(f"{begin:9.1f} {end:9.1f}  {key:>4}  {kind} {symbol}\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--requests", who]:
            print_requests(who)
        case ["--requests", who, accounts, held, due_each, seconds]:
            print_requests(who, Market(int(accounts), int(held), int(due_each)), float(seconds))
        case _:
            for row in figures():
                sys.stdout.write("  |  ".join(row) + "\n")
                sys.stdout.flush()
