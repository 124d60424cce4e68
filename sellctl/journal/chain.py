"""How audit rows are chained: canonical text, the hash of a row, and the check of a whole chain. Pure."""

import dataclasses
import datetime as dt
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from msgspec import Struct

GENESIS = "0" * 64
# The cells that a row's hash covers after its number, in this order. The order can never change.
CELLS = ("at", "account", "kind", "symbol", "reason", "client_order_id", "day", "body", "prev_hash")
ARCHIVED = "archived"  # the kind of the row that names the rows which retention moved out
GAP = "gap"  # the kind of the row that records that the file was shorter than its head

_SEPARATOR = "\x1f"


def plain(value: object) -> object:
    """The value in a form that JSON can express. Never fails: a value without a JSON form becomes its text."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Struct):
        value = {name: getattr(value, name) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, dt.date) else str(value)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, default=plain)


def canonical(value: object) -> str:
    """One text for one value: sorted keys, no spaces, ASCII. Never fails."""
    try:
        return _CANONICAL.encode(value)
    except (TypeError, ValueError):  # keys of several types, a number that JSON can't express
        return _CANONICAL.encode(plain(value))


def storable(text: str) -> str:
    """The same text without what a cell cannot hold: the separator, and unpaired surrogates from a broker's answer."""
    if text.isascii() and _SEPARATOR not in text:
        return text
    return text.replace(_SEPARATOR, " ").encode("utf-8", "backslashreplace").decode()


def as_cell(text: str) -> str:
    """The text as a new cell holds it, in any database: storable, and without the NUL that PostgreSQL can't hold."""
    if text.isascii() and _SEPARATOR not in text and "\x00" not in text:
        return text
    return storable(text).replace("\x00", "\\x00")


def row_hash(seq: int, cells: Sequence[str]) -> str:
    """The hash of a row from its number and its CELLS. TypeError when a cell is not storable text."""
    text = _SEPARATOR.join(cells)
    if text.count(_SEPARATOR) != len(cells) - 1:
        raise TypeError("a cell holds the separator")
    return hashlib.sha256(f"{seq}{_SEPARATOR}{text}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One row's number and hash, which the next row refers to."""

    seq: int
    hash: str


START = ChainLink(0, GENESIS)


@dataclass(frozen=True, slots=True)
class ChainBreak:
    """The first invalid row, and why it is invalid."""

    seq: int
    why: str


def follow(rows: Iterable[Mapping[str, Any]], start: ChainLink) -> Iterator[ChainLink | ChainBreak]:
    """The link of each row in turn; ends with a ChainBreak at the first invalid row."""
    link = start
    for row in rows:
        if why := _fault(row, link):
            yield ChainBreak(link.seq + 1, why)
            return
        link = ChainLink(link.seq + 1, str(row["hash"]))
        yield link


def _fault(row: Mapping[str, Any], before: ChainLink) -> str:
    """Why this row cannot follow `before`; "" when it does."""
    seq = row["seq"]
    if seq != before.seq + 1:
        return f"row {before.seq + 1} is missing"
    if row["prev_hash"] != before.hash:
        return f"row {seq} does not follow from the row before it: one of the two was changed"
    try:
        expected = row_hash(before.seq + 1, [row[cell] for cell in CELLS])
    except TypeError:
        return f"row {seq} was changed: it holds something that sellctl never writes"
    return "" if row["hash"] == expected else f"row {seq} was changed"
