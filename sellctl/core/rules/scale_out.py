"""Scale-out: closes a part of the position at each of several gains."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import ClassVar

from sellctl.core.config.schema import ScaleStep
from sellctl.core.model.gain import Basis, price_at_gain
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Market
from sellctl.core.model.plan import ExitSignal, Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import ProfitRule
from sellctl.core.text import as_percent

NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class ScaleOut(ProfitRule):
    """Close slices at rising gains; each is a share of the original quantity.

    What was sold is computed from the quantity left. Of options, the quantity to keep is rounded up to whole contracts.
    """

    reason: ClassVar[Reason] = Reason.SCALE_OUT
    slices: tuple[ScaleStep, ...]  # by gain, ascending
    basis: Basis = Basis.EXIT_SIDE

    def threshold(self, holding: Holding, _market: Market) -> Decimal | None:
        """The price of the first slice that isn't sold; None when none is left."""
        step = self._next(holding)
        return None if step is None else price_at_gain(holding.position, step.at)

    def label(self, holding: Holding, _market: Market) -> str:
        """For example, "slice of 50% at +50%"."""
        step = self._next(holding)
        return f"slice of {as_percent(step.sell).removeprefix('+')} at {as_percent(step.at)}" if step else "scale-out"

    def qty(self, holding: Holding) -> Decimal:
        """The quantity left to sell of the first slice that isn't sold."""
        return next((left for _, left in self._unsold(holding)), NOTHING)

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit of one slice; None when its gain isn't reached, or when no slice is left to sell."""
        return ProfitRule.evaluate(self, holding, market) if self.qty(holding) > 0 else None

    def _next(self, holding: Holding) -> ScaleStep | None:
        return next((step for step, _ in self._unsold(holding)), None)

    def _unsold(self, holding: Holding) -> list[tuple[ScaleStep, Decimal]]:
        """The slices that aren't sold, in their order, each with the quantity left to sell."""
        position, state = holding.position, holding.state
        whole = max(state.original_qty or NOTHING, position.qty)
        held = position.qty if state.qty_left is None else min(state.qty_left, position.qty)
        found, share = [], NOTHING
        for step in self.slices:
            share += step.sell
            left = held - _rounded_up(whole * (1 - min(share, Decimal(1))), holding)
            if left > 0:
                found.append((step, left))
        return found


def _rounded_up(kept: Decimal, holding: Holding) -> Decimal:
    """The quantity kept, rounded up to whole contracts for an option."""
    whole = holding.position.instrument.asset_class is AssetClass.OPTION
    return kept.to_integral_value(ROUND_CEILING) if whole else kept
