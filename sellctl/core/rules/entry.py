"""Take profit and stop loss: price against entry, in %, dollars a contract or of the position, or a price."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.config.schema import Amount, Basis, Per
from sellctl.core.model.market import Market
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.gain import amount_text, as_percent, price_at
from sellctl.core.rules.price import ProfitRule, ProtectiveRule


@dataclass(frozen=True, slots=True)
class TakeProfit(ProfitRule):
    """Leave when the position is `at` ahead of entry."""

    reason: ClassVar[Reason] = Reason.TAKE_PROFIT
    at: Amount
    basis: Basis = Basis.BID

    def threshold(self, holding: Holding, _market: Market) -> Decimal | None:
        """Entry and the amount."""
        return price_at(holding.position, self.at, ahead=True)

    def label(self, _holding: Holding, _market: Market) -> str:
        """Target +10%, target $120/contract."""
        return f"target {as_percent(self.at.value) if self.at.per is Per.GAIN else amount_text(self.at)}"


@dataclass(frozen=True, slots=True)
class StopLoss(ProtectiveRule):
    """Leave when the position is `at` behind entry."""

    reason: ClassVar[Reason] = Reason.STOP_LOSS
    at: Amount
    basis: Basis = Basis.MID

    def threshold(self, holding: Holding, _market: Market) -> Decimal | None:
        """Entry less the amount."""
        return price_at(holding.position, self.at, ahead=False)

    def label(self, _holding: Holding, _market: Market) -> str:
        """Stop -20%, stop $120/contract."""
        return f"stop {as_percent(-self.at.value) if self.at.per is Per.GAIN else amount_text(self.at)}"
