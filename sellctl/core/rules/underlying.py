"""Rules on the mid of the quote of the underlying: it reaches a level or a sold strike; an option is in the money."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.config.schema import UnderlyingConfig
from sellctl.core.model.instrument import OptionContract, Right
from sellctl.core.model.market import Market
from sellctl.core.model.plan import ExitSignal, Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import UnpricedRule
from sellctl.core.text import as_dollars, as_percent


@dataclass(frozen=True, slots=True)
class UnderlyingTouch(UnpricedRule):
    """Close when the underlying is at or above `above`, or at or below `below`, dollars per share."""

    reason: ClassVar[Reason] = Reason.UNDERLYING
    needs_underlying: ClassVar[bool] = True
    touch: UnderlyingConfig

    def evaluate(self, holding: Holding, _market: Market) -> ExitSignal | None:
        """The exit; None while no level is reached, or the price is unknown."""
        price = underlying_price(holding)
        if price is None:
            return None
        name = holding.position.instrument.underlying
        if self.touch.above is not None and price >= self.touch.above:
            return self.exit_signal(
                holding, f"{name} {as_dollars(price)} is at or above {as_dollars(self.touch.above)}"
            )
        if self.touch.below is not None and price <= self.touch.below:
            return self.exit_signal(
                holding, f"{name} {as_dollars(price)} is at or below {as_dollars(self.touch.below)}"
            )
        return None

    def label(self, holding: Holding, _market: Market) -> str:
        """For example, "close when SPY is at or above $610"."""
        levels = (("at or above", self.touch.above), ("at or below", self.touch.below))
        words = " or ".join(f"{side} {as_dollars(level)}" for side, level in levels if level is not None)
        return f"close when {holding.position.instrument.underlying} is {words}"


@dataclass(frozen=True, slots=True)
class InTheMoney(UnpricedRule):
    """Close when the option is `by` dollars per share in the money."""

    reason: ClassVar[Reason] = Reason.IN_THE_MONEY
    needs_underlying: ClassVar[bool] = True
    by: Decimal = Decimal(0)

    def evaluate(self, holding: Holding, _market: Market) -> ExitSignal | None:
        """The exit; None while it is less than `by` in the money, or when that is unknown."""
        inside = in_the_money(holding)
        if inside is None or inside < self.by:
            return None
        name, price = holding.position.instrument.underlying, underlying_price(holding) or Decimal(0)
        return self.exit_signal(holding, f"in the money by {as_dollars(inside)}: {name} {as_dollars(price)}")

    def label(self, _holding: Holding, _market: Market) -> str:
        """For example, "close when $0.50 in the money"."""
        return f"close when {as_dollars(self.by)} in the money"


@dataclass(frozen=True, slots=True)
class ShortStrike(UnpricedRule):
    """Close when the underlying is at most `within` of the strike away from a short one, or beyond it."""

    reason: ClassVar[Reason] = Reason.SHORT_STRIKE
    needs_underlying: ClassVar[bool] = True
    within: Decimal = Decimal(0)

    def evaluate(self, holding: Holding, _market: Market) -> ExitSignal | None:
        """The exit; None while no short strike is that near, or when the underlying's price is unknown."""
        price = underlying_price(holding)
        if price is None:
            return None
        reached = [option for option in _shorts(holding) if self._is_near(option, price)]
        if not reached:
            return None
        nearest = min(reached, key=lambda option: _distance(option, price))
        name = holding.position.instrument.underlying
        return self.exit_signal(holding, f"{name} {as_dollars(price)} {self._where(nearest, price)}")

    def label(self, holding: Holding, _market: Market) -> str:
        """For example, "close when AAPL is within 1% of the short strike $180.00 or $210.00"."""
        strikes = " or ".join(as_dollars(strike) for strike in sorted({each.strike for each in _shorts(holding)}))
        away = f"is within {as_percent(self.within).lstrip('+')} of" if self.within else "touches"
        near = f"the short strike {strikes}" if strikes else "a short strike, and there is none"
        return f"close when {holding.position.instrument.underlying} {away} {near}"

    def _is_near(self, option: OptionContract, price: Decimal) -> bool:
        return _distance(option, price) <= option.strike * self.within

    def _where(self, option: OptionContract, price: Decimal) -> str:
        strike = f"the short {option.right.value}'s strike {as_dollars(option.strike)}"
        distance = _distance(option, price)
        if distance < 0:
            return f"is beyond {strike}"
        return f"is within {as_percent(self.within).lstrip('+')} of {strike}" if distance > 0 else f"is at {strike}"


def underlying_price(holding: Holding) -> Decimal | None:
    """The underlying's mid; None when it isn't usable. A stock is its own underlying."""
    prices = holding.underlying if holding.position.instrument.is_option else holding.prices
    return None if prices.wide else prices.mid


def in_the_money(holding: Holding) -> Decimal | None:
    """Dollars per share by which an option is in the money, negative when it is out of it; None when unknown."""
    option, price = holding.position.instrument.option, underlying_price(holding)
    if option is None or price is None or option.is_adjusted:
        return None
    return price - option.strike if option.right is Right.CALL else option.strike - price


def _shorts(holding: Holding) -> tuple[OptionContract, ...]:
    """The short contracts whose strikes say something: an adjusted one may not deliver a hundred shares."""
    return tuple(option for option in holding.short_options if not option.is_adjusted)


def _distance(option: OptionContract, price: Decimal) -> Decimal:
    """Dollars until the strike is touched; below zero beyond it."""
    return option.strike - price if option.right is Right.CALL else price - option.strike
