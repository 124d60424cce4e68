"""The keys of a configuration dataclass, described from its type hints.

The reader, `config show`, the JSON schema and the reference are all generated from them, so that their keys agree.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum, auto
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from sellctl.core.config.schema import (
    Config,
    DefaultsWord,
    Doc,
    MayBeEmpty,
    NoneLiteral,
    OtherKeys,
    RequiredUnless,
    ValueFormat,
    WrittenAsTable,
)


class Shape(Enum):
    """The kind of value that a key has in YAML."""

    SCALAR = auto()  # one value
    LIST = auto()  # values, or a single one
    SECTION = auto()  # keys of its own
    ENTRIES = auto()  # a list of sections
    NAMED = auto()  # sections under names of the user's choice
    TABLE = auto()  # a table: {0: 100%, 60m: 50%}
    OTHER_KEYS = auto()  # every other key of the section, as text


REQUIRED = object()
# Formats of dataclasses that are values, not sections.
_SCALAR_DATACLASSES = frozenset({ValueFormat.AMOUNT, ValueFormat.PULLBACK, ValueFormat.INT_RANGE, ValueFormat.LEG})


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    `kind` is the type of a scalar or list item, or the dataclass of a section. `none_literal` is "" where None is
    refused, and `defaults_word` where no word stands for a section. A required key may be left out where the key named
    by `unless` is written. `example` is that of a table.
    """

    name: str
    shape: Shape
    kind: Any
    value_format: ValueFormat | None
    doc: str
    none_literal: str
    default: Any
    may_be_empty: bool = False
    defaults_word: str = ""
    unless: str = ""
    example: str = ""


def _key(name: str, hint: Any, default: Any) -> Key:
    """The key that a field describes, such as `Annotated[tuple[str, ...] | None, NoneLiteral("auto"), Doc("...")]`."""
    hint, outer = _without_notes(hint)
    optional = get_origin(hint) in {Union, UnionType}
    if optional:
        hint = next(part for part in get_args(hint) if part is not NoneType)
    hint, inner = _without_notes(hint)
    kind, item = _without_notes(get_args(hint)[0]) if get_origin(hint) is tuple else (hint, ())
    notes = {type(note): note for note in (*outer, *inner, *item)}
    value_format, literal, doc = notes.get(ValueFormat), notes.get(NoneLiteral), notes.get(Doc)
    shape = _shape(hint, kind, notes)
    if shape is Shape.NAMED:
        kind = get_args(hint)[1]
    if doc is None and shape is Shape.SECTION:
        doc = Doc(description(kind).partition("\n")[0])
    none_literal = (literal.text if literal else "null") if optional else ""
    defaults = notes.get(DefaultsWord)
    text, word = doc.text if doc else "", defaults.text if defaults else ""
    other = notes.get(RequiredUnless)
    unless, table = other.key if other else "", notes.get(WrittenAsTable)
    example = table.example if table else ""
    return Key(name, shape, kind, value_format, text, none_literal, default, MayBeEmpty in notes, word, unless, example)


def _without_notes(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    return (get_args(hint)[0], hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())


def _shape(hint: Any, kind: Any, notes: Mapping[type, Any]) -> Shape:
    if WrittenAsTable in notes:
        return Shape.TABLE
    if OtherKeys in notes:
        return Shape.OTHER_KEYS
    if get_origin(hint) is dict:
        return Shape.NAMED
    is_section = is_dataclass(kind) and notes.get(ValueFormat) not in _SCALAR_DATACLASSES
    if get_origin(hint) is tuple:
        return Shape.ENTRIES if is_section else Shape.LIST
    return Shape.SECTION if is_section else Shape.SCALAR


def description(section: Any) -> str:
    """The docstring of a section."""
    return inspect.getdoc(section) or ""


@cache
def keys_of(section: Any) -> tuple[Key, ...]:
    """The keys of a section, in their order."""
    hints = get_type_hints(section, include_extras=True)
    return tuple(
        _key(item.name, hints[item.name], REQUIRED if item.default is MISSING else item.default)
        for item in fields(section)
    )


def joined(path: str, name: str) -> str:
    """`sell_module` and `enabled` as `sell_module.enabled`; the top level has the empty path."""
    return f"{path}.{name}" if path else name


def paths_of(name: str, section: Any = Config, path: str = "") -> Iterator[str]:
    """The paths of the sections that have a key of this name; `*` is a name of the user's choice."""
    for key in keys_of(section):
        below = joined(path, key.name) + (".*" if key.shape is Shape.NAMED else "")
        if key.name == name and key.shape is not Shape.OTHER_KEYS:
            yield path
        if key.shape in {Shape.SECTION, Shape.NAMED}:
            yield from paths_of(name, key.kind, below)
        elif key.shape is Shape.ENTRIES:
            yield from paths_of(name, key.kind, f"{below}[]")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Key, Any]]:
    """Every scalar and list below a section's value, with its dotted key."""
    section: Any = type(value)
    for key in keys_of(section):
        below, inner = joined(path, key.name), getattr(value, key.name)
        match key.shape:
            case Shape.SECTION if inner is not None:
                yield from leaves(inner, below)
            case Shape.NAMED:
                for name, section in inner.items():
                    yield from leaves(section, joined(below, name))
            case Shape.ENTRIES if inner:
                for index, section in enumerate(inner):
                    yield from leaves(section, f"{below}[{index}]")
            case Shape.OTHER_KEYS:
                yield from ((joined(path, name), key, text) for name, text in inner)
            case _:
                yield below, key, inner
