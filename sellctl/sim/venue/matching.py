"""Orders against the market at one instant: wake what waited, end what was cancelled, book what trades."""

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

from sellctl.sim.faults.order_faults import lag, on_wake, part_of, price_of
from sellctl.sim.market import calendar
from sellctl.sim.market.price_paths import FOREVER, Level
from sellctl.sim.numbers import SHARE_STEP, ZERO, text
from sellctl.sim.venue.booking import book_fill
from sellctl.sim.venue.fills import Fill, fill_price, fill_qty, is_waiting_stop, touch_stop
from sellctl.sim.venue.multi_leg import try_multi_leg
from sellctl.sim.venue.order_groups import after_fill, watch_held
from sellctl.sim.venue.orders import WORKABLE, SimOrder

if TYPE_CHECKING:
    from sellctl.sim.venue.accounts import SimAccount
    from sellctl.sim.venue.exchange import Exchange

AT_ONCE = frozenset({"ioc", "fok"})


def work_orders(exchange: "Exchange") -> None:
    """Give every open order its look at the market."""
    for account in exchange.accounts.values():
        if account.open_orders:
            is_open = calendar.is_open(exchange.now)
            for order in list(account.open_orders.values()):
                if order.is_open:
                    _work(exchange, account, order, is_open=is_open)


def rest_until(exchange: "Exchange", order: SimOrder) -> dt.datetime:
    """Until when, in an open market, nothing happens to an order by itself; now when something may at the next look."""
    if order.parent is not None and order.order_class == "mleg":
        return FOREVER  # it goes with its parent
    if order.status not in WORKABLE or order.order_class == "mleg":
        return exchange.now
    quote = exchange.quote(order.symbol)
    if quote is not order.idle_at:
        return exchange.now
    bounds = [exchange.market.stands_until(order.symbol, exchange.now)]
    bounds += [order.expires_at] if order.expires_at else []
    bounds += [order.cancel_done_at] if order.cancel_done_at else []
    return min(bounds)


def _work(exchange: "Exchange", account: "SimAccount", order: SimOrder, *, is_open: bool) -> None:
    if order.parent is not None and order.order_class == "mleg":
        return  # it goes with its parent
    if order.expires_at and exchange.now >= order.expires_at:
        exchange.end(account, order, "expired")
        return
    if order.status == "pending_cancel" and order.cancel_done_at and exchange.now >= order.cancel_done_at:
        exchange.end(account, order, "canceled")
        return
    if not _can_trade(exchange, order, is_open=is_open):
        return
    if order.status in {"pending_new", "accepted"} and not _wake(exchange, account, order):
        return
    if order.status == "held":
        watch_held(exchange, account, order)
    if order.status in WORKABLE:
        _try(exchange, account, order)
    order.touched_until = exchange.now


def _can_trade(exchange: "Exchange", order: SimOrder, *, is_open: bool) -> bool:
    """Whether the market is open for this order now."""
    if is_open:
        if not exchange.market.halted:
            return True
        return not any(exchange.market.is_halted(one.symbol) for one in (order, *order.legs) if one.symbol)
    return order.extended_hours and exchange.trades_soon() and not order.asset.is_option


def _wake(exchange: "Exchange", account: "SimAccount", order: SimOrder) -> bool:
    """Let an accepted order become a working one; False when a misbehaviour says otherwise."""
    if on_wake(exchange, account, order):
        return order.status in {"new", "partially_filled"}
    order.set_status("new", exchange.now)
    if order.order_class == "mleg":
        for leg in order.legs:
            leg.set_status("new", exchange.now)
    exchange.emit("new", account, order)
    return order.is_open


def _try(exchange: "Exchange", account: "SimAccount", order: SimOrder) -> None:
    """Trade what can trade now; an order that must trade at once ends when it can't."""
    if order.order_class == "mleg":
        try_multi_leg(exchange, account, order)
    else:
        _try_single(exchange, account, order)
    if order.is_open and order.time_in_force in AT_ONCE:
        exchange.end(account, order, "canceled")


def _try_single(exchange: "Exchange", account: "SimAccount", order: SimOrder) -> None:
    quote = exchange.quote(order.symbol)
    if quote is None or quote is order.idle_at:
        return
    touch_stop(order, quote)
    if is_waiting_stop(order):
        order.idle_at = quote
        return
    seconds = _since_last_look(exchange, order)
    price = fill_price(order, quote, exchange.settings, seconds, exchange.rng)
    if price is None:
        return
    qty = _size(exchange, order, price, quote)
    if order.time_in_force == "fok" and qty < order.leaves:
        return
    if qty > 0:
        fill(exchange, account, order, Fill(qty, price))


def _since_last_look(exchange: "Exchange", order: SimOrder) -> float:
    since = order.touched_until or order.created_at
    return max((exchange.now - since) / dt.timedelta(seconds=1), 0.0)


def _size(exchange: "Exchange", order: SimOrder, price: Decimal, quote: Level) -> Decimal:
    wanted = order.leaves
    if order.qty is None and order.notional is not None:
        wanted = (order.notional / price).quantize(SHARE_STEP)
    context = None
    if exchange.settings.depth:
        context = exchange.market.context(order.symbol, order.side, quote, exchange.now)
    part = part_of(exchange, order, wanted)
    return part if part is not None else fill_qty(order, wanted, context, exchange.settings, exchange.rng)


def fill(exchange: "Exchange", account: "SimAccount", order: SimOrder, trade: Fill) -> None:
    """Book one trade of one order and tell it."""
    trade = Fill(trade.qty, price_of(exchange, order, trade.price))
    book_fill(account, order, trade, exchange.now, lag(exchange, account))
    exchange.market.took(order.symbol, order.side, trade.qty, exchange.now, exchange.settings)
    account.forget_if_done(order)
    exchange.emit(
        "fill" if order.status == "filled" else "partial_fill",
        account,
        order,
        price=text(trade.price),
        qty=text(trade.qty),
        position_qty=text(account.qty_of(order.symbol)),
        execution_id=exchange.new_id("execution"),
    )
    after_fill(exchange, account, order)


def force_fill(exchange: "Exchange", account: "SimAccount", order: SimOrder) -> None:
    """Fill what is left at the opposite side whatever the limit says: a race that the canceller loses."""
    quote = exchange.quote(order.symbol)
    price = (quote.ask if order.is_buy else quote.bid) if quote else None
    fill(exchange, account, order, Fill(order.leaves, order.limit_price or price or ZERO))
