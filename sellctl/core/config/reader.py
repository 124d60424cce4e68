"""A YAML tree to a Config, key by key; what is unknown, missing or misspelled becomes a Problem and reading goes on."""

import difflib
import re
from typing import TYPE_CHECKING, Any

from sellctl.core.config.keys import REQUIRED, Key, Shape, joined, keys_of, paths_of
from sellctl.core.config.schema import Config, Unit
from sellctl.core.config.units import UnitError, either, way_of
from sellctl.core.config.yaml_nodes import Entry, Items, Node, Problem, Scalar, Spot, Table, named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ACCOUNT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", re.ASCII)
_RESERVED_NAMES = frozenset({"auto", "all", "null"})
_MAY_BE_EMPTY = frozenset({"symbols", "exclude", "names", "allow", "proxies"})


class _UnreadableError(Exception):
    """The value can't be used; its problem is noted already."""


class ConfigReader:
    """Reads one file's tree. `spots` says where each key stood; with any problem the Config holds stand-ins."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.spots: dict[str, Spot] = {}

    def read(self, table: Table) -> Config:
        """The configuration that a file's top level says."""
        config: Config = self._section(Config, table, "")
        return config

    def _note(self, spot: Spot, sentence: str, hint: str) -> None:
        self.problems.append(Problem(sentence, hint, spot))

    def _section(self, section: Any, table: Table, path: str) -> Any:
        self._refuse_unknown(section, table, path)
        values = {}
        for key in keys_of(section):
            if key.shape is Shape.REST:
                values[key.name] = self._rest(section, table, path)
                continue
            entry = table.entries.get(key.name)
            values[key.name] = self._missing(key, table, path) if entry is None else self._entry(key, entry, path)
        return section(**values)

    def _refuse_unknown(self, section: Any, table: Table, path: str) -> None:
        known = [key.name for key in keys_of(section) if key.shape is not Shape.REST]
        if len(known) < len(keys_of(section)) and "use" in table.entries:
            return  # the class behind it knows its own keys
        for name, entry in table.entries.items():
            if name not in known:
                where = f" in {path}" if path else ""
                self._note(entry.spot, f"{named(name)} isn't a key{where}.", _did_you_mean(name, known, path))

    def _missing(self, key: Key, table: Table, path: str) -> Any:
        if key.default is not REQUIRED:
            return key.default
        if key.shape is Shape.NAMED:
            return {}  # the manager looks for keys in the environment before it complains
        hint = f"Add it, for example {key.name}: ${{ALPACA_{key.name.upper()}}}."
        self._note(table.spot, f"{path} has no {key.name}.", hint)
        return _stand_in(key)

    def _entry(self, key: Key, entry: Entry, path: str) -> Any:
        dotted = joined(path, key.name)
        self.spots[dotted] = entry.spot
        try:
            return self._by_shape(key, entry.node, dotted)
        except _UnreadableError:
            return _stand_in(key)

    def _by_shape(self, key: Key, node: Node, dotted: str) -> Any:
        if isinstance(node, Scalar) and node.is_null and key.none_word == "null":
            return None
        readers: Mapping[Shape, Callable[[Key, Node, str], Any]] = {
            Shape.SCALAR: self._scalar,
            Shape.LIST: self._list,
            Shape.SECTION: self._subsection,
            Shape.ENTRIES: self._entries,
            Shape.NAMED: self._named,
            Shape.LADDER: self._ladder,
        }
        return readers[key.shape](key, node, dotted)

    def _scalar(self, key: Key, node: Node, dotted: str) -> Any:
        if not isinstance(node, Scalar):
            return self._unreadable(node.spot, f"{dotted} takes one value.", f"Write {key.name}: value.")
        if key.none_word and node.text.lower() == key.none_word:
            return None
        if node.is_null:
            return self._unreadable(node.spot, f"{dotted} is empty.", "Give it a value, or delete the key.")
        try:
            return way_of(key.kind, key.unit).read(key.name, node.text)
        except UnitError as error:
            return self._unreadable(node.spot, error.sentence, error.hint)

    def _list(self, key: Key, node: Node, dotted: str) -> Any:
        if isinstance(node, Scalar) and key.none_word and node.text.lower() == key.none_word:
            return None
        if isinstance(node, Table):
            return self._unreadable(node.spot, f"{dotted} takes a list.", f"Write {key.name}: [one, two].")
        nodes = node.nodes if isinstance(node, Items) else (node,)
        if not nodes and key.name not in _MAY_BE_EMPTY:
            return self._unreadable(node.spot, f"{dotted} is an empty list.", "Name at least one, or delete the key.")
        values = []
        for index, item in enumerate(nodes):
            self.spots[f"{dotted}[{index}]"] = item.spot
            values.append(self._scalar(key, item, dotted))
        return tuple(dict.fromkeys(values))

    def _subsection(self, key: Key, node: Node, dotted: str) -> Any:
        if isinstance(node, Scalar) and node.is_null:
            return self._section(key.kind, Table(node.spot), dotted)  # every key below is commented out
        if not isinstance(node, Table):
            hint = f"Indent its keys below it: {either([inner.name for inner in keys_of(key.kind)])}."
            return self._unreadable(node.spot, f"{dotted} takes keys of its own, not a value.", hint)
        return self._section(key.kind, node, dotted)

    def _entries(self, key: Key, node: Node, dotted: str) -> Any:
        names = either([inner.name for inner in keys_of(key.kind)])
        if not isinstance(node, Items):
            return self._unreadable(
                node.spot, f"{dotted} takes a list.", f"Start each entry with - and one of {names}."
            )
        sections = []
        for index, item in enumerate(node.nodes):
            if not isinstance(item, Table) or not item.entries:
                self._note(
                    item.spot, f"An entry of {dotted} says nothing to go by.", f"Write - {names}, each with a value."
                )
                continue
            self.spots[f"{dotted}[{index}]"] = item.spot
            sections.append(self._section(key.kind, item, f"{dotted}[{index}]"))
        return tuple(sections)

    def _named(self, key: Key, node: Node, dotted: str) -> Any:
        if isinstance(node, Scalar) and node.is_null:
            node = Table(node.spot)
        if not isinstance(node, Table):
            return self._unreadable(node.spot, f"{dotted} takes a name and keys below it.", "Write main: below it.")
        if not node.entries:
            return self._unreadable(
                node.spot, f"{dotted} is empty.", "Give it a name with api_key and secret_key below it, or delete it."
            )
        sections = {}
        for name, entry in node.entries.items():
            if not self._is_name(name, entry):
                continue
            self.spots[joined(dotted, name)] = entry.spot
            if isinstance(entry.node, Table):
                sections[name] = self._section(key.kind, entry.node, joined(dotted, name))
            else:
                self._note(
                    entry.spot, f"{dotted}.{name} takes keys of its own.", "Indent api_key and secret_key below it."
                )
        return sections

    def _ladder(self, key: Key, node: Node, dotted: str) -> Any:
        """A table of steps, each key and value in the unit of its field."""
        if not isinstance(node, Table) or not node.entries:
            hint = f"Write {key.name}: {{0: 100%, 60m: 50%}}."
            return self._unreadable(node.spot, f"{dotted} takes a table of steps.", hint)
        first, second = keys_of(key.kind)
        steps = {}
        for name, entry in node.entries.items():
            self.spots[f"{dotted}.{name}"] = entry.spot
            reached = self._scalar(first, Scalar(entry.spot, name), dotted)
            if reached in steps:
                self._note(entry.spot, f"{dotted} says {named(name)} twice.", "Delete one.")
            steps[reached] = self._scalar(second, entry.node, f"{dotted}.{name}")
        return tuple(key.kind(*step) for step in sorted(steps.items()))

    def _rest(self, section: Any, table: Table, path: str) -> tuple[tuple[str, str], ...]:
        """Every other key, as text, for the class that knows them."""
        known = {key.name for key in keys_of(section)}
        found = []
        for name, entry in table.entries.items():
            if name in known or "use" not in table.entries:
                continue
            self.spots[joined(path, name)] = entry.spot
            if isinstance(entry.node, Scalar):
                found.append((name, entry.node.text))
            elif isinstance(entry.node, Items) and all(isinstance(each, Scalar) for each in entry.node.nodes):
                found.append((name, ",".join(each.text for each in entry.node.nodes if isinstance(each, Scalar))))
            else:
                self._note(
                    entry.spot, f"{joined(path, name)} takes one value or a list.", "Give the class plain fields."
                )
        return tuple(found)

    def _is_name(self, name: str, entry: Entry) -> bool:
        fits = bool(_ACCOUNT_NAME.fullmatch(name)) and name.lower() not in _RESERVED_NAMES
        if not fits:
            hint = "Use up to 32 letters, digits, - and _; auto, all and null mean something else."
            self._note(entry.spot, "This can't be the name of an account.", hint)
        return fits

    def _unreadable(self, spot: Spot, sentence: str, hint: str) -> Any:
        self._note(spot, sentence, hint)
        raise _UnreadableError


def _stand_in(key: Key) -> Any:
    """What stands in for a value with a problem, so that the rest can be checked; it never leaves the manager."""
    if key.default is not REQUIRED:
        return key.default
    return {} if key.shape is Shape.NAMED else "" if key.unit is Unit.SECRET else None


def _did_you_mean(name: str, known: list[str], path: str) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"Did you mean {close[0]}?"
    elsewhere = [place for place in paths_of(name) if place != path]
    if elsewhere:
        return f"It belongs under {elsewhere[0]}." if elsewhere[0] else "It belongs at the top level."
    return f"Known here: {', '.join(known)}."
