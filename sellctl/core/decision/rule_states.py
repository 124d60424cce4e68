"""Which strategy looks after a holding and how each of its rules stands, for `sellctl positions SYMBOL`. Pure."""

from dataclasses import dataclass

from sellctl.core.config.schema import MatchConfig
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.policy import Policy
from sellctl.core.model.plan import Trigger
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.rules.gain import as_dollars
from sellctl.core.sell_strategies.base_strategy import BaseStrategy
from sellctl.core.sell_strategies.matching import match_text
from sellctl.core.sell_strategies.strategy_one import StrategyOne


@dataclass(frozen=True, slots=True)
class RuleState:
    """One rule: in words, the price at which it fires (None: it has none now), and whether it is true."""

    label: str
    trigger: Trigger | None
    is_true: bool

    @property
    def sentence(self) -> str:
        """The rule on one line."""
        at = "" if self.trigger is None else f"; out at {as_dollars(self.trigger.price)}"
        return f"{self.label}{at}{' (met)' if self.is_true else ''}"


@dataclass(frozen=True, slots=True)
class StrategyState:
    """The strategy of one holding: its name, why it takes it, what it judges, and its rules."""

    name: str
    because: str
    judges: str
    rules: tuple[RuleState, ...]


def state_of(snapshot: Snapshot, policy: Policy, symbol: str) -> StrategyState | None:
    """How the rules of one holding stand; None when it isn't held or no strategy takes it."""
    context = DecisionContext.of(snapshot, policy)
    holding = next((each for each in context.holdings if each.symbol == symbol), None)
    strategy, subject = (None, holding) if holding is None else context.strategy_of(holding)
    if strategy is None or subject is None:
        return None
    rules = tuple(
        RuleState(
            rule.label(subject, snapshot.market),
            rule.trigger(subject, snapshot.market),
            is_true=rule.evaluate(subject, snapshot.market) is not None,
        )
        for rule in strategy.rules()
    )
    return StrategyState(strategy.name, takes_text(strategy), subject.symbol, rules)


def takes_text(strategy: BaseStrategy) -> str:
    """What a strategy takes, as one line."""
    if isinstance(strategy, StrategyOne):
        return f"what is left: long {', '.join(strategy.applies_to)}"
    match = getattr(strategy, "match", None)
    return match_text(match) if isinstance(match, MatchConfig) else "what it says itself"
