"""The base of every strategy: a set of rules on one position. It sees values and returns signals, it sends nothing."""

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Protocol

from sellctl.core.model.market import Market
from sellctl.core.model.plan import PRECEDENCE, ExitSignal, Reason, Trigger, Urgency
from sellctl.core.model.position import Holding


class Rule(Protocol):
    """One exit rule. Quotes of underlyings and peaks are kept only where a rule asks for them."""

    @property
    def needs_underlying(self) -> bool:
        """Whether it uses the underlying's price."""

    @property
    def needs_peak(self) -> bool:
        """Whether it uses the best price since entry."""

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit, when the rule is true; None when it is false or can't be known."""

    def trigger(self, holding: Holding, market: Market) -> Trigger | None:
        """The price at which it becomes true; None when it has none now."""

    def label(self, holding: Holding, market: Market) -> str:
        """The rule in a few words, with its numbers."""


@dataclass(frozen=True)
class BaseStrategy:
    """Override `takes` to choose positions, and `rules` or `evaluate` for when to close them."""

    name: str = "base"

    @property
    def evaluates_pairs(self) -> bool:
        """Whether it evaluates two option legs that are a pair as one position."""
        return False

    @cached_property
    def needs_underlying(self) -> bool:
        """Whether a rule uses the underlying's price."""
        return any(rule.needs_underlying for rule in self.rules())

    @cached_property
    def needs_peak(self) -> bool:
        """Whether a rule uses the best price since entry."""
        return any(rule.needs_peak for rule in self.rules())

    def takes(self, _holding: Holding, _market: Market) -> bool:
        """Whether this strategy decides on the position."""
        return True

    def rules(self) -> tuple[Rule, ...]:
        """The rules, in any order: the precedence of reasons decides which one names the exit."""
        return ()

    def evaluate(self, _holding: Holding, _market: Market) -> ExitSignal | None:
        """An exit that no rule covers, made by `close`; None when there is none."""
        return None

    def close(
        self, holding: Holding, why: str, *, qty: Decimal | None = None, urgency: Urgency = Urgency.TIME
    ) -> ExitSignal:
        """The exit signal of a strategy of one's own; all of the position unless `qty` says less."""
        wanted = holding.position.qty if qty is None else qty
        return ExitSignal(holding, wanted, Reason.OWN_RULE, f"{self.name}: {why}", urgency)

    def signals(self, holding: Holding, market: Market) -> tuple[ExitSignal, ...]:
        """Every exit that is due now, one per rule."""
        found = [signal for rule in self.rules() if (signal := rule.evaluate(holding, market)) is not None]
        own = self.evaluate(holding, market)
        return tuple(found) if own is None else (*found, own)

    def triggers(self, holding: Holding, market: Market) -> tuple[Trigger, ...]:
        """Where its price rules would become true."""
        found = (rule.trigger(holding, market) for rule in self.rules())
        return tuple(trigger for trigger in found if trigger)


def merged(signals: tuple[ExitSignal, ...]) -> ExitSignal | None:
    """All true reasons as one signal: named by the first in precedence, as urgent as the most urgent.

    The quantity is the largest asked for. The floor stays only when every reason is a target: a stop has none.
    """
    if len(signals) <= 1:
        return signals[0] if signals else None
    first, *others = sorted(signals, key=lambda signal: PRECEDENCE[signal.reason])
    return replace(
        first,
        qty=max(signal.qty for signal in signals),
        urgency=min(signal.urgency for signal in signals),
        also=(*first.also, *(sentence for other in others for sentence in (other.detail, *other.also))),
        floor=_common_floor(signals),
    )


def _common_floor(signals: tuple[ExitSignal, ...]) -> Decimal | None:
    """The least demanding floor of the reasons that ask for the most; None as soon as one reason has none."""
    floors = [signal.floor for signal in signals if signal.floor is not None]
    if len(floors) < len(signals):
        return None
    most = max(signal.qty for signal in signals)
    asked = [signal.floor for signal in signals if signal.qty == most and signal.floor is not None]
    return min(asked) if signals[0].holding.position.is_long else max(asked)
