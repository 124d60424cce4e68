"""Whether a scenario's promises were kept: what the simulated broker's books say when it is over."""

from sellctl.sim.scenario.reader import Promise, Scenario
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange

_OPEN = "open"


def outcome_of(promise: Promise, scenario: Scenario, exchange: Exchange) -> str:
    """What became of the thing promised, in the words of `ends`.

    An order is open or has its last status. A position is flat, untouched (no order of anybody's has been sent for it
    since the start) or held. An account alone is refused when its key is.
    """
    account = exchange.accounts[promise.account]
    if promise.order:
        order = account.by_client_id[promise.order]
        return _OPEN if order.is_open else order.status
    if promise.symbol:
        return _of_position(account, promise.symbol, scenario)
    return "refused" if account.refused else "answered"


def is_kept(promise: Promise, happened: str) -> bool:
    """Whether what happened is what was promised; what is untouched is held as well."""
    return happened == promise.ends or (promise.ends == "held" and happened == "untouched")


def _of_position(account: SimAccount, symbol: str, scenario: Scenario) -> str:
    if not account.qty_of(symbol):
        return "flat"
    touched = any(o.symbol == symbol and o.created_at > scenario.start for o in account.orders.values())
    return "held" if touched else "untouched"
