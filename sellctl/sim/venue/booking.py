"""What a trade changes in an account: position, cash, activity, and what the list still shows for a while."""

import copy
import datetime as dt
from decimal import Decimal

from sellctl.sim.market import calendar
from sellctl.sim.market.assets import asset_of
from sellctl.sim.numbers import ZERO, stable_id, stamp, text
from sellctl.sim.venue.accounts import Lag, SimAccount
from sellctl.sim.venue.fills import Fill
from sellctl.sim.venue.orders import SimOrder, SimPosition


def book_fill(account: SimAccount, order: SimOrder, fill: Fill, now: dt.datetime, lag: dt.timedelta) -> None:
    """Apply a fill to the order, the position, the cash and the activities."""
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
    signed = fill.qty if order.is_buy else -fill.qty
    move_position(account, order.symbol, signed, fill.price, now, lag)
    account.cash -= signed * fill.price * order.asset.multiplier
    account.activities.append(_fill_activity(order, fill, now, len(account.activities)))


def move_position(  # noqa: PLR0913, PLR0917  the trade's five facts and the books
    account: SimAccount, symbol: str, signed: Decimal, price: Decimal, now: dt.datetime, lag: dt.timedelta
) -> None:
    """Add a signed quantity at a price to a position; at zero it is gone."""
    old = account.positions.get(symbol)
    if lag:
        previous = account.lags.get(symbol)
        shown = previous.shown if previous and previous.until > now else copy.copy(old)
        account.lags[symbol] = Lag(now + lag, shown)
    held = old.qty if old else ZERO
    qty = held + signed
    if qty == 0:
        account.positions.pop(symbol, None)
    elif old is None or (held > 0) != (qty > 0):
        account.positions[symbol] = SimPosition(symbol, qty, price, intraday_base=price, opened_at=now)
    else:
        if abs(qty) > abs(held):
            old.avg_entry_price = (held * old.avg_entry_price + signed * price) / qty
        old.qty = qty


def _fill_activity(order: SimOrder, fill: Fill, now: dt.datetime, place: int) -> dict[str, object]:
    return {
        "id": activity_id(now, "fill", order.id, place),
        "activity_type": "FILL",
        "transaction_time": stamp(now),
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


def book_non_trade(  # noqa: PLR0913  the row's own fields
    account: SimAccount, kind: str, symbol: str, *, qty: Decimal, amount: Decimal, now: dt.datetime, next_day: bool
) -> None:
    """Write an expiry, exercise or assignment into the activities; on paper they show the next day."""
    date = calendar.exchange_date(now)
    shows = dt.datetime.combine(date + dt.timedelta(days=1), dt.time(6), calendar.NEW_YORK) if next_day else now
    account.activities.append(
        {
            "id": activity_id(now, kind, symbol, len(account.activities)),
            "activity_type": kind,
            "activity_sub_type": "",
            "date": date.isoformat(),
            "created_at": stamp(shows),
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
