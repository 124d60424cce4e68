"""Short strike: closes when the underlying comes near a strike that is sold, measured on its mid."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.model.instrument import OptionContract, Right
from sellctl.core.model.market import Market
from sellctl.core.model.plan import ExitSignal, Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import UnpricedRule
from sellctl.core.rules.underlying import underlying_price
from sellctl.core.text import as_dollars, as_percent


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


def _shorts(holding: Holding) -> tuple[OptionContract, ...]:
    """The short contracts whose strikes say something: an adjusted one may not deliver a hundred shares."""
    return tuple(option for option in holding.short_options if not option.is_adjusted)


def _distance(option: OptionContract, price: Decimal) -> Decimal:
    """Dollars until the strike is touched; below zero beyond it."""
    return option.strike - price if option.right is Right.CALL else price - option.strike
