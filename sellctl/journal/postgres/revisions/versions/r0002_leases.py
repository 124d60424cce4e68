"""The leases of accounts among hosts: who is registered, who has which account with which number, and a common halt."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.Text(collation="C")


def upgrade() -> None:
    """Create the tables."""
    op.execute("CREATE SEQUENCE lease_registrations")
    op.create_table(
        "lease_hosts",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("registration", sa.BigInteger, nullable=False, unique=True),
        sa.Column("process", TEXT, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accounts", sa.ARRAY(TEXT), nullable=False),
        sa.Column("is_leaving", sa.Boolean, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("account", TEXT, primary_key=True),
        sa.Column("registration", sa.BigInteger),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "lease_halts",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("reason", TEXT, nullable=False),
    )
