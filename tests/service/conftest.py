"""PostgreSQL for the tests of what hosts share."""

from postgres_fixtures import migrated, postgres, server

__all__ = ["migrated", "postgres", "server"]
