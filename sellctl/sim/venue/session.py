"""The course of a day: the broker's sell-out of expiring options, close, expiry, and the turn to the next session."""

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

from sellctl.sim.market import calendar
from sellctl.sim.market.assets import Asset, is_in_the_money
from sellctl.sim.numbers import ZERO, stable_id
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.booking import book_non_trade, move_position
from sellctl.sim.venue.coverage import uncovered_contracts
from sellctl.sim.venue.order_checks import liquidation_time
from sellctl.sim.venue.order_requests import OrderRequest
from sellctl.sim.venue.orders import SimPosition

if TYPE_CHECKING:
    from sellctl.sim.venue.exchange import Exchange


def plan_session(exchange: "Exchange") -> None:
    """Put the present or next session's close, and the broker's sell-outs before it, on the timeline."""
    closes_at = calendar.next_close(exchange.now)
    date = calendar.exchange_date(closes_at)
    settings = exchange.settings
    for before in {settings.liquidation, settings.liquidation_broad_etf}:
        when = closes_at - before
        if settings.liquidate and when >= exchange.now:
            exchange.at(when, lambda venue: liquidate_expiring(venue, date))
    if not settings.early_close_shifts:
        ordinary = dt.datetime.combine(date, calendar.CLOSE, calendar.NEW_YORK).astimezone(dt.UTC)
        exchange.at(min(ordinary, closes_at), lambda venue: liquidate_expiring(venue, date))
    exchange.at(closes_at, close_session)


def close_session(exchange: "Exchange") -> None:
    """End the day: day orders expire, options of today are settled, prices become yesterday's."""
    for account in exchange.accounts.values():
        _expire_orders(exchange, account)
        _settle_options(exchange, account)
        _turn_day(exchange, account)
    plan_session(exchange)


def _expire_orders(exchange: "Exchange", account: SimAccount) -> None:
    today = calendar.exchange_date(exchange.now)
    for order in list(account.open_orders.values()):
        over = order.expires_at is not None and order.expires_at <= exchange.now
        leg = order.parent is not None and order.order_class == "mleg"
        if order.is_open and not leg and (over or order.asset.expires <= today):
            exchange.end(account, order, "expired")


def _settle_options(exchange: "Exchange", account: SimAccount) -> None:
    today = calendar.exchange_date(exchange.now)
    for position in list(account.positions.values()):
        if position.asset.is_option and position.asset.expires <= today:
            settle(exchange, account, position)


def settle(exchange: "Exchange", account: SimAccount, position: SimPosition) -> None:
    """Exercise, assign or let expire: in the money by a cent goes into shares at the strike, unless told not to."""
    asset = position.asset
    price = underlying_price(exchange, asset)
    in_money = price is not None and is_in_the_money(asset, price)
    if position.qty > 0 and asset.symbol in account.do_not_exercise:
        in_money = False
    if in_money:
        deliver(exchange, account, position)
        return
    qty = position.qty
    _drop(exchange, account, position)
    _note(exchange, account, "OPEXP", asset.symbol, qty=-qty, amount=ZERO)


def deliver(exchange: "Exchange", account: SimAccount, position: SimPosition) -> None:
    """Turn an option position into shares at the strike, long or short, with both activities."""
    asset, qty = position.asset, position.qty
    shares = qty * asset.multiplier * (1 if asset.is_call else -1)
    _drop(exchange, account, position)
    move_position(account, asset.underlying, shares, asset.strike, exchange.now, dt.timedelta(0))
    cash = -shares * asset.strike
    account.cash += cash
    kind = "OPEXC" if qty > 0 else "OPASN"
    _note(exchange, account, kind, asset.symbol, qty=-qty, amount=ZERO)
    _note(exchange, account, "OPTRD", asset.underlying, qty=shares, amount=cash)


def _drop(exchange: "Exchange", account: SimAccount, position: SimPosition) -> None:
    account.positions.pop(position.symbol, None)
    for order in list(account.open_on(position.symbol)):
        exchange.end(account, order, "canceled")


def _note(  # noqa: PLR0913  the row's own fields
    exchange: "Exchange", account: SimAccount, kind: str, symbol: str, *, qty: Decimal, amount: Decimal
) -> None:
    book_non_trade(
        account,
        kind,
        symbol,
        qty=qty,
        amount=amount,
        now=exchange.now,
        next_day=exchange.settings.activity_lag,
    )


def underlying_price(exchange: "Exchange", asset: Asset) -> Decimal | None:
    """The underlying's mid; None when the scenario has no price for it: then options expire worthless."""
    quote = exchange.quote(asset.underlying)
    return quote.mid if quote else None


def _turn_day(exchange: "Exchange", account: SimAccount) -> None:
    for position in account.positions.values():
        quote = exchange.quote(position.symbol)
        if quote:
            position.lastday_price = quote.mid
        position.intraday_base = None


def liquidate_expiring(exchange: "Exchange", date: dt.date) -> None:
    """Sell out, by orders of the broker's own, what expires today and whose time has come."""
    for account in exchange.accounts.values():
        for position in list(account.positions.values()):
            asset = position.asset
            if asset.is_option and asset.expires == date and exchange.now >= liquidation_time(asset, exchange.settings):
                liquidate(exchange, account, position)


def liquidate(exchange: "Exchange", account: SimAccount, position: SimPosition) -> None:
    """Close one position at the market, after cancelling what rests on it. Covered shorts are left to settle."""
    if position.qty < 0 and _is_covered(account, position):
        return
    for order in list(account.open_on(position.symbol)):
        exchange.end(account, order, "canceled")
    side = "sell" if position.qty > 0 else "buy"
    request = OrderRequest(
        symbol=position.symbol,
        side=side,
        type="market",
        time_in_force="day",
        qty=abs(position.qty),
        client_order_id=stable_id("liquidation", exchange.next_number()),
    )
    order = exchange.enter(account, request, f"{side}_to_close")
    order.source = None
    exchange.emit(order.status, account, order)


def _is_covered(account: SimAccount, position: SimPosition) -> bool:
    holdings = {symbol: held.qty for symbol, held in account.positions.items()}
    naked = uncovered_contracts(holdings, account.cash)
    without = {symbol: qty for symbol, qty in holdings.items() if symbol != position.symbol}
    return uncovered_contracts(without, account.cash) == naked
