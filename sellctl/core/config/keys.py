"""Every configuration key, described from the dataclasses' type hints.

The one source for reading, for `config show`, for the JSON schema and for the reference.
"""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum, auto
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from sellctl.core.config.schema import Config, Doc, Ladder, Rest, Unit, Word


class Shape(Enum):
    """What stands behind a key in YAML."""

    SCALAR = auto()  # one value
    LIST = auto()  # values, or a single one
    SECTION = auto()  # keys of its own
    ENTRIES = auto()  # a list of sections
    NAMED = auto()  # sections under names of the user's choice
    LADDER = auto()  # a table of steps: {0: 100%, 60m: 50%}
    REST = auto()  # every other key of the section, as text


REQUIRED = object()
VALUES = frozenset({Unit.AMOUNT, Unit.PULLBACK, Unit.COUNTS})  # units whose values are dataclasses themselves


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `kind` is a scalar's or list item's type, or a section's dataclass; `none_word` "" forbids None."""

    name: str
    shape: Shape
    kind: Any
    unit: Unit | None
    doc: str
    none_word: str
    default: Any


def _unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(hint) is Annotated:
        return get_args(hint)[0], hint.__metadata__
    return hint, ()


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) not in {Union, UnionType}:
        return hint, False
    return next(part for part in get_args(hint) if part is not NoneType), True


def _shaped(hint: Any) -> tuple[Shape, Any, tuple[Any, ...]]:
    if get_origin(hint) is dict:
        return Shape.NAMED, get_args(hint)[1], ()
    if get_origin(hint) is tuple:
        kind, notes = _unwrapped(get_args(hint)[0])
        return (Shape.ENTRIES if is_dataclass(kind) else Shape.LIST), kind, notes
    return (Shape.SECTION if is_dataclass(hint) else Shape.SCALAR), hint, ()


def _note(notes: tuple[Any, ...], kind: type) -> Any:
    return next((note for note in notes if isinstance(note, kind)), None)


def _described(name: str, hint: Any, default: Any) -> Key:
    hint, outer = _unwrapped(hint)
    hint, optional = _without_none(hint)
    hint, middle = _unwrapped(hint)
    shape, kind, inner = _shaped(hint)
    notes = outer + middle + inner
    shape = _told(notes) or shape
    word = _note(notes, Word)
    none_word = (word.text if word else "null") if optional else ""
    doc = _note(notes, Doc)
    return Key(name, shape, kind, _note(notes, Unit), doc.text if doc else "", none_word, default)


def _told(notes: tuple[Any, ...]) -> Shape | None:
    """The shape that a note names; None when the type itself says it."""
    marks = ((Ladder, Shape.LADDER), (Rest, Shape.REST))
    told = next((shape for mark, shape in marks if _note(notes, mark)), None)
    return told or (Shape.SCALAR if _note(notes, Unit) in VALUES else None)


@cache
def keys_of(section: Any) -> tuple[Key, ...]:
    """The keys of a configuration dataclass, in their order."""
    hints = get_type_hints(section, include_extras=True)
    return tuple(
        _described(item.name, hints[item.name], REQUIRED if item.default is MISSING else item.default)
        for item in fields(section)
    )


def joined(path: str, name: str) -> str:
    """`sell_module` and `enabled` as `sell_module.enabled`; the top level has the empty path."""
    return f"{path}.{name}" if path else name


def paths_of(name: str, section: Any = Config, path: str = "") -> Iterator[str]:
    """Where in the file a key of this name may stand; `*` is a name of the user's choice."""
    for key in keys_of(section):
        below = joined(path, key.name) + (".*" if key.shape is Shape.NAMED else "")
        if key.name == name:
            yield path
        if key.shape in {Shape.SECTION, Shape.NAMED}:
            yield from paths_of(name, key.kind, below)
        elif key.shape is Shape.ENTRIES:
            yield from paths_of(name, key.kind, f"{below}[]")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Key, Any]]:
    """Every scalar and list of a configuration value with its dotted key."""
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
            case _:
                yield below, key, inner
