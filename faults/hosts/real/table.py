"""The table of many runs with real hosts: of each trouble how often it struck, and the slowest take-over after it."""

from collections.abc import Iterable, Iterator

from faults.hosts.real.checks import Evidence
from faults.hosts.real.draws import BOUNDS, Trouble


def table_of(runs: Iterable[Evidence]) -> Iterator[str]:
    """The lines of the table, in Markdown; seconds are those until all accounts were watched again."""
    struck = [each for run in runs for each in run.struck]
    yield "| trouble | times | half within, s | slowest, s | bound, s |"
    yield "|---|---:|---:|---:|---:|"
    for trouble in Trouble:
        of_it = [each.watched_after for each in struck if each.trouble is trouble]
        if of_it:
            known = sorted(each for each in of_it if each is not None)
            slowest = f"{known[-1]:.1f}" if len(known) == len(of_it) else "never"
            half = f"{known[len(known) // 2]:.1f}" if len(known) > len(of_it) // 2 else "never"
            yield f"| {trouble} | {len(of_it)} | {half} | {slowest} | {BOUNDS[trouble]:.0f} |"
