"""The prices at which rules would close positions."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.engine import triggers_of
from sellctl.core.decision.policy import Policy
from sellctl.core.model.plan import STOPS, Trigger
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import Snapshot

FARTHEST = Decimal("Infinity")


def distances(snapshot: Snapshot, policy: Policy) -> Mapping[str, Decimal]:
    """How far each position's price is from its nearest trigger, as a share of the price; FARTHEST without one."""
    return {holding.symbol: _nearest(triggers) for holding, triggers in _triggers(snapshot, policy)}


def stops(snapshot: Snapshot, policy: Policy) -> Mapping[str, Decimal]:
    """The price of the first stop that would fire, by symbol; positions without a stop are left out."""
    found = {}
    for holding, triggers in _triggers(snapshot, policy):
        prices = [trigger.price for trigger in triggers if trigger.reason in STOPS]
        if prices:
            found[holding.symbol] = max(prices) if holding.position.is_long else min(prices)
    return found


def _triggers(snapshot: Snapshot, policy: Policy) -> Iterator[tuple[Holding, tuple[Trigger, ...]]]:
    context = DecisionContext.of(snapshot, policy)
    return ((holding, triggers_of(holding, context)) for holding in context.holdings)


def _nearest(triggers: Iterable[Trigger]) -> Decimal:
    return min((abs(t.distance) for t in triggers if t.distance is not None), default=FARTHEST)
