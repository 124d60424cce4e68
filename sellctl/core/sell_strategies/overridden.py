"""A strategy with the rules that a person has set for one position in place of its own of the same kind."""

from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from sellctl.core.config.schema import PriceBasisConfig
from sellctl.core.config.units import read_amount, read_pullback
from sellctl.core.model.gain import Amount
from sellctl.core.model.market import Market
from sellctl.core.model.plan import ExitSignal, Reason, Trigger
from sellctl.core.model.position import AT_ENTRY, Holding, Override
from sellctl.core.rules.stop_loss import StopLoss
from sellctl.core.rules.take_profit import TakeProfit
from sellctl.core.rules.trailing_stop import TrailingStop
from sellctl.core.sell_strategies.base_strategy import BaseStrategy, Rule

_ARMED_AT_ONCE = Decimal("-Infinity")  # the gain at the best price from which it follows
NO_STRATEGY = BaseStrategy(name="set by hand")


@dataclass(frozen=True)
class Overridden(BaseStrategy):
    """`inner` is the strategy that would manage the position; it keeps its other rules, which are all that it has."""

    inner: BaseStrategy = NO_STRATEGY
    set_rules: tuple[Rule, ...] = ()
    replaced: frozenset[Reason] = field(default_factory=frozenset)

    @property
    def evaluates_structures(self) -> bool:
        """Whether the inner strategy evaluates a structure as one position."""
        return self.inner.evaluates_structures

    def accepts(self, holding: Holding, market: Market) -> bool:
        """Whether the inner strategy manages the position."""
        return self.inner.accepts(holding, market)

    @cached_property
    def _rules(self) -> tuple[Rule, ...]:
        kept = (rule for rule in self.inner.rules() if getattr(rule, "reason", None) not in self.replaced)
        return (*self.set_rules, *kept)

    def rules(self) -> tuple[Rule, ...]:
        """The rules that were set, and those of the inner strategy that they don't replace."""
        return self._rules


@dataclass(frozen=True)
class OverriddenSignals(Overridden):
    """`inner` decides by more than its rules, so its signals are taken, except those of a kind that was set."""

    def signals(self, holding: Holding, market: Market) -> tuple[ExitSignal, ...]:
        """Every exit that is due now. An error of the inner strategy doesn't keep back one that was set by hand."""
        found = (rule.evaluate(holding, market) for rule in self.set_rules)
        due = tuple(signal for signal in found if signal is not None)
        try:
            others = self.inner.signals(holding, market)
        except Exception:  # a strategy of the user's own may raise anything
            if due:
                return due
            raise
        return (*due, *(each for each in others if each.reason not in self.replaced))

    def triggers(self, holding: Holding, market: Market) -> tuple[Trigger, ...]:
        """The prices at which the rules would become true."""
        found = (rule.trigger(holding, market) for rule in self.set_rules)
        others = (each for each in self.inner.triggers(holding, market) if each.reason not in self.replaced)
        return (*(each for each in found if each), *others)


def _has_rules_only(strategy: BaseStrategy) -> bool:
    """Whether rules are all that a strategy has, so that those that are replaced need no evaluation."""
    kind = type(strategy)
    return all(getattr(kind, name) is getattr(BaseStrategy, name) for name in ("signals", "triggers", "evaluate"))


# By the identity of strategy and basis, which an entry keeps alive, and the texts. Each decision asks several times per
# position: with 1,000 overrides it took 1.5 x as long when they were built anew each time, and takes 1.03 x with these.
_KNOWN: dict[tuple[int, int, str, str, str], tuple[Overridden, PriceBasisConfig]] = {}
_MOST_KNOWN = 4096


def overridden(inner: BaseStrategy | None, override: Override, basis: PriceBasisConfig) -> Overridden:
    """The strategy of a position for which an override is in force; `inner` is None where no strategy matches."""
    strategy = inner or NO_STRATEGY
    key = (id(strategy), id(basis), override.stop, override.target, override.trail)
    known = _KNOWN.get(key)
    if known is None:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        known = _KNOWN[key] = (_built(strategy, override.stop, override.target, override.trail, basis), basis)
    return known[0]


def _built(inner: BaseStrategy, stop: str, target: str, trail: str, basis: PriceBasisConfig) -> Overridden:
    rules: list[StopLoss | TakeProfit | TrailingStop] = []
    if stop:
        rules.append(StopLoss(amount_of_stop(stop), basis.loss))
    if target:
        rules.append(TakeProfit(read_amount(target), basis.profit))
    if trail:
        rules.append(TrailingStop(read_pullback(trail), _ARMED_AT_ONCE, basis=basis.loss))
    replaced = frozenset(rule.reason for rule in rules)
    kind = Overridden if _has_rules_only(inner) else OverriddenSignals
    return kind(name=inner.name, inner=inner, set_rules=tuple(rules), replaced=replaced)


def amount_of_stop(text: str) -> Amount:
    """How far the stop is from entry. UnitError for a text that isn't an amount."""
    return Amount(Decimal(0)) if text == AT_ENTRY else read_amount(text)
