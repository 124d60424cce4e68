"""Days to expiry: closes an option when few calendar days are left to its last one, optionally only with a gain."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.model.gain import Basis, is_at_least_as_good, price_at_gain, price_on
from sellctl.core.model.holding_time import days_left
from sellctl.core.model.market import Market
from sellctl.core.model.plan import ExitSignal, Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import UnpricedRule
from sellctl.core.text import as_percent


@dataclass(frozen=True, slots=True)
class DaysToExpiry(UnpricedRule):
    """Close when `days` calendar days or fewer are left; with `gain`, only while the gain is at least that."""

    reason: ClassVar[Reason] = Reason.DAYS_TO_EXPIRY
    days: int
    gain: Decimal | None = None
    basis: Basis = Basis.EXIT_SIDE

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit; None when nothing expires, too many days are left, or the gain is too small or unknown."""
        left = days_left(holding, market)
        if left is None or left > self.days or not self._gains_enough(holding):
            return None
        gain = "" if self.gain is None else f", at least {as_percent(self.gain)}"
        return self.exit_signal(holding, f"{_days(left)} to expiry, limit {self.days}{gain}")

    def label(self, _holding: Holding, _market: Market) -> str:
        """For example, "close at 7 days to expiry"."""
        gain = "" if self.gain is None else f", if at least {as_percent(self.gain)}"
        return f"close at {_days(self.days)} to expiry{gain}"

    def _gains_enough(self, holding: Holding) -> bool:
        if self.gain is None:
            return True
        price, needed = price_on(holding, self.basis), price_at_gain(holding.position, self.gain)
        if price is None or needed is None or holding.prices.wide:
            return False
        return is_at_least_as_good(holding.position, price, needed)


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
