"""Take profit: closes at a gain on entry (a percentage, dollars per contract or of the position) or at a price."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.model.gain import Amount, AmountUnit, Basis, price_at_amount
from sellctl.core.model.market import Market
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import ProfitRule, amount_text
from sellctl.core.text import as_percent


@dataclass(frozen=True, slots=True)
class TakeProfit(ProfitRule):
    """Close when the gain on entry is at or above `target`."""

    reason: ClassVar[Reason] = Reason.TAKE_PROFIT
    target: Amount
    basis: Basis = Basis.EXIT_SIDE

    def threshold(self, holding: Holding, _market: Market) -> Decimal | None:
        """Entry plus the amount (minus it for a short); None when the entry is required but unknown."""
        return price_at_amount(holding.position, self.target, in_profit=True)

    def label(self, _holding: Holding, _market: Market) -> str:
        """For example, "target +10%" or "target $120/contract"."""
        is_gain = self.target.unit is AmountUnit.GAIN
        return f"target {as_percent(self.target.value) if is_gain else amount_text(self.target)}"
