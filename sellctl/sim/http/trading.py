"""The trading API's endpoints: they read the request, call the exchange and serialize. The rules are in sim.venue."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sellctl.sim import rejections, serializers
from sellctl.sim.http.market_data import contract_fits
from sellctl.sim.http.messages import SimRequest, SimResponse
from sellctl.sim.http.paging import page_start, page_token
from sellctl.sim.http.routing import Routes
from sellctl.sim.market import calendar
from sellctl.sim.market.assets import OPTION, Asset, asset_of
from sellctl.sim.venue.orders import TERMINAL, SimOrder, SimPosition

ORDERS_DEFAULT, ORDERS_MAX = 50, 500
CALENDAR_START, CALENDAR_END = dt.date(1970, 1, 1), dt.date(2029, 12, 31)
CONTRACTS_DEFAULT, CONTRACTS_MAX = 100, 10_000
OPEN_STATUS, CLOSED_STATUS = "open", "closed"


def get_account(request: SimRequest) -> SimResponse:
    """GET /v2/account."""
    body = serializers.account_json(request.account, request.exchange.quote, request.exchange.now)
    if request.exchange.settings.day_trading_fields:
        body |= serializers.DAY_TRADING
    return SimResponse(body=body)


def get_configuration(request: SimRequest) -> SimResponse:
    """GET /v2/account/configurations."""
    return SimResponse(body=dict(request.account.configuration))


def patch_configuration(request: SimRequest) -> SimResponse:
    """PATCH /v2/account/configurations: known keys only."""
    changes = request.json()
    if unknown := set(changes) - set(request.account.configuration) - {"dtbp_check", "pdt_check"}:
        raise rejections.unprocessable(f"unknown configuration: {', '.join(sorted(unknown))}")
    numbers = {key: int(value) for key, value in changes.items() if key == "max_options_trading_level"}
    known = {key: value for key, value in changes.items() if key in request.account.configuration}
    request.account.configuration.update({**known, **numbers})
    return get_configuration(request)


def get_positions(request: SimRequest) -> SimResponse:
    """GET /v2/positions."""
    return SimResponse(body=[_position(request, one) for one in request.account.shown_positions(request.exchange.now)])


def get_position(request: SimRequest) -> SimResponse:
    """GET /v2/positions/{symbol or id}."""
    return SimResponse(body=_position(request, _shown_position(request)))


def _shown_position(request: SimRequest) -> SimPosition:
    for one in request.account.shown_positions(request.exchange.now):
        if request.args[0] in {one.symbol, one.asset.id}:
            return one
    raise rejections.no_position()


def _position(request: SimRequest, position: SimPosition) -> dict[str, Any]:
    return serializers.position_json(
        request.account, position, request.exchange.quote(position.symbol), request.exchange.settings
    )


def get_orders(request: SimRequest) -> SimResponse:
    """GET /v2/orders: filters, then direction, then limit. Times are exclusive, on submission."""
    nested = request.flag("nested")
    found = [order for order in _candidates(request, nested=nested) if _is_requested(request, order)]
    found.sort(key=lambda order: order.created_at, reverse=request.text("direction", "desc") != "asc")
    limit = request.int_param("limit", ORDERS_DEFAULT, 1, ORDERS_MAX)
    if cut := request.exchange.faults.trigger("H17", account=request.account.name, path=request.path):
        limit = min(limit, int(cut["page"]))
    return SimResponse(body=[serializers.order_json(order, nested=nested) for order in found[:limit]])


def _candidates(request: SimRequest, *, nested: bool) -> Iterable[SimOrder]:
    """Orders by status. With `nested`, legs are listed in their parents only; without, multi-leg legs never are."""
    account, status = request.account, request.text("status", OPEN_STATUS)
    orders = account.open_orders if status == OPEN_STATUS else account.orders
    for order in list(orders.values()):
        hidden = order.parent is not None and (nested or order.order_class == "mleg")
        if not hidden and request.exchange.is_visible(order):
            yield order


def _is_requested(request: SimRequest, order: SimOrder) -> bool:
    status, side = request.text("status", OPEN_STATUS), request.text("side")
    symbols, classes = request.names("symbols"), request.names("asset_class")
    after, until = request.instant("after"), request.instant("until")
    return not (
        (status == OPEN_STATUS and not _counts_as_open(request, order))
        or (status == CLOSED_STATUS and order.status not in TERMINAL)
        or (symbols and not _named(order, symbols, classes))
        or (side and order.side != side)
        or (classes and not _of_class(order, classes))
        or (after and order.created_at <= after)
        or (until and order.created_at >= until)
    )


def _counts_as_open(request: SimRequest, order: SimOrder) -> bool:
    if order.status == "done_for_day":
        return request.exchange.settings.done_for_day_is_open
    return order.is_open


def _named(order: SimOrder, symbols: list[str], classes: list[str]) -> bool:
    members = order.legs if order.order_class == "mleg" and order.legs else [order]
    if OPTION in classes and any(member.asset.underlying in symbols for member in members):
        return True
    return any(member.symbol in symbols for member in members)


def _of_class(order: SimOrder, classes: list[str]) -> bool:
    member = order.legs[0] if not order.symbol and order.legs else order
    return member.asset.asset_class in classes


def post_order(request: SimRequest) -> SimResponse:
    """POST /v2/orders."""
    return SimResponse(body=request.exchange.submit(request.account, request.json()))


def get_order(request: SimRequest) -> SimResponse:
    """GET /v2/orders/{id}."""
    order = request.exchange.order(request.account, request.args[0])
    return SimResponse(body=serializers.order_json(order, nested=request.flag("nested") or order.order_class == "mleg"))


def get_order_by_client_id(request: SimRequest) -> SimResponse:
    """GET /v2/orders:by_client_order_id."""
    order = request.exchange.order_by_client_id(request.account, request.text("client_order_id"))
    return SimResponse(body=serializers.order_json(order))


def delete_order(request: SimRequest) -> SimResponse:
    """DELETE /v2/orders/{id}: 204 only accepts the request; the order's status shows the cancel."""
    request.exchange.cancel(request.account, request.args[0])
    return SimResponse(204)


def delete_orders(request: SimRequest) -> SimResponse:
    """DELETE /v2/orders: 207 with a status per order."""
    rows = []
    for order in [order for order in request.account.open_orders.values() if order.parent is None]:
        try:
            request.exchange.cancel(request.account, order.id)
        except rejections.RejectionError as rejection:
            rows.append({"id": order.id, "status": rejection.status, "body": rejection.body})
        else:
            rows.append({"id": order.id, "status": 200, "body": serializers.order_json(order)})
    return SimResponse(207, rows)


def get_clock(request: SimRequest) -> SimResponse:
    """GET /v2/clock."""
    return SimResponse(body=serializers.clock_json(request.exchange.shown_now()))


def get_calendar(request: SimRequest) -> SimResponse:
    """GET /v2/calendar."""
    start, end = request.date("start", CALENDAR_START), request.date("end", CALENDAR_END)
    days = calendar.sessions(max(start, CALENDAR_START), min(end, CALENDAR_END))
    wrong = request.exchange.faults.trigger("H20", account=request.account.name, path=request.path)
    if wrong and wrong["down"]:
        raise rejections.unavailable()
    late = dt.timedelta(seconds=float(wrong["skew"])) if wrong else dt.timedelta(0)
    return SimResponse(
        body=[serializers.calendar_json(replace(hours, closes_at=hours.closes_at + late)) for hours in days]
    )


def get_assets(request: SimRequest) -> SimResponse:
    """GET /v2/assets: the symbols with a price or a position, and their underlyings."""
    wanted = request.text("asset_class") or "us_equity"
    if request.text("status", "active") != "active":
        return SimResponse(body=[])
    found = [asset for asset in known_assets(request) if asset.asset_class == wanted]
    exchange = request.text("exchange")
    return SimResponse(body=[serializers.asset_json(asset) for asset in found if exchange in {"", asset.exchange}])


def get_asset(request: SimRequest) -> SimResponse:
    """GET /v2/assets/{symbol or id}."""
    for asset in known_assets(request):
        if request.args[0] in {asset.symbol, asset.id}:
            return SimResponse(body=serializers.asset_json(asset))
    raise rejections.not_found(f"asset not found for {request.args[0]}")


def known_assets(request: SimRequest) -> list[Asset]:
    """Every symbol that has a price or is held, and their underlyings."""
    symbols = {*request.exchange.market.symbols, *request.account.positions}
    symbols |= {asset_of(symbol).underlying for symbol in symbols}
    return [asset_of(symbol) for symbol in sorted(symbols)]


def get_contracts(request: SimRequest) -> SimResponse:
    """GET /v2/options/contracts: filters, then pages; by default the contracts that expire by the next weekend."""
    found = [asset for asset in known_assets(request) if asset.is_option and _is_listed(request, asset)]
    limit = request.int_param("limit", CONTRACTS_DEFAULT, 1, CONTRACTS_MAX)
    first = page_start(request)
    rows = [_contract(request, asset) for asset in found[first : first + limit]]
    return SimResponse(body={"option_contracts": rows, "next_page_token": page_token(first + limit, len(found))})


def _is_listed(request: SimRequest, asset: Asset) -> bool:
    today = calendar.exchange_date(request.exchange.now)
    weekend = today + dt.timedelta(days=(5 - today.weekday()) % 7 + 1)
    unbounded = request.text("expiration_date") or request.text("expiration_date_lte")
    wanted = "active" if asset.expires >= today else "inactive"
    return (
        contract_fits(request, asset)
        and (bool(unbounded) or asset.expires <= weekend)
        and request.text("status", "active") == wanted
        and (not request.text("underlying_symbols") or asset.underlying in request.names("underlying_symbols"))
        and (not request.text("ppind") or request.flag("ppind") == serializers.is_penny_program(asset))
    )


def get_contract(request: SimRequest) -> SimResponse:
    """GET /v2/options/contracts/{symbol or id}: any well-formed contract of a known underlying exists."""
    name = request.args[0]
    underlyings = {asset.underlying for asset in known_assets(request)}
    asset = next((one for one in known_assets(request) if name == one.id), asset_of(name))
    if not asset.is_option or asset.underlying not in underlyings:
        raise rejections.not_found(f"option contract {name} not found")
    return SimResponse(body=_contract(request, asset))


def _contract(request: SimRequest, asset: Asset) -> dict[str, Any]:
    return serializers.contract_json(
        asset,
        request.exchange.quote(asset.symbol),
        request.exchange.now,
        deliverables=request.flag("show_deliverables"),
    )


def patch_order(request: SimRequest) -> SimResponse:
    """PATCH /v2/orders/{id}: the answer is the new order."""
    return SimResponse(body=request.exchange.replace(request.account, request.args[0], request.json()))


def add_trading_routes(routes: Routes) -> None:
    """Register the endpoints of this file."""
    table = (
        ("GET", "/v2/account", get_account),
        ("GET", "/v2/account/configurations", get_configuration),
        ("PATCH", "/v2/account/configurations", patch_configuration),
        ("GET", "/v2/positions", get_positions),
        ("GET", "/v2/positions/{}", get_position),
        ("GET", "/v2/orders", get_orders),
        ("POST", "/v2/orders", post_order),
        ("DELETE", "/v2/orders", delete_orders),
        ("GET", "/v2/orders:by_client_order_id", get_order_by_client_id),
        ("GET", "/v2/orders/{}", get_order),
        ("DELETE", "/v2/orders/{}", delete_order),
        ("PATCH", "/v2/orders/{}", patch_order),
        ("GET", "/v2/clock", get_clock),
        ("GET", "/v2/calendar", get_calendar),
        ("GET", "/v2/assets", get_assets),
        ("GET", "/v2/assets/{}", get_asset),
        ("GET", "/v2/options/contracts", get_contracts),
        ("GET", "/v2/options/contracts/{}", get_contract),
    )
    for method, path, handler in table:
        routes.add(method, path, handler)
