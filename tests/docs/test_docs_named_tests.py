"""The tests that the documents refer to exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_a_document_names_exists() -> None:
    pages = {path.name: path.read_text() for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]}
    named = {(page, test) for page, text in pages.items() for test in re.findall(r"`(test_\w+)`", text)}
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    existing = set(re.findall(r"def (test_\w+)", sources))
    assert {"execution.md", "CONTRIBUTING.md"} <= {page for page, _ in named}
    assert not {(page, test) for page, test in named if test not in existing}
