"""Structures for the tests of their one order: legs with quotes, the decisions on them, and what is sent."""

import datetime as dt
from decimal import Decimal

from builders import a_holding, a_policy, a_snapshot, replace
from structure_builders import call, put

from sellctl.core.config.schema import (
    ExecutionConfig,
    MatchConfig,
    RulesConfig,
    SellModuleConfig,
    StrategyConfig,
    StrategyOneConfig,
)
from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import Policy
from sellctl.core.model.gain import Amount
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.plan import PositionDecision, SubmitOrder
from sellctl.core.model.position import ExitProgress, Holding, PositionState
from sellctl.core.model.snapshot import AccountFacts, Snapshot
from sellctl.core.structures.recognition import KINDS

LONG, SHORT = call(200), call(210)
VERTICAL = "AAPL-vertical-261218-200-210C"


def percent(value: int) -> Amount:
    return Amount(Decimal(value) / 100)


def ruled(*kinds: StructureKind, sell: dict[str, object] | None = None, **rules: object) -> Policy:
    """The policy with these rules for structures of these kinds, or of all, and for nothing else."""
    entry = StrategyConfig("mine", match=MatchConfig(structure=kinds or KINDS), rules=RulesConfig(**rules))  # type: ignore[arg-type]
    config = SellModuleConfig(strategy_one=StrategyOneConfig(enabled=False), strategies=(entry,), **(sell or {}))  # type: ignore[arg-type]
    return a_policy(config, ExecutionConfig())


AT_NOON = ruled(exit_at=dt.time(11))  # a time exit that is due in every test


def a_leg(symbol: str, qty: int, entry: str, bid: str | None, ask: str | None, **more: object) -> Holding:
    return a_holding(symbol, str(abs(qty)), entry, bid=bid, ask=ask, short=qty < 0, **more)  # type: ignore[arg-type]


def a_debit(units: int = 2, bid: str = "6.00", ask: str = "6.10") -> tuple[Holding, Holding]:
    """A vertical that was paid for: 2.00 per unit, and by default worth from 3.90 to 4.02."""
    return a_leg(LONG, units, "5.00", bid, ask), a_leg(SHORT, -units, "3.00", "2.08", "2.10")


def a_credit(units: int = 2, ask: str = "6.10") -> tuple[Holding, Holding]:
    """A vertical that was sold for 2.00 per unit, and by default costs from 3.90 to 4.02."""
    return a_leg(LONG, -units, "5.00", "6.00", ask), a_leg(SHORT, units, "3.00", "2.08", "2.10")


CONDOR = (
    a_leg(put(170), 1, "1.00", "0.50", "0.52"),
    a_leg(put(180), -1, "2.00", "1.00", "1.02"),
    a_leg(call(210), -1, "2.00", "1.00", "1.02"),
    a_leg(call(220), 1, "1.00", "0.50", "0.52"),
)


def a_scene(*legs: Holding, level: int | None = 3, **more: object) -> Snapshot:
    """The legs in an account that may send multi-leg orders."""
    changes = {name: more.pop(name) for name in [*more] if name not in {"orders", "history", "market"}}
    snapshot = a_snapshot(*legs, account=AccountFacts("main", "PA1", options_level=level), **more)  # type: ignore[arg-type]
    return replace(snapshot, **changes)


def decided(snapshot: Snapshot, policy: Policy) -> dict[str, PositionDecision]:
    return {each.holding.symbol: each for each in decide(snapshot, policy).decisions}


def sent(snapshot: Snapshot, policy: Policy) -> list[SubmitOrder]:
    return [each.submit for each in decide(snapshot, policy).decisions if each.submit]


def the_order(snapshot: Snapshot, policy: Policy = AT_NOON) -> SubmitOrder:
    """The only order that is sent."""
    (order,) = sent(snapshot, policy)
    return order


def under_way(
    *legs: Holding, step: int = 1, seconds: float = 3, urgency: int = 2, order_id: str = "sellctl-abc"
) -> tuple[Holding, ...]:
    """The legs while the exit is under way, whose last order was sent that many seconds ago."""
    progress = ExitProgress("exit_at", urgency, step, dt.timedelta(seconds=seconds), order_id)
    return tuple(replace(leg, state=replace(leg.state, exit=progress)) for leg in legs)


def busy(leg: Holding, **state: object) -> Holding:
    return replace(leg, state=replace(leg.state or PositionState(), **state))
