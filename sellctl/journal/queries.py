"""What the history can be asked. Every question is answered without a lock and without a byte written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sellctl.core.model.plan import Plan
from sellctl.core.model.snapshot import Snapshot
from sellctl.journal import codec
from sellctl.journal.database import look
from sellctl.journal.index import PAIR, SINGLE, pair, placed
from sellctl.journal.schema import audit, fills, places, unresolved

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
    kind: str = ""
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


COLUMNS = [audit.c[name] for name in Row.__dataclass_fields__]


def history(path: Path, wanted: Filters) -> tuple[Row, ...]:
    """One page of the history, newest first."""
    return look(path, lambda tx: page(tx, wanted), missing=())


def page(tx: sa.Connection, wanted: Filters) -> tuple[Row, ...]:
    """The rows that aren't indexed yet, read one by one; then those that the index names."""
    name, value = _looked_up(wanted)
    done = placed(tx) if name else 0
    rows = tx.execute(_evaluate(wanted).where(audit.c.seq > done)).all()
    if name and len(rows) < wanted.limit:
        rest = sa.and_(places.c.name == name, places.c.value == value, places.c.seq == audit.c.seq)
        older = _evaluate(wanted, by=places.c.seq).join_from(places, audit, rest)
        rows = [*rows, *tx.execute(older.limit(wanted.limit - len(rows)))]
    return tuple(as_row(row) for row in rows)


def _looked_up(wanted: Filters) -> tuple[str, str]:
    """The filter that is looked up in the index: the one that leaves the fewest rows. The others are compared."""
    given = [name for name in SINGLE if getattr(wanted, name)]
    if given == ["reason", "account"]:
        return PAIR, pair(wanted.account, wanted.reason)
    return (given[0], getattr(wanted, given[0])) if given else ("", "")


def _evaluate(wanted: Filters, by: sa.Column[int] = audit.c.seq) -> sa.Select[Any]:
    given = [audit.c[name] == getattr(wanted, name) for name in (*SINGLE, "kind") if getattr(wanted, name)]
    if wanted.before is not None:
        given.append(by < wanted.before)
    if wanted.only_open:
        given.append(audit.c.seq.in_(sa.select(unresolved.c.seq)))
    return sa.select(*COLUMNS).where(*given).order_by(by.desc()).limit(wanted.limit)


def as_row(row: sa.Row[Any]) -> Row:
    """A row of COLUMNS, read."""
    facts = row._asdict()
    return Row(**{**facts, "body": json.loads(facts["body"])})


def fills_of(path: Path, account: str, day: str) -> tuple[Fill, ...]:
    """What filled on one exchange date, by order id (A5)."""
    columns = [fills.c[name] for name in Fill.__dataclass_fields__]
    asked = sa.select(*columns).where(fills.c.account == account, fills.c.day == day).order_by(fills.c.order_id)
    return look(path, lambda tx: tuple(Fill(*row) for row in tx.execute(asked)), missing=())


def realised(tx: sa.Connection, account: str, day: str) -> Decimal | None:
    """Dollars that the fills of one exchange date have made; 0 without any, None when one can't be valued.

    A fill is valued against the entry price that its intent wrote down; somebody else's fills aren't in the journal.
    """
    columns = (fills.c.client_order_id, fills.c.filled_qty, fills.c.price)
    asked = sa.select(*columns).where(fills.c.account == account, fills.c.day == day)
    total = Decimal(0)
    for client_order_id, qty, price in tx.execute(asked):
        intents = page(tx, Filters(client_order_id=client_order_id, account=account, kind="intent", limit=1))
        facts = intents[0].body if intents else {}
        if not price or not facts.get("entry"):
            return None
        total += (Decimal(price) - Decimal(facts["entry"])) * Decimal(qty) * Decimal(facts["unit"])
    return total


def thaw(row: Row) -> tuple[Snapshot, Plan]:
    """The snapshot and the plan that a row of kind `plan` holds, equal in every field to what was decided (D4)."""
    return codec.unpack(row.body[FROZEN])
