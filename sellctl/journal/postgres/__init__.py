"""The journal's database on a PostgreSQL server (extra `postgres`). Only this package imports its driver and alembic."""
