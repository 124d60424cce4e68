"""Open orders of a position: which of them close it, how much they may still fill, which would be a wash trade."""

from collections.abc import Iterable
from decimal import Decimal

from sellctl.core.model.order import ZERO, Order, OrderType, PositionIntent, Side
from sellctl.core.model.position import Direction

_OPENING = frozenset({PositionIntent.BUY_TO_OPEN, PositionIntent.SELL_TO_OPEN})
_CLOSING_SIDE = {Direction.LONG: Side.SELL, Direction.SHORT: Side.BUY}
_PRICED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})


UNKNOWN_SYMBOLS = ("",)  # of a multi-leg order whose legs the broker doesn't show


def closes(order: Order, direction: Direction | None) -> bool:
    """Whether an order closes a position held in that direction."""
    if direction is None or order.position_intent in _OPENING:
        return False
    return order.side is _CLOSING_SIDE[direction]


def is_live(order: Order) -> bool:
    """Whether it, or a leg of it, may still fill."""
    return not order.is_terminal or any(not leg.is_terminal for leg in order.legs)


def claim(order: Order, symbol: str, direction: Direction) -> Decimal | None:
    """The quantity of a position that an open order may still close; None when unknown.

    That of a notional order is, and that of a multi-leg order whose legs the broker doesn't show. The legs of an OCO
    share one hold with their parent, and the exits of a bracket hold nothing until its entry fills.
    """
    if order.symbols == UNKNOWN_SYMBOLS:
        return None
    if order.symbol == symbol and not order.is_terminal:
        return _leaves(order) if closes(order, direction) else ZERO
    legs = [leg for leg in order.legs if leg.symbol == symbol and not leg.is_terminal and closes(leg, direction)]
    return _largest(_leaves(leg) for leg in legs)


def would_wash(order: Order, direction: Direction, limit: Decimal | None) -> bool:
    """Whether the broker would refuse our closing order at `limit` (None: market) because of this opposite order.

    Alpaca's wash-trade rule: an opposite pair with a market or a stop order in it, or limits that could meet; brackets,
    OCO and trailing stops are exempt.
    """
    if order.side is None or order.side is _CLOSING_SIDE[direction] or order.is_terminal or not order.is_simple:
        return False
    if order.type is OrderType.TRAILING_STOP:
        return False
    if limit is None or order.limit_price is None or order.type not in _PRICED:
        return True
    return order.limit_price >= limit if direction is Direction.LONG else order.limit_price <= limit


def _leaves(order: Order) -> Decimal | None:
    return None if order.qty is None else order.leaves_qty


def _largest(claims: Iterable[Decimal | None]) -> Decimal | None:
    largest = ZERO
    for each in claims:
        if each is None:
            return None
        largest = max(largest, each)
    return largest
