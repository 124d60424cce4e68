"""Endpoints that close or exercise positions, and the account's activities."""

import datetime as dt
from decimal import Decimal
from typing import Any

from sellctl.sim import rejections
from sellctl.sim.http.messages import NO_BODY, SimRequest, SimResponse
from sellctl.sim.http.routing import Routes
from sellctl.sim.http.trading import delete_orders
from sellctl.sim.market import calendar
from sellctl.sim.market.assets import asset_of, is_in_the_money
from sellctl.sim.numbers import SHARE_STEP, text
from sellctl.sim.venue.orders import SimPosition
from sellctl.sim.venue.session import deliver, underlying_price

PAGE = 100


def delete_position(request: SimRequest) -> SimResponse:
    """DELETE /v2/positions/{symbol or id}: a market order for all, a quantity or a percentage. Cancels nothing."""
    return SimResponse(body=_close(request, _held(request), _part(request, _held(request))))


def _held(request: SimRequest) -> SimPosition:
    for position in request.account.positions.values():
        if request.args[0] in {position.symbol, position.asset.id}:
            return position
    raise rejections.no_position()


def _part(request: SimRequest, position: SimPosition) -> Decimal:
    """The quantity to close."""
    qty, percentage = request.amount("qty"), request.amount("percentage")
    if qty is not None and percentage is not None:
        raise rejections.unprocessable("only one of qty or percentage is accepted")
    if percentage is None:
        return abs(position.qty) if qty is None else qty
    if not 0 < percentage <= 100:  # noqa: PLR2004  percent
        raise rejections.unprocessable("percentage must be between 0 and 100")
    step = Decimal(1) if position.asset.is_option else SHARE_STEP
    return abs(position.qty) * percentage / 100 // step * step


def _close(request: SimRequest, position: SimPosition, qty: Decimal) -> dict[str, Any]:
    """Submit the market order. The 403 of this endpoint has no related orders."""
    side = "sell" if position.qty > 0 else "buy"
    body = {
        "symbol": position.symbol,
        "side": side,
        "type": "market",
        "time_in_force": "day",
        "qty": text(qty),
        "position_intent": f"{side}_to_close",
    }
    try:
        return request.exchange.submit(request.account, body)
    except rejections.RejectionError as rejection:
        rejection.body.pop("related_orders", None)
        raise


def delete_positions(request: SimRequest) -> SimResponse:
    """DELETE /v2/positions: 207 with a status per position; with cancel_orders open orders are cancelled first."""
    if request.flag("cancel_orders"):
        delete_orders(request)
    rows = []
    for position in list(request.account.positions.values()):
        try:
            body, status = _close(request, position, abs(position.qty)), 200
        except rejections.RejectionError as rejection:
            body, status = rejection.body, rejection.status
        rows.append({"symbol": position.symbol, "status": status, "body": body})
    return SimResponse(207, rows)


def exercise(request: SimRequest) -> SimResponse:
    """POST /v2/positions/{contract}/exercise: the whole position, at once. 200 with an empty body."""
    position = _held_option(request)
    now = request.exchange.now
    hours = calendar.hours_at(now)
    if hours and now >= hours.closes_at:
        raise rejections.unprocessable("exercise requests between market close and midnight are rejected")
    price = underlying_price(request.exchange, position.asset)
    if price is None or not is_in_the_money(position.asset, price):
        raise rejections.unprocessable("cannot exercise out of the money contract")
    deliver(request.exchange, request.account, position)
    return SimResponse(200, NO_BODY)


def do_not_exercise(request: SimRequest) -> SimResponse:
    """POST /v2/positions/{contract}/do-not-exercise: on the last day, before the close. 200 with an empty body."""
    position = _held_option(request)
    today = calendar.exchange_date(request.exchange.now)
    if position.asset.expires != today or not calendar.next_close(request.exchange.now) > request.exchange.now:
        raise rejections.unprocessable("do-not-exercise is only accepted on the expiration day")
    request.account.do_not_exercise.add(position.symbol)
    return SimResponse(200, NO_BODY)


def _held_option(request: SimRequest) -> SimPosition:
    try:
        position = _held(request)
    except rejections.RejectionError:
        if not asset_of(request.args[0]).is_option:
            raise rejections.unprocessable("invalid symbol") from None
        raise rejections.not_allowed("no available position for the specified contract") from None
    if not position.asset.is_option:
        raise rejections.unprocessable("invalid symbol")
    if position.qty < 0:
        raise rejections.RejectionError(403, {"code": 40310001, "message": "cannot exercise short position"})
    return position


def activities(request: SimRequest) -> SimResponse:
    """GET /v2/account/activities: newest first, paged by the last id. Overnight settlements are listed the next day."""
    found = [row for row in request.account.activities if _shows(request, row)]
    found.sort(key=lambda row: str(row["id"]), reverse=request.text("direction", "desc") != "asc")
    if token := request.text("page_token"):
        ids = [row["id"] for row in found]
        found = found[ids.index(token) + 1 :] if token in ids else []
    return SimResponse(body=found[: request.int_param("page_size", PAGE, 1, PAGE)])


def _shows(request: SimRequest, row: dict[str, Any]) -> bool:
    kinds = [request.args[0]] if request.args else request.names("activity_types")
    trade = row["activity_type"] == "FILL"
    at = dt.datetime.fromisoformat(row["transaction_time" if trade else "created_at"])
    wanted = {"": True, "trade_activity": trade, "non_trade_activity": not trade}
    after, until, date = request.instant("after"), request.instant("until"), request.text("date")
    return (
        at <= request.exchange.now
        and (not kinds or row["activity_type"] in kinds)
        and wanted.get(request.text("category"), False)
        and (after is None or at > after)
        and (until is None or at < until)
        and (not date or calendar.exchange_date(at).isoformat() == date[:10])
    )


def add_closing_routes(routes: Routes) -> None:
    """Register the endpoints of this file."""
    table = (
        ("DELETE", "/v2/positions", delete_positions),
        ("DELETE", "/v2/positions/{}", delete_position),
        ("POST", "/v2/positions/{}/exercise", exercise),
        ("POST", "/v2/positions/{}/do-not-exercise", do_not_exercise),
        ("GET", "/v2/account/activities", activities),
        ("GET", "/v2/account/activities/{}", activities),
    )
    for method, path, handler in table:
        routes.add(method, path, handler)
