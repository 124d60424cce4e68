"""The prices at which rules would close positions."""

from collections.abc import Mapping
from decimal import Decimal

from sellctl.core.model.plan import STOPS, Plan, PositionDecision

FARTHEST = Decimal("Infinity")


def distances(plan: Plan) -> Mapping[str, Decimal]:
    """How far each position's price is from its nearest trigger, as a share of the price; FARTHEST without one."""
    return {decision.holding.symbol: _nearest(decision) for decision in plan.decisions}


def stops(plan: Plan) -> Mapping[str, Decimal]:
    """The price of the first stop that would fire, by symbol; positions without a stop are left out."""
    found = {}
    for decision in plan.decisions:
        prices = [trigger.price for trigger in decision.triggers if trigger.reason in STOPS]
        if prices:
            found[decision.holding.symbol] = max(prices) if decision.holding.position.is_long else min(prices)
    return found


def _nearest(decision: PositionDecision) -> Decimal:
    return min((abs(t.distance) for t in decision.triggers if t.distance is not None), default=FARTHEST)
