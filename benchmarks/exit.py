"""From nothing, or from a price, to the order: `run-once` and `watch` when many options are due, beside other programs.

Each program runs in a process of its own, and the exchange, which measures, in another. `python -m benchmarks.exit
--requests sellctl` prints the requests of one cold run as they came (with numbers: accounts, options, due, delay).
"""

import statistics
import sys
from collections.abc import Iterator

from benchmarks import exit_watch
from benchmarks.exit_stage import Market, Run, a_stage
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
    yield from _cold(SMALL, DELAYS[1])
    for delay in DELAYS:
        yield from _cold(BOOK, delay)
    yield from _whole()
    yield from exit_watch.figures()
    yield from _largest()


# --- cold run-once


def _cold(market: Market, delay: float) -> Iterator[Figure]:
    """All programs in turns, and sellctl also with what an earlier run remembered."""
    runs: dict[str, list[Run]] = {name: [] for name in (*PLAIN, "sellctl", "later")}
    for _ in range(ROUNDS):
        for name in (*PLAIN, "sellctl"):
            runs[name].append(one_run(name, market, delay))
        runs["later"].append(one_run("sellctl", market, delay, earlier=True))
    what = f"exit: cold run-once, {market.name}, {delay * 1000:.0f} ms"
    floor, threaded, ours, later = (statistics.median(run.last for run in each) for each in runs.values())
    _print_counts(
        f"{what}: requests until the last order", {name: each[0].report["until"] for name, each in runs.items()}
    )
    bound = FLOOR_BOUNDS[market.name, delay]
    yield f"{what}: sellctl / raw floor", f"{ours / floor:.2f} x ({_ms(ours)} / {_ms(floor)})", f"<= {bound} x"
    yield (
        f"{what}: the same with what an earlier run remembered",
        f"{later / floor:.2f} x ({_ms(later)})",
        f"<= {bound} x",
    )
    if market == BOOK:
        measured = f"{ours / threaded:.2f} x ({_ms(ours)} / {_ms(threaded)})"
        yield f"{what}: sellctl / threaded alpaca-py script", measured, "< 1 x"
        requests = statistics.median(run.until for run in runs["sellctl"])
        others = ", ".join(f"{name} {statistics.median(run.until for run in runs[name]):.0f}" for name in PLAIN)
        yield f"{what}: requests until the last order", f"{requests:.0f} ({others})", f"<= {UNTIL_BOUND}"


def one_run(name: str, market: Market, delay: float = 0.0, *, whole: bool = False, earlier: bool = False) -> Run:
    """A run of a program on an exchange of its own. RuntimeError when it offered something twice."""
    with a_stage(market, delay) as stage:
        run = stage.sell(name, whole=whole, earlier=earlier)
    if run.report["refused"]:
        raise RuntimeError(f"{name} had {len(run.report['refused'])} orders refused: {run.report['refused'][0]}")
    return run


def _whole() -> Iterator[Figure]:
    """One run to its end, in which each exit walks to the bid."""
    run = one_run("sellctl", BOOK, whole=True)
    what = f"exit: cold run-once, {BOOK.name}: requests of the whole run, in which each exit walks four steps"
    _print_counts(what, {name: run.report[name] for name in ("until", "whole")})
    yield what, f"{run.whole}", f"<= {WHOLE_BOUND}"


def _largest() -> Iterator[Figure]:
    """One run of the largest market to its end."""
    run = one_run("sellctl", LARGEST, whole=True)
    what = f"exit: cold run-once, {LARGEST.name}, {LARGEST.due:,} due"
    yield f"{what}: last order", f"{run.last:.1f} s ({run.until} requests, {run.whole} of the whole run)", ""
    yield f"{what}: due options without an order", f"{LARGEST.due - len(run.report['first_orders'])}", "0"
    yield f"{what}: most requests of a key in 60 s", f"{run.report['busiest']}", f"<= {BUDGET}"
    yield f"{what}: peak memory", f"{run.peak_mb:.0f} MB", f"< {MEMORY_BOUND_MB} MB"


def _print_counts(what: str, counts: dict[str, dict[str, int]]) -> None:
    """The requests by kind, on stderr beside the figures."""
    sys.stderr.write(f"  {what}\n")
    sys.stderr.writelines(f"    {line}\n" for line in as_table(counts))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


# --- one run's requests


def print_requests(name: str, market: Market = SMALL, delay: float = 0.1) -> None:
    """The requests of a cold run until every due option has its first order, as they came."""
    run = one_run(name, market, delay)
    sys.stdout.write(f"{name}, {market.name}, {delay * 1000:.0f} ms per answer\n   begins     ends ms\n")
    for begin, end, key, kind, symbol in run.report["chain"]:
        if begin <= run.last * 1000:
            ends = f"{end:9.1f}" if end > begin else f"{'-':>9}"
            sys.stdout.write(f"{begin:9.1f} {ends}  {key:>4}  {kind} {symbol}\n")


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
