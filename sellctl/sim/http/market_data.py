"""The market data API's endpoints: quotes, trades, snapshots and the chain, as JSON numbers."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from sellctl.sim import rejections
from sellctl.sim.http.paging import page_start, page_token
from sellctl.sim.http.routing import Call, Reply, Routes
from sellctl.sim.market.assets import Asset, asset_of
from sellctl.sim.market.snapshots import option_snapshot, quote_json, stock_snapshot, trade_json

if TYPE_CHECKING:
    from sellctl.sim.venue.exchange import Exchange

OPTION_SYMBOLS_MAX = 100
SNAPSHOTS_DEFAULT, SNAPSHOTS_MAX = 100, 1000
Render = Callable[["Exchange", str], dict[str, Any] | None]


def stock_quotes(call: Call) -> Reply:
    """GET /v2/stocks/quotes/latest."""
    _stock_feed(call)
    return Reply(body={"quotes": _each(call, quote_json, _names(call))})


def stock_trades(call: Call) -> Reply:
    """GET /v2/stocks/trades/latest."""
    _stock_feed(call)
    return Reply(body={"trades": _each(call, trade_json, _names(call))})


def stock_snapshots(call: Call) -> Reply:
    """GET /v2/stocks/snapshots: no wrapper around the symbols."""
    _stock_feed(call)
    return Reply(body=_each(call, stock_snapshot, _names(call)))


def one_stock_quote(call: Call) -> Reply:
    """GET /v2/stocks/{symbol}/quotes/latest."""
    return _one_stock(call, "quote", quote_json)


def one_stock_trade(call: Call) -> Reply:
    """GET /v2/stocks/{symbol}/trades/latest."""
    return _one_stock(call, "trade", trade_json)


def _one_stock(call: Call, key: str, render: Render) -> Reply:
    _stock_feed(call)
    found = render(call.exchange, call.args[0])
    if found is None:
        raise rejections.RefusedError(404, {"message": f"no {key} found for {call.args[0]}"})
    return Reply(body={"symbol": call.args[0], key: found})


def one_stock_snapshot(call: Call) -> Reply:
    """GET /v2/stocks/{symbol}/snapshot: the parts beside the symbol."""
    _stock_feed(call)
    found = stock_snapshot(call.exchange, call.args[0])
    if found is None:
        raise rejections.RefusedError(404, {"message": f"no snapshot found for {call.args[0]}"})
    return Reply(body={"symbol": call.args[0], **found})


def option_quotes(call: Call) -> Reply:
    """GET /v1beta1/options/quotes/latest, at most 100 symbols."""
    _option_feed(call)
    return Reply(body={"quotes": _each(call, quote_json, _option_names(call))})


def option_trades(call: Call) -> Reply:
    """GET /v1beta1/options/trades/latest, at most 100 symbols."""
    _option_feed(call)
    return Reply(body={"trades": _each(call, trade_json, _option_names(call))})


def option_snapshots(call: Call) -> Reply:
    """GET /v1beta1/options/snapshots, at most 100 symbols."""
    _option_feed(call)
    return _snapshot_page(call, [asset_of(name) for name in _option_names(call)])


def option_chain(call: Call) -> Reply:
    """GET /v1beta1/options/snapshots/{underlying}: every contract with a quote that fits the filters."""
    _option_feed(call)
    symbols = map(asset_of, call.exchange.market.symbols)
    chain = [one for one in symbols if one.is_option and one.underlying == call.args[0] and contract_fits(call, one)]
    return _snapshot_page(call, sorted(chain, key=lambda asset: asset.symbol))


def _snapshot_page(call: Call, assets: list[Asset]) -> Reply:
    limit = call.whole("limit", SNAPSHOTS_DEFAULT, 1, SNAPSHOTS_MAX)
    first = page_start(call)
    names = [asset.symbol for asset in assets[first : first + limit]]
    body = {"snapshots": _each(call, option_snapshot, names), "next_page_token": page_token(first + limit, len(assets))}
    return Reply(body=body)


def contract_fits(call: Call, asset: Asset) -> bool:
    """Whether a contract passes the filters that the chain and the contracts list share."""
    low, high = call.amount("strike_price_gte"), call.amount("strike_price_lte")
    exact, first, last = (call.text(f"expiration_date{suffix}") for suffix in ("", "_gte", "_lte"))
    expires = asset.expires.isoformat()
    return (
        (not exact or expires == exact)
        and (not first or expires >= first)
        and (not last or expires <= last)
        and (low is None or asset.strike >= low)
        and (high is None or asset.strike <= high)
        and call.text("root_symbol", asset.root) == asset.root
        and call.text("type") in {"", "call" if asset.is_call else "put"}
    )


def _names(call: Call) -> list[str]:
    symbols = call.names("symbols")
    if not symbols:
        raise rejections.RefusedError(400, {"message": "symbols is required"})
    return symbols


def _option_names(call: Call) -> list[str]:
    names = _names(call)
    if len(names) > OPTION_SYMBOLS_MAX:
        message = f"too many symbols: {len(names)}, maximum is {OPTION_SYMBOLS_MAX}"
        raise rejections.RefusedError(400, {"message": message})
    for name in names:
        if not asset_of(name).is_option:
            raise rejections.RefusedError(400, {"message": f"invalid symbol: {name}"})
    return names


def _each(call: Call, render: Render, symbols: Iterable[str]) -> dict[str, Any]:
    """One entry a symbol that has one; a symbol without is absent."""
    rendered = {symbol: render(call.exchange, symbol) for symbol in symbols}
    return {symbol: value for symbol, value in rendered.items() if value is not None}


def _stock_feed(call: Call) -> None:
    """403 without a code for feeds that the plan doesn't grant."""
    allowed = call.exchange.settings.sip or call.account.sip
    if call.text("feed") == "sip" and not allowed:
        raise rejections.RefusedError(403, {"message": "subscription does not permit querying recent SIP data"})


def _option_feed(call: Call) -> None:
    if call.text("feed") == "opra" and not call.account.opra:
        raise rejections.RefusedError(403, {"message": "OPRA agreement is not signed"})


def add_data_routes(routes: Routes) -> None:
    """Everything under /v2/stocks and /v1beta1/options."""
    table = (
        ("/v2/stocks/quotes/latest", stock_quotes),
        ("/v2/stocks/trades/latest", stock_trades),
        ("/v2/stocks/snapshots", stock_snapshots),
        ("/v2/stocks/{}/quotes/latest", one_stock_quote),
        ("/v2/stocks/{}/trades/latest", one_stock_trade),
        ("/v2/stocks/{}/snapshot", one_stock_snapshot),
        ("/v1beta1/options/quotes/latest", option_quotes),
        ("/v1beta1/options/trades/latest", option_trades),
        ("/v1beta1/options/snapshots", option_snapshots),
        ("/v1beta1/options/snapshots/{}", option_chain),
    )
    for path, handler in table:
        routes.add("GET", path, handler)
