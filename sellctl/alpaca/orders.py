"""The body of an order request, as a pure function: the journal records exactly this body before it is sent."""

from decimal import Decimal

from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.order import OrderLeg
from sellctl.core.model.plan import SubmitOrder


def exact_text(value: Decimal) -> str:
    """A decimal in plain digits without exponent that parse back to the same value. ValueError when it isn't finite."""
    if not value.is_finite():
        raise ValueError("only a finite number can be sent")
    return f"{value:f}"


def order_body(order: SubmitOrder) -> dict[str, object]:
    """The body of POST /v2/orders. All values are strings, but the legs; unset prices are omitted.

    Only options have a position_intent. A multi-leg order has symbols, sides and intents in its legs only.
    """
    body: dict[str, object] = {
        "qty": exact_text(order.qty),
        "type": order.type.value,
        "time_in_force": order.time_in_force,
        "client_order_id": order.client_order_id,
    }
    for name in ("limit_price", "stop_price", "trail_percent"):
        if (value := getattr(order, name)) is not None:
            body[name] = exact_text(value)
    if order.legs:
        return {**body, "order_class": "mleg", "legs": [_leg(leg) for leg in order.legs]}
    body |= {"symbol": order.symbol, "side": order.side.value}
    if order.asset_class is AssetClass.OPTION:
        body["position_intent"] = order.position_intent.value
    return body


def _leg(leg: OrderLeg) -> dict[str, str]:
    """One leg. ValueError without a side and an intent: such a leg is only read."""
    if leg.side is None or leg.position_intent is None:
        raise ValueError(f"{leg.symbol} has no side")
    return {
        "symbol": leg.symbol,
        "ratio_qty": exact_text(leg.ratio),
        "side": leg.side.value,
        "position_intent": leg.position_intent.value,
    }
