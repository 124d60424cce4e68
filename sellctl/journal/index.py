"""Where in the audit each symbol, account, reason, day and order is named: an index that is written in batches.

SQLite's own indexes would cost every order half a dozen more pages to sync. So rows are indexed a batch at a time, by
whatever is written next that isn't an order; the few rows behind the last batch are simply read.
"""

from collections.abc import Iterator

import sqlalchemy as sa

from sellctl.journal.schema import audit, meta, places

BATCH = 256
SINGLE = ("client_order_id", "symbol", "day", "reason", "account")
PAIR = "account+reason"  # both are common alone and may be rare together
_PLACED = "placed"


def placed(tx: sa.Connection) -> int:
    """The last row that is indexed."""
    return int(tx.scalar(sa.select(meta.c.value).where(meta.c.key == _PLACED)) or 0)


def place(tx: sa.Connection, last: int) -> None:
    """Index every row up to `last` that isn't yet."""
    columns = [audit.c.seq, *(audit.c[name] for name in SINGLE)]
    rows = tx.execute(sa.select(*columns).where(audit.c.seq > placed(tx), audit.c.seq <= last)).mappings()
    found = sorted({entry for row in rows for entry in _entries(row)})
    tx.execute(sa.insert(places), [{"name": name, "value": value, "seq": seq} for name, value, seq in found])
    tx.execute(sa.delete(meta).where(meta.c.key == _PLACED))
    tx.execute(sa.insert(meta).values(key=_PLACED, value=str(last)))


def _entries(row: sa.RowMapping) -> Iterator[tuple[str, str, int]]:
    for name in SINGLE:
        if row[name]:
            yield name, row[name], row["seq"]
    if row["reason"]:
        yield PAIR, pair(row["account"], row["reason"]), row["seq"]


def pair(account: str, reason: str) -> str:
    """The value under which a row of this account and reason stands."""
    return f"{account}\n{reason}"
