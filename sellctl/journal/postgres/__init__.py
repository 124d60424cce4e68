"""The journal in a database on a PostgreSQL server (extra `postgres`): only here are driver and alembic imported."""
