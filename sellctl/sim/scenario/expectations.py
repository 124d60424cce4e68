"""Whether a scenario's expectations are met, by the orders and positions of the simulated broker at its end."""

from collections.abc import Sequence

from sellctl.core.structures.names import legs_of
from sellctl.sim.scenario.reader import Expectation, Scenario
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange

_OPEN = "open"


def outcome_of(expected: Expectation, scenario: Scenario, exchange: Exchange) -> str:
    """The actual outcome, in the values of `ends`.

    An order is open or has its final status. A position is flat, untouched (no order was submitted for it since the
    start) or held; a structure likewise, by all of its legs. An account alone is refused when its key is refused, else
    answered.
    """
    account = exchange.accounts[expected.account]
    if expected.order:
        order = account.by_client_id[expected.order]
        return _OPEN if order.is_open else order.status
    if expected.symbol:
        return _of_positions(account, legs_of(expected.symbol) or (expected.symbol,), scenario)
    return "refused" if account.refused else "answered"


def is_met(expected: Expectation, outcome: str) -> bool:
    """Whether an outcome is the expected one. An untouched position also counts as held."""
    return outcome == expected.ends or (expected.ends == "held" and outcome == "untouched")


def _of_positions(account: SimAccount, symbols: Sequence[str], scenario: Scenario) -> str:
    if not any(account.qty_of(symbol) for symbol in symbols):
        return "flat"
    touched = any(o.symbol in symbols and o.created_at > scenario.start for o in account.orders.values())
    return "held" if touched else "untouched"
