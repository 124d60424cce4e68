"""The journal's tables and indexes, and SQLite's triggers. `postgres/revisions` creates the same on PostgreSQL."""

import sqlalchemy as sa

FILE_NAME = "journal.sqlite"
HEAD_SUFFIX = ".head"

tables = sa.MetaData()
_RowNumber = sa.Integer().with_variant(sa.BigInteger(), "postgresql")

# Evidence: each row contains the hash of the one before. "" means "does not apply", so that every cell is text.
audit = sa.Table(
    "audit",
    tables,
    sa.Column("seq", _RowNumber, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),  # broker's clock, UTC, ISO 8601
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("client_order_id", sa.Text, nullable=False),
    sa.Column("day", sa.Text, nullable=False),  # the exchange's date
    sa.Column("body", sa.Text, nullable=False),  # canonical JSON
    sa.Column("prev_hash", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    # For the filters of the history. They take a fifth of the time of an order's commit (docs/adr/0002-journal.md).
    sa.Index("audit_client_order_id", "client_order_id"),
    sa.Index("audit_symbol", "symbol"),
    sa.Index("audit_day", "day"),
    sa.Index("audit_reason", "reason"),
    sa.Index("audit_account", "account"),
    sa.Index("audit_account_reason", "account", "reason"),  # each may be common and the pair rare
)

# Orders without a recorded end; the row is deleted when the end is recorded. `seq` is that of the newest intent.
unresolved = sa.Table(
    "unresolved",
    tables,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("client_order_id", sa.Text, primary_key=True),
    sa.Column("seq", _RowNumber, nullable=False),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

# The recorded cumulative quantity that has filled of each order. It only grows.
fills = sa.Table(
    "fills",
    tables,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("client_order_id", sa.Text, nullable=False),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("filled_qty", sa.Text, nullable=False),
    sa.Column("price", sa.Text, nullable=False),  # the average; "" when the broker gave none
    sa.Column("day", sa.Text, nullable=False),
    sa.Index("fills_day", "account", "day"),
)

episodes = sa.Table(
    "episodes",
    tables,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("symbol", sa.Text, primary_key=True),
    sa.Column("direction", sa.Text, nullable=False),
    sa.Column("opened_at", sa.Text),
    sa.Column("first_seen", sa.Text, nullable=False),
    sa.Column("entry_price", sa.Text),
    sa.Column("qty", sa.Text, nullable=False),
    sa.Column("tag", sa.Text, nullable=False),
    sa.Column("peak", sa.Text),
    sa.Column("averages", sa.Text, nullable=False, server_default=""),  # earlier entry:peak, separated by spaces
    sa.Column("base", sa.Text),
    sa.Column("frozen", sa.Text, nullable=False),
    sa.Column("follow", sa.Text, nullable=False),
    sa.Column("whole", sa.Text, nullable=False, server_default=""),
    sa.Column("override", sa.Text, nullable=False, server_default=""),  # JSON; "" when nothing is set by hand
)

runs = sa.Table(
    "runs",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("config_hash", sa.Text, nullable=False),
)

# schema: the version; plan:<account>: the fingerprint of the last plan recorded.
meta = sa.Table(
    "meta",
    tables,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

REFUSE_UPDATE = """
CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END"""
REFUSE_DELETE = """
CREATE TRIGGER audit_never_shrinks BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows are never deleted; retention archives them'); END"""
# Without it, INSERT OR REPLACE would exchange a row: it deletes the old one without firing a trigger.
REFUSE_INSERT = """
CREATE TRIGGER audit_only_grows BEFORE INSERT ON audit
WHEN NEW.seq <> (SELECT COALESCE(MAX(seq) + 1, NEW.seq) FROM audit)
BEGIN SELECT RAISE(ABORT, 'audit rows are only appended'); END"""
LIFT_REFUSE_DELETE = "DROP TRIGGER audit_never_shrinks"


def objects() -> dict[str, str]:
    """The names of all tables, indexes and triggers, each with its SQL; "" where that is left to SQLAlchemy."""
    made = [table.name for table in tables.sorted_tables]
    made += [str(index.name) for table in tables.sorted_tables for index in table.indexes]
    triggers = {sql.split()[2]: sql.strip() for sql in (REFUSE_UPDATE, REFUSE_DELETE, REFUSE_INSERT)}
    return dict.fromkeys(made, "") | triggers
