"""Reading the JSON body of an order. Unreadable fields are rejected here; the broker's rules are in order_checks."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sellctl.sim.numbers import decimal_of
from sellctl.sim.rejections import unprocessable
from sellctl.sim.venue.orders import MULTI_LEG, SIMPLE

SIDES = frozenset({"buy", "sell"})
TYPES = frozenset({"market", "limit", "stop", "stop_limit", "trailing_stop"})
TIMES_IN_FORCE = frozenset({"day", "gtc", "opg", "cls", "ioc", "fok"})
CLASSES = frozenset({"", "simple", "bracket", "oco", "oto", MULTI_LEG})
INTENTS = frozenset({"buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"})
MAX_CLIENT_ID = 128
# By whether it is a multi-leg order: the messages for a limit order without a price, and a market order with one.
_LIMIT_MESSAGES = {
    False: ("limit orders require a limit price", "market orders require no limit price"),
    True: ("limit price is required for limit orders", "limit price is only valid for limit orders"),
}


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A client's request, in exact numbers. Prices are dollars per share, quantities shares or contracts."""

    symbol: str
    side: str
    type: str
    time_in_force: str
    qty: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    order_class: str = ""
    position_intent: str | None = None
    extended_hours: bool = False
    client_order_id: str = ""
    take_profit: Mapping[str, Any] | None = None
    stop_loss: Mapping[str, Any] | None = None
    legs: tuple[Any, ...] = ()
    ratio_qty: Decimal | None = None


def read_order(body: Any) -> OrderRequest:
    """The request in a JSON body. RejectionError (422) when a field is missing or can't be read."""
    if not isinstance(body, Mapping):
        raise unprocessable("request body format is invalid")
    order_class = _choice(body, "order_class", CLASSES, default="")
    multi_leg = order_class == MULTI_LEG
    request = OrderRequest(
        symbol=_text(body, "symbol"),
        side=_choice(body, "side", SIDES, default="" if multi_leg else None),
        type=_choice(body, "type", TYPES),
        time_in_force=_choice(body, "time_in_force", TIMES_IN_FORCE),
        qty=_number(body, "qty"),
        notional=_number(body, "notional"),
        limit_price=_number(body, "limit_price"),
        stop_price=_number(body, "stop_price"),
        trail_price=_number(body, "trail_price"),
        trail_percent=_number(body, "trail_percent"),
        order_class=order_class,
        position_intent=_choice(body, "position_intent", INTENTS, default="") or None,
        extended_hours=body.get("extended_hours") is True,
        client_order_id=_text(body, "client_order_id"),
        take_profit=body.get("take_profit"),
        stop_loss=body.get("stop_loss"),
        legs=_legs(body),
    )
    _complete(request)
    return request


def read_leg(body: Any, parent: OrderRequest) -> OrderRequest:
    """One leg of a multi-leg request, with its own quantity. RejectionError (422) when it can't be read.

    Its side follows from its intent when there is none.
    """
    if not isinstance(body, Mapping):
        raise unprocessable("invalid leg")
    intent = _choice(body, "position_intent", INTENTS, default="")
    ratio = _number(body, "ratio_qty")
    if ratio is None or ratio % 1 != 0:
        raise unprocessable("ratio_qty must be a positive integer")
    return OrderRequest(
        symbol=_text(body, "symbol"),
        side=_choice(body, "side", SIDES, default=intent.partition("_")[0]),
        type=parent.type,
        time_in_force=parent.time_in_force,
        qty=ratio * (parent.qty or 0),
        order_class=MULTI_LEG,
        position_intent=intent or None,
        ratio_qty=ratio,
    )


def _complete(request: OrderRequest) -> None:
    """Reject a request that lacks a field that its kind needs, or has one that it must not have."""
    multi_leg = request.order_class == MULTI_LEG
    no_limit, any_limit = _LIMIT_MESSAGES[multi_leg]
    checks = (
        (not multi_leg and not request.symbol, "symbol is required"),
        (request.qty is None and request.notional is None, "qty or notional is required"),
        (request.qty is not None and request.notional is not None, "only one of qty or notional is accepted"),
        (request.qty is not None and request.qty <= 0, "qty must be > 0"),
        (request.notional is not None and request.notional <= 0, "notional must be > 0"),
        (_needs_limit(request) and request.limit_price is None, no_limit),
        (request.type == "market" and request.limit_price is not None, any_limit),
        (request.type in {"stop", "stop_limit"} and request.stop_price is None, "stop orders require a stop price"),
        (not multi_leg and (request.limit_price or 1) <= 0, "limit price must be > 0"),
        ((request.stop_price or 1) <= 0, "stop price must be > 0"),
        (_bad_trail(request), "trailing stop orders must specify one of trail_price or trail_percent"),
        (len(request.client_order_id) > MAX_CLIENT_ID, "client_order_id must be no more than 128 characters"),
        (bool(request.legs) and not multi_leg, "legs are only allowed for mleg orders"),
    )
    for broken, message in checks:
        if broken:
            raise unprocessable(message)


def _needs_limit(request: OrderRequest) -> bool:
    """An OCO may carry its limit price in take_profit instead."""
    return request.type in {"limit", "stop_limit"} and request.order_class != "oco"


def _bad_trail(request: OrderRequest) -> bool:
    given = sum(trail is not None for trail in (request.trail_price, request.trail_percent))
    return given != (1 if request.type == "trailing_stop" else 0)


def _legs(body: Mapping[str, Any]) -> tuple[Any, ...]:
    legs = body.get("legs") or ()
    if not isinstance(legs, list | tuple):
        raise unprocessable("invalid legs")
    return tuple(legs)


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise unprocessable(f"invalid {key}")
    return value


def _choice(body: Mapping[str, Any], key: str, allowed: frozenset[str], default: str | None = None) -> str:
    value = body.get(key)
    if value is None or value == "":
        if default is None:
            raise unprocessable(f"{key} is required")
        return default
    if value not in allowed:
        raise unprocessable(f"invalid {key}")
    return str(value)


def _number(body: Mapping[str, Any], key: str) -> Decimal | None:
    try:
        return decimal_of(body.get(key))
    except ValueError:
        raise unprocessable(f"invalid {key}") from None


def is_simple(request: OrderRequest) -> bool:
    """Whether it is a single order, without legs."""
    return request.order_class in SIMPLE
