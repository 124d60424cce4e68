"""SqlJournal: the core's Journal port on the audit log, and SqliteJournal. One method per kind of evidence.

Each method is one transaction that is on disk when it returns, or raises JournalError.
"""

import datetime as dt
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from sellctl.core.errors import JournalError
from sellctl.core.model.gain import CostBasis
from sellctl.core.model.intent import IntendedOrder, Intent, OpenOrder, Outcome
from sellctl.core.model.order import OrderLeg, Side
from sellctl.core.model.plan import CancelOrder, Plan, SubmitOrder
from sellctl.core.model.snapshot import Snapshot
from sellctl.journal import codec
from sellctl.journal.account_numbers import (
    CHANGED,
    OF_ANOTHER_ACCOUNT,
    AccountNumber,
    end_intents,
    key_of,
    number_in,
    row_of,
    swap_episodes,
)
from sellctl.journal.audit_log import AuditLog, Batch, Entry, exchange_day, utc_text
from sellctl.journal.backend import Backend
from sellctl.journal.chain import as_cell
from sellctl.journal.database import BUSY_TIMEOUT, Database
from sellctl.journal.derived import FILL, FINAL_OUTCOMES, INTENT
from sellctl.journal.digest import denials, excerpt, fingerprint, signature, summary
from sellctl.journal.group_commit import GroupCommit
from sellctl.journal.queries import MODES, PACKED, START, STRUCTURE, AuditRow, Filters, page, realised
from sellctl.journal.schema import meta, runs


class IntentCheck(Protocol):
    """A check of an account's intents, in the transaction that writes them."""

    def __call__(self, batch: Batch, account: str, fence: int | None) -> None:
        """`fence` is the fencing number of this host's lease; None where no hosts share the accounts.

        Raise a SellctlError to refuse the intents: then none of them is written, and nothing is sent.

        `batch.require` takes no round trip of its own. Its query is written for the driver: with ? for values in
        SQLite, and with $1, $2 ... on PostgreSQL.
        """


class SqlJournal(AuditLog):
    """A journal as the core writes and queries it, in any database. The options are those of AuditLog.

    `intent_check` may refuse intents.
    """

    def __init__(
        self,
        database: Backend,
        now: Callable[[], dt.datetime],
        *,
        intent_check: IntentCheck | None = None,
        **options: Any,
    ) -> None:
        self._statements = database.statements
        self._intent_check = intent_check
        self._first_numbers: dict[str, str] = {}  # by account, written with the next row: no order waits for a commit
        self._first_rows: dict[str, int] = {}  # by account: the first row of the account behind its name, once known
        super().__init__(database, now, **options)
        self._group = GroupCommit(self.appending)
        self._fingerprints: dict[str, str] = {}  # of each account's last recorded plan
        self._realised: dict[tuple[str, str], Decimal | None] = {}  # by account and day, until the next fill

    def close(self) -> None:
        """Close the files; a second call does nothing."""
        if self._first_numbers:
            with suppress(JournalError), self.appending():
                pass
        super().close()

    @contextmanager
    def appending(self) -> Iterator[Batch]:
        """The transaction of the audit log; it also records the numbers of accounts that are new to this journal."""
        new = dict(self._first_numbers)
        with super().appending() as batch:
            for account, number in new.items():
                batch.execute(self._statements.remember, row_of(account, AccountNumber(number)))
            yield batch
        for account in new:
            self._first_numbers.pop(account, None)

    async def plan_made(self, snapshot: Snapshot, plan: Plan) -> None:
        """Record a plan with its snapshot, when its actions, denials or working exits differ from the last one's.

        Both are cut down to the underlyings on which anything happens or an order rests.
        """
        account, found = plan.account, fingerprint(signature(snapshot, plan))
        if found == self._fingerprint(account):
            return
        key = f"plan:{account}"
        body = {**summary(plan), PACKED: codec.pack(*excerpt(snapshot, plan))}

        def write(batch: Batch) -> None:
            batch.append(Entry(account, "plan", body), snapshot.market.now)
            for symbol, reason, denial in denials(plan):
                batch.append(Entry(account, "refusal", denial, symbol, reason), snapshot.market.now)
            batch.execute(self._statements.remember, (key, found))

        await self._group.write(write)
        self._fingerprints[account] = found

    def _fingerprint(self, account: str) -> str:
        """The fingerprint of the last plan recorded for this account, by any process; "" before the first."""
        if account not in self._fingerprints:
            self._fingerprints[account] = self._recall(f"plan:{account}") or ""
        return self._fingerprints[account]

    async def intend(
        self,
        account: str,
        orders: Sequence[IntendedOrder],
        cancels: Sequence[CancelOrder],
        *,
        fence: int | None = None,
    ) -> None:
        """Record what one decision sends and cancels; on disk when this returns. Ids may repeat.

        The decisions of several accounts in the same moment share one transaction. LeaseLostError when `fence` isn't
        the fencing number of the account's lease any more; it spoils no other account's decision.
        """

        def write(batch: Batch) -> None:
            if self._intent_check is not None:
                self._intent_check(batch, account, fence)
            for order in orders:
                entry = _entry_of_intent(account, order, fence)
                row = batch.append(entry)
                batch.execute(
                    self._statements.remember_intent,
                    (account, entry.client_order_id, row.seq, as_cell(entry.symbol), as_cell(entry.reason)),
                )
            for cancel in cancels:
                batch.append(self._entry_of_cancel(batch, account, cancel))

        await self._group.write(write)

    def intent_of(self, account: str, client_order_id: str) -> Intent | None:
        """The newest intent of an order of ours, by any process; None when there is none."""
        filters = Filters(client_order_id=client_order_id, account=account, kind=INTENT, limit=1)
        with self.database.reading() as tx:
            rows = page(tx, filters)
        return _intent(rows[0]) if rows else None

    async def accepted(self, account: str, client_order_id: str, detail: Mapping[str, object]) -> None:
        """Record that the broker has accepted an order; on disk when this returns."""

        def write(batch: Batch) -> None:
            batch.append(self._entry_of_order(batch, account, client_order_id, "accepted", detail))

        await self._group.write(write)

    def outcome(self, account: str, client_order_id: str, kind: str, detail: Mapping[str, object]) -> None:
        """Record what happened to an order. A kind of FINAL_OUTCOMES ends its intent; a fill is counted once."""
        if kind == FILL:
            self.record_fill(account, client_order_id, detail)
            return
        with self.appending() as batch:
            batch.append(self._entry_of_order(batch, account, client_order_id, kind, detail))
            if kind in FINAL_OUTCOMES:
                batch.execute(self._statements.end_intent, (account, client_order_id))

    def _entry_of_order(
        self, batch: Batch, account: str, client_order_id: str, kind: str, detail: Mapping[str, object]
    ) -> Entry:
        """An entry about an order, with the symbol and reason of its intent while that is open."""
        intent = batch.fetch(self._statements.open_intent, (account, client_order_id))
        symbol, reason = intent or ("", "")
        return Entry(account, kind, detail, symbol or str(detail.get("symbol", "")), reason, client_order_id)

    def _entry_of_cancel(self, batch: Batch, account: str, cancel: CancelOrder) -> Entry:
        """An entry about a cancel. That of a multi-leg order of ours has the symbol of its intent."""
        order, symbol = cancel.order, cancel.order.symbol
        if not symbol:
            intent = batch.fetch(self._statements.open_intent, (account, order.client_order_id))
            symbol = intent[0] if intent else ""
        detail = {"client_order_id": order.client_order_id, "symbol": symbol, "why": cancel.why}
        return Entry(account, "cancel", detail, symbol, client_order_id=order.client_order_id)

    def note(self, account: str, kind: str, detail: Mapping[str, object]) -> None:
        """Record other evidence. History can be filtered by `symbol`, `reason` and `client_order_id` of the detail."""
        columns = {key: str(detail.get(key, "") or "") for key in ("symbol", "reason", "client_order_id")}
        self.append(Entry(account, kind, detail, **columns))

    def set_account_number(self, account: str, number: str) -> str:
        """Record the number of the account that a name's key belongs to, before anything recorded of it is applied.

        Return the old number when another account was behind the name until now, else "". Then nothing recorded of the
        old account is applied to the new one.
        """
        before = number_in(self._recall(key_of(account)))
        if not before.number:
            self._first_numbers[account] = number
        self._first_rows[account] = before.first_row_seq
        if before.number in {"", number}:
            return ""
        detail = {"from": before.number, "to": number}
        with self.appending() as batch:
            row = batch.append(Entry(account, CHANGED, detail))
            batch.execute(self._statements.remember, row_of(account, AccountNumber(number, row.seq)))
            end_intents(
                batch.tx,
                account,
                lambda order, symbol: batch.append(
                    Entry(account, OF_ANOTHER_ACCOUNT, detail, symbol, client_order_id=order)
                ),
            )
            swap_episodes(batch.tx, account, before.number, number)
            batch.tx.execute(sa.delete(meta).where(meta.c.key == f"plan:{account}"))
        self._first_rows[account] = row.seq
        self._realised.clear()
        self._fingerprints.pop(account, None)
        return before.number

    def open_intents(self, account: str) -> Sequence[str]:
        """The client order ids of orders with an intent but no recorded end, oldest first."""
        return tuple(client_order_id for (client_order_id,) in self._rows(self._statements.open_ids, account))

    def open_orders(self, account: str) -> Sequence[OpenOrder]:
        """Orders with an intent but no recorded end, with everything recorded about each, oldest first."""
        found = (self._open_order(account, client_order_id) for client_order_id in self.open_intents(account))
        return tuple(order for order in found if order)

    def _open_order(self, account: str, client_order_id: str) -> OpenOrder | None:
        intent = self.intent_of(account, client_order_id)
        if intent is None:
            return None
        with self.database.reading() as tx:
            rows = page(tx, Filters(client_order_id=client_order_id, account=account, limit=None))
        since = takewhile(lambda row: row.kind != INTENT, rows)
        return OpenOrder(intent, tuple(Outcome(row.kind, row.body) for row in reversed(tuple(since))))

    def noted_today(self, account: str, kind: str) -> Sequence[str]:
        """The symbols of today's notes of a kind, by the exchange's date, newest first."""
        today = exchange_day(self._now())
        rows = self._rows(self._statements.noted, today, account, kind, self._first_row(account))
        return tuple(symbol for (symbol,) in rows)

    def filled_since(self, account: str, start: dt.datetime) -> Mapping[str, dt.datetime]:
        """When orders of ours last filled since then, by symbol, as far as the newest RECENT_ROWS rows go back.

        The fill of a multi-leg order is one of each of its symbols.
        """
        rows = self._rows(self._statements.recent, utc_text(start), account, FILL, self._first_row(account))
        found = ((symbol, at) for name, at, body in rows for symbol in (name, *json.loads(body).get("legs", ())))
        return {symbol: dt.datetime.fromisoformat(at) for symbol, at in found}

    def _rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        return self.database.rows(query, values)

    def _recall(self, key: str) -> str | None:
        """The value in `meta` with a key; None without one."""
        rows = self._rows(self._statements.recall, key)
        return rows[0][0] if rows else None

    def _first_row(self, account: str) -> int:
        """The number of the first row that belongs to the account behind a name, as `set_account_number` found it."""
        if account not in self._first_rows:
            self._first_rows[account] = number_in(self._recall(key_of(account))).first_row_seq
        return self._first_rows[account]

    def record_fill(self, account: str, client_order_id: str, detail: Mapping[str, object]) -> Decimal:
        """Record a fill. Return the newly filled quantity; 0, with nothing written, when it was recorded already.

        `detail` has `order_id`, the cumulative `filled_qty` and the average `filled_avg_price`. A fill is identified by
        both ids of its order and the quantity, so doubled and reordered events change nothing (I8).
        """
        order_id, total = str(detail["order_id"]), Decimal(str(detail["filled_qty"]))
        with self.appending() as batch:
            before = batch.fetch(self._statements.filled, (account, order_id, client_order_id))
            new = total - Decimal(before[0] if before else 0)
            if new <= 0:
                return Decimal(0)
            entry = self._entry_of_order(batch, account, client_order_id, FILL, {**detail, "new": new})
            batch.append(entry)
            values = _fill_row(entry, order_id, total, exchange_day(self._now()))
            batch.execute(self._statements.remember_fills, values)
        self._realised.clear()
        return new

    def realised(self, account: str) -> Decimal | None:
        """Profit in dollars of our fills of today, each against its position's entry price.

        0 before the first; None while one can't be valued. Read once, then kept until the next fill.
        """
        key = account, exchange_day(self._now())
        if key not in self._realised:
            with self.database.reading() as tx:
                self._realised[key] = realised(tx, *key)
        return self._realised[key]

    def run_started(
        self,
        version: str,
        config_hash: str,
        modes: Mapping[str, str] | None = None,
        command: Mapping[str, str] | None = None,
    ) -> None:
        """Record the start of a process, with its version and configuration; `modes` names the mode by account.

        `command` is what else is known of it: the command, and who gave it.
        """
        detail = {"version": version, "config_hash": config_hash}
        with self.appending() as batch:
            batch.append(Entry("", START, {**detail, **(command or {}), MODES: dict(modes or {})}))
            batch.tx.execute(sa.insert(runs).values(at=utc_text(self._now()), pid=os.getpid(), **detail))


class SqliteJournal(SqlJournal):
    """The journal of one state folder, in an SQLite file (WAL, synchronous FULL)."""

    database: Database

    def __init__(
        self, path: Path, now: Callable[[], dt.datetime], *, busy_timeout: float = BUSY_TIMEOUT, **options: Any
    ) -> None:
        self.path = path
        super().__init__(Database(path, busy_timeout=busy_timeout), now, **options)


def _entry_of_intent(account: str, order: IntendedOrder, fence: int | None) -> Entry:
    request, signal = order.request, order.signal
    detail = {
        "body": order.body,
        "why": signal.sentence,
        "qty": str(request.qty),
        "limit_price": None if request.limit_price is None else str(request.limit_price),
        "urgency": signal.urgency,
        "step": order.step,
        **_cost_basis(CostBasis.of(signal.holding.position)),
        **_legs_of(request),
        **({STRUCTURE: signal.structure} if signal.structure else {}),
        **({} if fence is None else {"fence": fence}),
    }
    return Entry(account, INTENT, detail, request.symbol, signal.reason, request.client_order_id)


def _fill_row(entry: Entry, order_id: str, total: Decimal, day: str) -> tuple[str, ...]:
    """The values of a row in `fills`, in the order of its columns."""
    price = str(entry.body.get("filled_avg_price") or "")
    return entry.account, order_id, entry.client_order_id, as_cell(entry.symbol), str(total), price, day


def _intent(row: AuditRow) -> Intent:
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
        legs=msgspec.convert(row.body.get("legs", ()), tuple[OrderLeg, ...]),
        side=Side(row.body["side"]) if row.body.get("legs") else None,
        basis=_recorded_basis(row.body),
    )


def _legs_of(request: SubmitOrder) -> dict[str, object]:
    """The legs of a multi-leg order, and the side of its structure; nothing for a simple order."""
    return {"legs": msgspec.to_builtins(request.legs), "side": request.side.value} if request.legs else {}


def _cost_basis(basis: CostBasis) -> dict[str, str | None]:
    """The basis of a fill's profit, as it is recorded."""
    values = {"entry": basis.entry, "unit": basis.unit}
    return {key: None if value is None else str(value) for key, value in values.items()}


def _recorded_basis(body: Mapping[str, Any]) -> CostBasis:
    """That of an intent; unknown in those of versions that didn't record it."""
    entry, unit = (None if text is None else Decimal(text) for text in (body.get("entry"), body.get("unit")))
    return CostBasis(entry, unit)
