"""Where a journal is: the path of an SQLite file, or a database on a PostgreSQL server. Loads neither driver."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from sellctl.core.errors import ConfigError, JournalError
from sellctl.installation import missing_extra

_SIMULATOR_SCHEMA = "sellctl_simulator"


@dataclass(frozen=True, slots=True)
class PostgresLocation:
    """A database on a PostgreSQL server. Its text is the URL without the password and the options.

    `folder` is this host's state folder, for its head file and for archives. The journal of simulated accounts has a
    schema of its own, so that it is never that of real ones.
    """

    url: str = field(repr=False)
    folder: Path
    simulated: bool = False

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        where = parts.netloc.rpartition("@")[2] or "localhost"
        user = f"{unquote(parts.username)}@" if parts.username else ""
        return f"postgresql://{user}{where}{parts.path}"

    @property
    def conninfo(self) -> str:
        """The URL as libpq takes it, with the password."""
        return "postgresql" + self.url[self.url.index(":") :]

    @property
    def schema(self) -> str:
        """The schema of its tables; "" for the user's default."""
        return _SIMULATOR_SCHEMA if self.simulated else ""


JournalLocation: TypeAlias = Path | PostgresLocation


def exists(location: JournalLocation) -> bool:
    """Whether there is something to read: always on a server, which alone knows."""
    return not isinstance(location, Path) or location.exists()


def require_driver() -> None:
    """JournalError when the driver of PostgreSQL isn't installed, or can't be loaded."""
    try:
        import psycopg  # noqa: F401, PLC0415  an optional extra
    except ImportError:
        sentence, hint = missing_extra("A journal on PostgreSQL", "postgres")
        raise JournalError(sentence, hint=hint) from None


def file_of(location: JournalLocation) -> Path:
    """The SQLite file. ConfigError when the journal is on a server."""
    if isinstance(location, Path):
        return location
    raise ConfigError(f"The journal {location} is not a file.", hint="This works with the journal of a state folder.")
