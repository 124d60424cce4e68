"""The trading day: liquidation of expiring options by the broker, close, expiry and settlement, change of day."""

import datetime as dt
from decimal import Decimal
from functools import partial

from sellctl.sim.market import calendar
from sellctl.sim.market.assets import Asset, is_in_the_money
from sellctl.sim.numbers import ZERO
from sellctl.sim.venue.accounts import SimAccount, book_non_trade, move_position
from sellctl.sim.venue.coverage import uncovered_contracts
from sellctl.sim.venue.order_checks import liquidation_time
from sellctl.sim.venue.order_entry import enter
from sellctl.sim.venue.order_groups import end_order
from sellctl.sim.venue.order_requests import OrderRequest
from sellctl.sim.venue.orders import SimPosition
from sellctl.sim.venue.state import VenueState


def plan_session(venue: VenueState) -> None:
    """Schedule the close of the current or next session, and the broker's liquidations before it."""
    closes_at = calendar.next_close(venue.now)
    date = calendar.exchange_date(closes_at)
    settings = venue.settings
    for before in {settings.liquidation, settings.liquidation_broad_etf}:
        when = closes_at - before
        if settings.liquidate and when >= venue.now:
            venue.schedule(when, partial(liquidate_expiring, venue, date))
    if not settings.early_close_shifts:
        ordinary = dt.datetime.combine(date, calendar.CLOSE, calendar.NEW_YORK).astimezone(dt.UTC)
        venue.schedule(min(ordinary, closes_at), partial(liquidate_expiring, venue, date))
    venue.schedule(closes_at, partial(close_session, venue))


def close_session(venue: VenueState) -> None:
    """End the day: day orders expire, options that expire today are settled, `lastday_price` is updated."""
    for account in venue.accounts.values():
        _expire_orders(venue, account)
        _settle_options(venue, account)
        _change_day(venue, account)
    plan_session(venue)


def _expire_orders(venue: VenueState, account: SimAccount) -> None:
    today = calendar.exchange_date(venue.now)
    for order in list(account.open_orders.values()):
        over = order.expires_at is not None and order.expires_at <= venue.now
        leg = order.parent is not None and order.order_class == "mleg"
        if order.is_open and not leg and (over or order.asset.expires <= today):
            end_order(venue, account, order, "expired")


def _settle_options(venue: VenueState, account: SimAccount) -> None:
    today = calendar.exchange_date(venue.now)
    for position in list(account.positions.values()):
        if position.asset.is_option and position.asset.expires <= today:
            settle(venue, account, position)


def settle(venue: VenueState, account: SimAccount, position: SimPosition) -> None:
    """Exercise or assign an option that is in the money by a cent; let others, and do-not-exercise ones, expire."""
    asset = position.asset
    price = underlying_price(venue, asset)
    in_money = price is not None and is_in_the_money(asset, price)
    if position.qty > 0 and asset.symbol in account.do_not_exercise:
        in_money = False
    if in_money:
        deliver(venue, account, position)
        return
    qty = position.qty
    _remove(venue, account, position)
    _record(venue, account, "OPEXP", asset.symbol, qty=-qty, amount=ZERO)


def deliver(venue: VenueState, account: SimAccount, position: SimPosition) -> None:
    """Turn an option position into shares at the strike, long or short, and record both activities."""
    asset, qty = position.asset, position.qty
    shares = qty * asset.multiplier * (1 if asset.is_call else -1)
    _remove(venue, account, position)
    move_position(account, asset.underlying, shares, asset.strike, venue.now, dt.timedelta(0))
    cash = -shares * asset.strike
    account.cash += cash
    kind = "OPEXC" if qty > 0 else "OPASN"
    _record(venue, account, kind, asset.symbol, qty=-qty, amount=ZERO)
    _record(venue, account, "OPTRD", asset.underlying, qty=shares, amount=cash)


def _remove(venue: VenueState, account: SimAccount, position: SimPosition) -> None:
    account.positions.pop(position.symbol, None)
    for order in list(account.open_on(position.symbol)):
        end_order(venue, account, order, "canceled")


def _record(  # noqa: PLR0913  the fields of the row
    venue: VenueState, account: SimAccount, kind: str, symbol: str, *, qty: Decimal, amount: Decimal
) -> None:
    book_non_trade(
        account,
        kind,
        symbol,
        qty=qty,
        amount=amount,
        now=venue.now,
        next_day=venue.settings.activity_lag,
    )


def underlying_price(venue: VenueState, asset: Asset) -> Decimal | None:
    """The underlying's mid; None when the scenario has no price for it, and options then expire worthless."""
    quote = venue.quote(asset.underlying)
    return quote.mid if quote else None


def _change_day(venue: VenueState, account: SimAccount) -> None:
    for position in account.positions.values():
        quote = venue.quote(position.symbol)
        if quote:
            position.lastday_price = quote.mid
        position.intraday_entry_price = None
    account.last_equity, account.transfers = account.equity(venue.quote), ZERO


def liquidate_expiring(venue: VenueState, date: dt.date) -> None:
    """Liquidate the positions that expire on `date` and whose liquidation time has come, by orders of the broker."""
    for account in venue.accounts.values():
        for position in list(account.positions.values()):
            asset = position.asset
            if asset.is_option and asset.expires == date and venue.now >= liquidation_time(asset, venue.settings):
                liquidate(venue, account, position)


def liquidate(venue: VenueState, account: SimAccount, position: SimPosition) -> None:
    """Close one position at the market, after cancelling its open orders. Covered shorts are left to settle."""
    if position.qty < 0 and _is_covered(account, position):
        return
    for order in list(account.open_on(position.symbol)):
        end_order(venue, account, order, "canceled")
    side = "sell" if position.qty > 0 else "buy"
    request = OrderRequest(
        symbol=position.symbol,
        side=side,
        type="market",
        time_in_force="day",
        qty=abs(position.qty),
        client_order_id=venue.new_id("liquidation"),
    )
    order = enter(venue, account, request, f"{side}_to_close")
    order.source = None
    venue.emit(order.status, account, order)


def _is_covered(account: SimAccount, position: SimPosition) -> bool:
    holdings = {symbol: held.qty for symbol, held in account.positions.items()}
    naked = uncovered_contracts(holdings, account.cash)
    without = {symbol: qty for symbol, qty in holdings.items() if symbol != position.symbol}
    return uncovered_contracts(without, account.cash) == naked
