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
    """Close when the gain on entry is `at`."""

    reason: ClassVar[Reason] = Reason.TAKE_PROFIT
    at: Amount
    basis: Basis = Basis.EXIT_SIDE

    def threshold(self, holding: Holding, _market: Market) -> Decimal | None:
        """The entry price plus the amount, or less it for a short; None when the entry is needed and unknown."""
        return price_at_amount(holding.position, self.at, in_profit=True)

    def label(self, _holding: Holding, _market: Market) -> str:
        """For example, "target +10%" or "target $120/contract"."""
        return f"target {as_percent(self.at.value) if self.at.unit is AmountUnit.GAIN else amount_text(self.at)}"
