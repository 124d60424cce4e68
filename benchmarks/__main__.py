"""`make bench`: measure every figure, print it beside its bound, and write docs/performance.md.

With names (`python -m benchmarks start load`), only those modules are measured. `--check` is the short form for CI: it
fails when a ratio (not a time) is several times its recorded value.
"""

import importlib
import re
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.check import check

# The modules, quickest first. Each has `figures()`, which yields name, measured value and bound.
MODULES = (
    "start",
    "keys",
    "cycle",
    "telemetry",
    "decide",
    "sim",
    "assistants",
    "load",
    "journal",
    "postgres",
    "exit",
    "day",
    "stream",
    "hosts",
    "execution",
    "structures",
)
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
_BEGIN, _END = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
_NUMBER = r"-?[0-9][0-9,]*(?:\.[0-9]+)?"
_BOUND = re.compile(rf"(?P<sign><=|>=|<|>|)\s*(?P<number>{_NUMBER})\s*(?P<unit>[%a-zA-Z/]*)")


@dataclass(frozen=True)
class Row:
    """A figure: its name, the measured value, its bound ("": none), and the module that measured it."""

    name: str
    measured: str
    bound: str
    module: str

    @property
    def met(self) -> str:
        """Whether the measured value is within the bound; "" where the bound is a text or there is none."""
        bound = _BOUND.match(self.bound)
        if bound is None:
            same = self.bound.startswith(("yes", "none")) and self.measured.startswith(self.bound.split()[0])
            return "yes" if same else ""
        with_unit = re.search(rf"({_NUMBER})\s*{re.escape(bound['unit'])}(?![a-zA-Z])", self.measured)
        first = with_unit or re.search(rf"({_NUMBER})", self.measured)
        if first is None:
            return ""
        ours, its = (float(text.replace(",", "")) for text in (first[1], bound["number"]))
        kept = {"<=": ours <= its, "<": ours < its, ">=": ours >= its, ">": ours > its, "": ours <= its}[bound["sign"]]
        return "yes" if kept else "**no**"


def measured(name: str) -> Iterator[Row]:
    """The figures of a module as they are measured."""
    began = time.monotonic()
    sys.stderr.write(f"measuring: {name} ...\n")
    for what, figure, bound in importlib.import_module(f"benchmarks.{name}").figures():
        yield Row(what, figure, bound, name)
    sys.stderr.write(f"  {name} took {time.monotonic() - began:.0f} s\n")


def main(names: tuple[str, ...]) -> None:
    """Measure these modules. When none is named, measure all of them and write the page after each row."""
    rows = []
    for name in names or MODULES:
        for row in measured(name):
            rows.append(row)
            bound = f"  [{row.bound}{': ' if row.met else ''}{row.met.strip('*')}]" if row.bound else ""
            sys.stdout.write(f"{row.name}: {row.measured}{bound}\n")
            sys.stdout.flush()
        if not names:
            write(rows)


def write(rows: Iterable[Row]) -> None:
    """Write the table into the page, between its marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    lines = [f"| {row.name} | {row.measured} | {row.bound} | {row.met} |" for row in rows]
    table = "\n".join(["| figure | measured | bound | met |", "|---|---|---|---|", *lines])
    PAGE.write_text(f"{before}{_BEGIN}\n\n{table}\n\n{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(check()) if sys.argv[1:] == ["--check"] else main(tuple(sys.argv[1:]))
