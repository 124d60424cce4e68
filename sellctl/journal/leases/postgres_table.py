"""The LeaseTable port on PostgreSQL: one transaction per renewal, by the database's clock, and NOTIFY for news.

Transactions are REPEATABLE READ: of two that would change one row, the later one fails and is tried again, so that no
host acts on what another has just changed. `clock_timestamp()` is the time of the statement, not of the transaction.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg import errors

from sellctl.core.errors import JournalError
from sellctl.core.leases.fencing import lost, watched
from sellctl.core.leases.model import Host, Lease, LeaseView, Renewal
from sellctl.core.leases.timing import CALL_SECONDS, LEASE_SECONDS
from sellctl.journal.audit_log import Batch

T = TypeVar("T")
Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
CHANNEL = "sellctl_leases"
TRIES = 3

_LEASE = f"make_interval(secs => {LEASE_SECONDS})"
_REGISTER = f"""
    INSERT INTO lease_hosts AS h (name, registration, process, until, accounts, is_leaving)
    VALUES (%(host)s, nextval('lease_registrations'), %(process)s, clock_timestamp() + {_LEASE},
            %(accounts)s, %(is_leaving)s)
    ON CONFLICT (name) DO UPDATE SET
        registration = CASE WHEN h.until > clock_timestamp() THEN h.registration ELSE EXCLUDED.registration END,
        process = EXCLUDED.process, until = EXCLUDED.until, accounts = EXCLUDED.accounts,
        is_leaving = EXCLUDED.is_leaving
    WHERE h.until <= clock_timestamp() OR h.process = EXCLUDED.process
    RETURNING registration
"""  # noqa: S608  our own constants
_RENEW = f"""
    UPDATE lease_hosts
    SET until = clock_timestamp() + {_LEASE}, accounts = %(accounts)s, is_leaving = %(is_leaving)s
    WHERE name = %(host)s AND registration = %(registration)s AND process = %(process)s AND until > clock_timestamp()
    RETURNING registration
"""  # noqa: S608  our own constants
_KNOW = "INSERT INTO leases (account, fence) SELECT unnest(%(accounts)s::text[]), 0 ON CONFLICT DO NOTHING"
_RELEASE = """
    UPDATE leases SET registration = NULL, since = NULL
    WHERE account = %(account)s AND fence = %(fence)s AND registration = %(registration)s
"""
# A host whose renewal is under way is skipped: it isn't gone.
_FORGET = """
    DELETE FROM lease_hosts WHERE name IN (
        SELECT name FROM lease_hosts WHERE until <= clock_timestamp() FOR UPDATE SKIP LOCKED
    )
"""
_ACQUIRE = """
    UPDATE leases SET registration = %(registration)s, fence = fence + 1, since = clock_timestamp()
    WHERE account IN (
        SELECT account FROM leases
        WHERE account = ANY(%(acquire)s)
          AND NOT EXISTS (SELECT FROM lease_hosts AS h WHERE h.registration = leases.registration)
        ORDER BY account FOR UPDATE SKIP LOCKED
    )
"""
_LEAVE = """
    DELETE FROM lease_hosts WHERE registration = %(registration)s
    AND NOT EXISTS (SELECT FROM leases WHERE leases.registration = lease_hosts.registration)
"""
HALT = """
    INSERT INTO lease_halts AS h (id, reason, number) VALUES (1, %(halt)s, 1)
    ON CONFLICT (id) DO UPDATE SET reason = EXCLUDED.reason, number = h.number + 1
    RETURNING number
"""
RESUME = "UPDATE lease_halts SET reason = '' WHERE reason <> ''"
NOTIFY = f"NOTIFY {CHANNEL}"
VIEW = """
    SELECT clock_timestamp(), (SELECT reason FROM lease_halts), (SELECT number FROM lease_halts),
           h.name, h.registration, h.until, h.accounts, h.is_leaving, l.account, l.fence, l.since
    FROM (SELECT) AS one
    LEFT JOIN lease_hosts AS h ON h.until > clock_timestamp()
    LEFT JOIN leases AS l ON l.registration = h.registration
    ORDER BY h.name, l.account
"""
# Nobody acquires the account before the transaction of the intent has ended.
_FENCE = """
    SELECT 1 FROM leases AS l JOIN lease_hosts AS h ON h.registration = l.registration
    WHERE l.account = $1 AND l.fence = $2 AND h.until > clock_timestamp()
    FOR SHARE OF l
"""

# The account gets a row, which is locked until the intent's transaction has ended: nobody acquires it meanwhile. Each
# is a statement of its own, so that the last one sees every host that has registered before the lock was granted.
_KNOW_ONE = "INSERT INTO leases (account, fence) VALUES ($1, 0) ON CONFLICT DO NOTHING"
_HOLD = "SELECT 1 FROM leases WHERE account = $1 FOR SHARE"
_UNWATCHED = """
    SELECT 1 WHERE NOT EXISTS (
        SELECT FROM lease_hosts AS h WHERE h.until > clock_timestamp() AND (
            $1 = ANY(h.accounts)
            OR EXISTS (SELECT FROM leases AS l WHERE l.account = $1 AND l.registration = h.registration)
        )
    )
"""


def storable(text: str) -> str:
    """The text with "?" for what PostgreSQL can't store: NUL, and what of an argument wasn't UTF-8."""
    return text.encode(errors="replace").decode().replace("\0", "?")


def check_unleased_intent(batch: Batch, account: str, fence: int | None) -> None:
    """An IntentCheck of a process without leases: BusyError when a host watches the account, or is about to."""
    if fence is not None:
        raise lost(account)
    batch.execute(_KNOW_ONE, (account,))
    batch.execute(_HOLD, (account,))
    batch.require(_UNWATCHED, (account,), watched(account))


def check_intent(batch: Batch, account: str, fence: int | None) -> None:
    """An IntentCheck: LeaseLostError unless this host has the account's lease, with this fencing number.

    It is sent with the intents, so that they still take two round trips.
    """
    if fence is None:
        raise lost(account)
    batch.require(_FENCE, (account, fence), lost(account))


@dataclass(slots=True)
class PostgresLeaseTable:
    """The lease table in a database. `conninfo` is libpq's, `schema` that of its tables; "" for the user's default.

    A call that fails or is cancelled gives its connection up, and the next one makes a new one: it never waits for an
    answer that hangs.
    """

    conninfo: str
    schema: str = ""
    _connection: Connection | None = None
    _listening: "asyncio.Task[None] | None" = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def renew(self, renewal: Renewal) -> LeaseView:
        """Carry out a renewal in one transaction, and return the table after it."""

        async def renew(connection: Connection) -> LeaseView:
            return await _viewed(connection, await _renewed(connection, renewal))

        return await self._tried(renew)

    async def view(self) -> LeaseView:
        """The table without a change."""
        return await self._tried(_viewed)

    async def changed(self, seconds: float) -> None:
        """Return at the next news, after so many seconds at the latest. JournalError when it can't listen."""
        if self._listening is None or self._listening.done():
            failed = self._listening.exception() if self._listening and not self._listening.cancelled() else None
            self._listening = asyncio.create_task(self._listen())
            if failed is not None:
                raise failure(failed)
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait({news}, timeout=seconds)
            self._news.clear()
        finally:
            news.cancel()

    async def close(self) -> None:
        """End both connections."""
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._listening
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    # --- inside -------------------------------------------------------------------------------------------------------

    async def _tried(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """The answer of a transaction, which is tried again when another one was in its way."""
        for left in reversed(range(TRIES)):
            try:
                return await self._carried_out(work)
            except errors.SerializationFailure as error:
                if not left:
                    raise failure(error) from None
            except (psycopg.Error, OSError) as error:
                raise failure(error) from None
        raise AssertionError("the last try has returned or raised")

    async def _carried_out(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """One transaction on a connection that no other call uses."""
        connection, self._connection = self._connection or await self._connect(), None
        is_sound = False
        try:
            async with connection.transaction():
                answer = await work(connection)
            is_sound = True
        except errors.SerializationFailure:
            is_sound = True
            raise
        finally:
            if is_sound and self._connection is None:
                self._connection = connection
            else:
                await connection.close()
        return answer

    async def _connect(self) -> Connection:
        milliseconds = int(CALL_SECONDS * 1000)
        options = f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}"
        options += f" -c search_path={self.schema}" if self.schema else ""
        connection = await psycopg.AsyncConnection.connect(
            self.conninfo,
            connect_timeout=int(CALL_SECONDS),
            tcp_user_timeout=2 * milliseconds,
            options=options,
            autocommit=True,
        )
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        return connection

    async def _listen(self) -> None:
        async with await psycopg.AsyncConnection.connect(
            self.conninfo, connect_timeout=int(CALL_SECONDS), autocommit=True
        ) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            async for _ in connection.notifies():
                self._news.set()


async def _renewed(connection: Connection, renewal: Renewal) -> int:
    """Carry out a renewal within a transaction. Return the host's registration; 0 without one."""
    facts: dict[str, Any] = {
        "host": renewal.host,
        "process": renewal.process,
        "accounts": sorted(renewal.accounts),
        "is_leaving": renewal.is_leaving,
        "registration": renewal.registration,
        "acquire": sorted(renewal.acquire),
    }
    row = await (await connection.execute(_RENEW if renewal.registration else _REGISTER, facts)).fetchone()
    if renewal.halt:
        await _halted(connection, renewal.halt)
    tells = False
    facts["registration"] = registration = int(row[0]) if row else 0
    if registration:
        if not renewal.registration:
            await connection.execute(_KNOW, facts)
        for account, fence in renewal.release:
            released = await connection.execute(_RELEASE, {**facts, "account": account, "fence": fence})
            tells |= bool(released.rowcount)
        if renewal.is_leaving:
            tells |= bool((await connection.execute(_LEAVE, facts)).rowcount)
        elif renewal.acquire:
            await connection.execute(_FORGET)
            await connection.execute(_ACQUIRE, facts)
    if tells:
        await connection.execute(NOTIFY)
    return registration


async def _halted(connection: Connection, reason: str) -> int:
    """Halt all hosts within a transaction. Return the number of that halt."""
    row = await (await connection.execute(HALT, {"halt": storable(reason)})).fetchone()
    await connection.execute(NOTIFY)
    return int(row[0]) if row else 0


async def _viewed(connection: Connection, registration: int = 0) -> LeaseView:
    """The table as a transaction sees it."""
    return view_of(await (await connection.execute(VIEW)).fetchall(), registration)


def view_of(rows: "list[tuple[Any, ...]]", registration: int = 0) -> LeaseView:
    """The view that the rows of VIEW show: one per lease, and per host without one."""
    at, halted, halt_number, *_ = rows[0]
    hosts: dict[str, Host] = {}
    leases = []
    for _, _, _, name, number, until, accounts, is_leaving, account, fence, since in rows:
        if name is None:
            continue
        hosts[name] = Host(name, number, until, frozenset(accounts), is_leaving)
        if account is not None:
            leases.append(Lease(account, name, number, fence, until, since))
    return LeaseView(at, tuple(hosts.values()), tuple(leases), registration, halted or "", halt_number or 0)


def failure(error: BaseException) -> JournalError:
    """The error in a sentence. It has no word of the connection's parameters, which may be a password."""
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn):
        return JournalError(
            "The database has no lease table, or one of an older sellctl.",
            hint="The first start of `sellctl watch` makes it.",
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return JournalError("The database of the leases is read-only.", hint="Connect to the primary server.")
    if isinstance(error, errors.QueryCanceled | errors.LockNotAvailable | errors.SerializationFailure):
        return JournalError("The database of the leases is too slow.", hint="Check its load and its locks.")
    return JournalError("The database of the leases can't be reached.", hint="Check the server and journal.url.")
