"""Breakeven: back at entry after a gain."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.model.gain import Basis, price_at_gain
from sellctl.core.model.market import Market
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import ProtectiveRule, peak_gain
from sellctl.core.text import as_percent


@dataclass(frozen=True, slots=True)
class Breakeven(ProtectiveRule):
    """Once the peak's gain reached `activation`, close when the gain falls to `keep`."""

    reason: ClassVar[Reason] = Reason.BREAKEVEN
    needs_peak: ClassVar[bool] = True
    activation: Decimal
    keep: Decimal = Decimal(0)
    basis: Basis = Basis.MID

    def threshold(self, holding: Holding, _market: Market) -> Decimal | None:
        """Entry and what is kept; None until armed."""
        ahead = peak_gain(holding)
        return price_at_gain(holding.position, self.keep) if ahead is not None and ahead >= self.activation else None

    def label(self, holding: Holding, _market: Market) -> str:
        """Breakeven after +25%."""
        return f"breakeven after {as_percent(peak_gain(holding) or Decimal(0))}"
