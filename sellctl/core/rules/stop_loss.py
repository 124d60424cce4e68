"""Stop loss: closes at a loss on entry (a percentage, dollars per contract or of the position) or at a price."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.model.gain import Amount, AmountUnit, Basis, price_at_amount
from sellctl.core.model.market import Market
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import ProtectiveRule, amount_text
from sellctl.core.text import as_percent


@dataclass(frozen=True, slots=True)
class StopLoss(ProtectiveRule):
    """Close when the loss on entry is `at`."""

    reason: ClassVar[Reason] = Reason.STOP_LOSS
    at: Amount
    basis: Basis = Basis.MID

    def threshold(self, holding: Holding, _market: Market) -> Decimal | None:
        """The entry price less the amount, or plus it for a short; None when the entry is needed and unknown."""
        return price_at_amount(holding.position, self.at, in_profit=False)

    def label(self, _holding: Holding, _market: Market) -> str:
        """For example, "stop -20%", "stop $120/contract" or "stop at the entry price"."""
        if not self.at.value:
            return "stop at the entry price"
        return f"stop {as_percent(-self.at.value) if self.at.unit is AmountUnit.GAIN else amount_text(self.at)}"
