"""The strategy of a position and the state of each of its rules. Pure."""

from msgspec import Struct

from sellctl.core.config.schema import MatchConfig
from sellctl.core.decision.context import DecisionContext
from sellctl.core.model.plan import Trigger
from sellctl.core.model.position import Holding
from sellctl.core.sell_strategies.base_strategy import BaseStrategy
from sellctl.core.sell_strategies.matching import match_text
from sellctl.core.sell_strategies.overridden import NO_STRATEGY, Overridden
from sellctl.core.sell_strategies.strategy_one import StrategyOne
from sellctl.core.text import as_dollars


class RuleState(Struct, frozen=True):
    """One rule: its label, the price at which it fires (None: it has none now), and whether it is true.

    `is_set_by_hand` tells a rule that a person has set for this position from one of the configuration.
    """

    label: str
    trigger: Trigger | None
    is_true: bool
    is_set_by_hand: bool = False

    @property
    def sentence(self) -> str:
        """The rule as one line of text."""
        at = "" if self.trigger is None else f" at {as_dollars(self.trigger.price)}"
        by_hand = ", set by hand" if self.is_set_by_hand else ""
        return f"{self.label}{at}{by_hand}{' (met)' if self.is_true else ''}"


class StrategyState(Struct, frozen=True):
    """The strategy of a position: its name, which it manages, the symbol or structure evaluated, and its rules."""

    name: str
    manages: str
    evaluates: str
    rules: tuple[RuleState, ...]


def strategy_state(holding: Holding, context: DecisionContext) -> StrategyState | None:
    """The strategy that manages a position and the state of its rules; None when none does."""
    strategy, subject = context.strategy_and_subject(holding)
    if strategy is None:
        return None
    market = context.snapshot.market
    set_rules = strategy.set_rules if isinstance(strategy, Overridden) else ()
    rules = tuple(
        RuleState(
            label=rule.label(subject, market),
            trigger=rule.trigger(subject, market),
            is_true=rule.evaluate(subject, market) is not None,
            is_set_by_hand=rule in set_rules,
        )
        for rule in strategy.rules()
    )
    return StrategyState(strategy.name, managed_text(strategy), subject.symbol, rules)


def managed_text(strategy: BaseStrategy) -> str:
    """The positions that a strategy manages, as one line of text."""
    if isinstance(strategy, Overridden):
        return managed_text(strategy.inner) if strategy.inner is not NO_STRATEGY else "this position only"
    if isinstance(strategy, StrategyOne):
        return f"long {', '.join(strategy.applies_to)} that no other strategy takes"
    match = getattr(strategy, "match", None)
    return match_text(match) if isinstance(match, MatchConfig) else "the positions that its code selects"
