"""What hosts share besides their leases: exempt symbols, rules to resume, requests to a host, and the common halt.

Each call is one short transaction on a connection of its own, but for a look that is repeated.
Every error is a JournalError.
"""

import datetime as dt
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg
from msgspec import Struct

from sellctl.core.leases.model import LeaseView
from sellctl.journal.leases.postgres_table import HALT, NOTIFY, RESUME, VIEW, failure, storable, view_of
from sellctl.journal.location import PostgresLocation
from sellctl.journal.postgres.connection import WRITING, Connection, connect
from sellctl.journal.postgres.errors import map_postgres_errors

# A request that no host has taken by then is carried out by none: whoever asked has been told so.
REQUEST_SECONDS = 30.0

Ends = Mapping[str, dt.datetime | None]  # of exemptions, by symbol, underlying or structure; None: by `manage` only

_HAS_JOURNAL = "SELECT clock_timestamp(), to_regclass('audit') IS NOT NULL"
_EXEMPT = "SELECT name, ends_at FROM exemptions"
_CHANGES = "SELECT (SELECT value FROM meta WHERE key = 'id'), number FROM exemption_changes"
_CHANGE = "UPDATE exemption_changes SET number = GREATEST(number, %s) + 1"  # others wait for its row
_ADD = "INSERT INTO exemptions (name, ends_at) VALUES (%s, %s) ON CONFLICT (name) DO "
_SET_END = _ADD + "UPDATE SET ends_at = excluded.ends_at"
_KEEP_LATER_END = (
    _ADD + "UPDATE SET ends_at = CASE WHEN exemptions.ends_at IS NOT NULL AND excluded.ends_at IS NOT NULL "
    "THEN GREATEST(exemptions.ends_at, excluded.ends_at) END"
)
_RESUME_RULES = "INSERT INTO rules_to_resume (account, symbol) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_ASK = "INSERT INTO requests (id, account, content) VALUES (%s, %s, %s)"
_WITHDRAW = "DELETE FROM requests WHERE id = %s"
_IS_WAITING = "SELECT FROM requests WHERE id = %s"
_OF_THIS_HOST = """account = ANY(%(accounts)s) AND account IN (
    SELECT l.account FROM leases AS l JOIN lease_hosts AS h ON h.registration = l.registration
    WHERE h.registration = %(registration)s AND h.until > clock_timestamp()
)"""
_OF_NO_HOST = """account = ANY(%(accounts)s) AND NOT EXISTS (
    SELECT FROM lease_hosts AS h WHERE h.until > clock_timestamp() AND account = ANY(h.accounts)
)"""
_TAKE_RULES = "DELETE FROM rules_to_resume WHERE {of} RETURNING account, symbol"
_IS_LATE = f"asked_at < clock_timestamp() - make_interval(secs => {REQUEST_SECONDS})"
_TAKE_REQUESTS = f"DELETE FROM requests WHERE {_OF_THIS_HOST} RETURNING id, content, {_IS_LATE}"  # noqa: S608  our own
_FORGET_REQUESTS = f"DELETE FROM requests WHERE {_IS_LATE}"  # noqa: S608  our own
_RESUME_NUMBER = "UPDATE lease_halts SET reason = '' WHERE reason <> '' AND number = %s"


class Exemptions(Struct, frozen=True):
    """What is exempt, after so many changes, in the journal with this id."""

    journal: str
    number: int
    ends: Ends


class Look(Struct, frozen=True):
    """What is shared now, and what was taken for the accounts of one process, each once.

    `rules` are accounts with symbols whose suspended rules are to be resumed, `requests` ids with their content, `late`
    ids of requests that waited too long.
    """

    hosts: LeaseView
    exemptions: Exemptions
    rules: tuple[tuple[str, str], ...] = ()
    requests: tuple[tuple[str, str], ...] = ()
    late: tuple[str, ...] = ()


@dataclass(slots=True)
class SharedState:
    """The shared state in the database of a journal."""

    location: PostgresLocation
    _kept: Connection | None = None
    _looking: threading.Lock = field(default_factory=threading.Lock)  # the last look may still run in another thread

    # --- hosts and their halt -----------------------------------------------------------------------------------------

    def hosts(self) -> LeaseView:
        """The hosts and their leases now; none in a database that has no journal yet."""
        with self._transaction() as tx:
            return _new_view(tx) or view_of(tx.execute(VIEW).fetchall())

    def halt(self, reason: str) -> int:
        """Halt all hosts. Return the number of that halt."""
        with self._transaction() as tx:
            row = tx.execute(HALT, {"halt": storable(reason)}).fetchone()
            tx.execute(NOTIFY)
        return int(row[0]) if row else 0

    def resume(self, number: int | None = None) -> bool:
        """Lift the halt of all hosts, or only the one with this number. Return whether there was one."""
        with self._transaction() as tx:
            lifted = tx.execute(RESUME) if number is None else tx.execute(_RESUME_NUMBER, (number,))
            tx.execute(NOTIFY)
        return bool(lifted.rowcount)

    # --- exempt symbols -----------------------------------------------------------------------------------------------

    def exemptions(self) -> Exemptions:
        """What is exempt now."""
        with self._transaction() as tx:
            return _exemptions(tx)

    def exempt(self, ends: Ends, *, is_news: bool = True, least: int = 0) -> Exemptions:
        """Exempt all of these; unless this `is_news`, the later end of each counts. Return what is exempt then.

        The change gets the next number, which is greater than `least`, too.
        """
        with self._transaction() as tx:
            tx.execute(_CHANGE, (least,))
            for name, end in ends.items():
                tx.execute(_SET_END if is_news else _KEEP_LATER_END, (name, end))
            return _exemptions(tx)

    def manage(self, name: str) -> Exemptions:
        """End an exemption. Return what is exempt then."""
        with self._transaction() as tx:
            tx.execute(_CHANGE, (0,))
            tx.execute("DELETE FROM exemptions WHERE name = %s", (name,))
            return _exemptions(tx)

    def resume_rules(self, symbol: str, accounts: Iterable[str]) -> None:
        """Let whoever watches these accounts resume a symbol's suspended rules."""
        with self._transaction() as tx:
            for account in accounts:
                tx.execute(_RESUME_RULES, (account, symbol))

    # --- requests to a host -------------------------------------------------------------------------------------------

    def ask(self, request: str, account: str, content: str) -> None:
        """Leave a request with this id for the host that watches the account."""
        with self._transaction() as tx:
            tx.execute(_ASK, (request, account, content))

    def is_waiting(self, request: str) -> bool:
        """Whether no host has taken it yet."""
        with self._transaction() as tx:
            return tx.execute(_IS_WAITING, (request,)).fetchone() is not None

    def withdraw(self, request: str) -> bool:
        """Take a request back. Return False when a host has taken it."""
        with self._transaction() as tx:
            return bool(tx.execute(_WITHDRAW, (request,)).rowcount)

    def look(self, registration: int = 0, accounts: Iterable[str] = (), *, keep: bool = False) -> Look:
        """What is shared now, with what this process is to do for these accounts, which it watches.

        A host, by its registration, takes what is meant for those of which it has the lease; another process takes
        rules to resume of those that no host watches. Without accounts, a database that has no journal yet has nothing
        to share. `keep` leaves the connection open for the next look.
        """
        whose = {"registration": registration, "accounts": list(accounts)}
        rules, requests = [], []
        with self._looking, self._transaction(keep=keep) as tx:
            if whose["accounts"]:
                of = _OF_THIS_HOST if registration else _OF_NO_HOST
                rules = tx.execute(_TAKE_RULES.format(of=of).encode(), whose).fetchall()
            elif new := _new_view(tx):
                return Look(new, Exemptions("", 0, {}))
            if registration:
                requests = tx.execute(_TAKE_REQUESTS, whose).fetchall()
                tx.execute(_FORGET_REQUESTS)
            hosts, exemptions = view_of(tx.execute(VIEW).fetchall()), _exemptions(tx)
        return Look(
            hosts,
            exemptions,
            rules=tuple((account, symbol) for account, symbol in rules),
            requests=tuple((number, content) for number, content, is_late in requests if not is_late),
            late=tuple(number for number, _, is_late in requests if is_late),
        )

    def close(self) -> None:
        """Close the connection that stays open."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    @contextmanager
    def _transaction(self, *, keep: bool = False) -> Iterator[Connection]:
        """One transaction, on the connection that is kept or on one of its own. JournalError when it fails."""
        with map_postgres_errors(self.location):
            connection = self._kept if keep else None
            if connection is None or connection.closed:
                connection = connect(self.location, WRITING, writes=True)
            try:
                with connection.transaction():
                    yield connection
            except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
                connection.close()
                raise failure(error) from error
            except BaseException:
                with suppress(psycopg.Error):
                    connection.close()
                raise
            if keep:
                self._kept = connection
            else:
                connection.close()


def _new_view(tx: Connection) -> LeaseView | None:
    """The view of a database that has no journal yet, which the first start makes; None when it has one."""
    at, has_journal = tx.execute(_HAS_JOURNAL).fetchone() or (None, True)
    return None if has_journal else LeaseView(at, (), ())


def _exemptions(tx: Connection) -> Exemptions:
    journal, number = tx.execute(_CHANGES).fetchone() or ("", 0)
    ends = {name: end and end.astimezone(dt.UTC) for name, end in tx.execute(_EXEMPT).fetchall()}
    return Exemptions(journal, number, ends)
