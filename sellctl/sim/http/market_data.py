"""The market data API's endpoints: quotes, trades, snapshots, the chain and corporate actions, as JSON numbers."""

from collections.abc import Callable, Iterable
from typing import Any

from sellctl.sim import rejections
from sellctl.sim.http.messages import SimRequest, SimResponse
from sellctl.sim.http.paging import page_start, page_token
from sellctl.sim.http.routing import Routes
from sellctl.sim.http.snapshots import option_snapshot, quote_json, stock_snapshot, trade_json
from sellctl.sim.market import calendar
from sellctl.sim.market.assets import Asset, asset_of
from sellctl.sim.serializers import split_json, split_type
from sellctl.sim.venue.exchange import Exchange

OPTION_SYMBOLS_MAX = 100
SNAPSHOTS_DEFAULT, SNAPSHOTS_MAX = 100, 1000
CORPORATE_ACTIONS_DEFAULT, CORPORATE_ACTIONS_MAX = 100, 1000
Render = Callable[[Exchange, str], dict[str, Any] | None]


def stock_quotes(request: SimRequest) -> SimResponse:
    """GET /v2/stocks/quotes/latest."""
    _stock_feed(request)
    return SimResponse(body={"quotes": _each(request, quote_json, _names(request))})


def stock_trades(request: SimRequest) -> SimResponse:
    """GET /v2/stocks/trades/latest."""
    _stock_feed(request)
    return SimResponse(body={"trades": _each(request, trade_json, _names(request))})


def stock_snapshots(request: SimRequest) -> SimResponse:
    """GET /v2/stocks/snapshots: the symbols are the keys of the answer itself."""
    _stock_feed(request)
    return SimResponse(body=_each(request, stock_snapshot, _names(request)))


def one_stock_quote(request: SimRequest) -> SimResponse:
    """GET /v2/stocks/{symbol}/quotes/latest."""
    return _one_stock(request, "quote", quote_json)


def one_stock_trade(request: SimRequest) -> SimResponse:
    """GET /v2/stocks/{symbol}/trades/latest."""
    return _one_stock(request, "trade", trade_json)


def _one_stock(request: SimRequest, key: str, render: Render) -> SimResponse:
    _stock_feed(request)
    found = render(request.exchange, request.args[0])
    if found is None:
        raise rejections.RejectionError(404, {"message": f"no {key} found for {request.args[0]}"})
    return SimResponse(body={"symbol": request.args[0], key: found})


def one_stock_snapshot(request: SimRequest) -> SimResponse:
    """GET /v2/stocks/{symbol}/snapshot: symbol, quote, trade and bars in one object."""
    _stock_feed(request)
    found = stock_snapshot(request.exchange, request.args[0])
    if found is None:
        raise rejections.RejectionError(404, {"message": f"no snapshot found for {request.args[0]}"})
    return SimResponse(body={"symbol": request.args[0], **found})


def option_quotes(request: SimRequest) -> SimResponse:
    """GET /v1beta1/options/quotes/latest, at most 100 symbols."""
    _option_feed(request)
    return SimResponse(body={"quotes": _each(request, quote_json, _option_names(request))})


def option_trades(request: SimRequest) -> SimResponse:
    """GET /v1beta1/options/trades/latest, at most 100 symbols."""
    _option_feed(request)
    return SimResponse(body={"trades": _each(request, trade_json, _option_names(request))})


def option_snapshots(request: SimRequest) -> SimResponse:
    """GET /v1beta1/options/snapshots, at most 100 symbols."""
    _option_feed(request)
    return _snapshot_page(request, [asset_of(name) for name in _option_names(request)])


def option_chain(request: SimRequest) -> SimResponse:
    """GET /v1beta1/options/snapshots/{underlying}: every contract with a quote that fits the filters."""
    _option_feed(request)
    underlying = request.args[0]
    options = [asset for asset in map(asset_of, request.exchange.market.symbols) if asset.is_option]
    chain = [asset for asset in options if asset.underlying == underlying and contract_fits(request, asset)]
    return _snapshot_page(request, sorted(chain, key=lambda asset: asset.symbol))


def _snapshot_page(request: SimRequest, assets: list[Asset]) -> SimResponse:
    limit = request.int_param("limit", SNAPSHOTS_DEFAULT, 1, SNAPSHOTS_MAX)
    first = page_start(request)
    names = [asset.symbol for asset in assets[first : first + limit]]
    body = {
        "snapshots": _each(request, option_snapshot, names),
        "next_page_token": page_token(first + limit, len(assets)),
    }
    return SimResponse(body=body)


def corporate_actions(request: SimRequest) -> SimResponse:
    """GET /v1/corporate-actions: only splits, by the day on which they are booked, which is their ex-date."""
    today = calendar.exchange_date(request.exchange.now)
    first, last = request.date("start", today), request.date("end", today)
    if last < first:
        raise rejections.RejectionError(400, {"message": "end should not be before start"})
    limit, start = request.int_param("limit", CORPORATE_ACTIONS_DEFAULT, 1, CORPORATE_ACTIONS_MAX), page_start(request)
    symbols, types = request.names("symbols"), request.names("types")
    fitting = [
        split
        for split in request.exchange.splits
        if first <= split.ex_date <= last
        and (not symbols or split.symbol in symbols)
        and (not types or split_type(split) in types)
    ]
    body: dict[str, list[dict[str, Any]]] = {}
    for split in fitting[start : start + limit]:
        body.setdefault(f"{split_type(split)}s", []).append(split_json(split))
    token = page_token(start + limit, len(fitting))
    return SimResponse(body={"corporate_actions": body, "next_page_token": token})


def contract_fits(request: SimRequest, asset: Asset) -> bool:
    """Whether a contract passes the filters that the chain and the contracts list share."""
    low, high = request.amount("strike_price_gte"), request.amount("strike_price_lte")
    exact, first, last = (request.text(f"expiration_date{suffix}") for suffix in ("", "_gte", "_lte"))
    expires = asset.expires.isoformat()
    return (
        (not exact or expires == exact)
        and (not first or expires >= first)
        and (not last or expires <= last)
        and (low is None or asset.strike >= low)
        and (high is None or asset.strike <= high)
        and request.text("root_symbol", asset.root) == asset.root
        and request.text("type") in {"", "call" if asset.is_call else "put"}
    )


def _names(request: SimRequest) -> list[str]:
    symbols = request.names("symbols")
    if not symbols:
        raise rejections.RejectionError(400, {"message": "symbols is required"})
    return symbols


def _option_names(request: SimRequest) -> list[str]:
    names = _names(request)
    if len(names) > OPTION_SYMBOLS_MAX:
        message = f"too many symbols: {len(names)}, maximum is {OPTION_SYMBOLS_MAX}"
        raise rejections.RejectionError(400, {"message": message})
    for name in names:
        if not asset_of(name).is_option:
            raise rejections.RejectionError(400, {"message": f"invalid symbol: {name}"})
    return names


def _each(request: SimRequest, render: Render, symbols: Iterable[str]) -> dict[str, Any]:
    """One entry per symbol; a symbol without a value is absent."""
    rendered = {symbol: render(request.exchange, symbol) for symbol in symbols}
    return {symbol: value for symbol, value in rendered.items() if value is not None}


def _stock_feed(request: SimRequest) -> None:
    """403 without a code for a feed that the account has not paid for."""
    allowed = request.exchange.settings.sip or request.account.sip
    if request.text("feed") == "sip" and not allowed:
        raise rejections.RejectionError(403, {"message": "subscription does not permit querying recent SIP data"})


def _option_feed(request: SimRequest) -> None:
    if request.text("feed") == "opra" and not request.account.opra:
        raise rejections.RejectionError(403, {"message": "OPRA agreement is not signed"})


def add_data_routes(routes: Routes) -> None:
    """Register the endpoints of this file."""
    table = (
        ("/v2/stocks/quotes/latest", stock_quotes),
        ("/v2/stocks/trades/latest", stock_trades),
        ("/v2/stocks/snapshots", stock_snapshots),
        ("/v2/stocks/{}/quotes/latest", one_stock_quote),
        ("/v2/stocks/{}/trades/latest", one_stock_trade),
        ("/v2/stocks/{}/snapshot", one_stock_snapshot),
        ("/v1/corporate-actions", corporate_actions),
        ("/v1beta1/options/quotes/latest", option_quotes),
        ("/v1beta1/options/trades/latest", option_trades),
        ("/v1beta1/options/snapshots", option_snapshots),
        ("/v1beta1/options/snapshots/{}", option_chain),
    )
    for path, handler in table:
        routes.add("GET", path, handler)
