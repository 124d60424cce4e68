"""The journal: SQLAlchemy Core on SQLite. Audit rows are chained and never changed; episodes are ordinary rows."""
