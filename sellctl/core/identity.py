"""Client order ids: a function of facts that the broker shows, so that two hosts that decide the same send the same."""

import datetime as dt
import hashlib
from collections.abc import Iterable

from sellctl.core.model.order import OUR_PREFIX, Order

_DIGITS = 32


def attempt_number(todays_orders: Iterable[Order]) -> int:
    """1 + our orders of a symbol and day that are terminal at the broker."""
    return 1 + sum(1 for order in todays_orders if order.is_ours and order.is_terminal)


def client_order_id(account_number: str, symbol: str, day: dt.date, attempt: int) -> str:
    """The id of one attempt (invariant I1). `day` is the exchange's date."""
    facts = "|".join((account_number, symbol, day.isoformat(), str(attempt)))
    return OUR_PREFIX + hashlib.sha256(facts.encode()).hexdigest()[:_DIGITS]
