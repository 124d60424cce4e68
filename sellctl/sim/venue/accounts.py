"""One account's books: cash, positions, orders, activities, and what orders hold of a position. No rules, no clock."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sellctl.sim.numbers import ZERO, stable_id
from sellctl.sim.venue.orders import SimOrder, SimPosition


@dataclass(slots=True)
class Lag:
    """What the position list goes on showing of a symbol for a while after a fill; None is "nothing held"."""

    until: dt.datetime
    shown: SimPosition | None


@dataclass(slots=True)
class SimAccount:
    """One account at the simulated broker. `refused` is the status that its key gets (401, 403), or 0."""

    name: str
    key: str
    secret: str = field(repr=False)
    number: str
    cash: Decimal = Decimal(100_000)
    last_equity: Decimal | None = None
    positions: dict[str, SimPosition] = field(default_factory=dict)
    orders: dict[str, SimOrder] = field(default_factory=dict)
    by_client_id: dict[str, SimOrder] = field(default_factory=dict)
    open_orders: dict[str, SimOrder] = field(default_factory=dict)
    activities: list[dict[str, Any]] = field(default_factory=list)
    lags: dict[str, Lag] = field(default_factory=dict)
    configuration: dict[str, Any] = field(default_factory=dict)
    do_not_exercise: set[str] = field(default_factory=set)
    trading_blocked: bool = False
    account_blocked: bool = False
    refused: int = 0
    sip: bool = False
    opra: bool = False
    options_level: int = 3
    created_at: dt.datetime = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)

    def __post_init__(self) -> None:
        self.configuration = {
            "disable_overnight_trading": False,
            "fractional_trading": True,
            "max_margin_multiplier": "4",
            "max_options_trading_level": self.options_level,
            "no_shorting": False,
            "ptp_no_exception_entry": False,
            "suspend_trade": False,
            "trade_confirm_email": "all",
            **self.configuration,
        }

    @property
    def id(self) -> str:
        """The account's UUID."""
        return stable_id("account", self.number)

    def qty_of(self, symbol: str) -> Decimal:
        """The signed quantity held."""
        position = self.positions.get(symbol)
        return position.qty if position else ZERO

    def add(self, order: SimOrder) -> None:
        """Take an order, and its legs, into the books."""
        self.orders[order.id] = order
        self.by_client_id[order.client_order_id] = order
        if order.is_open:
            self.open_orders[order.id] = order
        for leg in order.legs:
            self.add(leg)

    def forget_if_done(self, order: SimOrder) -> None:
        """Drop a terminal order from the open ones."""
        if not order.is_open:
            self.open_orders.pop(order.id, None)

    def open_on(self, symbol: str) -> Iterator[SimOrder]:
        """The open orders of a symbol."""
        return (order for order in self.open_orders.values() if order.symbol == symbol)

    def closing_orders(self, symbol: str) -> list[SimOrder]:
        """The open orders that hold quantity of a position."""
        return [order for order in self.open_on(symbol) if order.holds > 0]

    def held_for_orders(self, symbol: str) -> Decimal:
        """How much of a position open orders hold."""
        if not self.open_orders:
            return ZERO
        return sum((order.holds for order in self.closing_orders(symbol)), ZERO)

    def shown_positions(self, now: dt.datetime) -> list[SimPosition]:
        """The position list as the broker shows it now: fills may lag behind."""
        self.lags = {symbol: lag for symbol, lag in self.lags.items() if lag.until > now}
        shown: dict[str, SimPosition | None] = {**self.positions}
        shown.update({symbol: lag.shown for symbol, lag in self.lags.items()})
        return [shown_one for symbol in sorted(shown) if (shown_one := shown[symbol]) is not None]

    def shown_position(self, symbol: str, now: dt.datetime) -> SimPosition | None:
        """One position as the broker shows it now."""
        lag = self.lags.get(symbol)
        return lag.shown if lag and lag.until > now else self.positions.get(symbol)
