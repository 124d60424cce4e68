"""The decision's figures: holdings judged a second, and how the time grows with the book."""

import datetime as dt
import statistics
import time
from decimal import Decimal

from sellctl.core.engine import decide
from sellctl.core.model.config import AccountConfig, Config
from sellctl.core.model.instrument import an_option
from sellctl.core.model.market import Market, Quote
from sellctl.core.model.order import Order, OrderType, PositionIntent, Side
from sellctl.core.model.position import Direction, Holding, Position
from sellctl.core.model.snapshot import AccountFacts, Snapshot
from sellctl.core.policy import Policy, compile_policy

PER_SECOND_BOUND = 100_000
GROWTH_BOUND = 1.5
_SMALL, _BOOK, _LARGE = 100, 1_000, 100_000
_NOON = dt.datetime(2026, 11, 24, 17, 0, tzinfo=dt.UTC)
_CENT = Decimal("0.01")


def figures() -> list[tuple[str, str, str]]:
    """Name, what was measured, and its bound."""
    per_second = _BOOK / seconds_of(_BOOK)
    small, large = seconds_of(_SMALL, repeats=50) / _SMALL, seconds_of(_LARGE, repeats=3) / _LARGE
    return [
        (
            f"decide, {_BOOK:,} holdings with strategy one and an order each tenth",
            f"{per_second:,.0f} holdings/s",
            f">= {PER_SECOND_BOUND:,} (a later issue's target)",
        ),
        (
            f"decide, time a holding: {_LARGE:,} holdings / {_SMALL:,}",
            f"{large / small:.2f} x ({large * 1e6:.1f} / {small * 1e6:.1f} us)",
            f"<= {GROWTH_BOUND} x",
        ),
    ]


def seconds_of(holdings: int, repeats: int = 15) -> float:
    """The median time of one decision on that many holdings."""
    snapshot, policy = a_book(holdings), _policy()
    decide(snapshot, policy)
    return statistics.median(_timed(snapshot, policy) for _ in range(repeats))


def a_book(holdings: int) -> Snapshot:
    """Long options at prices from a stop to a target, one in ten with a resting order of the user's."""
    market = Market(_NOON, is_open=True, closes_at=_NOON + dt.timedelta(hours=4), opened_at=_NOON.replace(hour=14))
    held = tuple(_holding(number) for number in range(holdings))
    orders = tuple(_order(each.symbol) for each in held[::10])
    return Snapshot(AccountFacts("main", "PA1"), market, held, orders, _NOON)


def _holding(number: int) -> Holding:
    symbol = f"T{number // 1000:04}261218C{number % 1000 + 1:05}000"
    instrument = an_option(symbol)
    if instrument is None:
        raise ValueError(symbol)
    bid = Decimal(75 + number % 40) * _CENT
    position = Position(instrument, Direction.LONG, Decimal(2), Decimal(2), Decimal(1))
    return Holding(position, Quote(symbol, bid, bid + 2 * _CENT, _NOON))


def _order(symbol: str) -> Order:
    return Order(
        id=f"id-{symbol}",
        client_order_id=f"by-hand-{symbol}",
        symbol=symbol,
        side=Side.SELL,
        status="new",
        type=OrderType.LIMIT,
        time_in_force="day",
        qty=Decimal(1),
        filled_qty=Decimal(0),
        submitted_at=_NOON,
        position_intent=PositionIntent.SELL_TO_CLOSE,
        limit_price=Decimal(2),
    )


def _policy() -> Policy:
    return compile_policy(Config(accounts={"main": AccountConfig("key", "secret")}), "main")


def _timed(snapshot: Snapshot, policy: Policy) -> float:
    start = time.perf_counter()
    decide(snapshot, policy)
    return time.perf_counter() - start
