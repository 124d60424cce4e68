"""Links between documents lead to a file and a heading that exist, and the site's navigation has every page."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import DOCUMENTS, PAGES, ROOT, read, without_blocks

LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """The anchor of each heading, as the site and public forges make it."""
    titles = HEADING.findall(without_blocks(path.read_text(encoding="utf-8")))
    words = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles]
    return {re.sub(r"[\s]", "-", re.sub(r"[^\w\s-]", "", title).strip()) for title in words}


def broken(path: Path) -> Iterator[str]:
    """The links of a document that lead nowhere."""
    for link in LINK.findall(without_blocks(path.read_text(encoding="utf-8"))):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_document_leads_somewhere(path: Path) -> None:
    assert list(broken(path)) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_of_the_site_links_only_to_what_the_site_has(path: Path) -> None:
    links = [link for link in LINK.findall(without_blocks(path.read_text())) if not link.startswith("http")]
    outside = [
        link for link in links if link.partition("#")[0] and ROOT / "docs" not in (path.parent / link).resolve().parents
    ]
    assert outside == []


def test_the_navigation_has_every_page_once_and_nothing_else() -> None:
    pages = sorted(pages_of(tomllib.loads(read("zensical.toml"))["project"]["nav"]))
    assert pages == sorted([*(str(page.relative_to(ROOT / "docs")) for page in PAGES), "changelog.md"])


def pages_of(entries: list[dict[str, Any]]) -> Iterator[str]:
    """The pages of a navigation, in its order."""
    for entry in entries:
        for value in entry.values():
            if isinstance(value, str):
                yield value
            else:
                yield from pages_of(value)


def test_a_link_to_a_heading_that_is_missing_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Title\n[b](b.md#no-such-heading) [c](c.md) [fine](b.md#two-words)\n")
    (tmp_path / "b.md").write_text("# B\n## Two words\n")
    assert list(broken(tmp_path / "a.md")) == ["b.md#no-such-heading", "c.md"]
