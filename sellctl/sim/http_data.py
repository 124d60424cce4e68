"""The market data API's endpoints: quotes, trades and snapshots as JSON numbers."""

from collections.abc import Callable
from typing import Any

from sellctl.sim import refusals, wire
from sellctl.sim.assets import asset_of
from sellctl.sim.http_routes import Call, Reply, Routes

OPTION_SYMBOLS_MAX = 100


def stock_quotes(call: Call) -> Reply:
    """GET /v2/stocks/quotes/latest."""
    _stock_feed(call)
    return Reply(body={"quotes": _each(call, _quote)})


def stock_trades(call: Call) -> Reply:
    """GET /v2/stocks/trades/latest."""
    _stock_feed(call)
    return Reply(body={"trades": _each(call, _trade)})


def stock_snapshots(call: Call) -> Reply:
    """GET /v2/stocks/snapshots: no wrapper around the symbols."""
    _stock_feed(call)
    return Reply(body=_each(call, _stock_snapshot))


def option_quotes(call: Call) -> Reply:
    """GET /v1beta1/options/quotes/latest, at most 100 symbols."""
    _option_feed(call)
    return Reply(body={"quotes": _each(call, _quote, most=OPTION_SYMBOLS_MAX)})


def option_trades(call: Call) -> Reply:
    """GET /v1beta1/options/trades/latest, at most 100 symbols."""
    _option_feed(call)
    return Reply(body={"trades": _each(call, _trade, most=OPTION_SYMBOLS_MAX)})


def _each(call: Call, render: Callable[[Call, str], Any], most: int | None = None) -> dict[str, Any]:
    symbols = call.names("symbols")
    if not symbols:
        raise refusals.RefusedError(400, {"message": "symbols is required"})
    if most is not None and len(symbols) > most:
        raise refusals.RefusedError(400, {"message": f"too many symbols: {len(symbols)}, maximum is {most}"})
    rendered = {symbol: render(call, symbol) for symbol in symbols}
    return {symbol: value for symbol, value in rendered.items() if value is not None}


def _quote(call: Call, symbol: str) -> dict[str, Any] | None:
    shown = call.exchange.market.shown(symbol, call.exchange.now)
    return None if shown is None else wire.shown_quote_json(symbol, shown)


def _trade(call: Call, symbol: str) -> dict[str, Any] | None:
    shown = call.exchange.market.shown_trade(symbol, call.exchange.now)
    if shown is None:
        return None
    render = wire.option_trade_json if asset_of(symbol).is_option else wire.stock_trade_json
    return render(*shown)


def _stock_snapshot(call: Call, symbol: str) -> dict[str, Any] | None:
    quote, trade = _quote(call, symbol), _trade(call, symbol)
    return {"latestQuote": quote, "latestTrade": trade} if quote and trade else None


def _stock_feed(call: Call) -> None:
    """403 without a code for feeds that the plan doesn't grant."""
    allowed = call.exchange.settings.sip or call.account.sip
    if call.text("feed") == "sip" and not allowed:
        raise refusals.RefusedError(403, {"message": "subscription does not permit querying recent SIP data"})


def _option_feed(call: Call) -> None:
    if call.text("feed") == "opra" and not call.account.opra:
        raise refusals.RefusedError(403, {"message": "OPRA agreement is not signed"})


def add_data_routes(routes: Routes) -> None:
    """Everything under /v2/stocks and /v1beta1/options."""
    table = (
        ("GET", "/v2/stocks/quotes/latest", stock_quotes),
        ("GET", "/v2/stocks/trades/latest", stock_trades),
        ("GET", "/v2/stocks/snapshots", stock_snapshots),
        ("GET", "/v1beta1/options/quotes/latest", option_quotes),
        ("GET", "/v1beta1/options/trades/latest", option_trades),
    )
    for method, path, handler in table:
        routes.add(method, path, handler)
