"""Take profit: a gain on entry, in %, dollars per contract or of the position, or a price."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.model.gain import Amount, Basis, Per, price_at_amount
from sellctl.core.model.market import Market
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import ProfitRule, amount_text
from sellctl.core.text import as_percent


@dataclass(frozen=True, slots=True)
class TakeProfit(ProfitRule):
    """Close when the position is `at` ahead of entry."""

    reason: ClassVar[Reason] = Reason.TAKE_PROFIT
    at: Amount
    basis: Basis = Basis.BID

    def threshold(self, holding: Holding, _market: Market) -> Decimal | None:
        """Entry and the amount."""
        return price_at_amount(holding.position, self.at, ahead=True)

    def label(self, _holding: Holding, _market: Market) -> str:
        """Target +10%, target $120/contract."""
        return f"target {as_percent(self.at.value) if self.at.per is Per.GAIN else amount_text(self.at)}"
