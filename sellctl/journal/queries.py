"""What the history can be asked. Every question is answered without a lock and without a byte written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sellctl.core.model.plan import Plan
from sellctl.core.model.snapshot import Snapshot
from sellctl.journal import codec
from sellctl.journal.database import look
from sellctl.journal.schema import audit, fills, unresolved

PAGE = 50
FROZEN = "frozen"  # the key under which a plan's row holds its snapshot and itself, whole


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows are wanted; "" asks for all. `before` is the last row of the page before."""

    symbol: str = ""
    account: str = ""
    reason: str = ""
    day: str = ""
    client_order_id: str = ""
    only_open: bool = False
    before: int | None = None
    limit: int = PAGE


@dataclass(frozen=True, slots=True)
class Row:
    """One audit row, read."""

    seq: int
    at: str
    account: str
    kind: str
    symbol: str
    reason: str
    client_order_id: str
    day: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fill:
    """How much of one order has filled, as folded in so far."""

    order_id: str
    client_order_id: str
    symbol: str
    filled_qty: str
    price: str


# From the filter that leaves the fewest rows to the one that leaves the most: the first one given is looked up in its
# index, the others are compared row by row: `x || ''` is x, and no index is taken for it.
_SELECTIVE_FIRST = ("client_order_id", "symbol", "day", "reason", "account")
_COLUMNS = [audit.c[name] for name in Row.__dataclass_fields__]


def page_of(wanted: Filters) -> sa.Select[Any]:
    """The statement for one page, newest first."""
    given = [name for name in _SELECTIVE_FIRST if getattr(wanted, name)]
    indexed = given if given == ["reason", "account"] else given[:1]  # one index holds both
    page = sa.select(*_COLUMNS).order_by(audit.c.seq.desc()).limit(wanted.limit)
    for name in given:
        column = audit.c[name]
        page = page.where((column if name in indexed else column.concat("")) == getattr(wanted, name))
    if wanted.before is not None:
        page = page.where(audit.c.seq < wanted.before)
    return page.where(audit.c.seq.in_(sa.select(unresolved.c.seq))) if wanted.only_open else page


def history(path: Path, wanted: Filters) -> tuple[Row, ...]:
    """One page of the history, newest first."""
    return look(path, lambda tx: tuple(_row(row) for row in tx.execute(page_of(wanted))), missing=())


def _row(row: sa.Row[Any]) -> Row:
    facts = row._asdict()
    return Row(**{**facts, "body": json.loads(facts["body"])})


def fills_of(path: Path, account: str, day: str) -> tuple[Fill, ...]:
    """What filled on one exchange date, by order id (A5)."""
    columns = [fills.c[name] for name in Fill.__dataclass_fields__]
    asked = sa.select(*columns).where(fills.c.account == account, fills.c.day == day).order_by(fills.c.order_id)
    return look(path, lambda tx: tuple(Fill(*row) for row in tx.execute(asked)), missing=())


def thaw(row: Row) -> tuple[Snapshot, Plan]:
    """The snapshot and the plan that a row of kind `plan` holds, equal in every field to what was decided (D4)."""
    return codec.unpack(row.body[FROZEN])
