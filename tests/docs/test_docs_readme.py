"""The README: two screens, and everything that a reader looks for first is linked from it."""

import pytest
from documents import read

README = read("README.md")


def test_the_readme_is_two_screens() -> None:
    assert len(README.splitlines()) <= 100


@pytest.mark.parametrize(
    "page",
    ["long-options.md#configuration", "stocks.md#configuration", "alerts.md#configuration", "why-not-sold.md#ask"],
)
def test_what_a_reader_changes_first_is_one_link_away(page: str) -> None:
    assert f"](docs/tasks/{page})" in README[README.index("## Common changes") :]


def test_it_says_what_is_protected_and_what_happens_when_the_machine_dies() -> None:
    assert "## What is protected" in README
    assert "**When the machine dies**" in README
