"""Alembic's environment: it migrates on the connection, and in the transaction, of who calls it."""

from alembic import context


def main() -> None:
    """Run the revisions that are wanted."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection)
    context.run_migrations()


main()
