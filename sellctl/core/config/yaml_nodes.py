"""Parses YAML into a tree in which every key and value has its location. The only module that imports PyYAML.

Scalars stay text as written, without the types that YAML 1.1 guesses (`NO`, `1:30`). Tags are refused, so that no
object is constructed, and so are aliases, with which ten lines can expand to a million.
"""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sellctl.core.config.units import key_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yaml.error import Mark

MAX_DEPTH = 12
_QUOTED = re.compile(r""" (['"])(?!<).{2,}\1""")  # text of the file in PyYAML's reason, which may be a secret
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A position in the file; line and column start at 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem, how to fix it, and where it is (None: the file as a whole)."""

    sentence: str
    hint: str = ""
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value, as written. `plain` is false for a quoted one."""

    location: Location
    text: str
    plain: bool = True

    @property
    def is_null(self) -> bool:
        """True for an empty value, ~ and null."""
        return self.plain and self.text in _NULLS


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    location: Location
    nodes: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a table with its value; `location` is the key's."""

    location: Location
    node: "Node"


@dataclass(frozen=True, slots=True)
class Table:
    """Keys and values, in the order of the file."""

    location: Location
    entries: dict[str, Entry] = field(default_factory=dict)


Node = Scalar | Items | Table


class _BrokenError(Exception):
    """Parsing can't continue after this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


def parse(text: str) -> tuple[Node | None, list[Problem]]:
    """The tree of a YAML text and its problems; None for a text without a value, or one that can't be parsed."""
    import yaml  # noqa: PLC0415  help and completion don't need it

    builder = _Builder(yaml.parse(text, Loader=yaml.BaseLoader))
    try:
        return builder.document(), builder.problems
    except _BrokenError as broken:
        return None, [*builder.problems, broken.problem]
    except yaml.MarkedYAMLError as error:
        return None, [*builder.problems, _syntax_problem(text, error.problem or "", error.problem_mark)]
    except yaml.reader.ReaderError as error:
        return None, [_character_problem(text, int(error.position))]
    except (ValueError, OverflowError):  # PyYAML checks neither "\\U00110000" nor the length of a version's number
        sentence = "This isn't valid YAML: a number in an escape sequence or a directive is too large."
        return None, [*builder.problems, Problem(sentence, "Look for a \\U between double quotes, or a line with %.")]


def _location(mark: "Mark") -> Location:
    return Location(mark.line + 1, mark.column + 1)


def _syntax_problem(text: str, reason: str, mark: "Mark | None") -> Problem:
    if mark is None:
        return Problem("This isn't valid YAML.", reason)
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or reason.startswith("found character '\\t'"):
        return Problem("A tab can't indent YAML.", "Use spaces.", _location(mark))
    reason = _QUOTED.sub("", reason)
    return Problem(f"This isn't valid YAML: {reason}.", "Look at this line and the one above it.", _location(mark))


def _character_problem(text: str, position: int) -> Problem:
    before = text[:position]
    location = Location(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)
    return Problem("A character here isn't printable.", "Delete it, or save the file as UTF-8 text.", location)


class _Builder:
    """Builds the tree from PyYAML's events, and collects the problems after which it can continue."""

    def __init__(self, events: "Iterator[Any]") -> None:
        self._events = events
        self.problems: list[Problem] = []

    def document(self) -> Node | None:
        """The value of the only document; None when there is none."""
        node: Node | None = None
        for event in self._events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent" and node is not None:
                raise _BrokenError(
                    Problem("A second document starts here.", "Delete the ---.", _location(event.start_mark))
                )
            if kind == "DocumentStartEvent":
                node = self._node(next(self._events), 0)
        return node

    def _node(self, event: Any, depth: int) -> Node:
        location = _location(event.start_mark)
        self._refuse_unsupported(event, location, depth)
        match type(event).__name__:
            case "MappingStartEvent":
                return self._table(location, depth)
            case "SequenceStartEvent":
                return self._items(location, depth)
        return Scalar(location, event.value, plain=event.style is None)

    def _refuse_unsupported(self, event: Any, location: Location, depth: int) -> None:
        if type(event).__name__ == "AliasEvent":
            raise _BrokenError(Problem("An alias (*name) isn't supported.", "Write the value out.", location))
        if depth > MAX_DEPTH:
            raise _BrokenError(Problem("This is nested too deeply.", "No key is that deep.", location))
        if event.tag is not None:
            self.problems.append(Problem("A tag (!name) isn't supported.", "Write the plain value.", location))

    def _table(self, location: Location, depth: int) -> Table:
        table = Table(location)
        while type(event := next(self._events)).__name__ != "MappingEndEvent":
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            self._enter(table, key, value)
        return table

    def _enter(self, table: Table, key: Node, value: Node) -> None:
        if not isinstance(key, Scalar):
            self.problems.append(Problem("A key has to be a single word.", "Write key: value.", key.location))
        elif key.text in table.entries:
            first = table.entries[key.text].location.line
            sentence = f"{key_name(key.text)} is a duplicate; the first is on line {first}."
            self.problems.append(Problem(sentence, "Keep one of them.", key.location))
        else:
            table.entries[key.text] = Entry(key.location, value)

    def _items(self, location: Location, depth: int) -> Items:
        nodes: list[Node] = []
        while type(event := next(self._events)).__name__ != "SequenceEndEvent":
            nodes.append(self._node(event, depth + 1))
        return Items(location, tuple(nodes))
