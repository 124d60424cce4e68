"""`python -m faults`: one seed, many days, the crash matrix, the planted bugs; what each found."""

import argparse
import sys

from faults.day import play


def main() -> int:
    """Run what the words ask for; 1 when anything was violated."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--family", action="append")
    parser.add_argument("--sdk", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    asked = parser.parse_args()
    broken = 0
    for seed in range(asked.seed, asked.seed + asked.days):
        outcome = play(seed, asked.family, sdk=asked.sdk, tell=print if asked.verbose else None)
        sys.stdout.write(f"{outcome.line} unfired={outcome.unfired}\n")
        for violation in outcome.violations:
            sys.stdout.write(f"  {violation}\n")
        broken += bool(outcome.violations)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
