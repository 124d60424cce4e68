"""The tables of the leases. `metadata` is their own, so that a migration of the journal can take them in."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

metadata = sa.MetaData()

registrations = sa.Sequence("lease_registrations", metadata=metadata)

# One row per host that is registered. Its leases end with it; a host that registers again has another number.
hosts = sa.Table(
    "lease_hosts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("registration", sa.BigInteger, nullable=False, unique=True),
    sa.Column("process", sa.Text, nullable=False),
    sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    sa.Column("accounts", ARRAY(sa.Text), nullable=False),
    sa.Column("is_leaving", sa.Boolean, nullable=False),
)

# One row per account that was ever shared; without a registration nobody has it. The fencing number only grows.
leases = sa.Table(
    "leases",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("registration", sa.BigInteger),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("since", sa.DateTime(timezone=True)),
)

# One row at most: why all hosts are halted.
halts = sa.Table(
    "lease_halts",
    metadata,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
)
