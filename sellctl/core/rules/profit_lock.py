"""Profit lock: back at a gain that a higher one has locked in."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.config.schema import LockStep
from sellctl.core.model.gain import Basis, price_at_gain
from sellctl.core.model.market import Market
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import ProtectiveRule, peak_gain
from sellctl.core.text import as_percent


@dataclass(frozen=True, slots=True)
class ProfitLock(ProtectiveRule):
    """Of the rungs whose `at` the peak's gain reached, the highest `keep` holds: close when the gain falls to it."""

    reason: ClassVar[Reason] = Reason.PROFIT_LOCK
    needs_peak: ClassVar[bool] = True
    rungs: tuple[LockStep, ...]
    basis: Basis = Basis.MID

    def threshold(self, holding: Holding, _market: Market) -> Decimal | None:
        """The highest gain locked in; None before the first rung."""
        keep = self._keep(holding)
        return None if keep is None else price_at_gain(holding.position, keep)

    def label(self, holding: Holding, _market: Market) -> str:
        """Profit lock at +20%."""
        return f"profit lock at {as_percent(self._keep(holding) or Decimal(0))}"

    def _keep(self, holding: Holding) -> Decimal | None:
        ahead = peak_gain(holding)
        kept = [rung.keep for rung in self.rungs if ahead is not None and ahead >= rung.at]
        return max(kept, default=None)
