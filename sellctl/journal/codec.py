"""Frozen values to JSON and back, whole: Snapshot, Plan and whatever else is built of the same parts. Pure.

A dataclass or a Struct becomes an object of the fields that differ from their defaults, so that a field added later
reads old rows. Decimals and instants become text. A holding or an order that stands in several places is written once:
`{"#": 3}` is the fourth of them in the order in which they end.
"""

import base64
import collections.abc
import dataclasses
import datetime as dt
import enum
import json
import types
import typing
import zlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache

from msgspec import NODEFAULT, Struct, structs

from sellctl.core.model.order import Order
from sellctl.core.model.plan import Plan
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import Snapshot

SHARED = (Holding, Order)
_Reader = Callable[[typing.Any, list[object]], object]
_Writer = Callable[[typing.Any, dict[int, int]], object]
_AS_IT_IS = frozenset({str, int, bool, type(None)})

_TEXT_OF: dict[type, Callable[[typing.Any], object]] = {
    Decimal: str,
    dt.datetime: dt.datetime.isoformat,
    dt.date: dt.date.isoformat,
    dt.timedelta: lambda span: span // dt.timedelta(microseconds=1),
    float: lambda number: number if number - number == 0 else str(number),
}
_FROM_TEXT: dict[type, Callable[[typing.Any], object]] = {
    Decimal: Decimal,
    dt.datetime: dt.datetime.fromisoformat,
    dt.date: dt.date.fromisoformat,
    dt.timedelta: lambda count: dt.timedelta(microseconds=count),
    str: str,
    int: int,
    bool: bool,
}


def plain(value: object) -> object:
    """Any value as JSON can hold it. Never fails: evidence of a strange value is its text."""
    return _plain(value, {})


def _plain(value: typing.Any, seen: dict[int, int]) -> object:
    return _writer(value.__class__)(value, seen)


@cache
def _writer(kind: type) -> _Writer:
    """What writes a value of this type."""
    if kind in _AS_IT_IS:
        return lambda value, _seen: value
    if convert := _TEXT_OF.get(kind):
        return lambda value, _seen: convert(value)
    if issubclass(kind, enum.Enum):
        return lambda value, _seen: value.value
    return _plain_record if _is_record(kind) else _plain_many


def _plain_many(value: object, seen: dict[int, int]) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(value[key], seen) for key in sorted(value, key=str)}
    if isinstance(value, set | frozenset):
        return [_plain(item, seen) for item in sorted(value, key=str)]
    if isinstance(value, list | tuple):
        return [_plain(item, seen) for item in value]
    return str(value)


def _is_record(kind: object) -> bool:
    return dataclasses.is_dataclass(kind) or (isinstance(kind, type) and issubclass(kind, Struct))


def _plain_record(value: typing.Any, seen: dict[int, int]) -> object:
    if id(value) in seen:
        return {"#": seen[id(value)]}
    written = {
        name: _plain(each, seen)
        for name, default in _defaults(value.__class__)
        if not _is_default(each := getattr(value, name), default)
    }
    if isinstance(value, SHARED):
        seen[id(value)] = len(seen)
    return written


def _is_default(value: object, default: object) -> bool:
    """Equal, and of the same text: 0.00 is not 0 to a sentence that shows it."""
    return value is default or (value == default and str(value) == str(default))


@cache
def _defaults(kind: type) -> tuple[tuple[str, object], ...]:
    """A record's fields in their order, each with its default."""
    if issubclass(kind, Struct):
        return tuple((field.name, _default(field, NODEFAULT)) for field in structs.fields(kind))
    fields = dataclasses.fields(typing.cast("typing.Any", kind))
    return tuple((field.name, _default(field, dataclasses.MISSING)) for field in fields)


def _default(field: typing.Any, none: object) -> object:
    """`none` is what stands where a field has no default."""
    return field.default if field.default_factory is none else field.default_factory()


def pack(snapshot: Snapshot, plan: Plan) -> str:
    """A snapshot and the plan made from it as one short text, whole."""
    text = json.dumps(_plain([snapshot, plan], {}), separators=(",", ":"))
    return base64.b85encode(zlib.compress(text.encode(), 6)).decode()


def unpack(text: str) -> tuple[Snapshot, Plan]:
    """What `pack` packed, equal in every field."""
    snapshot, plan = json.loads(zlib.decompress(base64.b85decode(text)))
    seen: list[object] = []
    return (
        typing.cast("Snapshot", _reader(Snapshot)(snapshot, seen)),
        typing.cast("Plan", _reader(Plan)(plan, seen)),
    )


@cache
def _reader(kind: typing.Any) -> _Reader:
    """What reads a value of this type back. TypeError for a type that the codec doesn't know."""
    origin = typing.get_origin(kind)
    if origin in {typing.Union, types.UnionType}:
        return _optional_reader(kind)
    if origin is tuple:
        return _many_reader(tuple, typing.get_args(kind)[0])
    if origin is frozenset:
        return _many_reader(frozenset, typing.get_args(kind)[0])
    if origin in {dict, Mapping, collections.abc.Mapping}:
        return _mapping_reader(typing.get_args(kind)[1])
    if _is_record(kind):
        return _record_reader(typing.cast("type", kind))
    return _scalar_reader(kind)


def _scalar_reader(kind: type) -> _Reader:
    convert = kind if isinstance(kind, enum.EnumMeta) else _FROM_TEXT.get(kind)
    if convert is None:
        raise TypeError(f"the journal's codec doesn't know {kind}")
    return lambda value, _seen: convert(value)


def _optional_reader(kind: typing.Any) -> _Reader:
    (inner,) = [argument for argument in typing.get_args(kind) if argument is not type(None)]
    read = _reader(inner)
    return lambda value, seen: None if value is None else read(value, seen)


def _many_reader(collect: Callable[[typing.Any], object], item: typing.Any) -> _Reader:
    return lambda value, seen: collect([_reader(item)(each, seen) for each in value])


def _mapping_reader(item: typing.Any) -> _Reader:
    return lambda value, seen: {key: _reader(item)(each, seen) for key, each in value.items()}


def _record_reader(kind: type) -> _Reader:
    hints = typing.get_type_hints(kind)
    names = tuple(name for name, _ in _defaults(kind))

    def read(value: dict[str, typing.Any], seen: list[object]) -> object:
        if "#" in value:
            return seen[value["#"]]
        built = kind(**{name: _reader(hints[name])(value[name], seen) for name in names if name in value})
        if kind in SHARED:
            seen.append(built)
        return built

    return read
