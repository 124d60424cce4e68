"""Sentences on a terminal: broken between words, and never inside a command that is there to be copied."""

import re
import shutil
import sys
from typing import TextIO

_ANSWERS = " [y/N]: "
# A command between backticks, with what touches it, or a word.
_PIECE = re.compile(r"(?:[^\s`]*`[^`\n]*`[^\s`]*|[^\s`]+|`)")


def for_terminal(text: str, out: TextIO | None = None) -> str:
    """The text as it is written on a stream, stderr by default: broken at the terminal's width, else as it is."""
    out = sys.stderr if out is None else out
    return wrapped(text, shutil.get_terminal_size().columns) if out.isatty() else text


def question_for_terminal(question: str) -> str:
    """A question as it is asked on stderr. What doesn't fit into a line ends with a line for its last sentence."""
    if not sys.stderr.isatty():
        return question
    width = shutil.get_terminal_size().columns
    before, stop, last = question.rpartition(". ")
    if len(question) + len(_ANSWERS) <= width or not before:
        return wrapped(question, width)
    return f"{wrapped(before + stop.strip(), width)}\n{wrapped(last, width)}"


def wrapped(text: str, width: int) -> str:
    """The text with each of its lines broken between words; a command between backticks stays in one piece."""
    return "\n".join(_wrapped_line(line, width) for line in text.split("\n"))


def _wrapped_line(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    lines, current = list[str](), indent
    for piece in _PIECE.findall(line):
        joined = f"{current} {piece}" if current.strip() else f"{indent}{piece}"
        if len(joined) > width and current.strip():
            lines.append(current)
            current = f"{indent}{piece}"
        else:
            current = joined
    return "\n".join((*lines, current))
