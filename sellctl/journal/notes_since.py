"""The notes of one kind that the journal recorded since a given row, by any process; read without a lock."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sellctl.journal.database import read_only
from sellctl.journal.queries import COLUMNS, as_row
from sellctl.journal.schema import audit


def notes_since(path: Path, account: str, kind: str, row: int) -> tuple[Mapping[str, Any], ...]:
    """The details of an account's notes of a kind after this row, oldest first."""
    wanted = (audit.c.seq > row, audit.c.account == account, audit.c.kind == kind)
    statement = sa.select(*COLUMNS).where(*wanted).order_by(audit.c.seq)
    nothing: tuple[Mapping[str, Any], ...] = ()
    return read_only(path, lambda tx: tuple(as_row(each).body for each in tx.execute(statement)), missing=nothing)
