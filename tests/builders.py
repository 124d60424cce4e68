"""Builders for tests: each creates a valid default value, and a test states only what matters to it."""

import dataclasses
import datetime as dt
from decimal import Decimal
from typing import TypeVar

import msgspec

from sellctl.core.config.schema import AccountConfig, Config, ExecutionConfig, SellModuleConfig
from sellctl.core.decision.engine import decide
from sellctl.core.decision.explain import explained
from sellctl.core.decision.policy import Policy, compile_policy
from sellctl.core.model.instrument import a_stock, an_option
from sellctl.core.model.market import NEW_YORK, Market, Quote, Window
from sellctl.core.model.order import Order, OrderType, PositionIntent, Side
from sellctl.core.model.plan import PositionDecision
from sellctl.core.model.position import Direction, ExitProgress, Holding, Position, PositionState, Prices
from sellctl.core.model.snapshot import AccountFacts, Snapshot
from sellctl.core.sell_strategies.base_strategy import Rule

T = TypeVar("T")

TUESDAY = dt.date(2026, 11, 24)
HALF_DAY = dt.date(2026, 11, 27)
CALL = "AAPL261218C00200000"
PUT = "AAPL261218P00200000"
TODAYS_CALL = "AAPL261124C00200000"
TODAYS_SPY_CALL = "SPY261124C00600000"


def replace(value: T, **changes: object) -> T:
    """A copy of a value with changed fields."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **changes)
    return dataclasses.replace(value, **changes)  # type: ignore[type-var]


def at(clock: str, day: dt.date = TUESDAY) -> dt.datetime:
    """An instant in New York, in UTC: at("15:50"), at("09:30:30")."""
    return dt.datetime.combine(day, dt.time.fromisoformat(clock), NEW_YORK).astimezone(dt.UTC)


def a_market(clock: str = "12:00", day: dt.date = TUESDAY, *, closes: str = "16:00", confirmed: bool = True) -> Market:
    """The market at a time of day; closed outside 09:30 to `closes`."""
    now, opened, closing = at(clock, day), at("09:30", day), at(closes, day)
    is_open = opened <= now < closing
    return Market(now, is_open, closing if is_open else None, opened, confirmed=confirmed)


def a_quote(symbol: str, bid: str | None, ask: str | None, when: dt.datetime | None = None) -> Quote:
    """A quote, by default with a timestamp at noon."""
    return Quote(
        symbol, Decimal(bid) if bid else None, Decimal(ask) if ask else None, at("12:00") if when is None else when
    )


def a_position(
    symbol: str = CALL, qty: str = "1", entry: str | None = "1.00", *, short: bool = False, available: str | None = ""
) -> Position:
    """A long position, all of it available; `available=None`: the broker does not report the available quantity."""
    free = qty if available == "" else available
    return Position(
        instrument=an_option(symbol) or a_stock(symbol),
        direction=Direction.SHORT if short else Direction.LONG,
        qty=Decimal(qty),
        available=None if free is None else Decimal(free),
        entry_price=None if entry is None else Decimal(entry),
    )


def a_holding(
    symbol: str = CALL,
    qty: str = "1",
    entry: str | None = "1.00",
    *,
    bid: str | None = "1.00",
    ask: str | None = "1.02",
    short: bool = False,
    available: str | None = "",
    quoted_at: dt.datetime | None = None,
    state: PositionState | None = None,
) -> Holding:
    """A holding with a quote; without one when both sides are None. Of a short it is known how much is uncovered."""
    quote = a_quote(symbol, bid, ask, quoted_at) if bid or ask else None
    position = a_position(symbol, qty, entry, short=short, available=available)
    known = PositionState(confirmed_uncovered=position.qty) if short else PositionState()
    return Holding(position, quote, state or known)


def an_order(
    symbol: str = CALL,
    side: str = "sell",
    qty: str = "1",
    *,
    limit: str | None = "1.50",
    status: str = "new",
    submitted: dt.datetime | None = None,
    client_order_id: str = "by-hand",
    **more: object,
) -> Order:
    """A simple day order of the user."""
    order = Order(
        id=f"id-of-{client_order_id}-{symbol}",
        client_order_id=client_order_id,
        symbol=symbol,
        side=Side(side),
        status=status,
        type=OrderType.LIMIT if limit else OrderType.MARKET,
        time_in_force="day",
        qty=Decimal(qty),
        filled_qty=Decimal(0),
        submitted_at=submitted or at("11:59"),
        position_intent=PositionIntent(f"{side}_to_close"),
        limit_price=Decimal(limit) if limit else None,
    )
    return replace(order, **more)  # type: ignore[arg-type]


def our_order(symbol: str = CALL, side: str = "sell", qty: str = "1", **more: object) -> Order:
    """An order that sellctl sent."""
    return an_order(symbol, side, qty, client_order_id="sellctl-abc", **more)  # type: ignore[arg-type]


def a_snapshot(
    *holdings: Holding,
    orders: tuple[Order, ...] = (),
    market: Market | None = None,
    history: tuple[Order, ...] | None = (),
    account: AccountFacts | None = None,
    confirmed: bool = True,
) -> Snapshot:
    """A snapshot at the market's time with today's orders of every holding; `history=None`: they are unknown.

    Quotes with the default timestamp at noon are moved to the market's time. `confirmed=False`: the quotes are first
    ones, without a confirmation.
    """
    market = market or a_market()
    fresh = tuple(
        replace(h, quote=replace(h.quote, at=market.now)) if h.quote and h.quote.at == at("12:00") else h
        for h in holdings
    )
    if confirmed:
        fresh = tuple(a_confirmed(h) if h.quote and not h.state.window else h for h in fresh)
    known = {} if history is None else {h.symbol: tuple(o for o in history if o.symbol == h.symbol) for h in holdings}
    return Snapshot(account or AccountFacts("main", "PA1"), market, fresh, orders, market.now, known)


def a_confirmed(holding: Holding) -> Holding:
    """The same holding with a confirmed quote."""
    window = Window(holding.quote, holding.quote) if holding.quote else None
    return replace(holding, state=replace(holding.state, window=window))


def a_config(sell: SellModuleConfig | None = None, execution: ExecutionConfig | None = None) -> Config:
    """One paper account called main, with the defaults."""
    return Config(
        accounts={"main": AccountConfig(api_key="key", secret_key="secret")},  # noqa: S106  not a real secret
        sell_module=sell or SellModuleConfig(),
        execution=execution or ExecutionConfig(),
    )


def a_policy(sell: SellModuleConfig | None = None, execution: ExecutionConfig | None = None) -> Policy:
    """The policy of that account."""
    return compile_policy(a_config(sell, execution), "main")


def an_exit(
    urgency: int = 3, *, step: int = 1, seconds: float = 1, limit: str | None = "1.10", due: float | None = None
) -> PositionState:
    """The state of an active exit whose last order was sent that many seconds ago."""
    return PositionState(
        exit=ExitProgress(
            reason="an earlier reason",
            urgency=urgency,
            step=step,
            age=dt.timedelta(seconds=seconds),
            client_order_id="sellctl-abc",
            limit_price=None if limit is None else Decimal(limit),
        ),
        due_for=None if due is None else dt.timedelta(seconds=due),
    )


def the_decision(snapshot: Snapshot, policy: Policy | None = None, symbol: str | None = None) -> PositionDecision:
    """The explained decision about the only position of a snapshot, or about the one with a symbol."""
    policy = policy or a_policy()
    plan = explained(decide(snapshot, policy), snapshot, policy)
    (decision,) = (each for each in plan.decisions if symbol in {None, each.holding.symbol})
    return decision


def at_price(price: str, *, short: bool = False, symbol: str = CALL, qty: str = "2", **facts: object) -> Holding:
    """A position with an entry of 1.00 whose usable bid and ask are both `price`, first seen at 11:00."""
    state = PositionState(first_seen=at("11:00"), original_qty=Decimal(qty), **facts)  # type: ignore[arg-type]
    held = a_holding(symbol, qty, "1.00", bid=price, ask=price, short=short, state=state)
    return replace(held, prices=Prices(Decimal(price), Decimal(price), ""))


def fires(rule: Rule, held: Holding, market: Market | None = None) -> bool:
    """Whether a rule is true of a position, by default at noon."""
    return rule.evaluate(held, market or a_market()) is not None
