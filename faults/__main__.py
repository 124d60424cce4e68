"""`python -m faults`: replay one seed, run the whole bench, hunt the planted bugs, compare seed pairs."""

import argparse
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence

from faults.day import play
from faults.planted import BUGS
from faults.program import FULL, QUICK, run_bench, run_planted

PAIRED = ({"PYTHONHASHSEED": "1", "TZ": "Asia/Shanghai"}, {"PYTHONHASHSEED": "2", "TZ": "Australia/Lord_Howe"})


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
    parser.add_argument("--n", type=int, default=len(BUGS), help="how many planted bugs")
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
            _print(f"  drawn and never struck: {', '.join(outcome.unfired)}")
        broken += bool(outcome.violations or outcome.unfired)
    return 1 if broken else 0


def _bench(asked: argparse.Namespace) -> int:
    return run_bench(FULL if asked.full else QUICK, _print)


def _planted(asked: argparse.Namespace) -> int:
    return run_planted(asked.n, _print)


def _heads(asked: argparse.Namespace) -> int:
    for seed in range(asked.seed, asked.seed + asked.days):
        _print(f"{seed} {play(seed, asked.family).head}")
    return 0


def _pairs(asked: argparse.Namespace) -> int:
    """The same seeds in two processes that differ in hash seed and time zone end with the same journal heads."""
    words = [sys.executable, "-m", "faults", "heads", "--seed", str(asked.seed), "--days", str(asked.days)]
    told = [
        subprocess.run(words, env={**os.environ, **extra}, capture_output=True, text=True, check=True).stdout  # noqa: S603  our own interpreter
        for extra in PAIRED
    ]
    _print(f"{asked.days} seed pairs, {'equal' if told[0] == told[1] else 'NOT equal'} journal heads")
    return 0 if told[0] == told[1] else 1


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "day": _day,
    "run": _bench,
    "planted": _planted,
    "heads": _heads,
    "pairs": _pairs,
}


if __name__ == "__main__":
    sys.exit(main())
