"""The documents of the project, and what the tests look for in them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *PAGES]
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(sellctl [^`]+)`")
_PLACEHOLDERS = {"SYMBOL": "AAPL", "NAME": "me", "TEXT": "why", "X": "AAPL", "COMMAND": "watch", "FILE": "file"}


def read(path: str) -> str:
    """The text of a document."""
    return (ROOT / path).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [body for _, found, body in _BLOCK.findall(text) if found == language]


def without_blocks(text: str) -> str:
    """The prose of a document."""
    return _BLOCK.sub("", text)


def command_lines(text: str) -> Iterator[str]:
    """Every command line of sellctl that a document shows in `sh` or `cron`, or names in its prose."""
    for block in blocks(text, "sh"):
        yield from (line.partition(" #")[0].rstrip() for line in block.splitlines() if line.startswith("sellctl "))
    for block in blocks(text, "cron"):
        yield from (f"sellctl {line.partition('/sellctl ')[2]}" for line in block.splitlines() if "/sellctl " in line)
    yield from (line for line in _INLINE.findall(without_blocks(text)) if "..." not in line)


def arguments(line: str) -> list[str]:
    """The arguments of a command line, with an example in place of each placeholder."""
    return [_PLACEHOLDERS.get(word, word) for word in shlex.split(line)[1:]]
