"""The body of an order request, as a pure function: the journal records exactly this body before it is sent."""

from decimal import Decimal

from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.plan import SubmitOrder


def exact_text(value: Decimal) -> str:
    """A decimal in plain digits without exponent that parse back to the same value. ValueError when it isn't finite."""
    if not value.is_finite():
        raise ValueError("only a finite number can be sent")
    return f"{value:f}"


def order_body(order: SubmitOrder) -> dict[str, str]:
    """The body of POST /v2/orders. All values are strings; unset prices are omitted.

    Only options have a position_intent.
    """
    body = {
        "symbol": order.symbol,
        "qty": exact_text(order.qty),
        "side": order.side.value,
        "type": order.type.value,
        "time_in_force": order.time_in_force,
        "client_order_id": order.client_order_id,
    }
    for name in ("limit_price", "stop_price", "trail_percent"):
        if (value := getattr(order, name)) is not None:
            body[name] = exact_text(value)
    if order.asset_class is AssetClass.OPTION:
        body["position_intent"] = order.position_intent.value
    return body
