"""Reads the tree of a YAML file into a Config. An error becomes a Problem, and reading continues after it."""

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from sellctl.core.config.keys import REQUIRED, Key, Shape, joined, keys_of, paths_of
from sellctl.core.config.schema import Config, ValueFormat
from sellctl.core.config.units import UnitError, either, format_of, key_name
from sellctl.core.config.yaml_nodes import Entry, Items, Location, Node, Problem, Scalar, Table
from sellctl.core.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_ACCOUNT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", re.ASCII)
_RESERVED_NAMES = frozenset({"auto", "all", "null"})
ACCOUNT_NAME_HINT = "Use up to 32 letters, digits, - and _; auto, all and null have another meaning."


def is_account_name(name: str) -> bool:
    """Whether an account can be called that."""
    return bool(_ACCOUNT_NAME.fullmatch(name)) and name.lower() not in _RESERVED_NAMES


class _UnreadableError(Exception):
    """The value can't be used; its problem has been added."""


class ConfigReader:
    """Reads one file's tree. `locations` has the location of each key.

    A value with a problem is replaced by its default, so that the rest can be checked too; such a Config must not be
    used.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.locations: dict[str, Location] = {}

    def read(self, table: Table) -> Config:
        """The configuration that the top level of a file describes."""
        config: Config = self._section(Config, table, "")
        return config

    def _add(self, location: Location, sentence: str, hint: str) -> None:
        self.problems.append(Problem(sentence, hint, location))

    def _unreadable(self, location: Location, sentence: str, hint: str) -> NoReturn:
        self._add(location, sentence, hint)
        raise _UnreadableError

    def _section(self, section: Any, table: Table, path: str) -> Any:
        keys = keys_of(section)
        takes_others = any(key.shape is Shape.OTHER_KEYS for key in keys) and "use" in table.entries
        known = [key.name for key in keys if key.shape is not Shape.OTHER_KEYS]
        others = {name: entry for name, entry in table.entries.items() if name not in known}
        if not takes_others:
            self._refuse(others, known, path)
        return section(**{key.name: self._value(key, others if takes_others else {}, table, path) for key in keys})

    def _refuse(self, unknown: "Mapping[str, Entry]", known: list[str], path: str) -> None:
        where = f" in {path}" if path else ""
        for name, entry in unknown.items():
            self._add(entry.location, f"{key_name(name)} isn't a key{where}.", _did_you_mean(name, known, path))

    def _value(self, key: Key, others: "Mapping[str, Entry]", table: Table, path: str) -> Any:
        if key.shape is Shape.OTHER_KEYS:
            return tuple(self._other_keys(others, path))
        entry = table.entries.get(key.name)
        return self._missing(key, table, path) if entry is None else self._entry(key, entry, path)

    def _missing(self, key: Key, table: Table, path: str) -> Any:
        if key.default is not REQUIRED:
            return key.default
        if key.shape is Shape.NAMED:
            return {}  # config_manager may find a key pair in the environment
        if _is_written(key.unless, table):
            return _stand_in(key)
        written = format_of(key.kind, key.value_format).called
        example = (
            f"for example {key.name}: ${{ALPACA_{key.name.upper()}}}"
            if key.value_format is ValueFormat.SECRET
            else written
        )
        instead = f", or write {key.unless}: with the name of a profile" if key.unless else ""
        self._add(table.location, f"{path} has no {key.name}.", f"Add it, {example}{instead}.")
        return _stand_in(key)

    def _entry(self, key: Key, entry: Entry, path: str) -> Any:
        dotted = joined(path, key.name)
        self.locations[dotted] = entry.location
        try:
            return self._by_shape(key, entry.node, dotted)
        except _UnreadableError:
            return _stand_in(key)

    def _by_shape(self, key: Key, node: Node, dotted: str) -> Any:
        if isinstance(node, Scalar) and node.is_null and key.none_literal == "null":
            return None
        readers: Mapping[Shape, Callable[[Key, Node, str], Any]] = {
            Shape.SCALAR: self._scalar,
            Shape.LIST: self._list,
            Shape.SECTION: self._subsection,
            Shape.ENTRIES: self._entries,
            Shape.NAMED: self._named,
            Shape.TABLE: self._steps,
        }
        return readers[key.shape](key, node, dotted)

    def _scalar(self, key: Key, node: Node, dotted: str) -> Any:
        if not isinstance(node, Scalar):
            self._unreadable(node.location, f"{dotted} takes one value.", f"Write {key.name}: value.")
        if key.none_literal and node.text.lower() == key.none_literal:
            return None
        if node.is_null or not node.text.strip():
            self._unreadable(node.location, f"{dotted} is empty.", "Give it a value, or delete the key.")
        try:
            return format_of(key.kind, key.value_format).read(node.text)
        except UnitError as error:
            self._unreadable(node.location, f"{key.name}: {error.sentence}", error.hint)

    def _list(self, key: Key, node: Node, dotted: str) -> Any:
        if isinstance(node, Scalar) and key.none_literal and node.text.lower() == key.none_literal:
            return None
        if isinstance(node, Table):
            self._unreadable(node.location, f"{dotted} takes a list.", f"Write {key.name}: [one, two].")
        nodes = node.nodes if isinstance(node, Items) else (node,)
        if not nodes and not key.may_be_empty:
            self._unreadable(node.location, f"{dotted} is an empty list.", "Name at least one, or delete the key.")
        self.locations.update({f"{dotted}[{index}]": item.location for index, item in enumerate(nodes)})
        values = tuple(self._scalars([(key, item, dotted) for item in nodes]))
        return values if key.value_format is ValueFormat.LEG else tuple(dict.fromkeys(values))

    def _scalars(self, wanted: "Sequence[tuple[Key, Node, str]]") -> list[Any]:
        """Every value, or a problem for each that can't be read."""
        values = []
        for key, node, dotted in wanted:
            with suppress(_UnreadableError):
                values.append(self._scalar(key, node, dotted))
        if len(values) < len(wanted):
            raise _UnreadableError
        return values

    def _subsection(self, key: Key, node: Node, dotted: str) -> Any:
        if isinstance(node, Scalar) and node.is_null:
            return self._section(key.kind, Table(node.location), dotted)  # all of its keys are commented out
        if isinstance(node, Scalar) and key.defaults_word and node.text.lower() == key.defaults_word:
            self.locations.update({joined(dotted, inner.name): node.location for inner in keys_of(key.kind)})
            return self._section(key.kind, Table(node.location), dotted)
        if not isinstance(node, Table):
            names = either([inner.name for inner in keys_of(key.kind)])
            hint = f"Indent its keys below it: {names}{key.defaults_word and f', or write {key.defaults_word}'}."
            self._unreadable(node.location, f"{dotted} takes keys of its own, not a value.", hint)
        return self._section(key.kind, node, dotted)

    def _entries(self, key: Key, node: Node, dotted: str) -> Any:
        if isinstance(node, Scalar) and key.none_literal and node.text.lower() == key.none_literal:
            return None
        if not isinstance(node, Items):
            hint = f"Start each entry with - and its first key{key.none_literal and f', or write {key.none_literal}'}."
            self._unreadable(node.location, f"{dotted} takes a list.", hint)
        sections = []
        for index, item in enumerate(node.nodes):
            path = f"{dotted}[{index}]"
            self.locations[path] = item.location
            if isinstance(item, Table) and item.entries:
                sections.append(self._section(key.kind, item, path))
            else:
                names = either([inner.name for inner in keys_of(key.kind) if inner.shape is not Shape.OTHER_KEYS])
                self._add(item.location, f"{path} has no keys.", f"Give it {names}, or delete it.")
        return tuple(sections)

    def _named(self, key: Key, node: Node, dotted: str) -> Any:
        if isinstance(node, Scalar) and node.is_null:
            node = Table(node.location)
        if not isinstance(node, Table):
            self._unreadable(node.location, f"{dotted} takes a name and keys below it.", "Write main: below it.")
        if not node.entries:
            self._unreadable(
                node.location,
                f"{dotted} is empty.",
                "Give it a name with api_key and secret_key below it, or delete it.",
            )
        sections = {}
        for name, entry in node.entries.items():
            if not self._is_name(name, entry):
                continue
            self.locations[joined(dotted, name)] = entry.location
            if isinstance(entry.node, Table):
                sections[name] = self._section(key.kind, entry.node, joined(dotted, name))
            else:
                hint = "Indent api_key and secret_key below it."
                self._add(entry.location, f"{dotted}.{name} takes keys of its own.", hint)
        return sections

    def _steps(self, key: Key, node: Node, dotted: str) -> Any:
        """A table in ascending order, each key and value in the unit of its field."""
        if key.may_be_empty and node == Table(node.location):
            return ()
        if not isinstance(node, Table) or not node.entries:
            hint = f"Write {key.name}: {key.example}."
            self._unreadable(node.location, f"{dotted} takes a table.", hint)
        first, second = keys_of(key.kind)
        self.locations.update({f"{dotted}.{name}": entry.location for name, entry in node.entries.items()})
        wanted: list[tuple[Key, Node, str]] = []
        for name, entry in node.entries.items():
            wanted += [(first, Scalar(entry.location, name), dotted), (second, entry.node, f"{dotted}.{name}")]
        values = self._scalars(wanted)
        steps = dict(zip(values[::2], values[1::2], strict=True))
        if len(steps) < len(node.entries):
            self._unreadable(node.location, f"{dotted} has the same {first.name} twice.", "Delete one.")
        return tuple(key.kind(*step) for step in sorted(steps.items()))

    def _other_keys(self, others: "Mapping[str, Entry]", path: str) -> "Iterator[tuple[str, str]]":
        """The keys of a user-defined strategy, as text; its class defines their format."""
        for name, entry in others.items():
            self.locations[joined(path, name)] = entry.location
            nodes = entry.node.nodes if isinstance(entry.node, Items) else (entry.node,)
            texts = [node.text for node in nodes if isinstance(node, Scalar)]
            if len(texts) < len(nodes):
                sentence = f"{path}: {key_name(name)} takes one value or a list."
                self._add(entry.location, sentence, "Give the class plain fields.")
            yield name, ",".join(texts)

    def _is_name(self, name: str, entry: Entry) -> bool:
        fits = is_account_name(name)
        if not fits:
            self._add(entry.location, "This can't be the name of an account.", ACCOUNT_NAME_HINT)
        return fits


def _is_written(name: str, table: Table) -> bool:
    """Whether a key stands in a section, with a value that isn't null."""
    entry = table.entries.get(name)
    return entry is not None and not (isinstance(entry.node, Scalar) and entry.node.is_null)


def _stand_in(key: Key) -> Any:
    """The replacement for a value with a problem."""
    if key.default is not REQUIRED:
        return key.default
    return {} if key.shape is Shape.NAMED else "" if key.value_format is ValueFormat.SECRET else None


def _did_you_mean(name: str, known: list[str], path: str) -> str:
    near = did_you_mean(name, known)
    if near:
        return near
    elsewhere = [place for place in paths_of(name) if place != path]
    if elsewhere:
        return f"It belongs under {elsewhere[0]}." if elsewhere[0] else "It belongs at the top level."
    return f"Known here: {', '.join(known)}."
