"""The journal: SQLAlchemy Core on SQLite."""
