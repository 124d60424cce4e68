"""The control endpoint under /sim: set quotes, move the clock, misbehave, read the logs. Loopback only, no key."""

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

from sellctl.sim.faults.catalogue import CATALOGUE
from sellctl.sim.http import serializers
from sellctl.sim.http.routing import Call, Handler, Reply, Routes
from sellctl.sim.market import calendar
from sellctl.sim.numbers import decimal_of, stamp
from sellctl.sim.rejections import RefusedError

if TYPE_CHECKING:
    from sellctl.sim.http.app import Face


def add_control_routes(routes: Routes, face: "Face") -> None:
    """Everything under /sim."""
    table: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "/sim/state", lambda call: _state(call, face)),
        ("POST", "/sim/clock", lambda call: _move_clock(call, face)),
        ("POST", "/sim/quotes", _set_quotes),
        ("POST", "/sim/misbehave", _misbehave),
        ("POST", "/sim/behave", _behave),
        ("GET", "/sim/misbehaviours", _catalogue),
        ("POST", "/sim/halt", _halt),
        ("GET", "/sim/requests", lambda _call: Reply(body=[dataclasses.asdict(entry) for entry in face.log])),
        ("GET", "/sim/orders", _orders),
        ("GET", "/sim/fills", lambda call: _events(call, {"fill", "partial_fill"})),
        ("GET", "/sim/events", lambda call: _events(call, None)),
        ("GET", "/sim/positions", _positions),
    )
    for method, path, handler in table:
        routes.add(method, path, handler)


def _state(call: Call, face: "Face") -> Reply:
    exchange = call.exchange
    return Reply(
        body={
            "now": stamp(exchange.now),
            "new_york": serializers.eastern(exchange.now),
            "speed": face.time.speed,
            "is_open": calendar.is_open(exchange.now),
            "accounts": sorted(exchange.accounts),
            "misbehaviours": [_misbehaviour(one) for one in exchange.behaviours.active],
            "fired": dict(exchange.behaviours.fired),
            "notes": exchange.notes,
        }
    )


def _misbehaviour(one: Any) -> dict[str, Any]:
    body = dataclasses.asdict(one)
    body["rate"] = str(body["rate"])
    body["params"] = {key: str(value) for key, value in body["params"].items()}
    return body


def _move_clock(call: Call, face: "Face") -> Reply:
    """{"to": instant} | {"by": seconds} | {"speed": x}; 0 stands still."""
    body = call.json()
    if "speed" in body:
        face.time.run_at(float(body["speed"]))
    if "to" in body or "by" in body:
        target = _instant(body["to"]) if "to" in body else face.time.now() + _seconds(body["by"])
        face.time.move_to(target)
        call.exchange.advance_to(face.time.now())
    return _state(call, face)


def _instant(value: Any) -> dt.datetime:
    try:
        at = dt.datetime.fromisoformat(str(value))
    except ValueError:
        raise RefusedError(422, {"message": f"{value!r} is no instant"}) from None
    return (at if at.tzinfo else at.replace(tzinfo=calendar.NEW_YORK)).astimezone(dt.UTC)


def _seconds(value: Any) -> dt.timedelta:
    return dt.timedelta(seconds=float(value))


def _set_quotes(call: Call) -> Reply:
    """{symbol: {bid, ask, bid_size?, ask_size?}}; 0 or null is nobody."""
    for symbol, quote in call.json().items():
        sizes = {key: int(quote[key]) for key in ("bid_size", "ask_size") if key in quote}
        call.exchange.set_quote(
            symbol, decimal_of(quote.get("bid")) or None, decimal_of(quote.get("ask")) or None, **sizes
        )
    return Reply(body={"ok": True})


def _misbehave(call: Call) -> Reply:
    """{"name": "H01", ...options}."""
    options = call.json()
    name = str(options.pop("name", ""))
    if name not in CATALOGUE:
        raise RefusedError(422, {"message": f"no misbehaviour is called {name!r}", "known": sorted(CATALOGUE)})
    plain = {key: int(value) if key == "times" and value is not None else value for key, value in options.items()}
    try:
        call.exchange.misbehave(name, **plain)
    except TypeError as error:
        raise RefusedError(422, {"message": str(error)}) from None
    return Reply(body={"ok": True})


def _behave(call: Call) -> Reply:
    """{"name": "H01"}, or {} for all."""
    call.exchange.behave(str(call.json().get("name", "")))
    return Reply(body={"ok": True})


def _catalogue(_call: Call) -> Reply:
    return Reply(body={kind.name: {"text": kind.text, "params": dict(kind.params)} for kind in CATALOGUE.values()})


def _halt(call: Call) -> Reply:
    """{"symbol": S, "halted": true | false}."""
    body = call.json()
    if body.get("halted", True):
        call.exchange.market.halt(body["symbol"], call.exchange.now)
    else:
        call.exchange.market.resume(body["symbol"])
    return Reply(body={"ok": True})


def _orders(call: Call) -> Reply:
    return Reply(
        body={
            name: [serializers.order_json(order) for order in account.orders.values()]
            for name, account in call.exchange.accounts.items()
        }
    )


def _positions(call: Call) -> Reply:
    """The true signed quantities, whatever lag or misbehaviour shows to clients."""
    return Reply(
        body={
            name: {symbol: str(position.qty) for symbol, position in account.positions.items()}
            for name, account in call.exchange.accounts.items()
        }
    )


def _events(call: Call, kinds: set[str] | None) -> Reply:
    after = call.whole("after", 0, 0, 10**12)
    return Reply(
        body=[
            {
                "seq": event.seq,
                "at": stamp(event.at),
                "kind": event.kind,
                "account": event.account,
                "order": event.order,
                "detail": event.detail,
            }
            for event in call.exchange.events
            if event.seq > after and (kinds is None or event.kind in kinds)
        ]
    )
