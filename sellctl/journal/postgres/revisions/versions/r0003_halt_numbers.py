"""Halts of all hosts are numbered, so that one that was lifted can be told from one that was lost."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the number of the last halt. From now on its row stays when it is lifted, without a reason."""
    op.add_column("lease_halts", sa.Column("number", sa.BigInteger, nullable=False, server_default="1"))
    op.alter_column("lease_halts", "number", server_default=None)
