"""`python -m faults`: replay one seed, run the whole bench, search for the mutants, compare seed pairs."""

import argparse
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

from faults.crash import Case, crash
from faults.day import play
from faults.hosts.run import play_hosts
from faults.kill9 import kill_at_random
from faults.mutants import MUTANTS
from faults.pairs import differing_seeds
from faults.pressure import play_pressure
from faults.program import run_bench, run_mutants
from faults.real_watch import watch_beside
from faults.steadiness import many_days
from faults.two import play_pair

REAL_HOSTS_AT_ONCE = 3  # their processes mostly wait


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 1 when an invariant was violated or a mutant was not found."""
    warnings.filterwarnings("ignore", "coroutine .* was never awaited")  # a killed process leaves coroutines behind
    arguments = _parser().parse_args(argv)
    return _COMMANDS[arguments.command](arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("command", nargs="?", choices=tuple(_COMMANDS), default="day")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--days", type=int, default=1, help="how many seeds")
    parser.add_argument(
        "--family", action="append", help="only these families of faults, such as H, or separate draws, such as A07"
    )
    parser.add_argument("--adapter", action="store_true", help="send requests through the adapter")
    parser.add_argument("--n", type=int, default=len(MUTANTS), help="how many mutants")
    parser.add_argument("--mutant", action="append", help="only these mutants, by name")
    parser.add_argument("--step", default="", help="for crash: the named step to kill at")
    parser.add_argument("--nth", type=int, default=1, help="for crash: at which occurrence of the step")
    parser.add_argument("--once", action="store_true", help="for crash: run-once every minute instead of one watch")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table of `run` into this document")
    parser.add_argument("--full", action="store_true", help="for run: the long programme")
    parser.add_argument("-v", "--verbose", action="store_true", help="print every event of the day")
    return parser


def _day(arguments: argparse.Namespace) -> int:
    broken = 0
    for seed in range(arguments.seed, arguments.seed + arguments.days):
        outcome = play(seed, arguments.family, adapter=arguments.adapter, report=_print if arguments.verbose else None)
        _print(outcome.line)
        for violation in outcome.violations:
            _print(f"  {violation}")
        if outcome.unfired:
            _print(f"  drawn and never triggered: {', '.join(outcome.unfired)}")
        broken += bool(outcome.violations or outcome.unfired)
    return 1 if broken else 0


def _bench(arguments: argparse.Namespace) -> int:
    return run_bench("full" if arguments.full else "short", _print, arguments.write, arguments.seed)


def _mutants(arguments: argparse.Namespace) -> int:
    return run_mutants(arguments.mutant or arguments.n, _print)


def _crash(arguments: argparse.Namespace) -> int:
    done = crash(Case(arguments.step, arguments.nth, arguments.once, arguments.seed))
    return _print_violations(f"{done.case}{'' if done.happened else ': the step was not reached'}", done.violations)


def _two(arguments: argparse.Namespace) -> int:
    return _print_violations(
        f"two watchers, seed {arguments.seed}", play_pair(arguments.seed, shared=arguments.seed % 2 == 0).violations
    )


def _pressure(arguments: argparse.Namespace) -> int:
    broken = 0
    for seed in range(arguments.seed, arguments.seed + arguments.days):
        done = play_pressure(seed)
        what = f"pressure, seed {seed}: {done.orders} orders, {done.most_requests} requests, {done.slowest:.1f} s"
        broken += _print_violations(what, done.violations)
    return 1 if broken else 0


def _hosts(arguments: argparse.Namespace) -> int:
    broken = 0
    for seed in range(arguments.seed, arguments.seed + arguments.days):
        done = play_hosts(seed, _print if arguments.verbose else None)
        broken += _print_violations(done.line, done.violations)
    return 1 if broken else 0


def _real_hosts(arguments: argparse.Namespace) -> int:
    from faults.hosts.real.run import strike_real_hosts  # noqa: PLC0415  needs the extra postgres
    from faults.hosts.real.table import table_of  # noqa: PLC0415  likewise

    broken, seen = 0, []
    with ThreadPool(REAL_HOSTS_AT_ONCE) as pool:
        for done in pool.imap(strike_real_hosts, range(arguments.seed, arguments.seed + arguments.days)):
            broken += _print_violations(done.line, done.errors)
            if arguments.verbose and done.log:
                _print(done.log)
            seen.append(done.seen)
    for line in table_of(seen):
        _print(line)
    _print(f"{arguments.days} runs, {broken} violated")
    return 1 if broken else 0


def _watch(arguments: argparse.Namespace) -> int:
    broken = 0
    for seed in range(arguments.seed, arguments.seed + arguments.days):
        done = watch_beside(seed)
        broken += _print_violations(f"real watch, seed {seed}, {done.case}", done.errors)
    return 1 if broken else 0


def _kill9(arguments: argparse.Namespace) -> int:
    return _print_violations(f"kill -9, seed {arguments.seed}", kill_at_random(arguments.seed).errors)


def _print_violations(what: str, violations: Iterable[object]) -> int:
    found = list(violations)
    _print(f"{what}: {len(found)} violations")
    for each in found:
        _print(f"  {each}")
    return 1 if found else 0


def _memory(arguments: argparse.Namespace) -> int:
    """Print memory and open files over many days in one process, every ten days."""
    steady = many_days(play, range(arguments.seed, arguments.seed + max(arguments.days, 40)))
    for sample in steady.samples:
        _print(f"{sample.days} days: {sample.megabytes:.1f} MB, {sample.files} open files")
    _print(steady.line)
    return 0 if steady.holds else 1


def _heads(arguments: argparse.Namespace) -> int:
    for seed in range(arguments.seed, arguments.seed + arguments.days):
        _print(f"{seed} {play(seed, arguments.family).head}")
    return 0


def _pairs(arguments: argparse.Namespace) -> int:
    """Compare the journal heads of the same seeds in two processes that differ in hash seed and time zone."""
    differ = differing_seeds(arguments.seed, arguments.days)
    _print(f"{arguments.days} seed pairs, {f'not equal: {differ}' if differ else 'equal journal heads'}")
    return 1 if differ else 0


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "day": _day,
    "run": _bench,
    "mutants": _mutants,
    "crash": _crash,
    "two": _two,
    "pressure": _pressure,
    "hosts": _hosts,
    "real-hosts": _real_hosts,
    "watch": _watch,
    "kill9": _kill9,
    "memory": _memory,
    "heads": _heads,
    "pairs": _pairs,
}


if __name__ == "__main__":
    sys.exit(main())
