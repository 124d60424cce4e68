"""The table of a programme's results as markdown, one row per part, and its place in a document."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HEADER = ("| what | runs | details | violations | seconds |", "|---|---:|---|---:|---:|")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    what: str
    count: int
    detail: str
    violations: int
    seconds: float

    @property
    def cells(self) -> str:
        """The row as markdown."""
        return f"| {self.what} | {self.count} | {self.detail} | {self.violations} | {self.seconds:.0f} |"


def mark(name: str) -> str:
    """The line of a document below which a programme's table is written."""
    return f"<!-- figures: {name} -->"


def write_table(document: Path, name: str, rows: Sequence[str]) -> None:
    """Replace the table of a programme, from its mark to the next empty line. ValueError: the mark is missing."""
    before, found, after = document.read_text("utf-8").partition(f"{mark(name)}\n")
    if not found:
        raise ValueError(f"{document} has no line {mark(name)}")
    rest = after.partition("\n\n")[2] if after.lstrip("\n").startswith("|") else after
    table = "\n".join((*HEADER, *rows))
    document.write_text(f"{before}{found}{table}\n" + (f"\n{rest}" if rest else ""), "utf-8")
