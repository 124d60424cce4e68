"""Breakeven: closes a position that is back at its entry price after a gain."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.model.gain import Basis, price_at_gain
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import PeakRule, armed_from, peak_gain
from sellctl.core.text import as_percent


@dataclass(frozen=True, slots=True)
class Breakeven(PeakRule):
    """Once the peak's gain has reached `activation`, close when the gain falls to `keep`."""

    reason: ClassVar[Reason] = Reason.BREAKEVEN
    activation: Decimal
    keep: Decimal = Decimal(0)
    basis: Basis = Basis.MID

    def stop(self, holding: Holding) -> Decimal | None:
        """The price at which the gain is `keep`; None until the rule is armed."""
        gain_at_peak = peak_gain(holding)
        if gain_at_peak is None or gain_at_peak < self.activation:
            return None
        return price_at_gain(holding.position, self.keep)

    def text(self, holding: Holding) -> str:
        """For example, "breakeven after +25%", or "breakeven, armed from +20% on"."""
        gain_at_peak = peak_gain(holding)
        if gain_at_peak is None or gain_at_peak < self.activation:
            return f"breakeven, {armed_from(self.activation)}"
        return f"breakeven after {as_percent(gain_at_peak)}"
