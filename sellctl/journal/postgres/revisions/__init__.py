"""Alembic's folder: its environment, and the revisions of the schema."""
