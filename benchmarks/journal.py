"""The journal: a durable intent compared with a bare SQLite commit, and the first page of a year's history."""

import asyncio
import datetime as dt
import itertools
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from sellctl.core.model.instrument import AssetClass, a_stock
from sellctl.core.model.intent import IntendedOrder
from sellctl.core.model.order import OrderType, PositionIntent, Side
from sellctl.core.model.plan import ExitSignal, Reason, SubmitOrder, Urgency
from sellctl.core.model.position import Direction, Holding, Position
from sellctl.journal.database import Database, apply_pragmas
from sellctl.journal.queries import Filters, history
from sellctl.journal.schema import FILE_NAME
from sellctl.journal.store import SqliteJournal, SqlJournal

INTENT_BOUND = 2.4
PAGE_BOUND_MS = 100.0
YEAR_ROWS = 1_000_000
_SYMBOLS = tuple(f"SPY2508{day:02}C00{strike}000" for day in range(10, 30) for strike in range(500, 550))
_REASONS = ("", "take_profit", "stop_loss", "zero_day", "uncovered_short")
_BATCH = 50
BODY_LENGTH = 295  # the length of the intents in this benchmark
_HOLDING = Holding(Position(a_stock("SPY"), Direction.LONG, Decimal(3), Decimal(3), Decimal(2)))


def figures() -> list[tuple[str, str, str]]:
    """Name, measured value, bound."""
    with tempfile.TemporaryDirectory() as folder:
        ratio, bare, ours = intent_ratio(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        slowest, which = slowest_first_page(Path(folder))
    return [
        (
            "durable intent / bare SQLite commit",
            f"{ratio:.2f} x (median of pairs taken in turns; bare {bare:.0f} us, intent {ours:.0f} us)",
            f"<= {INTENT_BOUND} x",
        ),
        (
            f"history, first page of {YEAR_ROWS:,} rows, slowest filter ({which})",
            f"{slowest:.1f} ms",
            f"< {PAGE_BOUND_MS:.0f} ms",
        ),
    ]


def intent_ratio(folder: Path, batches: int = 40) -> tuple[float, float, float]:
    """The ratio, and the microseconds of a bare commit and of an intent, measured in turns on the same disk.

    The bare commit writes a row with the same columns into a table without an index.
    """
    journal = SqliteJournal(folder / "state" / FILE_NAME, lambda: dt.datetime.now(dt.UTC))
    loop = asyncio.new_event_loop()
    intend = intents(loop, journal, batches * _BATCH)
    with closing(loop), closing(sqlite3.connect(folder / "bare.sqlite", isolation_level=None)) as connection:
        commit = _bare_commits(connection)
        pairs = [(seconds_each(commit), seconds_each(intend)) for _ in range(batches)]
    journal.close()
    bare, ours = (statistics.median(side) * 1e6 for side in zip(*pairs, strict=True))
    return statistics.median(after / before for before, after in pairs), bare, ours


def seconds_each(act: Callable[[], object], times: int = _BATCH) -> float:
    """The seconds that each of several calls in a row takes, on average."""
    start = time.perf_counter()
    for _ in range(times):
        act()
    return (time.perf_counter() - start) / times


def intents(
    loop: asyncio.AbstractEventLoop, journal: SqlJournal, count: int, fence: int | None = None
) -> Callable[[], None]:
    """A function that writes the intent of the next of `count` orders; `fence` is the number of the account's lease."""
    orders = [_order(number) for number in range(count)]
    signal = ExitSignal(_HOLDING, Decimal(3), Reason.STOP_LOSS, "stop loss: -20.4% reached -20%", Urgency.PROTECTIVE)
    ready = iter([IntendedOrder(order, _body(order), signal, 1) for order in orders])

    def intend() -> None:
        loop.run_until_complete(journal.intend("main", (next(ready),), (), fence=fence))

    return intend


def _order(number: int) -> SubmitOrder:
    symbol = _SYMBOLS[number % len(_SYMBOLS)]
    price = Decimal("1.25")
    return SubmitOrder(
        client_order_id=f"sellctl-{number:020x}",
        symbol=symbol,
        asset_class=AssetClass.OPTION,
        side=Side.SELL,
        qty=Decimal(3),
        type=OrderType.LIMIT,
        limit_price=price,
        position_intent=PositionIntent.SELL_TO_CLOSE,
    )


def _body(order: SubmitOrder) -> dict[str, str]:
    return {
        "symbol": order.symbol,
        "qty": str(order.qty),
        "side": order.side.value,
        "type": order.type.value,
        "time_in_force": order.time_in_force,
        "limit_price": str(order.limit_price),
        "client_order_id": order.client_order_id,
        "position_intent": order.position_intent.value,
    }


def _bare_commits(connection: sqlite3.Connection) -> Callable[[], None]:
    apply_pragmas(connection)
    connection.execute(
        "CREATE TABLE bare (seq INTEGER PRIMARY KEY, at, account, kind, symbol, id, day, body, prev, hash)"
    )
    numbers = itertools.count(1)

    def commit() -> None:
        number = next(numbers)
        row = (number, "2025-08-26T14:30:00.000000+00:00", "main", "intent", _SYMBOLS[number % len(_SYMBOLS)])
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "INSERT INTO bare VALUES (?,?,?,?,?,?,?,?,?,?)",
            (*row, f"sellctl-{number:020x}", "2025-08-26", "b" * BODY_LENGTH, "0" * 64, "f" * 64),
        )
        connection.execute("COMMIT")

    return commit


def slowest_first_page(folder: Path, rows: int = YEAR_ROWS) -> tuple[float, str]:
    """The milliseconds of the slowest first page over all filters and pairs of filters, and its filter."""
    path = folder / "state" / FILE_NAME
    Database(path, busy_timeout=0).close()
    _fill(path, rows)
    return max((_milliseconds(path, wanted), name) for name, wanted in _filters())


def _milliseconds(path: Path, wanted: Filters) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        history(path, wanted)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def _filters() -> Iterator[tuple[str, Filters]]:
    given = {"symbol": _SYMBOLS[7], "account": "acc3", "reason": "stop_loss", "day": "2025-03-03", "only_open": True}
    absent = {"symbol": "NONE", "account": "none", "reason": "none", "day": "1999-01-01"}
    yield "none", Filters()
    for values, word in ((given, ""), (absent, "no such ")):
        for count in (1, 2):
            for names in itertools.combinations(values, count):
                yield word + "+".join(names), Filters(**{name: values[name] for name in names})  # type: ignore[arg-type]


def _fill(path: Path, rows: int) -> None:
    """Insert a year of rows, without hashes, which a page of the history does not read."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO audit VALUES (?,?,?,?,?,?,?,?,?,?,?)", _year(rows))
        connection.execute("COMMIT")


def _year(rows: int) -> Iterator[tuple[object, ...]]:
    start = dt.date(2025, 1, 1)
    for seq in range(1, rows + 1):
        day = (start + dt.timedelta(days=seq * 365 // (rows + 1))).isoformat()
        reason = _REASONS[seq * 7 // 3 % len(_REASONS)]
        symbol = _SYMBOLS[seq * 31 % len(_SYMBOLS)]
        at = f"{day}T15:00:00.000000+00:00"
        yield seq, at, f"acc{seq % 5}", "intent", symbol, reason, f"sellctl-{seq // 4:012x}", day, _FILLED_BODY, "", ""


_FILLED_BODY = '{"body":{"limit_price":"1.25","qty":"3","side":"sell"},"why":"stop loss: -20.4% reached -20%"}'

if __name__ == "__main__":
    for figure in figures():
        print(*figure, sep=" | ")  # noqa: T201  its output
