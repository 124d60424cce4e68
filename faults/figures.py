"""The table of what a programme came to: one row a part, as markdown, and its place in a document."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HEADER = ("| what | runs | in them | violations | seconds |", "|---|---:|---|---:|---:|")


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table."""

    what: str
    count: int
    detail: str
    violations: int
    seconds: float

    @property
    def cells(self) -> str:
        """As markdown."""
        return f"| {self.what} | {self.count} | {self.detail} | {self.violations} | {self.seconds:.0f} |"


def mark(name: str) -> str:
    """The line of a document under which a programme's table stands."""
    return f"<!-- figures: {name} -->"


def put_into(document: Path, name: str, rows: Sequence[str]) -> None:
    """Replace the table of a programme, from its mark to the next empty line. ValueError: no such mark."""
    before, found, after = document.read_text("utf-8").partition(f"{mark(name)}\n")
    if not found:
        raise ValueError(f"{document} has no line {mark(name)}")
    rest = after.partition("\n\n")[2] if after.lstrip("\n").startswith("|") else after
    table = "\n".join((*HEADER, *rows))
    document.write_text(f"{before}{found}{table}\n" + (f"\n{rest}" if rest else ""), "utf-8")
