"""How audit rows hang together: canonical text, a row's hash, and the check of a whole chain. Pure."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sellctl.journal.codec import plain

GENESIS = "0" * 64
# The cells that a row's hash covers behind its number, in this order, for good.
CELLS = ("at", "account", "kind", "symbol", "reason", "client_order_id", "day", "body", "prev_hash")
ARCHIVED = "archived"  # names the rows that retention moved out
GAP = "gap"  # says that the file was found shorter than its head

_SORTED = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), allow_nan=False, default=plain
)  # made once: json.dumps makes one a call
_APART = "\x1f"


def storable(text: str) -> str:
    """The same text as a cell can hold it: no half surrogate pair, which a broker's answer may bring, no separator."""
    if text.isascii() and _APART not in text:
        return text
    return text.replace(_APART, " ").encode("utf-8", "backslashreplace").decode()


def canonical(value: object) -> str:
    """One text for one value: sorted keys, no spaces, ASCII. Never fails."""
    try:
        return _SORTED.encode(value)
    except (TypeError, ValueError):  # keys that don't sort, a number that JSON doesn't know
        return _SORTED.encode(plain(value))


def row_hash(seq: int, cells: Sequence[str]) -> str:
    """The hash of one row from its number and its other CELLS. A cell that no row ever has raises TypeError."""
    text = _APART.join(cells)
    if text.count(_APART) != len(cells) - 1:
        raise TypeError("a cell holds the separator")
    return hashlib.sha256(f"{seq}{_APART}{text}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Link:
    """A place in the chain: a row's number and hash."""

    seq: int
    hash: str


START = Link(0, GENESIS)


@dataclass(frozen=True, slots=True)
class Break:
    """The first row that doesn't hold, and why."""

    seq: int
    why: str


def link_fault(row: Mapping[str, Any], before: Link) -> str:
    """Why this row can't follow `before`; "" when it does."""
    seq = row["seq"]
    if seq != before.seq + 1:
        return f"row {before.seq + 1} is missing"
    if row["prev_hash"] != before.hash:
        return f"row {seq} doesn't follow from the row before it: one of the two was changed"
    try:
        expected = row_hash(before.seq + 1, [row[cell] for cell in CELLS])
    except TypeError:
        return f"row {seq} was changed: it holds what no row ever holds"
    return "" if row["hash"] == expected else f"row {seq} was changed"


def follow(rows: Iterable[Mapping[str, Any]], start: Link) -> Iterator[Link | Break]:
    """The link after each row in turn; ends in a Break at the first row that doesn't hold."""
    link = start
    for row in rows:
        if why := link_fault(row, link):
            yield Break(link.seq + 1, why)
            return
        link = Link(link.seq + 1, str(row["hash"]))
        yield link
