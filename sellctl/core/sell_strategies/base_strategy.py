"""The base class of strategies: rules for one position. A strategy receives values and returns signals."""

from dataclasses import MISSING, dataclass, fields, is_dataclass
from decimal import Decimal
from functools import cached_property
from typing import Protocol

from msgspec.structs import replace

from sellctl.core.config.schema import ValueFormat
from sellctl.core.config.units import value_text
from sellctl.core.model.market import Market
from sellctl.core.model.plan import PRECEDENCE, ExitSignal, Reason, Trigger, Urgency
from sellctl.core.model.position import Holding


class StrategyError(Exception):
    """A user-defined strategy raised an error or returned what isn't allowed. Its text is for the user."""


class StrategyDisabledError(StrategyError):
    """A user-defined strategy is disabled for the rest of the day. The text has its name and the cause."""


class Rule(Protocol):
    """One exit rule. Quotes of underlyings are requested, and peaks stored, only if a rule needs them."""

    @property
    def needs_underlying(self) -> bool:
        """Whether it uses the underlying's price."""

    @property
    def needs_peak(self) -> bool:
        """Whether it uses the best price since entry."""

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit when the rule is true; None when it is false, or when a value that it needs is unknown."""

    def trigger(self, holding: Holding, market: Market) -> Trigger | None:
        """The price at which it becomes true; None when it has none now."""

    def label(self, holding: Holding, market: Market) -> str:
        """A short text of the rule, with its numbers."""


_GAINS = frozenset({"activation", "floor", "gain", "keep"})  # fields of rules that are fractions of the entry price


def rule_text(rule: object) -> str:
    """A rule's settings: its reason and every field that isn't its default."""
    if not is_dataclass(rule):
        return type(rule).__name__
    reason = getattr(rule, "reason", type(rule).__name__)
    values = [(f.name, getattr(rule, f.name), f.default) for f in fields(rule)]
    settings = [f"{name} {_setting(name, v)}" for name, v, default in values if default is MISSING or v != default]
    return f"{reason} ({', '.join(settings)})" if settings else str(reason)


def _setting(name: str, value: object) -> str:
    """A setting as it is written in YAML: a gain as a percentage, like the trail and the target beside it."""
    return value_text(value, value_format=ValueFormat.PERCENT if name in _GAINS else None)


@dataclass(frozen=True)
class BaseStrategy:
    """Override `accepts` to choose positions, and `rules` or `evaluate` for when to close them."""

    name: str = "base"

    @property
    def evaluates_structures(self) -> bool:
        """Whether it evaluates a structure of several legs as one position."""
        return False

    @cached_property
    def needs_underlying(self) -> bool:
        """Whether a rule uses the underlying's price."""
        return any(rule.needs_underlying for rule in self.rules())

    @cached_property
    def needs_peak(self) -> bool:
        """Whether a rule uses the best price since entry."""
        return any(rule.needs_peak for rule in self.rules())

    def accepts(self, _holding: Holding, _market: Market) -> bool:
        """Whether this strategy manages the position, unless a strategy before it in the configuration does."""
        return True

    def rules(self) -> tuple[Rule, ...]:
        """The rules, in any order: the exit is named after the reason with the highest precedence."""
        return ()

    def rule_texts(self) -> tuple[str, ...]:
        """The settings of each rule."""
        return tuple(rule_text(rule) for rule in self.rules())

    def evaluate(self, _holding: Holding, _market: Market) -> ExitSignal | None:
        """An exit for a condition outside `rules`, made with `close`; None when none is due."""
        return None

    def close(
        self, holding: Holding, why: str, *, qty: Decimal | None = None, urgency: Urgency = Urgency.TIME
    ) -> ExitSignal:
        """An exit signal of a user-defined strategy, for all of the position or for `qty` of it."""
        wanted = holding.position.qty if qty is None else qty
        return ExitSignal(holding, wanted, Reason.OWN_RULE, f"{self.name}: {why}", urgency)

    def signals(self, holding: Holding, market: Market) -> tuple[ExitSignal, ...]:
        """Every exit that is due now, one per rule."""
        found = [signal for rule in self.rules() if (signal := rule.evaluate(holding, market)) is not None]
        own = self.evaluate(holding, market)
        return tuple(found) if own is None else (*found, own)

    def triggers(self, holding: Holding, market: Market) -> tuple[Trigger, ...]:
        """The prices at which its rules would become true."""
        found = (rule.trigger(holding, market) for rule in self.rules())
        return tuple(trigger for trigger in found if trigger)


def merged(signals: tuple[ExitSignal, ...]) -> ExitSignal | None:
    """All true reasons as one signal: the reason of the first in precedence, the urgency of the most urgent.

    The quantity is the largest of all. There is a worst price only when every signal has one: a stop has none.
    """
    if len(signals) <= 1:
        return signals[0] if signals else None
    first, *others = sorted(signals, key=lambda signal: PRECEDENCE[signal.reason])
    return replace(
        first,
        qty=max(signal.qty for signal in signals),
        urgency=min(signal.urgency for signal in signals),
        other_reasons=(*first.other_reasons, *(each for other in others for each in other.reasons)),
        worst_price=_common_worst_price(signals),
    )


def _common_worst_price(signals: tuple[ExitSignal, ...]) -> Decimal | None:
    """The least demanding price of the signals with the largest quantity; None when any signal has none."""
    prices = [signal.worst_price for signal in signals if signal.worst_price is not None]
    if len(prices) < len(signals):
        return None
    largest = max(signal.qty for signal in signals)
    candidates = [signal.worst_price for signal in signals if signal.qty == largest and signal.worst_price is not None]
    return min(candidates) if signals[0].holding.position.is_long else max(candidates)
