"""Builders for the journal's tests: a journal, an order, a holding, a plan, and an attacker's view of the file."""

import asyncio
import datetime as dt
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from sellctl.core.model.instrument import AssetClass, a_stock, an_option
from sellctl.core.model.intent import IntendedOrder
from sellctl.core.model.market import Market, Quote
from sellctl.core.model.order import Order, OrderLeg, OrderType, PositionIntent, Side
from sellctl.core.model.plan import (
    CancelOrder,
    DecisionState,
    ExitSignal,
    Plan,
    PositionDecision,
    Reason,
    SubmitOrder,
    Urgency,
)
from sellctl.core.model.position import Direction, Holding, Position, Prices
from sellctl.core.model.snapshot import AccountFacts, Snapshot
from sellctl.journal.location import JournalLocation, PostgresLocation
from sellctl.journal.opening import open_journal
from sellctl.journal.schema import FILE_NAME
from sellctl.journal.store import SqlJournal

OPENED: list[SqlJournal] = []  # closed after each test
NOON = dt.datetime(2025, 8, 26, 16, 0, tzinfo=dt.UTC)
CALL = "SPY250829C00500000"


class Ticking:
    """A broker's clock that moves a second with each look."""

    def __init__(self, start: dt.datetime = NOON) -> None:
        self.at = start

    def __call__(self) -> dt.datetime:
        self.at += dt.timedelta(seconds=1)
        return self.at


def a_journal(place: JournalLocation, now: Callable[[], dt.datetime] | None = None, **options: Any) -> SqlJournal:
    """A journal in a folder, in a file or on a server."""
    if isinstance(place, Path) and place.suffix != Path(FILE_NAME).suffix:
        place /= FILE_NAME
    journal = open_journal(place, now or Ticking(), **options)
    OPENED.append(journal)
    return journal


def an_order(client_order_id: str = "sellctl-1", symbol: str = CALL, price: str = "1.25") -> SubmitOrder:
    return SubmitOrder(
        client_order_id=client_order_id,
        symbol=symbol,
        asset_class=AssetClass.OPTION,
        side=Side.SELL,
        qty=Decimal(3),
        type=OrderType.LIMIT,
        limit_price=Decimal(price),
        position_intent=PositionIntent.SELL_TO_CLOSE,
    )


def a_body(order: SubmitOrder) -> dict[str, str]:
    return {"client_order_id": order.client_order_id, "symbol": order.symbol, "qty": str(order.qty)}


def intend(journal: SqlJournal, *client_order_ids: str, account: str = "main", fence: int | None = None) -> None:
    """The intents of one decision; by default of one order."""
    intents = [an_intended_order(each) for each in client_order_ids or ("sellctl-1",)]
    asyncio.run(journal.intend(account, intents, (), fence=fence))


def with_leases(place: JournalLocation, *accounts: str, fence: int = 1) -> None:
    """Give a host the leases of these accounts for an hour, with this fencing number."""
    execute(place, "INSERT INTO lease_hosts VALUES ('one', 7, 'one', now() + interval '1 hour', '{}', false)")
    for account in accounts:
        execute(place, f"INSERT INTO leases VALUES ('{account}', 7, {fence}, now())")  # noqa: S608  our own constants


def an_intended_order(
    client_order_id: str = "sellctl-1", holding: Holding | None = None, *, symbol: str = CALL
) -> IntendedOrder:
    order = an_order(client_order_id, symbol)
    return IntendedOrder(order, a_body(order), a_signal(holding or a_holding(symbol)), 1)


def a_holding(symbol: str = CALL, bid: str = "1.20") -> Holding:
    position = Position(
        an_option(symbol) or a_stock(symbol), Direction.LONG, Decimal(3), Decimal(3), entry_price=Decimal("1.50")
    )
    return Holding(position, Quote(symbol, Decimal(bid), Decimal("1.30"), NOON))


def a_snapshot(*holdings: Holding, orders: tuple[Order, ...] = ()) -> Snapshot:
    market = Market(NOON, is_open=True, closes_at=NOON + dt.timedelta(hours=4))
    return Snapshot(AccountFacts("main", "PA1"), market, holdings, orders, NOON)


def a_plan(*decisions: PositionDecision, stale: tuple[CancelOrder, ...] = ()) -> Plan:
    return Plan("main", NOON, decisions, stale=stale)


def a_signal(holding: Holding, reason: Reason = Reason.STOP_LOSS) -> ExitSignal:
    return ExitSignal(holding, Decimal(3), reason, "stop loss: -20%", Urgency.PROTECTIVE)


def leaving(holding: Holding, client_order_id: str = "sellctl-1") -> PositionDecision:
    order = an_order(client_order_id, holding.symbol)
    return PositionDecision(holding, DecisionState.CLOSING, "sell 3: stop loss", signal=a_signal(holding), submit=order)


def denied(holding: Holding, violation: str) -> PositionDecision:
    return PositionDecision(holding, DecisionState.DENIED, violation, signal=a_signal(holding), violations=(violation,))


def held(holding: Holding) -> PositionDecision:
    return PositionDecision(holding, DecisionState.WATCHING, "nothing is due")


def as_attacker(path: JournalLocation, statement: str, *values: object) -> None:
    """Change the journal behind its back, triggers dropped; on a server switched off meanwhile."""
    if not isinstance(path, Path):
        execute(path, f"SET session_replication_role = replica; {statement}")
        return
    with closing(sqlite3.connect(path)) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement, values)


def execute(location: PostgresLocation, statement: str) -> list[Any]:
    """Execute statements in the database of a journal, as its superuser. The rows of the last one, if it has any."""
    import psycopg  # noqa: PLC0415  an extra

    url = location.url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        while cursor.nextset():
            pass
        return cursor.fetchall() if cursor.description else []


HIGHER = "SPY250829C00510000"
VERTICAL = "SPY-vertical-250829-500-510C"


def an_intended_structure(client_order_id: str = "sellctl-1") -> IntendedOrder:
    """The one order that closes three units of a vertical that was paid for."""
    legs = (
        OrderLeg(CALL, Decimal(1), Side.SELL, PositionIntent.SELL_TO_CLOSE),
        OrderLeg(HIGHER, Decimal(1), Side.BUY, PositionIntent.BUY_TO_CLOSE),
    )
    order = replace(an_order(client_order_id, VERTICAL, "-0.80"), legs=legs)
    body = {"client_order_id": client_order_id, "qty": "3", "legs": [{"symbol": leg.symbol} for leg in legs]}
    return IntendedOrder(order, body, a_signal(a_holding(VERTICAL)), 1)


def quoted(holding: Holding, bid: str = "1.20", ask: str = "1.30") -> Holding:
    return replace(holding, prices=Prices(Decimal(bid), Decimal(ask), ""))


def a_step(
    journal: SqlJournal, client_order_id: str, step: int = 1, bid: str = "1.20", *, plan_first: bool = False
) -> None:
    """One order of an exit: its intent and its plan, of which older journals have the plan first."""
    decision = leaving(quoted(a_holding(bid=bid), bid), client_order_id)
    assert decision.signal is not None
    signal = replace(decision.signal, holding=decision.holding, strategy="one")
    order, plan = an_order(client_order_id), a_plan(replace(decision, signal=signal))

    async def write() -> None:
        records = [
            partial(journal.intend, "main", (IntendedOrder(order, a_body(order), signal, step),), ()),
            partial(journal.plan_made, a_snapshot(decision.holding), plan),
        ]
        for record in reversed(records) if plan_first else records:
            await record()

    asyncio.run(write())


def a_fill(journal: SqlJournal, client_order_id: str, total: str, average: str) -> None:
    words = {"order_id": f"id-{client_order_id}", "symbol": CALL, "filled_qty": total, "filled_avg_price": average}
    journal.record_fill("main", client_order_id, words)
