"""What a strategy is: a set of rules on one holding. It sees values and returns a signal; it can't send orders."""

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import ClassVar, Protocol

from sellctl.core.model.market import Market
from sellctl.core.model.plan import PRECEDENCE, ExitSignal, Reason, Trigger, Urgency
from sellctl.core.model.position import Holding


class Rule(Protocol):
    """One question on one holding. A rule with `needs_underlying` or `needs_peak` is given those."""

    @property
    def needs_underlying(self) -> bool:
        """Whether it asks for the underlying's price."""

    @property
    def needs_peak(self) -> bool:
        """Whether it follows the best price."""

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit, when the rule is true; None when it is false or can't be known."""

    def trigger(self, holding: Holding, market: Market) -> Trigger | None:
        """The price at which it becomes true; None when it has none now."""

    def label(self, holding: Holding, market: Market) -> str:
        """The rule in a few words, with its numbers."""


@dataclass(frozen=True)
class BaseStrategy:
    """Base of every strategy: override `takes` to choose holdings and `rules` or `evaluate` for when they leave."""

    may_raise: ClassVar[bool] = True  # code of the user's own: the engine finds its faults while it decides
    name: str = "base"

    @property
    def judges_pairs(self) -> bool:
        """Whether it judges two option legs as one, where they are a pair."""
        return False

    @cached_property
    def needs_underlying(self) -> bool:
        """Whether a rule asks for the underlying's price."""
        return any(rule.needs_underlying for rule in self.rules())

    @cached_property
    def needs_peak(self) -> bool:
        """Whether a rule follows the best price."""
        return any(rule.needs_peak for rule in self.rules())

    def takes(self, _holding: Holding, _market: Market) -> bool:
        """Whether this strategy decides on the holding."""
        return True

    def rules(self) -> tuple[Rule, ...]:
        """The rules, in no particular order: the table of reasons decides which one names the exit."""
        return ()

    def evaluate(self, _holding: Holding, _market: Market) -> ExitSignal | None:
        """What no rule of the list says: an exit made by `leave`, or None."""
        return None

    def leave(
        self, holding: Holding, why: str, *, qty: Decimal | None = None, urgency: Urgency = Urgency.TIME
    ) -> ExitSignal:
        """An exit of a strategy of one's own; all of the holding unless `qty` says less."""
        wanted = holding.position.qty if qty is None else qty
        return ExitSignal(holding, wanted, Reason.OWN_RULE, f"{self.name}: {why}", urgency)

    def signals(self, holding: Holding, market: Market) -> tuple[ExitSignal, ...]:
        """Every exit that is true now, each by itself."""
        found = [signal for rule in self.rules() if (signal := rule.evaluate(holding, market)) is not None]
        own = self.evaluate(holding, market)
        return tuple(found) if own is None else (*found, own)

    def triggers(self, holding: Holding, market: Market) -> tuple[Trigger, ...]:
        """Where its price rules would become true."""
        found = (rule.trigger(holding, market) for rule in self.rules())
        return tuple(trigger for trigger in found if trigger)


def merged(signals: tuple[ExitSignal, ...]) -> ExitSignal | None:
    """All true reasons as one signal: named by the first of the table, as urgent as the most urgent, with every detail.

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
    """The easiest floor of the reasons that ask for the most; None as soon as one reason has none."""
    floors = [signal.floor for signal in signals if signal.floor is not None]
    if len(floors) < len(signals):
        return None
    most = max(signal.qty for signal in signals)
    asked = [signal.floor for signal in signals if signal.qty == most and signal.floor is not None]
    return min(asked) if signals[0].holding.position.is_long else max(asked)
