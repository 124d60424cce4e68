"""Stop loss: a loss on entry, in %, dollars per contract or of the position, or a price."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.model.gain import Amount, Basis, Per, price_at_amount
from sellctl.core.model.market import Market
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import ProtectiveRule, amount_text
from sellctl.core.text import as_percent


@dataclass(frozen=True, slots=True)
class StopLoss(ProtectiveRule):
    """Close when the position is `at` behind entry."""

    reason: ClassVar[Reason] = Reason.STOP_LOSS
    at: Amount
    basis: Basis = Basis.MID

    def threshold(self, holding: Holding, _market: Market) -> Decimal | None:
        """Entry less the amount."""
        return price_at_amount(holding.position, self.at, ahead=False)

    def label(self, _holding: Holding, _market: Market) -> str:
        """Stop -20%, stop $120/contract."""
        return f"stop {as_percent(-self.at.value) if self.at.per is Per.GAIN else amount_text(self.at)}"
