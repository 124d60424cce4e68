"""The rejections of the simulated broker: HTTP status, and body with exactly Alpaca's keys.

Status and code are Alpaca's contract; the message may change there, so clients must not depend on it.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sellctl.sim.numbers import text

FORBIDDEN = 40310000
UNPROCESSABLE = 42210000
NOT_FOUND = 40410000
DUPLICATE = 40010001
TOO_MANY = 42910000


class RejectionError(Exception):
    """A request is rejected. `status` and `body` are those of the response."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {dict(body)}")
        self.status = status
        self.body = dict(body)


def unauthorized() -> RejectionError:
    """401: the key is missing or unknown."""
    return RejectionError(401, {"message": "unauthorized."})


def forbidden() -> RejectionError:
    """403 without a code: the key is known but has no permission."""
    return RejectionError(403, {"message": "forbidden."})


def unprocessable(message: str) -> RejectionError:
    """422 with code 42210000: the order breaks a rule."""
    return RejectionError(422, {"code": UNPROCESSABLE, "message": message})


def bad_request(message: str) -> RejectionError:
    """400: a parameter can't be read."""
    return RejectionError(400, {"code": 40010000, "message": message})


def not_found(message: str) -> RejectionError:
    """404 with code 40410000."""
    return RejectionError(404, {"code": NOT_FOUND, "message": message})


def no_position() -> RejectionError:
    """404 for a symbol that isn't held."""
    return not_found("position does not exist")


def not_allowed(message: str, **fields: object) -> RejectionError:
    """403 with code 40310000: not allowed for this account at this time."""
    return RejectionError(403, {"code": FORBIDDEN, "message": message, **fields})


def refused(status: int, message: str) -> RejectionError:
    """A refusal with this status, and the code that belongs to it."""
    code = {403: {"code": FORBIDDEN}, 422: {"code": UNPROCESSABLE}}.get(status, {})
    return RejectionError(status, {**code, "message": message})


def duplicate_id(status: int = 422) -> RejectionError:
    """The client order id was used before in this account; some users report 409 instead of 422."""
    return RejectionError(status, {"code": DUPLICATE, "message": "client_order_id must be unique"})


def insufficient_qty(
    symbol: str, requested: Decimal, existing: Decimal, held: Decimal, related: Iterable[str]
) -> RejectionError:
    """403: other open orders reserve the quantity. Numbers are strings in this body."""
    available = text(existing - held)
    return not_allowed(
        f"insufficient qty available for order (requested: {text(requested)}, available: {available})",
        available=available,
        existing_qty=text(existing),
        held_for_orders=text(held),
        related_orders=list(related),
        symbol=symbol,
    )


def wash_trade(
    existing_id: str, buy_limit: Decimal | None, sell_limit: Decimal | None, *, resting_side: str
) -> RejectionError:
    """403: an opposite order of the same account, on `resting_side`, could trade with this one."""
    if buy_limit is None or sell_limit is None:
        reason, prices = "opposite side market/stop order exists", {}
    else:
        reason = (
            "sell order exists, buy limit price should be less than existing sell limit price"
            if resting_side == "sell"
            else "buy order exists, sell limit price should be greater than existing buy limit price"
        )
        prices = {"buy_limit_price": text(buy_limit), "sell_limit_price": text(sell_limit)}
    return not_allowed(
        "potential wash trade detected. use complex orders",
        existing_order_id=existing_id,
        reject_reason=reason,
        **prices,
    )


def uncovered() -> RejectionError:
    """403: the order would leave a short option uncovered."""
    return not_allowed("account not eligible to trade uncovered option contracts")


def intent_mismatch(inferred: str, specified: str) -> RejectionError:
    """422: the broker infers another intent than the one sent; usually because the position is closed."""
    return unprocessable(f"position intent mismatch, inferred: {inferred}, specified: {specified}")


def insufficient_buying_power(power: Decimal, cost: Decimal, *, option: bool) -> RejectionError:
    """403: not enough buying power. For options the body names the options buying power."""
    if option:
        return not_allowed("insufficient options buying power", options_buying_power=text(power), cost_basis=text(cost))
    return not_allowed("insufficient buying power", buying_power=text(power), cost_basis=text(cost))


def unavailable() -> RejectionError:
    """503: the endpoint is down."""
    return RejectionError(503, {"code": 50310000, "message": "service unavailable"})


def rate_limited() -> RejectionError:
    """429 with a code."""
    return RejectionError(429, {"code": TOO_MANY, "message": "rate limit exceeded"})
