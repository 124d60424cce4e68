"""The journal: SQLAlchemy Core on SQLite. Evidence is chained and only grows; memory of positions is ordinary state."""
