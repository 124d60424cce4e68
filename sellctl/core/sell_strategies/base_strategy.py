"""What a strategy is: a set of rules on one holding. It sees values and returns a signal; it can't send orders."""

from dataclasses import dataclass, replace
from typing import Protocol

from sellctl.core.model.market import Market
from sellctl.core.model.plan import PRECEDENCE, ExitSignal, Trigger
from sellctl.core.model.position import Holding


class Rule(Protocol):
    """One question on one holding."""

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit, when the rule is true; None when it is false or can't be known."""


class PriceRule(Rule, Protocol):
    """A rule with a price at which it becomes true."""

    def trigger(self, holding: Holding) -> Trigger | None:
        """That price; None when it can't be known."""


@dataclass(frozen=True)
class BaseStrategy:
    """Base of every strategy: override `takes` to choose holdings and `rules` (or `evaluate`) for when they leave."""

    name: str = "base"

    def takes(self, _holding: Holding) -> bool:
        """Whether this strategy decides on the holding."""
        return True

    def rules(self) -> tuple[PriceRule, ...]:
        """The rules, in no particular order: the table of reasons decides which one names the exit."""
        return ()

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """All true rules as one signal; None when none is true."""
        signals = (rule.evaluate(holding, market) for rule in self.rules())
        return merged(tuple(signal for signal in signals if signal))

    def triggers(self, holding: Holding) -> tuple[Trigger, ...]:
        """Where its price rules would become true."""
        found = (rule.trigger(holding) for rule in self.rules())
        return tuple(trigger for trigger in found if trigger)


def merged(signals: tuple[ExitSignal, ...]) -> ExitSignal | None:
    """All true reasons as one signal: named by the first of the table, as urgent as the most urgent, with every detail.

    The quantity is the largest asked for. The floor stays only when every reason is a target: a stop has none.
    """
    if not signals:
        return None
    first, *others = sorted(signals, key=lambda signal: PRECEDENCE[signal.reason])
    return replace(
        first,
        qty=max(signal.qty for signal in signals),
        urgency=min(signal.urgency for signal in signals),
        also=(*first.also, *(sentence for other in others for sentence in (other.detail, *other.also))),
        floor=first.floor if all(signal.floor is not None for signal in signals) else None,
    )
