"""The table of the figures is written in its place in a document, and nowhere else."""

from pathlib import Path

import pytest

from faults.figures import HEADER, write_table
from faults.steadiness import Sample, Steadiness

PAGE = "# A page\n\n<!-- figures: short -->\n| old |\n|---|\n| row |\n\nWords.\n\n<!-- figures: full -->\n"


def test_a_table_replaces_the_one_below_its_mark(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    write_table(page, "short", ["| new |"])
    assert page.read_text() == PAGE.replace("| old |\n|---|\n| row |", "\n".join((*HEADER, "| new |")))


def test_a_new_table_is_written_below_its_mark(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    write_table(page, "full", ["| new |"])
    assert page.read_text() == PAGE + "\n".join((*HEADER, "| new |")) + "\n"


def test_a_page_without_the_mark_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Another\n")
    with pytest.raises(ValueError, match="figures: full"):
        write_table(page, "full", ["| new |"])


@pytest.mark.parametrize(("last", "files", "holds"), [(83.9, 9, True), (84.1, 9, False), (83.0, 10, False)])
def test_memory_holds_below_one_megabyte_in_ten_days_and_open_files_stay(
    last: float, files: int, *, holds: bool
) -> None:
    samples = [(10, 70.0, 7), (20, 80.0, 9), (30, 81.0, 9), (40, 82.0, 9), (50, 83.0, 9), (60, last, files)]
    assert Steadiness((), tuple(Sample(*each) for each in samples)).holds is holds
