"""Seed pairs: the same days in two processes that differ in hash seed and time zone end with the same journal heads."""

import os
import subprocess
import sys

ENVIRONMENTS = ({"PYTHONHASHSEED": "1", "TZ": "Asia/Shanghai"}, {"PYTHONHASHSEED": "2", "TZ": "Australia/Lord_Howe"})


def differing_seeds(first: int, count: int) -> list[int]:
    """The seeds whose journal heads differ between two processes, which run at the same time."""
    command = [sys.executable, "-m", "faults", "heads", "--seed", str(first), "--days", str(count)]
    both = [
        subprocess.Popen(command, env={**os.environ, **extra}, stdout=subprocess.PIPE, text=True)  # noqa: S603  our own interpreter
        for extra in ENVIRONMENTS
    ]
    one, other = (process.communicate()[0].splitlines() for process in both)
    heads_by_process = [dict(line.split() for line in lines) for lines in (one, other)]
    return [seed for seed in range(first, first + count) if not _same_head(heads_by_process, str(seed))]


def _same_head(heads_by_process: list[dict[str, str]], seed: str) -> bool:
    heads = {each.get(seed) for each in heads_by_process}
    return len(heads) == 1 and None not in heads
