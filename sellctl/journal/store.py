"""SqliteJournal: what the core writes down, as the Journal port asks. One method a kind of evidence.

Each method is one transaction that is on disk when it returns (WAL, synchronous FULL), or raises JournalError.
"""

import datetime as dt
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import dialect

from sellctl.core.errors import JournalError
from sellctl.core.model.exit_record import CONTRACT
from sellctl.core.model.intent import Intent, OpenOrder, Outcome
from sellctl.core.model.market import NEW_YORK
from sellctl.core.model.order import STATE_OF_STATUS, OrderState
from sellctl.core.model.plan import ExitSignal, Plan, SubmitOrder
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.journal import codec
from sellctl.journal.chain import GAP, START, Link, canonical, row_hash, storable
from sellctl.journal.database import Database
from sellctl.journal.digest import fingerprint, of_note, refusals, signature, summary
from sellctl.journal.errors import journal_error, told_clearly
from sellctl.journal.head import Head, HeadFile, read_head
from sellctl.journal.index import BATCH, place, placed
from sellctl.journal.queries import Filters, Row, page, realised
from sellctl.journal.schema import audit, fills, meta, runs, unresolved

_HOUR = 3600
BUSY_TIMEOUT = 5.0  # seconds to wait for another process's transaction

LATEST = 1_000  # rows that a question on the last seconds looks at

INTENT = "intent"
FILL = "fill"
# What ends an intent: the broker's terminal word, its definite no, or ours that it never got there.
FINAL_OUTCOMES = frozenset(status for status, state in STATE_OF_STATUS.items() if state is OrderState.TERMINAL) | {
    "refused",
    "absent",
    "denied",
    "not_sent",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One audit row to be."""

    account: str
    kind: str
    body: Mapping[str, object]
    symbol: str = ""
    reason: str = ""
    client_order_id: str = ""


def _nothing(_step: str) -> None:
    """The step hook of a journal that nobody watches."""


def _as_it_is(text: str) -> str:
    return text


class SqliteJournal:
    """The journal of one state folder. `now` is the broker's clock; several processes may share the file.

    `redact` masks known secrets in whatever text arrives; `step` is told each named point of a write (the fault bench
    kills there). `alarm` says what was wrong with the file when it was opened; "" when nothing was.
    """

    def __init__(
        self,
        path: Path,
        now: Callable[[], dt.datetime],
        *,
        busy_timeout: float = BUSY_TIMEOUT,
        redact: Callable[[str], str] = _as_it_is,
        step: Callable[[str], None] = _nothing,
    ) -> None:
        self.path = path
        self.alarm = ""
        self._closed = False
        self._placed = 0
        self._tail = START
        self._now = now
        self._redact = redact
        self.step = step
        self._marks: dict[str, str] = {}
        self._said: dict[str, Mapping[str, Sequence[object]]] = {}  # the gist of each account's last plan
        self._realised: dict[tuple[str, str], Decimal | None] = {}
        self.database = Database(path, busy_timeout=busy_timeout)
        with told_clearly(path):
            head, fault = _head_or_fault(path)
            self._head = HeadFile(path)
        self._catch_up(head, fault)

    def close(self) -> None:
        """Let go of the files; once is enough."""
        if self._closed:
            return
        self._closed = True
        with told_clearly(self.path):
            self._head.close()
        self.database.close()

    def _catch_up(self, head: Head | None, fault: str) -> None:
        """Bring a head that a crash left behind up to the last row; write down that rows are gone when it leads."""
        with self.database.reading() as tx:
            last = self._tail = _last(self.database.raw)
            self._placed = placed(tx)
            fault = fault or _disagreement(tx, head, last)
        if not fault:
            self._head.write(last)
            return
        self.alarm = f"The journal {self.path} may have lost rows: {fault}."
        self._append(Entry("", GAP, {"sentence": self.alarm, "head": head and head.link, "found": last}))

    # The port.

    def plan_made(self, snapshot: Snapshot, plan: Plan) -> None:
        """A plan with its snapshot, when its actions, denials or working exits differ from the last one's.

        Of both what is of note: every underlying on which anything happens or an order rests.
        """
        account = plan.account
        said = signature(snapshot, plan)
        if said == self._said.get(account):
            return
        mark = fingerprint(said)
        if mark != self._mark(account):
            self._keep(snapshot, plan, mark)
        self._said[account] = said

    def _keep(self, snapshot: Snapshot, plan: Plan, mark: str) -> None:
        """A plan that is news, and its fingerprint."""
        account = plan.account
        body = {**summary(plan), "frozen": codec.pack(*of_note(snapshot, plan))}
        denied = (Entry(account, "refusal", body, symbol, reason) for symbol, reason, body in refusals(plan))
        with self.database.writing() as tx:
            last = self._insert([Entry(account, "plan", body), *denied], snapshot.market.now)
            self._index(tx, last)
            tx.execute(sa.delete(meta).where(meta.c.key == f"plan:{account}"))
            tx.execute(sa.insert(meta).values(key=f"plan:{account}", value=mark))
        self._committed(last)
        self._marks[account] = mark

    def intend(self, account: str, order: SubmitOrder, body: Mapping[str, str], signal: ExitSignal, step: int) -> None:
        """An order about to be sent, step `step` of an exit: on disk before this returns. An id may come again."""
        words = {
            "body": body,
            "why": signal.sentence,
            "qty": str(order.qty),
            "limit_price": None if order.limit_price is None else str(order.limit_price),
            "urgency": signal.urgency,
            "step": step,
            **_bought_at(signal.holding),
        }
        entry = Entry(account, INTENT, words, order.symbol, signal.reason, order.client_order_id)
        with self.database.writing():
            last = self._insert([entry])
            self.database.raw.execute(
                _REMEMBER_INTENT, (account, order.client_order_id, last.seq, order.symbol, signal.reason)
            )
        self._committed(last)

    def intent_of(self, account: str, client_order_id: str) -> Intent | None:
        """What was written down last of an order of ours, by any process; None when nothing was."""
        wanted = Filters(client_order_id=client_order_id, account=account, kind=INTENT, limit=1)
        with self.database.reading() as tx:
            rows = page(tx, wanted)
        return _intent(rows[0]) if rows else None

    def outcome(self, account: str, client_order_id: str, kind: str, detail: Mapping[str, object]) -> None:
        """What became of an order. A kind of FINAL_OUTCOMES ends its intent; a fill is folded in once."""
        if kind == FILL:
            self.fold_fill(account, client_order_id, detail)
            return
        with self.database.writing() as tx:
            symbol, reason = _known_order(tx, account, client_order_id)
            symbol = symbol or str(detail.get("symbol", ""))
            last = self._insert([Entry(account, kind, detail, symbol, reason, client_order_id)])
            self._index(tx, last)
            if kind in FINAL_OUTCOMES:
                tx.execute(sa.delete(unresolved).where(_is_order(account, client_order_id)))
        self._committed(last)

    def note(self, account: str, kind: str, detail: Mapping[str, object]) -> None:
        """Any other evidence. `symbol`, `reason` and `client_order_id` in the detail are what history finds it by."""
        found = {key: str(detail.get(key, "") or "") for key in ("symbol", "reason", "client_order_id")}
        self._append(Entry(account, kind, detail, **found))

    def open_intents(self, account: str) -> Sequence[str]:
        """Client order ids that were intended and never seen to end, oldest first."""
        ids = sa.select(unresolved.c.client_order_id).where(unresolved.c.account == account)
        with self.database.reading() as tx:
            return tuple(tx.scalars(ids.order_by(unresolved.c.seq)))

    def open_orders(self, account: str) -> Sequence[OpenOrder]:
        """Orders that were intended and never seen to end, with what was written down of each, oldest first."""
        found = (self._open_order(account, client_order_id) for client_order_id in self.open_intents(account))
        return tuple(order for order in found if order)

    def _open_order(self, account: str, client_order_id: str) -> OpenOrder | None:
        intent = self.intent_of(account, client_order_id)
        if intent is None:
            return None
        with self.database.reading() as tx:
            rows = page(tx, Filters(client_order_id=client_order_id, account=account, limit=LATEST))
        since = takewhile(lambda row: row.kind != INTENT, rows)
        return OpenOrder(intent, tuple(Outcome(row.kind, row.body) for row in reversed(tuple(since))))

    def noted_today(self, account: str, kind: str) -> Sequence[str]:
        """The symbols of the notes of a kind that the exchange's day has so far."""
        with self.database.reading() as tx:
            return tuple(row.symbol for row in page(tx, Filters(account=account, kind=kind, day=_day(self._now()))))

    def filled_since(self, account: str, start: dt.datetime) -> Mapping[str, dt.datetime]:
        """When orders of ours last filled since then, by symbol, as far as the newest LATEST rows go back."""
        asked = sa.select(audit.c.symbol, audit.c.at).where(
            audit.c.seq > self._tail.seq - LATEST,
            audit.c.kind == FILL,
            audit.c.account == account,
            audit.c.at >= _text_of(start),
        )
        with self.database.reading() as tx:
            rows = tx.execute(asked.order_by(audit.c.seq)).all()
        return {symbol: dt.datetime.fromisoformat(at) for symbol, at in rows}

    # Beyond the port.

    def fold_fill(self, account: str, client_order_id: str, detail: Mapping[str, object]) -> Decimal:
        """The quantity newly filled by what an order shows; 0, and nothing written, when it was folded in already.

        `detail` names `order_id`, the cumulative `filled_qty` and the average `filled_avg_price`. A fill is known by
        the first two, so doubled and reordered events change nothing (I8).
        """
        order_id, total = str(detail["order_id"]), Decimal(str(detail["filled_qty"]))
        this_one = (fills.c.account == account) & (fills.c.order_id == order_id)
        with self.database.writing() as tx:
            new = total - Decimal(tx.scalar(sa.select(fills.c.filled_qty).where(this_one)) or 0)
            if new <= 0:
                return Decimal(0)
            symbol, reason = _known_order(tx, account, client_order_id)
            symbol = symbol or str(detail.get("symbol", ""))
            entry = Entry(account, FILL, {**detail, "new": new}, symbol, reason, client_order_id)
            last = self._insert([entry])
            tx.execute(sa.delete(fills).where(this_one))
            tx.execute(sa.insert(fills).values(_fill_row(entry, order_id, total, _day(self._now()))))
        self._committed(last)
        self._realised.clear()
        return new

    def realised(self, account: str) -> Decimal | None:
        """Dollars that today's fills of ours have made, each against its position's entry price.

        0 before the first; None while one can't be valued. Read from the file once, then kept until the next fill.
        """
        day = _day(self._now())
        if (account, day) not in self._realised:
            self._realised = {key: value for key, value in self._realised.items() if key[1] == day}
            with self.database.reading() as tx:
                self._realised[account, day] = realised(tx, account, day)
        return self._realised[account, day]

    def run_started(self, version: str, config_hash: str) -> None:
        """A process came up, with which program and which configuration."""
        row = {"pid": os.getpid(), "version": version, "config_hash": config_hash}
        with self.database.writing() as tx:
            last = self._insert([Entry("", "start", {"version": version, "config_hash": config_hash})])
            tx.execute(sa.insert(runs).values(at=_text_of(self._now()), **row))
        self._committed(last)

    # How rows get in.

    @contextmanager
    def adding(self, *entries: Entry) -> Iterator[sa.Connection]:
        """One transaction that appends these rows and does whatever the block does with it; then the head moves."""
        with self.database.writing() as tx:
            last = self._insert(entries)
            self._index(tx, last)
            yield tx
        self._committed(last)

    def _append(self, *entries: Entry) -> None:
        with self.adding(*entries):
            pass

    def _insert(self, entries: Sequence[Entry], at: dt.datetime | None = None) -> Link:
        """Chain these rows behind the last one: the last that we know of, unless another process has added some."""
        at = at or self._now()
        try:
            link = self._chain(entries, at, self._tail)
        except sqlite3.IntegrityError:
            link = self._chain(entries, at, _last(self.database.raw))
        self.step("journal.written")
        return link

    def _chain(self, entries: Sequence[Entry], at: dt.datetime, link: Link) -> Link:
        for entry in entries:
            row = self._row(entry, at, link)
            self.database.raw.execute(_INSERT, row)
            link = Link(link.seq + 1, str(row[-1]))
        return link

    def _index(self, tx: sa.Connection, last: Link) -> None:
        """Index the rows behind the last batch once they are enough for one. Never on the way of an order."""
        if last.seq - self._placed >= BATCH:
            place(tx, last.seq)
            self._placed = last.seq

    def _row(self, entry: Entry, at: dt.datetime, before: Link) -> tuple[object, ...]:
        body = self._redact(canonical(entry.body))
        facts = (entry.account, entry.kind, entry.symbol, entry.reason, entry.client_order_id, _day(at), body)
        cells = (_text_of(at), *map(storable, facts), before.hash)
        return (before.seq + 1, *cells, row_hash(before.seq + 1, cells))

    def _committed(self, last: Link) -> None:
        self.step("journal.committed")
        self._tail = last
        try:
            self._head.write(last)
        except OSError as error:
            raise journal_error(error, self._head.path) from error
        self.step("journal.headed")

    def _mark(self, account: str) -> str:
        """The fingerprint of the last plan stored for this account, by any process; "" before the first."""
        if account not in self._marks:
            with self.database.reading() as tx:
                stored = tx.scalar(sa.select(meta.c.value).where(meta.c.key == f"plan:{account}"))
            self._marks[account] = stored or ""
        return self._marks[account]


# The statements of the order path, compiled once from the tables.
_DIALECT = dialect()
_INSERT = str(sa.insert(audit).compile(dialect=_DIALECT))
_NEWEST = sa.select(sa.func.max(audit.c.seq)).scalar_subquery()
_LAST = str(sa.select(audit.c.seq, audit.c.hash).where(audit.c.seq == _NEWEST).compile(dialect=_DIALECT))
_REMEMBER_INTENT = str(sa.insert(unresolved).prefix_with("OR REPLACE").compile(dialect=_DIALECT))


def _last(raw: sqlite3.Connection) -> Link:
    row = raw.execute(_LAST).fetchone()
    return Link(row[0], row[1]) if row else START


def _head_or_fault(path: Path) -> tuple[Head | None, str]:
    """The head, or why it can't be read: that is told, and no reason to leave positions alone."""
    try:
        return read_head(path), ""
    except JournalError as error:
        return None, str(error).rstrip(".")


def _disagreement(tx: sa.Connection, head: Head | None, last: Link) -> str:
    """How the head contradicts the rows; "" when it is where they are, or behind."""
    if head is None:
        return "" if last == START else "the head file was missing"
    there = tx.scalar(sa.select(audit.c.hash).where(audit.c.seq == head.link.seq))
    if head.link == START or there == head.link.hash:
        return ""
    return f"the head names row {head.link.seq}, and the last row that was there is {last.seq}"


def _is_order(account: str, client_order_id: str) -> sa.ColumnElement[bool]:
    return (unresolved.c.account == account) & (unresolved.c.client_order_id == client_order_id)


def _fill_row(entry: Entry, order_id: str, total: Decimal, day: str) -> dict[str, str]:
    return {
        "account": entry.account,
        "order_id": order_id,
        "client_order_id": entry.client_order_id,
        "symbol": entry.symbol,
        "filled_qty": str(total),
        "price": str(entry.body.get("filled_avg_price") or ""),
        "day": day,
    }


def _known_order(tx: sa.Connection, account: str, client_order_id: str) -> tuple[str, str]:
    """Symbol and reason of an unresolved order as its newest intent said them; empty when it has none."""
    asked = sa.select(unresolved.c.symbol, unresolved.c.reason).where(_is_order(account, client_order_id))
    row = tx.execute(asked).first()
    return (row[0], row[1]) if row else ("", "")


def _intent(row: Row) -> Intent:
    price = row.body["limit_price"]
    return Intent(
        client_order_id=row.client_order_id,
        symbol=row.symbol,
        qty=Decimal(row.body["qty"]),
        reason=row.reason,
        urgency=row.body["urgency"],
        step=row.body["step"],
        limit_price=None if price is None else Decimal(price),
        at=dt.datetime.fromisoformat(row.at),
    )


def _bought_at(holding: Holding) -> dict[str, str | None]:
    """What a fill's profit is counted from: the entry price, and how many shares a unit is, below 0 for a short."""
    position = holding.position
    entry = position.entry_price
    unit = (CONTRACT if position.instrument.is_option else 1) * (1 if position.is_long else -1)
    return {"entry": None if entry is None else str(entry), "unit": str(unit)}


def _text_of(at: dt.datetime) -> str:
    return (at if at.tzinfo is dt.UTC else at.astimezone(dt.UTC)).isoformat(timespec="microseconds")


def _day(at: dt.datetime) -> str:
    return _day_of_hour(int(at.timestamp()) // _HOUR)


@lru_cache(maxsize=8)
def _day_of_hour(hour: int) -> str:
    """The exchange's date; midnight and every change of its clock fall on a full hour."""
    return dt.datetime.fromtimestamp(hour * _HOUR, NEW_YORK).date().isoformat()
