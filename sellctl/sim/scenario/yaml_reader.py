"""YAML nodes with their positions, so that a mistake is reported with file, line and the most similar key.

Scalars stay text until they are read as a type, so that `NO`, `1:30` and `1e3` have no meaning of their own.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import yaml

from sellctl.core.errors import ConfigError
from sellctl.core.text import did_you_mean
from sellctl.sim.market.calendar import NEW_YORK

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TRUE, _FALSE = frozenset({"true", "yes", "on"}), frozenset({"false", "no", "off"})


class Item:
    """One node of the file, a mapping, a list or a scalar, with its position."""

    def __init__(self, node: yaml.Node, file: str, key: str = "") -> None:
        self._node = node
        self._file = file
        self.key = key

    def fail(self, sentence: str, hint: str = "") -> NoReturn:
        """Raise a ConfigError for this position in the file."""
        line = self._node.start_mark.line + 1
        raise ConfigError(f"{self._file}:{line}: {sentence}", hint=hint)

    @property
    def is_scalar(self) -> bool:
        """Whether it is a single text."""
        return isinstance(self._node, yaml.ScalarNode)

    @property
    def is_mapping(self) -> bool:
        """Whether it has keys."""
        return isinstance(self._node, yaml.MappingNode)

    @property
    def is_null(self) -> bool:
        """Whether it is empty, `null` or `~`."""
        return self.is_scalar and self._node.tag.endswith(":null")

    def text(self) -> str:
        """The scalar as text."""
        if not isinstance(self._node, yaml.ScalarNode):
            self.fail(f"{self.key or 'this'} takes one value, not a list or keys.")
        return str(self._node.value)

    def choice(self, allowed: Iterable[str]) -> str:
        """The scalar, one of these."""
        allowed = tuple(allowed)
        value = self.text()
        if value not in allowed:
            self.fail(f"{self.key}: {value!r} is not one of {', '.join(allowed)}.", did_you_mean(value, allowed))
        return value

    def number(self) -> Decimal:
        """The scalar as an exact number; a percent sign divides by 100."""
        value = self.text().replace("_", "")
        try:
            result = Decimal(value.removesuffix("%"))
        except InvalidOperation:
            self.fail(f"{self.key}: {value!r} is not a number.")
        if not result.is_finite():
            self.fail(f"{self.key}: {value!r} is not a number.")
        return result / 100 if value.endswith("%") else result

    def whole(self) -> int:
        """The scalar as a whole number."""
        value = self.number()
        if value != value.to_integral_value():
            self.fail(f"{self.key}: {value} is not a whole number.")
        return int(value)

    def flag(self) -> bool:
        """The scalar as true or false."""
        value = self.text().lower()
        if value not in _TRUE | _FALSE:
            self.fail(f"{self.key}: {value!r} is neither true nor false.")
        return value in _TRUE

    def duration(self) -> dt.timedelta:
        """The scalar as a time span: 90s, 5m, 1h30m, 2d; a bare number counts seconds."""
        value = self.text().strip()
        parts = _DURATION.findall(value)
        if parts and "".join(a + b for a, b in parts) == value.replace(" ", ""):
            return dt.timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
        try:
            return dt.timedelta(seconds=float(value))
        except ValueError:
            self.fail(f"{self.key}: {value!r} is not a time span.", "Write 90s, 5m, 1h30m or 2d.")

    def instant(self, start: dt.datetime | None = None) -> dt.datetime:
        """The scalar as an instant, UTC: `2026-11-25 14:30`, `14:30:05` (New York), `+90s` after the start, `start`."""
        value = self.text().strip()
        if start is not None and value == "start":
            return start
        if start is not None and value.startswith("+"):
            return start + _at_same_position(self, value[1:]).duration()
        try:
            if start is not None and re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", value):
                day = start.astimezone(NEW_YORK).date()
                local = dt.datetime.combine(day, dt.time.fromisoformat(value.zfill(5 if value.count(":") == 1 else 8)))
            else:
                local = dt.datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{self.key}: {value!r} is not a time.", "Write 14:30, +90s or 2026-11-25 14:30, New York time.")
        return (local if local.tzinfo else local.replace(tzinfo=NEW_YORK)).astimezone(dt.UTC)

    def items(self) -> Iterator["Item"]:
        """The entries of a list."""
        if not isinstance(self._node, yaml.SequenceNode):
            self.fail(f"{self.key or 'this'} takes a list.")
        for node in self._node.value:
            yield Item(node, self._file, self.key)

    def entries(self) -> dict[str, "Item"]:
        """The entries of a mapping by key; ConfigError for a key given twice."""
        if not isinstance(self._node, yaml.MappingNode):
            self.fail(f"{self.key or 'this'} takes keys and values.")
        found: dict[str, Item] = {}
        for key_node, node in self._node.value:
            key = str(key_node.value)
            if key in found:
                Item(key_node, self._file).fail(f"{key} is given twice.")
            found[key] = Item(node, self._file, key)
        return found

    def fields(self, allowed: Iterable[str], required: Iterable[str] = ()) -> dict[str, "Item"]:
        """The entries of a mapping with known keys. ConfigError for an unknown key, with the most similar one."""
        allowed = tuple(allowed)
        entries = self.entries()
        for key, item in entries.items():
            if key not in allowed:
                item.fail(f"unknown key {key!r}.", did_you_mean(key, allowed) or f"Known: {', '.join(allowed)}.")
        for key in required:
            if key not in entries:
                self.fail(f"{key} is missing.")
        return entries

    def plain(self) -> Any:
        """The node as plain values; scalars as YAML reads them."""
        return _plain(self._node)


def _at_same_position(item: Item, text: str) -> Item:
    node = yaml.ScalarNode(item._node.tag, text, item._node.start_mark)  # noqa: SLF001  another view of the same node
    return Item(node, item._file, item.key)  # noqa: SLF001  another view of the same node


def _plain(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(value) for value in node.value]
    kinds: dict[str, Callable[[str], Any]] = {
        "int": int,
        "float": Decimal,
        "bool": lambda value: value.lower() in _TRUE,
        "null": lambda _value: None,
    }
    convert = kinds.get(node.tag.rpartition(":")[2], str)
    try:
        return convert(node.value)
    except (ValueError, InvalidOperation):
        return node.value


def read_yaml(text: str, file: str) -> Item:
    """The root of a YAML text; ConfigError with file and line when it isn't YAML."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{file}:{line}: not YAML: {error.problem}.", hint="Indent with spaces.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not YAML: {error}.") from None
    if node is None:
        raise ConfigError(f"{file}: the file is empty.")
    return Item(node, file)
