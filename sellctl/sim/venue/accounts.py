"""One account's cash, positions, orders and activities, and the booking of fills and settlements. No trading rules."""

import copy
import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sellctl.sim.market import calendar
from sellctl.sim.market.assets import asset_of
from sellctl.sim.market.price_paths import TwoSidedQuote
from sellctl.sim.numbers import ZERO, format_timestamp, stable_id, text
from sellctl.sim.venue.fills import Fill
from sellctl.sim.venue.orders import SimOrder, SimPosition

Quotes = Callable[[str], TwoSidedQuote | None]


@dataclass(slots=True)
class PositionLag:
    """An outdated position that the position list shows until an instant; None means no position."""

    until: dt.datetime
    shown: SimPosition | None


@dataclass(slots=True)
class SimAccount:
    """One account at the simulated broker. `refused` is the HTTP status for its key (401 or 403), or 0.

    `last_equity` is the equity at the previous close; None until the first one means that the day has no result.
    `transfers` are the day's payments in, less those out; None shows them as null.
    """

    name: str
    key: str
    secret: str = field(repr=False)
    number: str
    cash: Decimal = Decimal(100_000)
    last_equity: Decimal | None = None
    transfers: Decimal | None = ZERO
    positions: dict[str, SimPosition] = field(default_factory=dict)
    orders: dict[str, SimOrder] = field(default_factory=dict)
    by_client_id: dict[str, SimOrder] = field(default_factory=dict)
    open_orders: dict[str, SimOrder] = field(default_factory=dict)
    activities: list[dict[str, Any]] = field(default_factory=list)
    lags: dict[str, PositionLag] = field(default_factory=dict)
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

    @property
    def options_trading_level(self) -> int:
        """The level up to which options may be traded: the approved one, or a lower one that the user has set."""
        most = self.configuration.get("max_options_trading_level")
        return self.options_level if most is None else min(self.options_level, most)

    def qty_of(self, symbol: str) -> Decimal:
        """The signed quantity held."""
        position = self.positions.get(symbol)
        return position.qty if position else ZERO

    def market_values(self, quotes: Quotes) -> tuple[Decimal, Decimal]:
        """Market value of the longs, and of the shorts (negative)."""
        longs = shorts = ZERO
        for position in self.positions.values():
            quote = quotes(position.symbol)
            price = quote.mid if quote and quote.mid > 0 else position.avg_entry_price
            value = position.qty * position.asset.multiplier * price
            longs, shorts = (longs + value, shorts) if value > 0 else (longs, shorts + value)
        return longs, shorts

    def equity(self, quotes: Quotes) -> Decimal:
        """Cash and the market value of all positions."""
        return sum(self.market_values(quotes), self.cash)

    def equity_before(self, equity: Decimal) -> Decimal:
        """The equity at the previous close as the broker shows it, from the equity now."""
        return equity - (self.transfers or ZERO) if self.last_equity is None else self.last_equity

    def add(self, order: SimOrder) -> None:
        """Enter an order and its legs."""
        self.orders[order.id] = order
        self.by_client_id[order.client_order_id] = order
        if order.is_open:
            self.open_orders[order.id] = order
        for leg in order.legs:
            self.add(leg)

    def forget_if_done(self, order: SimOrder) -> None:
        """Remove an order, and its legs, from the open orders when they are terminal."""
        for one in (order, *order.legs):
            if not one.is_open:
                self.open_orders.pop(one.id, None)

    def open_on(self, symbol: str) -> Iterator[SimOrder]:
        """The open orders of a symbol."""
        return (order for order in self.open_orders.values() if order.symbol == symbol)

    def closing_orders(self, symbol: str) -> list[SimOrder]:
        """The open orders that reserve quantity of a position."""
        return [order for order in self.open_on(symbol) if order.reserved_qty > 0]

    def held_for_orders(self, symbol: str) -> Decimal:
        """The quantity of a position that open orders reserve."""
        if not self.open_orders:
            return ZERO
        return sum((order.reserved_qty for order in self.closing_orders(symbol)), ZERO)

    def shown_positions(self, now: dt.datetime) -> list[SimPosition]:
        """The position list as the broker shows it now; it may lag behind the fills."""
        self.lags = {symbol: lag for symbol, lag in self.lags.items() if lag.until > now}
        shown: dict[str, SimPosition | None] = {**self.positions}
        shown.update({symbol: lag.shown for symbol, lag in self.lags.items()})
        return [position for symbol in sorted(shown) if (position := shown[symbol]) is not None]


def book_fill(account: SimAccount, order: SimOrder, fill: Fill, now: dt.datetime, lag: dt.timedelta) -> None:
    """Apply a fill to the order, the position, the cash and the activities. The position list shows it `lag` later."""
    count_fill(order, fill, now)
    signed = fill.qty if order.is_buy else -fill.qty
    move_position(account, order.symbol, signed, fill.price, now, lag)
    account.cash -= signed * fill.price * order.asset.multiplier
    account.activities.append(_fill_activity(order, fill, now, len(account.activities)))


def count_fill(order: SimOrder, fill: Fill, now: dt.datetime) -> None:
    """Apply a fill to the order alone."""
    order.filled_qty += fill.qty
    order.filled_value += fill.qty * fill.price
    done = order.qty is None or order.filled_qty >= order.qty
    if order.qty is None:
        order.qty = order.filled_qty
    if done:
        order.set_status("filled", now)
    else:
        order.updated_at = now
        if order.status != "pending_cancel":
            order.set_status("partially_filled", now)


def move_position(  # noqa: PLR0913, PLR0917  the account and the five facts of a trade
    account: SimAccount, symbol: str, signed: Decimal, price: Decimal, now: dt.datetime, lag: dt.timedelta
) -> None:
    """Add a signed quantity at a price to a position; a position of zero is removed."""
    old = account.positions.get(symbol)
    if lag:
        previous = account.lags.get(symbol)
        shown = previous.shown if previous and previous.until > now else copy.copy(old)
        account.lags[symbol] = PositionLag(now + lag, shown)
    held = old.qty if old else ZERO
    qty = held + signed
    if qty == 0:
        account.positions.pop(symbol, None)
    elif old is None or (held > 0) != (qty > 0):
        account.positions[symbol] = SimPosition(symbol, qty, price, intraday_entry_price=price, opened_at=now)
    else:
        if abs(qty) > abs(held):
            old.avg_entry_price = (held * old.avg_entry_price + signed * price) / qty
        old.qty = qty


def _fill_activity(order: SimOrder, fill: Fill, now: dt.datetime, place: int) -> dict[str, object]:
    return {
        "id": activity_id(now, "fill", order.id, place),
        "activity_type": "FILL",
        "transaction_time": format_timestamp(now),
        "type": "fill" if order.status == "filled" else "partial_fill",
        "price": text(fill.price),
        "qty": text(fill.qty),
        "side": order.side,
        "symbol": order.symbol,
        "leaves_qty": text((order.qty or ZERO) - order.filled_qty),
        "order_id": order.id,
        "cum_qty": text(order.filled_qty),
        "order_status": order.status,
    }


def book_non_trade(  # noqa: PLR0913  the fields of the row
    account: SimAccount, kind: str, symbol: str, *, qty: Decimal, amount: Decimal, now: dt.datetime, next_day: bool
) -> None:
    """Record an expiry, exercise or assignment in the activities; with `next_day` it is listed the next morning."""
    date = calendar.exchange_date(now)
    shows = dt.datetime.combine(date + dt.timedelta(days=1), dt.time(6), calendar.NEW_YORK) if next_day else now
    account.activities.append(
        {
            "id": activity_id(now, kind, account.id, symbol, len(account.activities)),
            "activity_type": kind,
            "activity_sub_type": "",
            "date": date.isoformat(),
            "created_at": format_timestamp(shows),
            "net_amount": text(amount),
            "per_share_amount": "0",
            "description": f"{kind} {asset_of(symbol).symbol}",
            "symbol": symbol,
            "qty": text(qty),
            "price": "0",
            "status": "executed",
            "currency": "USD",
        }
    )


def activity_id(now: dt.datetime, *parts: object) -> str:
    """Alpaca's activity ids: a sortable stamp, two colons, a UUID."""
    return f"{now:%Y%m%d%H%M%S}{now.microsecond // 1000:03d}::{stable_id('activity', now, *parts)}"
