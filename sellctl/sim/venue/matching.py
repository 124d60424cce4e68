"""Matching of open orders against the market at one instant: activation, expiry, cancellation and fills."""

import datetime as dt
from decimal import Decimal

from sellctl.sim.faults.order_faults import fill_part, fill_price_of, on_activate, position_lag
from sellctl.sim.market import calendar
from sellctl.sim.market.price_paths import FOREVER, TwoSidedQuote
from sellctl.sim.numbers import SHARE_STEP, ZERO, text
from sellctl.sim.venue.accounts import SimAccount, book_fill
from sellctl.sim.venue.fills import Fill, fill_price, fill_qty, is_waiting_stop, touch_stop
from sellctl.sim.venue.multi_leg.trading import available_units, fill_units, net_level
from sellctl.sim.venue.order_groups import after_fill, end_order, watch_held
from sellctl.sim.venue.orders import WORKABLE, SimOrder
from sellctl.sim.venue.state import VenueState

IMMEDIATE = frozenset({"ioc", "fok"})


def match_orders(venue: VenueState) -> None:
    """Match every open order against the market now."""
    for account in venue.accounts.values():
        if account.open_orders:
            is_open = calendar.is_open(venue.now)
            for order in list(account.open_orders.values()):
                if order.is_open:
                    _match_order(venue, account, order, is_open=is_open)


def idle_until(venue: VenueState, order: SimOrder) -> dt.datetime:
    """The instant until which nothing can happen to an order in an open market; `now` when something can at once."""
    if order.is_leg:
        return FOREVER  # it is matched with its parent
    if order.status not in WORKABLE or quote_for(venue, order) is not order.unfillable_quote:
        return venue.now
    bounds = [venue.market.unchanged_until(symbol, venue.now) for symbol in order.symbols]
    bounds += [order.expires_at] if order.expires_at else []
    bounds += [order.cancel_done_at] if order.cancel_done_at else []
    return min(bounds)


def quote_for(venue: VenueState, order: SimOrder) -> TwoSidedQuote | None:
    """The quote that an order trades against: of its symbol, or of the unit of a multi-leg order."""
    return net_level(venue, order) if order.is_multi_leg else venue.quote(order.symbol)


def _match_order(venue: VenueState, account: SimAccount, order: SimOrder, *, is_open: bool) -> None:
    if order.is_leg:
        return  # it is matched with its parent
    if order.expires_at and venue.now >= order.expires_at:
        end_order(venue, account, order, "expired")
        return
    if order.status == "pending_cancel" and order.cancel_done_at and venue.now >= order.cancel_done_at:
        end_order(venue, account, order, "canceled")
        return
    if not _can_trade(venue, order, is_open=is_open):
        return
    if order.status in {"pending_new", "accepted"} and not _activate(venue, account, order):
        return
    if order.status == "held":
        watch_held(venue, account, order)
    if order.status in WORKABLE:
        _match(venue, account, order)
    order.matched_at = venue.now


def _can_trade(venue: VenueState, order: SimOrder, *, is_open: bool) -> bool:
    """Whether the market is open for this order now."""
    if is_open:
        if not venue.market.halted:
            return True
        return not any(venue.market.is_halted(symbol) for symbol in order.symbols)
    return order.extended_hours and venue.trades_soon() and not order.asset.is_option


def _activate(venue: VenueState, account: SimAccount, order: SimOrder) -> bool:
    """Make an accepted order active; False when a fault or a group keeps it from trading."""
    if on_activate(venue, account, order):
        return order.status in {"new", "partially_filled"}
    order.set_status("new", venue.now)
    venue.emit("new", account, order)
    return order.is_open


def _match(venue: VenueState, account: SimAccount, order: SimOrder) -> None:
    """Trade as much as possible now. The rest of an IOC or FOK order is cancelled."""
    _trade(venue, account, order)
    if order.is_open and order.time_in_force in IMMEDIATE:
        end_order(venue, account, order, "canceled")


def _trade(venue: VenueState, account: SimAccount, order: SimOrder) -> None:
    quote = quote_for(venue, order)
    if quote is None or quote is order.unfillable_quote:
        return
    touch_stop(order, quote)
    if is_waiting_stop(order):
        order.unfillable_quote = quote
        return
    seconds = _seconds_since_matched(venue, order)
    price = fill_price(order, quote, venue.settings, seconds, venue.rng)
    if price is None:
        return
    qty = _fill_qty(venue, order, price, quote)
    if order.time_in_force == "fok" and qty < order.leaves_qty:
        return
    if qty > 0:
        fill(venue, account, order, Fill(qty, price))


def _seconds_since_matched(venue: VenueState, order: SimOrder) -> float:
    since = max(order.matched_at or order.created_at, venue.idle_at)
    return max((venue.now - since) / dt.timedelta(seconds=1), 0.0)


def _fill_qty(venue: VenueState, order: SimOrder, price: Decimal, quote: TwoSidedQuote) -> Decimal:
    wanted = order.leaves_qty
    if order.qty is None and order.notional is not None:
        wanted = (order.notional / price).quantize(SHARE_STEP)
    available = None
    if venue.settings.depth and order.is_multi_leg:
        available = available_units(venue, order)
    elif venue.settings.depth:
        available = venue.market.available_size(order.symbol, order.side, quote, venue.now)
    part = fill_part(venue, order, wanted)
    return part if part is not None else fill_qty(order, wanted, available, venue.settings, venue.rng)


def fill(venue: VenueState, account: SimAccount, order: SimOrder, trade: Fill) -> None:
    """Book one trade of one order, emit the event, and apply the consequences for its group.

    The trade of a multi-leg order is a number of units at a net price.
    """
    if order.is_multi_leg:
        fill_units(venue, account, order, trade)
        return
    trade = Fill(trade.qty, fill_price_of(venue, order, trade.price))
    book_fill(account, order, trade, venue.now, position_lag(venue, account))
    venue.market.consume(order.symbol, order.side, trade.qty, venue.now, venue.settings)
    account.forget_if_done(order)
    venue.emit(
        "fill" if order.status == "filled" else "partial_fill",
        account,
        order,
        price=text(trade.price),
        qty=text(trade.qty),
        position_qty=text(account.qty_of(order.symbol)),
        execution_id=venue.new_id("execution"),
    )
    after_fill(venue, account, order)


def force_fill(venue: VenueState, account: SimAccount, order: SimOrder) -> None:
    """Fill the remainder at its limit, or at the opposite side. Used for the fill during a cancel (O04)."""
    quote = quote_for(venue, order)
    price = (quote.ask if order.is_buy else quote.bid) if quote else None
    if order.limit_price is not None:
        price = order.limit_price
    fill(venue, account, order, Fill(order.leaves_qty, price or ZERO))
