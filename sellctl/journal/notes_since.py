"""The notes of a kind that the journal recorded since a given row, by any process; read without a lock."""

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from sellctl.journal.database import read_only
from sellctl.journal.location import JournalLocation
from sellctl.journal.queries import COLUMNS, as_row
from sellctl.journal.schema import audit


def notes_since(path: JournalLocation, account: str, kind: str, row: int) -> tuple[Mapping[str, Any], ...]:
    """The details of an account's notes of a kind after this row, oldest first."""
    wanted = (audit.c.seq > row, audit.c.account == account, audit.c.kind == kind)
    statement = sa.select(*COLUMNS).where(*wanted).order_by(audit.c.seq)
    nothing: tuple[Mapping[str, Any], ...] = ()
    return read_only(path, lambda tx: tuple(as_row(each).body for each in tx.execute(statement)), missing=nothing)


def accounts_noted_since(path: JournalLocation, kinds: Collection[str], row: int) -> tuple[frozenset[str], int]:
    """The accounts with notes of these kinds after this row, and the number of the newest row."""

    def query(tx: sa.Connection) -> tuple[frozenset[str], int]:
        newest = tx.scalar(sa.select(sa.func.max(audit.c.seq))) or 0
        wanted = (audit.c.seq > row, audit.c.seq <= newest, audit.c.kind.in_(kinds))
        return frozenset(tx.scalars(sa.select(audit.c.account).where(*wanted))), newest

    return read_only(path, query, missing=(frozenset[str](), row))
