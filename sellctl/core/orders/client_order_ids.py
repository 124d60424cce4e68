"""Client order ids, derived only from facts that the broker shows.

Two hosts that make the same decision therefore send the same id.
"""

import datetime as dt
import hashlib
from collections.abc import Collection, Iterable

from sellctl.core.model.order import BACKSTOP_PREFIX, OUR_PREFIX, Order

_DIGITS = 32


def attempt_number(todays_orders: Iterable[Order], symbols: Collection[str]) -> int:
    """The number of the next attempt to trade exactly these symbols: 1 + our exit orders for them that have ended."""
    wanted = frozenset(symbols)
    return 1 + sum(1 for order in todays_orders if _is_ended_exit(order) and wanted == frozenset(order.symbols))


def _is_ended_exit(order: Order) -> bool:
    return order.is_ours and order.is_terminal and not order.is_backstop


def client_order_id(account_number: str, symbol: str, day: dt.date, attempt: int) -> str:
    """The id of one attempt for a symbol, or for a structure by its name (I1). `day` is the exchange's date."""
    return OUR_PREFIX + _digest(account_number, symbol, day, attempt)


def backstop_id(account_number: str, symbol: str, day: dt.date, attempt: int) -> str:
    """The id of the day's backstop number `attempt`, which is 1 + the backstops that have ended (invariant I1)."""
    return BACKSTOP_PREFIX + _digest(account_number, symbol, day, attempt)


def _digest(account_number: str, symbol: str, day: dt.date, attempt: int) -> str:
    facts = "|".join((account_number, symbol, day.isoformat(), str(attempt)))
    return hashlib.sha256(facts.encode()).hexdigest()[:_DIGITS]
