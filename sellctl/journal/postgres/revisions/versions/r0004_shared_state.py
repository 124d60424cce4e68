"""What hosts share besides leases: exempt symbols, rules to resume, and requests to the host of an account."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT = sa.Text(collation="C")


def upgrade() -> None:
    """Create the tables. Each change of the exempt symbols has the next number."""
    op.create_table(
        "exemptions",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("ends_at", sa.DateTime(timezone=True)),
    )
    changes = op.create_table(
        "exemption_changes",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(changes, [{"id": 1, "number": 0}])
    op.create_table(
        "rules_to_resume",
        sa.Column("account", TEXT, primary_key=True),
        sa.Column("symbol", TEXT, primary_key=True),
    )
    op.create_table(
        "requests",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("account", TEXT, nullable=False),
        sa.Column("content", TEXT, nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")),
    )
