"""Connections to the server: each has a time limit for every answer, so that none that hangs stops the watcher."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict

from sellctl.core.errors import ConfigError, JournalError
from sellctl.journal.location import PostgresLocation

OLDEST_SERVER = 150_000  # PostgreSQL 15


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `answer` is this host's limit for one answer, which holds also when the server is silent.

    The server's own are shorter, so that its sentence comes first: for a statement, for a lock, and for a transaction
    in which nothing happens, as when its host is frozen: the chain is free for others then.
    """

    connect: int = 2
    answer: float = 3.0
    statement: float = 2.5
    lock: float = 1.5
    idle: float = 5.0


WRITING = Timeouts()
READING = Timeouts(answer=10.0, statement=9.0, idle=60.0)
COPYING = Timeouts(answer=600.0, statement=0.0, lock=5.0, idle=0.0)


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits for no answer longer than `limit` seconds; the driver has no such setting itself.

    `prepared` are the names of the statements of the order path, by their texts; `names` is how many were given.
    """

    limit: float | None = None
    names = 0

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.prepared: dict[str, bytes] = {}

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for an answer. OperationalError when it doesn't come in time; the connection is closed then."""
        try:
            return super().wait(gen, interval, self.limit if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if "timeout expired" in str(error):
                self.close()
            raise


def connect(location: PostgresLocation, timeouts: Timeouts, *, writes: bool) -> Connection:
    """A connection in autocommit mode, of which each commit is durable."""
    options = _options(location, timeouts, writes=writes)
    connection: Connection = Connection.connect(autocommit=True, **options)
    connection.limit = timeouts.answer
    try:
        _prepare(connection, location, timeouts)
    except BaseException:
        connection.close()
        raise
    return connection


def _options(location: PostgresLocation, timeouts: Timeouts, *, writes: bool) -> Mapping[str, Any]:
    """What libpq connects with: the URL's options before these."""
    try:
        given = {name: value for name, value in conninfo_to_dict(location.conninfo).items() if value is not None}
    except psycopg.Error:
        # Its words may repeat a part of the URL, and with it the password.
        raise ConfigError(
            "journal.url is not a URL of PostgreSQL.",
            hint="Write postgresql+psycopg://user:password@host/database, special characters of the password as %40.",
        ) from None
    milliseconds = int(timeouts.answer * 1000)
    return {
        "connect_timeout": timeouts.connect,
        "tcp_user_timeout": milliseconds,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "application_name": "sellctl",
        "gssencmode": "disable",
        "target_session_attrs": "read-write" if writes else "any",
        **given,
    }


def _prepare(connection: Connection, location: PostgresLocation, timeouts: Timeouts) -> None:
    if connection.info.server_version < OLDEST_SERVER:
        major = connection.info.server_version // 10_000
        raise JournalError(
            f"The server of the journal {location} is PostgreSQL {major}.", hint="sellctl needs PostgreSQL 15 or newer."
        )
    settings = {
        "statement_timeout": f"{int(timeouts.statement * 1000)}ms",
        "lock_timeout": f"{int(timeouts.lock * 1000)}ms",
        "idle_in_transaction_session_timeout": f"{int(timeouts.idle * 1000)}ms",
        "client_encoding": "UTF8",
        **({"search_path": location.schema} if location.schema else {}),
    }
    calls = ", ".join("set_config(%s, %s, false)" for _ in settings)
    # A commit is on disk when it returns, also where the server's default is otherwise.
    durable = (
        "set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' "
        "ELSE current_setting('synchronous_commit') END, false)"
    )
    values = [text for pair in settings.items() for text in pair]
    connection.execute(f"SELECT {durable}, {calls}".encode(), values)


def engine_of(location: PostgresLocation, timeouts: Timeouts, *, writes: bool, **pool: Any) -> sa.Engine:
    """SQLAlchemy's engine on such connections; it begins no transaction itself."""
    return sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: connect(location, timeouts, writes=writes),
        isolation_level="AUTOCOMMIT",
        use_native_hstore=False,
        pool_reset_on_return=None,  # who begins a transaction ends it
        **pool,
    )
