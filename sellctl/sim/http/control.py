"""The control endpoint under /sim: quotes, clock, faults and logs. It needs no key, since it is on loopback only."""

import dataclasses
import datetime as dt
from functools import partial
from typing import Any

from sellctl.sim import serializers
from sellctl.sim.faults.catalogue import CATALOGUE
from sellctl.sim.faults.registry import Fault
from sellctl.sim.host import SimHost
from sellctl.sim.http.messages import LoggedRequest, SimRequest, SimResponse
from sellctl.sim.http.routing import Handler, Routes
from sellctl.sim.market import calendar
from sellctl.sim.numbers import decimal_of, format_timestamp
from sellctl.sim.rejections import RejectionError


def add_control_routes(routes: Routes, host: SimHost, log: list[LoggedRequest]) -> None:
    """Register everything under /sim."""
    table: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "/sim/state", partial(_state, host)),
        ("POST", "/sim/clock", partial(_move_clock, host)),
        ("POST", "/sim/quotes", _set_quotes),
        ("POST", "/sim/misbehave", _inject),
        ("POST", "/sim/behave", _clear),
        ("GET", "/sim/misbehaviours", _catalogue),
        ("POST", "/sim/halt", _halt),
        ("GET", "/sim/requests", partial(_requests, log)),
        ("GET", "/sim/orders", _orders),
        ("GET", "/sim/fills", partial(_events, {"fill", "partial_fill"})),
        ("GET", "/sim/events", partial(_events, None)),
        ("GET", "/sim/positions", _positions),
    )
    for method, path, handler in table:
        routes.add(method, path, handler)


def _state(host: SimHost, request: SimRequest) -> SimResponse:
    exchange = request.exchange
    return SimResponse(
        body={
            "now": format_timestamp(exchange.now),
            "new_york": serializers.eastern(exchange.now),
            "speed": host.time.speed,
            "is_open": calendar.is_open(exchange.now),
            "accounts": sorted(exchange.accounts),
            "misbehaviours": [_fault_row(fault) for fault in exchange.faults.active],
            "fired": dict(exchange.faults.fired),
            "notes": exchange.notes,
        }
    )


def _fault_row(fault: Fault) -> dict[str, Any]:
    body = dataclasses.asdict(fault)
    body["rate"] = str(body["rate"])
    body["params"] = {key: str(value) for key, value in body["params"].items()}
    return body


def _move_clock(host: SimHost, request: SimRequest) -> SimResponse:
    """{"to": instant} | {"by": seconds} | {"speed": x}; speed 0 stops the clock."""
    body = request.json()
    if "speed" in body:
        host.time.set_speed(float(body["speed"]))
    if "to" in body or "by" in body:
        target = _instant(body["to"]) if "to" in body else host.time.now() + _seconds(body["by"])
        host.time.move_to(target)
        request.exchange.advance_to(host.time.now())
    return _state(host, request)


def _instant(value: Any) -> dt.datetime:
    try:
        at = dt.datetime.fromisoformat(str(value))
    except ValueError:
        raise RejectionError(422, {"message": f"{value!r} is not a time"}) from None
    return (at if at.tzinfo else at.replace(tzinfo=calendar.NEW_YORK)).astimezone(dt.UTC)


def _seconds(value: Any) -> dt.timedelta:
    return dt.timedelta(seconds=float(value))


def _set_quotes(request: SimRequest) -> SimResponse:
    """{symbol: {bid, ask, bid_size?, ask_size?}}; 0 or null: no quote on that side."""
    for symbol, quote in request.json().items():
        sizes = {key: int(quote[key]) for key in ("bid_size", "ask_size") if key in quote}
        request.exchange.set_quote(
            symbol, decimal_of(quote.get("bid")) or None, decimal_of(quote.get("ask")) or None, **sizes
        )
    return SimResponse(body={"ok": True})


def _inject(request: SimRequest) -> SimResponse:
    """{"name": "H01", ...options}."""
    options = request.json()
    name = str(options.pop("name", ""))
    if name not in CATALOGUE:
        raise RejectionError(422, {"message": f"unknown fault {name!r}", "known": sorted(CATALOGUE)})
    parameters = {key: int(value) if key == "times" and value is not None else value for key, value in options.items()}
    try:
        request.exchange.inject(name, **parameters)
    except TypeError as error:
        raise RejectionError(422, {"message": str(error)}) from None
    return SimResponse(body={"ok": True})


def _clear(request: SimRequest) -> SimResponse:
    """{"name": "H01"}, or {} for all."""
    request.exchange.clear_faults(str(request.json().get("name", "")))
    return SimResponse(body={"ok": True})


def _requests(log: list[LoggedRequest], _request: SimRequest) -> SimResponse:
    return SimResponse(body=[dataclasses.asdict(entry) for entry in log])


def _catalogue(_request: SimRequest) -> SimResponse:
    return SimResponse(
        body={kind.name: {"text": kind.text, "params": dict(kind.params)} for kind in CATALOGUE.values()}
    )


def _halt(request: SimRequest) -> SimResponse:
    """{"symbol": S, "halted": true | false}."""
    body = request.json()
    if body.get("halted", True):
        request.exchange.market.halt(body["symbol"], request.exchange.now)
    else:
        request.exchange.market.resume(body["symbol"])
    return SimResponse(body={"ok": True})


def _orders(request: SimRequest) -> SimResponse:
    return SimResponse(
        body={
            name: [serializers.order_json(order) for order in account.orders.values()]
            for name, account in request.exchange.accounts.items()
        }
    )


def _positions(request: SimRequest) -> SimResponse:
    """The actual signed quantities; the position list that clients get may lag behind."""
    return SimResponse(
        body={
            name: {symbol: str(position.qty) for symbol, position in account.positions.items()}
            for name, account in request.exchange.accounts.items()
        }
    )


def _events(kinds: set[str] | None, request: SimRequest) -> SimResponse:
    after = request.int_param("after", 0, 0, 10**12)
    return SimResponse(
        body=[
            {
                "seq": event.seq,
                "at": format_timestamp(event.at),
                "kind": event.kind,
                "account": event.account,
                "order": event.order,
                "detail": event.detail,
            }
            for event in request.exchange.events
            if event.seq > after and (kinds is None or event.kind in kinds)
        ]
    )
