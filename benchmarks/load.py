"""One poll of many accounts, compared with other programs and with a lower bound (the floor).

Every program runs in a process of its own and polls in turn with the others, so that noise affects all of them; a ratio
is one of medians. 5% of the symbols are due: the first poll sends their orders, which then rest.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.request import urlopen

from benchmarks.contenders import CONTENDERS, Shape

Figure = tuple[str, str, str]
SHAPES = (Shape(1, 10, 10), Shape(10, 20, 100), Shape(50, 20, 200), Shape(200, 50, 500))
COMPARED, LARGEST = SHAPES[2], SHAPES[3]
DELAYS = (0.0, 0.1)
DUE = 0.05
WARM_UP = 2
ROUNDS = 9
# The programs that wait for each response, and up to how many accounts they are measured with a delay.
WAITING = {"sequential": 10, "batched": 50}
# By delay: name, numerator, denominator and bound of a ratio of wall times.
RATIOS = {
    0.0: (
        ("sellctl / bare RESTClient", "sellctl", "bare", 1.3),
        ("sequential alpaca-py / sellctl", "sequential", "sellctl", 8.0),
    ),
    0.1: (("sellctl / floor", "sellctl", "floor", 1.5),),
}
# 1.5 times the ratio that was measured before the values became dataclasses (0.49 x, docs/adr/0008-structs.md).
PROCESSOR_BOUND = 0.75
MEMORY_BOUND_MB = 250
_A_MINUTE = 60
_BUDGET = 180  # requests per minute and key


@dataclass
class Contender:
    """A process that polls on command."""

    name: str
    process: subprocess.Popen[str]

    def ready(self) -> None:
        """Wait until its imports are complete."""
        self._read_line()

    def poll(self) -> dict[str, Any]:
        """Poll once; returns wall seconds, CPU seconds and the peak memory so far in MB."""
        return self._command("poll")

    def profile(self) -> dict[str, Any]:
        """Poll several times; returns where the time was spent."""
        return self._command("profile")

    def _command(self, word: str) -> dict[str, Any]:
        if self.process.stdin is None:
            raise RuntimeError("the process has no stdin")
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self._read_line()

    def _read_line(self) -> dict[str, Any]:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise RuntimeError(f"{self.name} has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def a_process(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run one of our modules with arguments for the duration of the block."""
    call = [sys.executable, "-m", *map(str, arguments)]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  ours
        try:
            yield process
        finally:
            process.kill()


@dataclass
class Stage:
    """The canned broker and the programs for one shape."""

    shape: Shape
    url: str
    contenders: dict[str, Contender]

    def command(self, *arguments: object) -> int:
        """Send a command to the broker; returns the number of requests since the previous command."""
        with urlopen(f"{self.url}/bench/{'/'.join(map(str, arguments))}") as answer:  # noqa: S310  our own
            return int(answer.read())

    def rounds(self, names: Sequence[str], count: int) -> dict[str, list[dict[str, Any]]]:
        """The costs of `count` polls of each program, in turns."""
        costs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for _ in range(count):
            for name in names:
                costs[name].append(self.contenders[name].poll())
        return costs


@contextmanager
def a_stage(shape: Shape, names: Sequence[str] = tuple(CONTENDERS)) -> Iterator[Stage]:
    """A broker and warmed-up programs; 5% of the symbols are due and their orders rest."""
    with ExitStack() as stack:
        broker = stack.enter_context(a_process("benchmarks.canned", shape.held, shape.symbols))
        url = f"http://127.0.0.1:{broker.stdout.readline().strip() if broker.stdout else ''}"
        numbers = (shape.accounts, shape.held, shape.symbols)
        started = [
            Contender(name, stack.enter_context(a_process("benchmarks.contenders", name, url, *numbers)))
            for name in names
        ]
        stage = Stage(shape, url, {each.name: each for each in started})
        for each in started:
            each.ready()
        stage.command("due", DUE)
        stage.rounds(names, WARM_UP)
        yield stage


def median(costs: Sequence[dict[str, Any]], what: str = "wall") -> float:
    """The median of one kind of cost."""
    return float(statistics.median(cost[what] for cost in costs))


def figures() -> Iterator[Figure]:
    """One row per shape and delay, and the ratios at 50 x 20, as they are measured."""
    for shape in SHAPES:
        names = [name for name in CONTENDERS if shape != LARGEST or name != "sequential"]  # 10,000 requests in sequence
        with a_stage(shape, names) as stage:
            for delay in DELAYS:
                yield from _at(stage, delay)


def _at(stage: Stage, delay: float) -> Iterator[Figure]:
    stage.command("delay", delay)
    slow = [name for name in WAITING if delay and name in stage.contenders]
    quick = [name for name in stage.contenders if name not in slow]
    costs = stage.rounds(quick, ROUNDS if stage.shape.accounts <= COMPARED.accounts else 4)
    costs |= stage.rounds([name for name in slow if stage.shape.accounts <= WAITING[name]], 1)
    requests = _requests(stage)
    what = f"poll of {stage.shape.name}, {delay * 1000:.0f} ms per answer"
    yield what, f"{_walls(costs)}; {_ours(costs['sellctl'])}, {requests} requests", ""
    if stage.shape == COMPARED:
        yield from _compared(what, stage, delay, costs)
    if stage.shape == LARGEST:
        yield from _largest(what, costs["sellctl"], requests)


def _requests(stage: Stage) -> int:
    stage.command("requests")
    stage.contenders["sellctl"].poll()
    return stage.command("requests")


def _walls(costs: dict[str, list[dict[str, Any]]]) -> str:
    return ", ".join(f"{name} {median(each) * 1000:.0f}" for name, each in costs.items()) + " ms"


def _ours(costs: Sequence[dict[str, Any]]) -> str:
    return f"sellctl's CPU {median(costs, 'cpu') * 1000:.0f} ms, peak {costs[-1]['mb']:.0f} MB"


def _compared(what: str, stage: Stage, delay: float, costs: dict[str, list[dict[str, Any]]]) -> Iterator[Figure]:
    """The ratios, also of processor time: on a busy machine, many threads get a larger share of it than one."""
    missed = False
    for name, above, below, bound in RATIOS[delay]:
        ratio, processor = (median(costs[above], of) / median(costs[below], of) for of in ("wall", "cpu"))
        missed |= ratio > bound if above == "sellctl" else ratio < bound
        sign = "<=" if above == "sellctl" else ">="
        more = f", of processor time {processor:.2f} x" if not delay else ""
        yield f"{what}: {name}", f"{ratio:.2f} x ({median(costs['sellctl']) * 1000:.0f} ms{more})", f"{sign} {bound} x"
    if not delay:
        ratio = median(costs["sellctl"], "cpu") / median(costs["bare"], "cpu")
        yield f"{what}: processor, sellctl / bare RESTClient", f"{ratio:.2f} x", f"<= {PROCESSOR_BOUND} x"
    profile = stage.contenders["sellctl"].profile()
    yield (
        f"{what}: time outside sellctl's code",
        f"{profile['outside']:.0%}: {profile['shares']}",
        ">= 70%, since a bound was missed" if missed else "",
    )


def _largest(what: str, costs: Sequence[dict[str, Any]], requests: int) -> Iterator[Figure]:
    """Memory, and the shortest interval that the processor and the request budget of each key allow."""
    cpu = median(costs, "cpu")
    yield f"{what}: peak memory", f"{costs[-1]['mb']:.0f} MB", f"< {MEMORY_BOUND_MB} MB"
    per_key = requests / LARGEST.accounts
    by_budget = per_key * _A_MINUTE / (_BUDGET * 0.75)  # a quarter is reserved for orders
    shortest = (
        f"{max(median(costs), by_budget):.1f} s ({median(costs):.2f} s of time, {cpu:.2f} s of processor; "
        f"{per_key:.1f} requests per key, which its budget allows every {by_budget:.1f} s)"
    )
    yield f"{what}: shortest interval", shortest, "< 5 s, the default interval"


if __name__ == "__main__":
    for row in figures():
        sys.stdout.write("  |  ".join(row) + "\n")
        sys.stdout.flush()
