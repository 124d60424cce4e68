"""YAML text as a small tree of our own in which every key and value knows its line. The only place that knows PyYAML.

Scalars stay text as written: there is no YAML 1.1 guessing (`NO`, `1:30`), no tag ever makes an object, and aliases,
which let ten lines unfold into a million, are refused.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sellctl.core.config.units import key_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yaml.error import Mark

MAX_DEPTH = 12
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A place in the file; line and column count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, where (None: in the file as a whole), and what to do."""

    sentence: str
    hint: str = ""
    spot: Spot | None = None


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value, as written. `plain` is false when it stood in quotes."""

    spot: Spot
    text: str
    plain: bool = True

    @property
    def is_null(self) -> bool:
        """True for nothing at all, ~ and null."""
        return self.plain and self.text in _NULLS


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    spot: Spot
    nodes: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a table with its value; `spot` is the key's."""

    spot: Spot
    node: "Node"


@dataclass(frozen=True, slots=True)
class Table:
    """Keys and values, in the file's order."""

    spot: Spot
    entries: dict[str, Entry] = field(default_factory=dict)


Node = Scalar | Items | Table


class _BrokenError(Exception):
    """Reading can't go on after this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


def parse(text: str) -> tuple[Node | None, list[Problem]]:
    """The tree of a YAML text and its problems; None for a text without a value or one that can't be read."""
    import yaml  # noqa: PLC0415  help and completion do without it

    builder = _Builder(yaml.parse(text, Loader=yaml.BaseLoader))
    try:
        return builder.document(), builder.problems
    except _BrokenError as broken:
        return None, [*builder.problems, broken.problem]
    except yaml.MarkedYAMLError as error:
        return None, [*builder.problems, _syntax_problem(text, error.problem or "", error.problem_mark)]
    except yaml.reader.ReaderError as error:
        return None, [_character_problem(text, int(error.position))]


def _spot(mark: "Mark") -> Spot:
    return Spot(mark.line + 1, mark.column + 1)


def _syntax_problem(text: str, reason: str, mark: "Mark | None") -> Problem:
    if mark is None:
        return Problem("This isn't valid YAML.", reason)
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or reason.startswith("found character '\\t'"):
        return Problem("A tab can't indent YAML.", "Use spaces.", _spot(mark))
    return Problem(f"This isn't valid YAML: {reason}.", "Look at this line and the one above it.", _spot(mark))


def _character_problem(text: str, position: int) -> Problem:
    before = text[:position]
    spot = Spot(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)
    return Problem("A character here isn't printable.", "Delete it, or save the file as UTF-8 text.", spot)


class _Builder:
    """Folds PyYAML's events into the tree, and collects what can be collected."""

    def __init__(self, events: "Iterator[Any]") -> None:
        self._events = events
        self.problems: list[Problem] = []

    def document(self) -> Node | None:
        """The only document's value."""
        node: Node | None = None
        for event in self._events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent" and node is not None:
                raise _BrokenError(
                    Problem("A second document starts here.", "Delete the ---.", _spot(event.start_mark))
                )
            if kind == "DocumentStartEvent":
                node = self._node(next(self._events), 0)
        return node

    def _node(self, event: Any, depth: int) -> Node:
        spot = _spot(event.start_mark)
        self._refuse_tricks(event, spot, depth)
        match type(event).__name__:
            case "MappingStartEvent":
                return self._table(spot, depth)
            case "SequenceStartEvent":
                return self._items(spot, depth)
        return Scalar(spot, event.value, plain=event.style is None)

    def _refuse_tricks(self, event: Any, spot: Spot, depth: int) -> None:
        if type(event).__name__ == "AliasEvent":
            raise _BrokenError(Problem("An alias (*name) isn't supported.", "Write the value out.", spot))
        if depth > MAX_DEPTH:
            raise _BrokenError(Problem("This is nested too deeply.", "No key lies that deep.", spot))
        if event.tag is not None:
            self.problems.append(Problem("A tag (!name) isn't supported.", "Write the plain value.", spot))

    def _table(self, spot: Spot, depth: int) -> Table:
        table = Table(spot)
        while type(event := next(self._events)).__name__ != "MappingEndEvent":
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            self._enter(table, key, value)
        return table

    def _enter(self, table: Table, key: Node, value: Node) -> None:
        if not isinstance(key, Scalar):
            self.problems.append(Problem("A key has to be one word.", "Write key: value.", key.spot))
        elif key.text in table.entries:
            first = table.entries[key.text].spot.line
            sentence = f"{key_name(key.text)} stands here a second time; the first is on line {first}."
            self.problems.append(Problem(sentence, "Keep one of them.", key.spot))
        else:
            table.entries[key.text] = Entry(key.spot, value)

    def _items(self, spot: Spot, depth: int) -> Items:
        nodes: list[Node] = []
        while type(event := next(self._events)).__name__ != "SequenceEndEvent":
            nodes.append(self._node(event, depth + 1))
        return Items(spot, tuple(nodes))
