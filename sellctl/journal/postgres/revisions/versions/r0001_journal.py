"""The journal's tables as SQLite has them in schema 7, the end of the chain, and the triggers that protect the audit.

A revision is frozen once it was released: it does not follow what `schema.py` becomes.
"""

import uuid

import sqlalchemy as sa
from alembic import op

from sellctl.journal.postgres.triggers import REFUSE_CHANGE, REFUSE_DELETE, REFUSE_INSERT, TRIGGERS

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Texts sort by their bytes, as in SQLite, in whatever language the database is.
TEXT = sa.Text(collation="C")


def text(name: str, *, default: str | None = None) -> sa.Column[str]:
    """A column of text that is never null."""
    return sa.Column(name, TEXT, nullable=False, server_default=default)


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        *map(
            text, ("at", "account", "kind", "symbol", "reason", "client_order_id", "day", "body", "prev_hash", "hash")
        ),
    )
    for column in ("client_order_id", "symbol", "day", "reason", "account"):
        op.create_index(f"audit_{column}", "audit", [column])
    op.create_index("audit_account_reason", "audit", ["account", "reason"])
    op.create_table(
        "unresolved",
        sa.Column("account", TEXT, primary_key=True),
        sa.Column("client_order_id", TEXT, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        *map(text, ("symbol", "reason")),
    )
    op.create_table(
        "fills",
        sa.Column("account", TEXT, primary_key=True),
        sa.Column("order_id", TEXT, primary_key=True),
        *map(text, ("client_order_id", "symbol", "filled_qty", "price", "day")),
    )
    op.create_index("fills_day", "fills", ["account", "day"])
    op.create_table(
        "episodes",
        sa.Column("account", TEXT, primary_key=True),
        sa.Column("symbol", TEXT, primary_key=True),
        text("direction"),
        sa.Column("opened_at", TEXT),
        text("first_seen"),
        sa.Column("entry_price", TEXT),
        *map(text, ("qty", "tag")),
        sa.Column("peak", TEXT),
        text("averages", default=""),
        sa.Column("base", TEXT),
        *map(text, ("frozen", "follow")),
        text("whole", default=""),
        text("override", default=""),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True),
        text("at"),
        sa.Column("pid", sa.Integer, nullable=False),
        *map(text, ("version", "config_hash")),
    )
    meta = op.create_table("meta", sa.Column("key", TEXT, primary_key=True), text("value"))
    # One row, which each append locks: so hosts append one after the other. It is the head, inside the database.
    chain = op.create_table(
        "chain_end",
        sa.Column("id", sa.SmallInteger, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        text("hash"),
    )
    op.bulk_insert(meta, [{"key": "id", "value": uuid.uuid4().hex}])
    op.bulk_insert(chain, [{"id": 1, "seq": 0, "hash": "0" * 64}])
    for statement in (REFUSE_CHANGE, REFUSE_DELETE, REFUSE_INSERT, *TRIGGERS):
        op.execute(statement)
