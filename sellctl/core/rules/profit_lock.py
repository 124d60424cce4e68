"""Profit lock: closes a position when its gain falls to one that a higher gain has locked in."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.config.schema import LockStep
from sellctl.core.model.gain import Basis, price_at_gain
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import PeakRule, armed_from, peak_gain
from sellctl.core.text import as_percent


@dataclass(frozen=True, slots=True)
class ProfitLock(PeakRule):
    """Close when the gain falls to the highest `keep` of the rungs whose `at` the peak's gain has reached."""

    reason: ClassVar[Reason] = Reason.PROFIT_LOCK
    rungs: tuple[LockStep, ...]
    basis: Basis = Basis.MID

    def stop(self, holding: Holding) -> Decimal | None:
        """The price of the highest gain locked in; None before the first rung."""
        keep = self._keep(holding)
        return None if keep is None else price_at_gain(holding.position, keep)

    def text(self, holding: Holding) -> str:
        """For example, "profit lock at +20%", or "profit lock, armed from +30% on"."""
        keep = self._keep(holding)
        if keep is None:
            return f"profit lock, {armed_from(min(rung.at for rung in self.rungs))}"
        return f"profit lock at {as_percent(keep)}"

    def _keep(self, holding: Holding) -> Decimal | None:
        gain_at_peak = peak_gain(holding)
        kept = [rung.keep for rung in self.rungs if gain_at_peak is not None and gain_at_peak >= rung.at]
        return max(kept, default=None)
