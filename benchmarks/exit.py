"""From nothing, or from a price, to the order: `run-once` and `watch` when many options are due, beside other programs.

Each program runs in a process of its own, and the exchange, which measures, in another. `python -m benchmarks.exit`
followed by `cold`, `whole` or `watch` measures only these rows; with `--requests sellctl`, `floor`, `threaded` or
`watch` it prints the requests of one run as they came.
"""

import statistics
import sys
from collections.abc import Iterator

from benchmarks import exit_watch
from benchmarks.exit_stage import Market, Run, a_stage
from benchmarks.request_log import as_table

Figure = tuple[str, str, str]
SMALL, BOOK, LARGEST = Market(1, 10, 1), Market(50, 20, 2), Market(200, 50, 5)
ROUNDS = 7
PLAIN = ("floor", "threaded")
REMEMBERING = "again"  # sellctl with what an earlier run has left in the state folder
# By market and delay: the bound of sellctl's time over the floor's. There, the script must be slower than sellctl.
FLOOR_BOUNDS = {(SMALL.name, 0.1): 1.25, (BOOK.name, 0.1): 1.5, (BOOK.name, 0.0): 2.5}
UNTIL_BOUND, WHOLE_BOUND = 400, 1600
BUDGET = 180  # requests per minute and key
MEMORY_BOUND_MB = 300


def figures() -> Iterator[Figure]:
    """Name, measured value, bound; each as soon as it is measured."""
    for part in PARTS.values():
        yield from part()


# --- cold run-once


def cold() -> Iterator[Figure]:
    """The programs in turns, each on an exchange of its own."""
    for market, delay in ((SMALL, 0.1), (BOOK, 0.0), (BOOK, 0.1)):
        yield from _compared(market, delay)


def _compared(market: Market, delay: float) -> Iterator[Figure]:
    runs: dict[str, list[Run]] = {name: [] for name in (*PLAIN, "sellctl", REMEMBERING)}
    for _ in range(ROUNDS):
        for name, each in runs.items():
            each.append(one_run(name, market, delay))
    what = f"exit: cold run-once, {market.name}, {delay * 1000:.0f} ms"
    _print_counts(
        f"{what}: requests until the last order", {name: each[0].report["until"] for name, each in runs.items()}
    )
    floor, threaded, ours, remembering = (statistics.median(run.last for run in each) for each in runs.values())
    bound = f"<= {FLOOR_BOUNDS[market.name, delay]} x"
    yield f"{what}: sellctl / raw floor", f"{ours / floor:.2f} x ({_ms(ours)} / {_ms(floor)})", bound
    measured = f"{remembering / floor:.2f} x ({_ms(remembering)} / {_ms(floor)})"
    yield f"{what}: with what an earlier run remembered / raw floor", measured, bound
    if market == BOOK:
        measured = f"{ours / threaded:.2f} x ({_ms(ours)} / {_ms(threaded)})"
        yield f"{what}: sellctl / threaded alpaca-py script", measured, "< 1 x"
        requests = statistics.median(run.until for run in runs["sellctl"])
        others = ", ".join(f"{name} {statistics.median(run.until for run in runs[name]):.0f}" for name in PLAIN)
        yield f"{what}: requests until the last order", f"{requests:.0f} ({others})", f"<= {UNTIL_BOUND}"


def one_run(name: str, market: Market, delay: float = 0.0, *, whole: bool = False) -> Run:
    """A run of a program on an exchange of its own. RuntimeError when it offered something twice."""
    earlier = name == REMEMBERING
    with a_stage(market, delay) as stage:
        run = stage.sell("sellctl" if earlier else name, whole=whole, earlier=earlier)
    if run.report["refused"]:
        raise RuntimeError(f"{name} had {len(run.report['refused'])} orders refused: {run.report['refused'][0]}")
    return run


def whole() -> Iterator[Figure]:
    """One run to its end, in which each exit walks to the bid, and one of the largest market."""
    run = one_run("sellctl", BOOK, whole=True)
    what = f"exit: cold run-once, {BOOK.name}: requests of the whole run, in which each exit walks four steps"
    _print_counts(what, {name: run.report[name] for name in ("until", "whole")})
    yield what, f"{run.whole}", f"<= {WHOLE_BOUND}"
    yield from _largest()


def _largest() -> Iterator[Figure]:
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


def print_requests(name: str) -> None:
    """The requests from the first one, or from a quote that reaches a stop, to the last first order, as they came."""
    delay = 0.1
    run = exit_watch.one_stop(delay) if name == "watch" else one_run(name, SMALL, delay)
    sys.stdout.write(f"{name}, {delay * 1000:.0f} ms per answer\n   begins      ends ms\n")
    for begin, end, _, kind, symbol in run.report["chain"]:
        if begin <= run.last * 1000:
            sys.stdout.write(f"{begin:9.1f} {f'{end:9.1f}' if end > begin else '':>9}  {kind} {symbol}\n")


PARTS = {"cold": cold, "whole": whole, "watch": exit_watch.figures}

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--requests", who]:
            print_requests(who)
        case names:
            for part in names or PARTS:
                for row in PARTS[part]():
                    sys.stdout.write("  |  ".join(row) + "\n")
                    sys.stdout.flush()
