"""The version of the schema, and its migrations by alembic, which is loaded only when there is something to migrate."""

from pathlib import Path

import sqlalchemy as sa

from sellctl.core.errors import JournalError
from sellctl.installation import missing_extra
from sellctl.journal.location import PostgresLocation

NEWEST = "0004"  # the newest revision in revisions/versions
_LOCK = 0x5E11C71  # the key of the advisory lock under which one host migrates


def version_of(tx: sa.Connection) -> str:
    """The revision of the database's schema; "" when it has no journal."""
    if not tx.scalar(sa.text("SELECT to_regclass('alembic_version') IS NOT NULL")):
        return ""
    return str(tx.scalar(sa.text("SELECT version_num FROM alembic_version")) or "")


def refuse_newer(version: str, location: PostgresLocation, newest: str = NEWEST) -> None:
    """JournalError when the schema is newer than this program's."""
    if version > newest:
        raise JournalError(
            f"The journal {location} was made by a newer sellctl (schema {version}, this one supports {newest}).",
            hint="Upgrade sellctl on this host.",
        )


def load_alembic() -> None:
    """Load alembic, which takes half a second. JournalError when it isn't installed."""
    try:
        import alembic.command  # noqa: F401, PLC0415  an optional extra, and seldom needed
    except ImportError:
        sentence, hint = missing_extra("A journal on PostgreSQL", "postgres")
        raise JournalError(sentence, hint=hint) from None


def migrate(tx: sa.Connection, location: PostgresLocation) -> None:
    """Bring the schema to the newest revision, in the open transaction; of several hosts, one does it."""
    tx.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    if location.schema:
        tx.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {location.schema}"))
    version = version_of(tx)  # another host may have migrated it meanwhile
    refuse_newer(version, location)
    if version == NEWEST:
        return
    from alembic import command  # noqa: PLC0415  see load_alembic
    from alembic.config import Config  # noqa: PLC0415  likewise

    config = Config(attributes={"connection": tx})
    config.set_main_option("script_location", str(Path(__file__).parent / "revisions").replace("%", "%%"))
    command.upgrade(config, NEWEST)
