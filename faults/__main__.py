"""`python -m faults`: replay one seed, run the whole bench, hunt the mutants, compare seed pairs."""

import argparse
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from faults.crash import Case, crash
from faults.day import play
from faults.kill9 import kill_at_random
from faults.mutants import MUTANTS
from faults.pairs import differing_seeds
from faults.program import run_bench, run_mutants
from faults.steadiness import many_days
from faults.two import play_pair


def main(words: Sequence[str] | None = None) -> int:
    """Run what the words ask for; 1 when anything was violated or not found."""
    warnings.filterwarnings("ignore", "coroutine .* was never awaited")  # what a killed process leaves behind
    asked = _parser().parse_args(words)
    return _COMMANDS[asked.command](asked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("command", nargs="?", choices=tuple(_COMMANDS), default="day")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--days", type=int, default=1, help="how many seeds")
    parser.add_argument("--family", action="append", help="only these families of faults, such as H or Q")
    parser.add_argument("--sdk", action="store_true", help="through the adapter and the SDK's session")
    parser.add_argument("--n", type=int, default=len(MUTANTS), help="how many mutants")
    parser.add_argument("--mutant", action="append", help="only these mutants, by name")
    parser.add_argument("--step", default="", help="a named step to die at, for crash")
    parser.add_argument("--nth", type=int, default=1, help="at which time of the step")
    parser.add_argument("--once", action="store_true", help="run-once every minute instead of one watch")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table of `run` into this document")
    parser.add_argument("--full", action="store_true", help="the long programme")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell the day's whole story")
    return parser


def _day(asked: argparse.Namespace) -> int:
    broken = 0
    for seed in range(asked.seed, asked.seed + asked.days):
        outcome = play(seed, asked.family, sdk=asked.sdk, tell=_print if asked.verbose else None)
        _print(outcome.line)
        for violation in outcome.violations:
            _print(f"  {violation}")
        if outcome.unfired:
            _print(f"  drawn and never triggered: {', '.join(outcome.unfired)}")
        broken += bool(outcome.violations or outcome.unfired)
    return 1 if broken else 0


def _bench(asked: argparse.Namespace) -> int:
    return run_bench("full" if asked.full else "short", _print, asked.write)


def _mutants(asked: argparse.Namespace) -> int:
    return run_mutants(asked.mutant or asked.n, _print)


def _crash(asked: argparse.Namespace) -> int:
    done = crash(Case(asked.step, asked.nth, asked.once, asked.seed))
    return _told(f"{done.case}{'' if done.happened else ': it never came to that step'}", done.violations)


def _two(asked: argparse.Namespace) -> int:
    return _told(f"two watchers, seed {asked.seed}", play_pair(asked.seed, shared=asked.seed % 2 == 0).violations)


def _kill9(asked: argparse.Namespace) -> int:
    return _told(f"kill -9, seed {asked.seed}", kill_at_random(asked.seed).faults)


def _told(what: str, violations: Iterable[object]) -> int:
    found = list(violations)
    _print(f"{what}: {len(found)} violations")
    for each in found:
        _print(f"  {each}")
    return 1 if found else 0


def _memory(asked: argparse.Namespace) -> int:
    """What many days in one process leave behind, sampled every ten days."""
    steady = many_days(play, range(asked.seed, asked.seed + max(asked.days, 40)))
    for sample in steady.samples:
        _print(f"{sample.days} days: {sample.megabytes:.1f} MB, {sample.files} open files")
    _print(steady.line)
    return 0 if steady.holds else 1


def _heads(asked: argparse.Namespace) -> int:
    for seed in range(asked.seed, asked.seed + asked.days):
        _print(f"{seed} {play(seed, asked.family).head}")
    return 0


def _pairs(asked: argparse.Namespace) -> int:
    """The same seeds in two processes that differ in hash seed and time zone end with the same journal heads."""
    differ = differing_seeds(asked.seed, asked.days)
    _print(f"{asked.days} seed pairs, {f'not equal: {differ}' if differ else 'equal journal heads'}")
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
    "kill9": _kill9,
    "memory": _memory,
    "heads": _heads,
    "pairs": _pairs,
}


if __name__ == "__main__":
    sys.exit(main())
