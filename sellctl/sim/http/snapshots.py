"""Snapshots of one symbol: quote, trade, bars and, for options, greeks. Bars are sampled from the price path."""

import datetime as dt
from decimal import Decimal
from typing import Any

from sellctl.sim import serializers
from sellctl.sim.market import calendar
from sellctl.sim.market.assets import Asset, asset_of
from sellctl.sim.market.greeks import greeks_of
from sellctl.sim.numbers import format_timestamp, number
from sellctl.sim.venue.exchange import Exchange

ZERO_GREEKS = {"delta": 0, "gamma": 0, "rho": 0, "theta": 0, "vega": 0}
_INTERVALS = 12
_YEAR = dt.timedelta(days=365)


def stock_snapshot(exchange: Exchange, symbol: str) -> dict[str, Any] | None:
    """A stock's snapshot, or None without a quote."""
    quote, trade = quote_json(exchange, symbol), trade_json(exchange, symbol)
    return {**_bars(exchange, symbol), "latestQuote": quote, "latestTrade": trade} if quote and trade else None


def option_snapshot(exchange: Exchange, symbol: str) -> dict[str, Any] | None:
    """An option's snapshot, or None without a quote. On the last day the greeks are zero, without a volatility."""
    quote, trade = quote_json(exchange, symbol), trade_json(exchange, symbol)
    if quote is None or trade is None:
        return None
    body: dict[str, Any] = {**_bars(exchange, symbol), "latestQuote": quote, "latestTrade": trade}
    asset = asset_of(symbol)
    if asset.expires <= calendar.exchange_date(exchange.now):
        return {**body, "greeks": dict(ZERO_GREEKS)}
    return {**body, **_greeks(exchange, asset)}


def _greeks(exchange: Exchange, asset: Asset) -> dict[str, Any]:
    option_quote, underlying = exchange.quote(asset.symbol), exchange.quote(asset.underlying)
    expiry = calendar.hours_on(asset.expires)
    if option_quote is None or underlying is None or expiry is None:
        return {}
    years = (expiry.closes_at - exchange.now) / _YEAR
    found = greeks_of(float(option_quote.mid), float(underlying.mid), float(asset.strike), years, call=asset.is_call)
    if found is None:
        return {}
    names = ("delta", "gamma", "rho", "theta", "vega")
    return {
        "greeks": {name: round(getattr(found, name), 10) for name in names},
        "impliedVolatility": round(found.volatility, 10),
    }


def quote_json(exchange: Exchange, symbol: str) -> dict[str, Any] | None:
    """The latest quote published to clients."""
    published = exchange.market.published_quote(symbol, exchange.now)
    return None if published is None else serializers.published_quote_json(symbol, published)


def trade_json(exchange: Exchange, symbol: str) -> dict[str, Any] | None:
    """The latest trade published to clients."""
    published = exchange.market.published_trade(symbol, exchange.now)
    if published is None:
        return None
    render = serializers.option_trade_json if asset_of(symbol).is_option else serializers.stock_trade_json
    return render(*published)


def _bars(exchange: Exchange, symbol: str) -> dict[str, Any]:
    """The bars of the current minute and day. There is no bar of the day before."""
    minute = exchange.now.replace(second=0, microsecond=0)
    hours = calendar.hours_at(exchange.now)
    bars = {"minuteBar": bar_json(exchange, symbol, minute, exchange.now)}
    if hours and hours.opens_at < exchange.now:
        bars["dailyBar"] = bar_json(exchange, symbol, hours.opens_at, exchange.now)
    return {name: bar for name, bar in bars.items() if bar is not None}


def bar_json(exchange: Exchange, symbol: str, start: dt.datetime, end: dt.datetime) -> dict[str, Any] | None:
    """A bar of the mid between two instants; None before the first simulated price."""
    levels = [exchange.market.level(symbol, start + (end - start) * i / _INTERVALS) for i in range(_INTERVALS + 1)]
    mids = [level.mid.quantize(Decimal("0.01")) for level in levels if level is not None]
    if not mids:
        return None
    return {
        "o": number(mids[0]),
        "h": number(max(mids)),
        "l": number(min(mids)),
        "c": number(mids[-1]),
        "n": len(mids),
        "t": format_timestamp(start),
        "v": 100 * len(mids),
        "vw": number((sum(mids, Decimal(0)) / len(mids)).quantize(Decimal("0.0001"))),
    }
