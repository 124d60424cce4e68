"""The trading API's endpoints: each handler reads a Call, asks the exchange, and renders. No rules of their own."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sellctl.sim import rejections
from sellctl.sim.http import serializers
from sellctl.sim.http.market_data import contract_fits
from sellctl.sim.http.paging import page_start, page_token
from sellctl.sim.http.routing import Call, Reply, Routes
from sellctl.sim.market import calendar
from sellctl.sim.market.assets import OPTION, Asset, asset_of
from sellctl.sim.venue.orders import TERMINAL, SimOrder, SimPosition
from sellctl.sim.venue.replacement import replace_order

ORDERS_DEFAULT, ORDERS_MAX = 50, 500
CALENDAR_START, CALENDAR_END = dt.date(1970, 1, 1), dt.date(2029, 12, 31)
CONTRACTS_DEFAULT, CONTRACTS_MAX = 100, 10_000
OPEN_STATUS, CLOSED_STATUS = "open", "closed"


def get_account(call: Call) -> Reply:
    """GET /v2/account."""
    body = serializers.account_json(call.account, call.exchange.quote, call.exchange.now)
    return Reply(body={**body, **serializers.DAY_TRADING} if call.exchange.settings.day_trading_fields else body)


def get_configuration(call: Call) -> Reply:
    """GET /v2/account/configurations."""
    return Reply(body=dict(call.account.configuration))


def patch_configuration(call: Call) -> Reply:
    """PATCH /v2/account/configurations: known keys only."""
    changes = call.json()
    if unknown := set(changes) - set(call.account.configuration) - {"dtbp_check", "pdt_check"}:
        raise rejections.unprocessable(f"unknown configuration: {', '.join(sorted(unknown))}")
    numbers = {key: int(value) for key, value in changes.items() if key == "max_options_trading_level"}
    known = {key: value for key, value in changes.items() if key in call.account.configuration}
    call.account.configuration.update({**known, **numbers})
    return get_configuration(call)


def get_positions(call: Call) -> Reply:
    """GET /v2/positions."""
    return Reply(body=[_position(call, one) for one in call.account.shown_positions(call.exchange.now)])


def get_position(call: Call) -> Reply:
    """GET /v2/positions/{symbol or id}."""
    return Reply(body=_position(call, _shown_position(call)))


def _shown_position(call: Call) -> SimPosition:
    for one in call.account.shown_positions(call.exchange.now):
        if call.args[0] in {one.symbol, one.asset.id}:
            return one
    raise rejections.no_position()


def _position(call: Call, position: SimPosition) -> dict[str, Any]:
    return serializers.position_json(
        call.account, position, call.exchange.quote(position.symbol), call.exchange.settings
    )


def get_orders(call: Call) -> Reply:
    """GET /v2/orders: filters, then direction, then limit. Times are exclusive, on submission."""
    nested = call.flag("nested")
    found = [order for order in _candidates(call, nested=nested) if _is_asked_for(call, order)]
    found.sort(key=lambda order: order.created_at, reverse=call.text("direction", "desc") != "asc")
    limit = call.whole("limit", ORDERS_DEFAULT, 1, ORDERS_MAX)
    if cut := call.exchange.behaviours.strike("H17", account=call.account.name, path=call.path):
        limit = min(limit, int(cut["page"]))
    return Reply(body=[serializers.order_json(order, nested=nested) for order in found[:limit]])


def _candidates(call: Call, *, nested: bool) -> Iterable[SimOrder]:
    """Orders by status. Nested, legs stand inside their parents only; otherwise multi-leg legs aren't listed."""
    orders = call.account.open_orders if call.text("status", OPEN_STATUS) == OPEN_STATUS else call.account.orders
    for order in list(orders.values()):
        hidden = order.parent is not None and (nested or order.order_class == "mleg")
        if not hidden and call.exchange.is_visible(order):
            yield order


def _is_asked_for(call: Call, order: SimOrder) -> bool:
    status, side = call.text("status", OPEN_STATUS), call.text("side")
    symbols, classes = call.names("symbols"), call.names("asset_class")
    after, until = call.instant("after"), call.instant("until")
    return not (
        (status == OPEN_STATUS and not _counts_as_open(call, order))
        or (status == CLOSED_STATUS and order.status not in TERMINAL)
        or (symbols and not _named(order, symbols, classes))
        or (side and order.side != side)
        or (classes and not _of_class(order, classes))
        or (after and order.created_at <= after)
        or (until and order.created_at >= until)
    )


def _counts_as_open(call: Call, order: SimOrder) -> bool:
    if order.status == "done_for_day":
        return call.exchange.settings.done_for_day_is_open
    return order.is_open


def _named(order: SimOrder, symbols: list[str], classes: list[str]) -> bool:
    members = order.legs if order.order_class == "mleg" and order.legs else [order]
    if OPTION in classes and any(member.asset.underlying in symbols for member in members):
        return True
    return any(member.symbol in symbols for member in members)


def _of_class(order: SimOrder, classes: list[str]) -> bool:
    member = order.legs[0] if not order.symbol and order.legs else order
    return member.asset.asset_class in classes


def post_order(call: Call) -> Reply:
    """POST /v2/orders."""
    return Reply(body=call.exchange.submit(call.account, call.json()))


def get_order(call: Call) -> Reply:
    """GET /v2/orders/{id}."""
    order = call.exchange.order(call.account, call.args[0])
    return Reply(body=serializers.order_json(order, nested=call.flag("nested") or order.order_class == "mleg"))


def get_order_by_client_id(call: Call) -> Reply:
    """GET /v2/orders:by_client_order_id."""
    order = call.exchange.order_by_client_id(call.account, call.text("client_order_id"))
    return Reply(body=serializers.order_json(order))


def delete_order(call: Call) -> Reply:
    """DELETE /v2/orders/{id}: 204, which is not the end; that is seen on the order."""
    call.exchange.cancel(call.account, call.args[0])
    return Reply(204)


def delete_orders(call: Call) -> Reply:
    """DELETE /v2/orders: 207 with a status for each."""
    rows = []
    for order in [order for order in call.account.open_orders.values() if order.parent is None]:
        try:
            call.exchange.cancel(call.account, order.id)
        except rejections.RefusedError as refused:
            rows.append({"id": order.id, "status": refused.status, "body": refused.body})
        else:
            rows.append({"id": order.id, "status": 200, "body": serializers.order_json(order)})
    return Reply(207, rows)


def get_clock(call: Call) -> Reply:
    """GET /v2/clock."""
    return Reply(body=serializers.clock_json(call.exchange.shown_now()))


def get_calendar(call: Call) -> Reply:
    """GET /v2/calendar."""
    start, end = call.date("start", CALENDAR_START), call.date("end", CALENDAR_END)
    days = calendar.sessions(max(start, CALENDAR_START), min(end, CALENDAR_END))
    wrong = call.exchange.behaviours.strike("H20", account=call.account.name, path=call.path)
    if wrong and wrong["down"]:
        raise rejections.unavailable()
    late = dt.timedelta(seconds=float(wrong["skew"])) if wrong else dt.timedelta(0)
    return Reply(body=[serializers.calendar_json(replace(hours, closes_at=hours.closes_at + late)) for hours in days])


def get_assets(call: Call) -> Reply:
    """GET /v2/assets: what the scenario knows."""
    wanted = call.text("asset_class") or "us_equity"
    if call.text("status", "active") != "active":
        return Reply(body=[])
    found = [asset for asset in known_assets(call) if asset.asset_class == wanted]
    exchange = call.text("exchange")
    return Reply(body=[serializers.asset_json(asset) for asset in found if exchange in {"", asset.exchange}])


def get_asset(call: Call) -> Reply:
    """GET /v2/assets/{symbol or id}."""
    for asset in known_assets(call):
        if call.args[0] in {asset.symbol, asset.id}:
            return Reply(body=serializers.asset_json(asset))
    raise rejections.not_found(f"asset not found for {call.args[0]}")


def known_assets(call: Call) -> list[Asset]:
    """Everything that has a price, is held, or lies under one of those."""
    symbols = {*call.exchange.market.symbols, *call.account.positions}
    symbols |= {asset_of(symbol).underlying for symbol in symbols}
    return [asset_of(symbol) for symbol in sorted(symbols)]


def get_contracts(call: Call) -> Reply:
    """GET /v2/options/contracts: filters, then pages; by default what expires until the next weekend."""
    found = [asset for asset in known_assets(call) if asset.is_option and _is_listed(call, asset)]
    limit = call.whole("limit", CONTRACTS_DEFAULT, 1, CONTRACTS_MAX)
    first = page_start(call)
    rows = [_contract(call, asset) for asset in found[first : first + limit]]
    return Reply(body={"option_contracts": rows, "next_page_token": page_token(first + limit, len(found))})


def _is_listed(call: Call, asset: Asset) -> bool:
    today = calendar.exchange_date(call.exchange.now)
    weekend = today + dt.timedelta(days=(5 - today.weekday()) % 7 + 1)
    unbounded = call.text("expiration_date") or call.text("expiration_date_lte")
    wanted = "active" if asset.expires >= today else "inactive"
    return (
        contract_fits(call, asset)
        and (bool(unbounded) or asset.expires <= weekend)
        and call.text("status", "active") == wanted
        and (not call.text("underlying_symbols") or asset.underlying in call.names("underlying_symbols"))
        and (not call.text("ppind") or call.flag("ppind") == serializers.is_penny_program(asset))
    )


def get_contract(call: Call) -> Reply:
    """GET /v2/options/contracts/{symbol or id}: any well-formed contract of a known underlying exists."""
    name = call.args[0]
    underlyings = {asset.underlying for asset in known_assets(call)}
    asset = next((one for one in known_assets(call) if name == one.id), asset_of(name))
    if not asset.is_option or asset.underlying not in underlyings:
        raise rejections.not_found(f"option contract {name} not found")
    return Reply(body=_contract(call, asset))


def _contract(call: Call, asset: Asset) -> dict[str, Any]:
    return serializers.contract_json(
        asset, call.exchange.quote(asset.symbol), call.exchange.now, deliverables=call.flag("show_deliverables")
    )


def patch_order(call: Call) -> Reply:
    """PATCH /v2/orders/{id}: the answer is the new order."""
    return Reply(body=replace_order(call.exchange, call.account, call.args[0], call.json()))


def add_trading_routes(routes: Routes) -> None:
    """Everything under /v2 that trades or tells about trading."""
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
