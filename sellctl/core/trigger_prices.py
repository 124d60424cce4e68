"""The prices at which rules would close what is held."""

from collections.abc import Mapping
from decimal import Decimal

from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import Policy
from sellctl.core.model.plan import STOPS, Trigger
from sellctl.core.model.snapshot import Snapshot

FARTHEST = Decimal("Infinity")


def triggers_of(snapshot: Snapshot, policy: Policy) -> Mapping[str, tuple[Trigger, ...]]:
    """The triggers of each holding, by symbol."""
    return {decision.holding.symbol: decision.triggers for decision in decide(snapshot, policy).decisions}


def distances(snapshot: Snapshot, policy: Policy) -> Mapping[str, Decimal]:
    """How far each holding's price is from its nearest trigger, as a share of the price; FARTHEST without one."""
    return {symbol: _nearest(triggers) for symbol, triggers in triggers_of(snapshot, policy).items()}


def stops(snapshot: Snapshot, policy: Policy) -> Mapping[str, Decimal]:
    """The price of the first stop that would fire, by symbol; holdings without a stop are left out."""
    triggers = triggers_of(snapshot, policy)
    found = {}
    for holding in snapshot.holdings:
        prices = [trigger.price for trigger in triggers.get(holding.symbol, ()) if trigger.reason in STOPS]
        if prices:
            found[holding.symbol] = max(prices) if holding.position.is_long else min(prices)
    return found


def _nearest(triggers: tuple[Trigger, ...]) -> Decimal:
    return min((abs(t.distance) for t in triggers if t.distance is not None), default=FARTHEST)
