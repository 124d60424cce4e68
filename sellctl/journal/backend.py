"""What the journal needs of a database: transactions, the end of the chain, and where this host's head lies."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from sellctl.core.errors import SellctlError
from sellctl.journal.chain import ChainLink
from sellctl.journal.location import JournalLocation
from sellctl.journal.statements import Statements


class Write(Protocol):
    """One open transaction that may append audit rows; nobody else can append until it has ended.

    `last` is the newest row on record. `fault` is how the database's own head contradicts it; "" when it doesn't.
    """

    last: ChainLink
    fault: str

    @property
    def tx(self) -> sa.Connection:
        """The transaction, for SQLAlchemy's statements; they see what was executed before."""

    def execute(self, statement: str, values: Sequence[object]) -> None:
        """Execute a compiled statement. Its error may come only when the transaction is committed."""

    def fetch(self, statement: str, values: Sequence[object]) -> Sequence[Any] | None:
        """The first row of a compiled query, which sees what was executed before; None without one."""

    def require(self, query: str, values: Sequence[object], refusal: SellctlError) -> None:
        """Refuse the transaction with this error unless a compiled query has a row.

        Like that of `execute`, the error may come only when the transaction is committed.
        """

    def append_to(self, end: ChainLink) -> None:
        """Make this row the end of the chain when the transaction is committed."""


class Backend(Protocol):
    """A database with one journal. One transaction at a time, from any thread; every error is a JournalError."""

    statements: Statements
    has_its_own_head: bool  # so that a host without a head file misses nothing
    lift_refuse_delete: str  # the statements around the only deletion of audit rows: that of archived ones
    restore_refuse_delete: str

    @property
    def location(self) -> JournalLocation:
        """Where the journal is."""

    @property
    def folder(self) -> Path:
        """The folder of this host for archives."""

    @property
    def head_base(self) -> Path:
        """The path beside which this host's head file lies."""

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that reads the state as of now."""

    def rows(self, query: str, values: Sequence[object]) -> Sequence[Sequence[Any]]:
        """All rows of a compiled query, in a transaction of its own."""

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that may write what isn't evidence: durable when the block has ended, undone when it raised."""

    def appending(self) -> AbstractContextManager[Write]:
        """The same for audit rows and what belongs to them."""

    def close(self) -> None:
        """Close the connection."""
