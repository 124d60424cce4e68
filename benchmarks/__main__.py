"""`make bench`: every figure of this folder from one run, each beside its bound."""

import importlib
import sys

from sellctl.render import emit

# What is measured, cheapest first. A module has `figures()`: name, what was measured, its bound.
MODULES = ("start", "cycle", "load", "decide", "sim", "journal", "execution", "stream")


def main(names: tuple[str, ...]) -> None:
    """Measure these modules, all of them when none is named."""
    rows = []
    for name in names or MODULES:
        sys.stderr.write(f"measuring: {name} ...\n")
        rows += importlib.import_module(f"benchmarks.{name}").figures()
    emit(("figure", "measured", "bound"), rows, None, title="Figures")


if __name__ == "__main__":
    main(tuple(sys.argv[1:]))
