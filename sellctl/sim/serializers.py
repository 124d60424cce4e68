"""Orders, positions, accounts, quotes and contracts as Alpaca's JSON, with exactly its keys and types."""

import datetime as dt
from decimal import Decimal
from typing import Any

from sellctl.sim.market import calendar
from sellctl.sim.market.assets import ALWAYS_PENNY, PENNY_PROGRAM, Asset, asset_of
from sellctl.sim.market.market import SimSplit
from sellctl.sim.market.price_paths import PublishedQuote, TwoSidedQuote
from sellctl.sim.numbers import ZERO, format_timestamp, number, stable_id, text, text_or_none
from sellctl.sim.settings import Settings
from sellctl.sim.venue.accounts import Quotes, SimAccount
from sellctl.sim.venue.orders import SimOrder, SimPosition

Json = dict[str, Any]
# The fields that Alpaca removed from accounts on 2026-07-06.
DAY_TRADING: Json = {"daytrade_count": 0, "daytrading_buying_power": "0", "pattern_day_trader": False}


def order_json(order: SimOrder, *, nested: bool = True) -> Json:
    """An order, with its legs if `nested`. A multi-leg parent has empty text in the fields in which its legs differ."""
    multi_leg = order.order_class == "mleg"
    parent = multi_leg and order.parent is None
    leg = multi_leg and order.parent is not None
    asset = None if parent else order.asset
    kind = "" if leg else order.type
    body: Json = {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "created_at": format_timestamp(order.created_at),
        "updated_at": format_timestamp(order.updated_at or order.created_at),
        "submitted_at": format_timestamp(order.created_at),
        "filled_at": format_timestamp(order.filled_at),
        "expired_at": format_timestamp(order.expired_at),
        "expires_at": format_timestamp(order.expires_at),
        "canceled_at": format_timestamp(order.canceled_at),
        "failed_at": format_timestamp(order.failed_at),
        "replaced_at": format_timestamp(order.replaced_at),
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": asset.id if asset else "",
        "symbol": order.symbol,
        "asset_class": asset.asset_class if asset else "",
        "notional": text_or_none(order.notional),
        "qty": text_or_none(order.qty),
        "filled_qty": text(order.filled_qty),
        "filled_avg_price": text_or_none(order.filled_avg_price),
        "order_class": _class_text(order, asset),
        "order_type": kind,
        "type": kind,
        "side": order.side,
        "time_in_force": order.time_in_force,
        "limit_price": text_or_none(order.limit_price),
        "stop_price": text_or_none(order.stop_price),
        "status": order.status,
        "extended_hours": order.extended_hours,
        "legs": [order_json(child) for child in order.legs] if nested and order.legs else None,
        "trail_percent": text_or_none(order.trail_percent),
        "trail_price": text_or_none(order.trail_price),
        "hwm": text_or_none(order.hwm),
        "subtag": None,
        "source": order.source,
    }
    if not parent:
        body["position_intent"] = order.position_intent
    if leg:
        body["ratio_qty"] = text_or_none(order.ratio_qty)
    return body


def _class_text(order: SimOrder, asset: Asset | None) -> str:
    if order.order_class not in {"", "simple"}:
        return order.order_class
    return "simple" if asset and asset.is_option else ""


def position_json(account: SimAccount, position: SimPosition, quote: TwoSidedQuote | None, settings: Settings) -> Json:
    """A position, all numbers as text: prices per share, values times the multiplier; values of shorts are negative."""
    asset, qty = position.asset, position.qty
    entry = position.avg_entry_price
    price = quote.mid if quote and quote.mid > 0 else entry
    lastday = position.lastday_price if position.lastday_price is not None else entry
    base = position.intraday_entry_price if position.intraday_entry_price is not None else lastday
    size = qty * asset.multiplier
    cost, value = size * entry, size * price
    profit, today = value - cost, size * (price - base)
    sign = -1 if qty < 0 and settings.inverted_short_plpc else 1
    available = abs(qty) - account.held_for_orders(position.symbol)
    return {
        "asset_id": asset.id,
        "symbol": position.symbol,
        "exchange": asset.exchange,
        "asset_class": asset.asset_class,
        "asset_marginable": not asset.is_option,
        "qty": text(qty if settings.signed_short_qty else abs(qty)),
        "avg_entry_price": text(entry),
        "side": "long" if qty > 0 else "short",
        "market_value": text(value),
        "cost_basis": text(cost),
        "unrealized_pl": text(profit),
        "unrealized_plpc": text(_ratio(profit, abs(cost)) * sign),
        "unrealized_intraday_pl": text(today),
        "unrealized_intraday_plpc": text(_ratio(today, abs(size * base)) * sign),
        "current_price": text(price),
        "lastday_price": text(lastday),
        "change_today": text(_ratio(price - lastday, lastday)),
        "qty_available": text(max(available, ZERO)),
    }


def account_json(account: SimAccount, quotes: Quotes, now: dt.datetime) -> Json:
    """The account, without the day-trading fields that ended on 2026-07-06."""
    longs, shorts = account.market_values(quotes)
    equity = account.cash + longs + shorts
    margin = (longs - shorts) / 2
    power = max(equity - margin, ZERO) * 2
    return {
        "id": account.id,
        "account_number": account.number,
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "crypto_tier": 1,
        "currency": "USD",
        "cash": text(account.cash),
        "accrued_fees": "0",
        "buying_power": text(power),
        "effective_buying_power": text(power),
        "regt_buying_power": text(power),
        "non_marginable_buying_power": text(max(account.cash, ZERO)),
        "options_buying_power": text(max(account.cash, ZERO)),
        "options_approved_level": account.options_level,
        "options_trading_level": min(
            account.options_level, account.configuration.get("max_options_trading_level") or account.options_level
        ),
        "portfolio_value": text(equity),
        "equity": text(equity),
        "last_equity": text(account.equity_before(equity)),
        "long_market_value": text(longs),
        "short_market_value": text(shorts),
        "position_market_value": text(longs - shorts),
        "initial_margin": text(margin),
        "maintenance_margin": text((longs - shorts) * 3 / 10),
        "last_maintenance_margin": "0",
        "intraday_adjustments": text_or_none(account.transfers),
        "pending_reg_taf_fees": "0",
        "pending_transfer_in": "0",
        "pending_transfer_out": "0",
        "multiplier": "2",
        "sma": text(equity),
        "shorting_enabled": not account.configuration["no_shorting"],
        "account_blocked": account.account_blocked,
        "trading_blocked": account.trading_blocked,
        "transfers_blocked": False,
        "trade_suspended_by_user": bool(account.configuration["suspend_trade"]),
        "balance_asof": _balance_date(now).isoformat(),
        "created_at": format_timestamp(account.created_at),
        "admin_configurations": {},
        "user_configurations": None,
    }


def _balance_date(now: dt.datetime) -> dt.date:
    return calendar.exchange_date(calendar.last_close(now))


def clock_json(now: dt.datetime) -> Json:
    """/v2/clock, in New York time."""
    return {
        "timestamp": eastern(now),
        "is_open": calendar.is_open(now),
        "next_open": eastern(calendar.next_open(now)),
        "next_close": eastern(calendar.next_close(now)),
    }


def calendar_json(hours: calendar.Hours) -> Json:
    """One row of /v2/calendar: core hours as HH:MM, the extended day as HHMM."""
    return {
        "date": hours.date.isoformat(),
        "open": _hour(hours.opens_at, "%H:%M"),
        "close": _hour(hours.closes_at, "%H:%M"),
        "session_open": _hour(hours.pre_opens_at, "%H%M"),
        "session_close": _hour(hours.post_closes_at, "%H%M"),
        "settlement_date": calendar.next_session_date(hours.date).isoformat(),
    }


def eastern(at: dt.datetime) -> str:
    """An instant with New York's offset."""
    return at.astimezone(calendar.NEW_YORK).isoformat()


def _hour(at: dt.datetime, form: str) -> str:
    return at.astimezone(calendar.NEW_YORK).strftime(form)


def stock_quote_json(quote: TwoSidedQuote, at: dt.datetime) -> Json:
    """A stock quote as JSON numbers; 0 means that the side is inactive."""
    return {
        "ap": number(quote.ask),
        "as": quote.ask_size if quote.ask is not None else 0,
        "ax": "V",
        "bp": number(quote.bid),
        "bs": quote.bid_size if quote.bid is not None else 0,
        "bx": "V",
        "c": ["R"],
        "t": format_timestamp(at),
        "z": "C",
    }


def option_quote_json(quote: TwoSidedQuote, at: dt.datetime) -> Json:
    """An option quote; its condition is a text, not a list."""
    return {**{key: value for key, value in stock_quote_json(quote, at).items() if key != "z"}, "c": "A"}


def published_quote_json(symbol: str, published: PublishedQuote) -> Json:
    """A quote as clients receive it; `price_text`, when set, replaces both prices."""
    render = option_quote_json if asset_of(symbol).is_option else stock_quote_json
    body = render(published.level, published.at)
    if published.price_text:
        body["bp"] = body["ap"] = float(published.price_text)
    return body


def stock_trade_json(price: Decimal, at: dt.datetime) -> Json:
    """A stock trade."""
    return {
        "c": ["@"],
        "i": int(at.timestamp()),
        "p": number(price),
        "s": 100,
        "t": format_timestamp(at),
        "x": "V",
        "z": "C",
    }


def option_trade_json(price: Decimal, at: dt.datetime) -> Json:
    """An option trade."""
    return {"c": "I", "p": number(price), "s": 1, "t": format_timestamp(at), "x": "A"}


def asset_json(asset: Asset) -> Json:
    """One row of /v2/assets."""
    return {
        "id": asset.id,
        "class": asset.asset_class,
        "exchange": asset.exchange,
        "symbol": asset.symbol,
        "name": f"{asset.symbol} (simulated)",
        "status": "active",
        "tradable": True,
        "marginable": not asset.is_option,
        "shortable": not asset.is_option,
        "easy_to_borrow": not asset.is_option,
        "borrow_status": "easy_to_borrow",
        "fractionable": not asset.is_option,
        "maintenance_margin_requirement": 30,
        "margin_requirement_long": "30",
        "margin_requirement_short": "30",
        "attributes": [] if asset.is_option else ["fractional_eh_enabled", "has_options"],
    }


def contract_json(asset: Asset, quote: TwoSidedQuote | None, now: dt.datetime, *, deliverables: bool = False) -> Json:
    """One option contract; strike, size and multiplier are text."""
    right = "Call" if asset.is_call else "Put"
    underlying = asset_of(asset.underlying)
    today = calendar.exchange_date(now)
    body: Json = {
        "id": asset.id,
        "symbol": asset.symbol,
        "name": f"{asset.underlying} {asset.expires:%b %d %Y} {text(asset.strike)} {right}",
        "status": "active" if asset.expires >= today else "inactive",
        "tradable": asset.expires >= today,
        "expiration_date": asset.expires.isoformat(),
        "root_symbol": asset.root,
        "underlying_symbol": asset.underlying,
        "underlying_asset_id": underlying.id,
        "type": right.lower(),
        "style": "american",
        "strike_price": text(asset.strike),
        "multiplier": text(asset.multiplier),
        "size": text(asset.multiplier),
        "open_interest": "237",
        "open_interest_date": _balance_date(now).isoformat(),
        "close_price": text(quote.mid) if quote else "0",
        "close_price_date": _balance_date(now).isoformat(),
        "ppind": is_penny_program(asset),
    }
    if deliverables:
        body["deliverables"] = [
            {
                "type": "equity",
                "symbol": underlying.symbol,
                "asset_id": underlying.id,
                "amount": "100",
                "allocation_percentage": "100",
                "settlement_type": "T+1",
                "settlement_method": "CCC",
                "delayed_settlement": False,
            }
        ]
    return body


def is_penny_program(asset: Asset) -> bool:
    """Whether a contract is in the Penny Interval Program (`ppind`)."""
    return asset.underlying in ALWAYS_PENNY | PENNY_PROGRAM


def _ratio(part: Decimal, whole: Decimal) -> Decimal:
    return round(part / whole, 16) if whole else ZERO


def split_type(split: SimSplit) -> str:
    """The type under which Alpaca lists a split."""
    return "forward_split" if split.ratio > 1 else "reverse_split"


def split_json(split: SimSplit) -> Json:
    """A split as one of the corporate actions."""
    new, old = split.ratio.as_integer_ratio()
    cusip = stable_id("cusip", split.symbol)[:9]
    cusips = {"cusip": cusip} if split.ratio > 1 else {"old_cusip": cusip, "new_cusip": f"{cusip[:8]}X"}
    return {
        "id": stable_id("split", split.symbol, split.ex_date.isoformat()),
        "symbol": split.symbol,
        **cusips,
        "new_rate": new,
        "old_rate": old,
        "process_date": split.ex_date.isoformat(),
        "ex_date": split.ex_date.isoformat(),
        "record_date": split.ex_date.isoformat(),
        "payable_date": split.ex_date.isoformat(),
    }
