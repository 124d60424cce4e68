"""Half, then trail: sell half at a gain, and the rest by a trailing stop. Combines ready-made rules."""

from dataclasses import dataclass
from decimal import Decimal

from sellctl.core.config.schema import Gain, Pullback, PullbackValue, ScaleStep
from sellctl.core.rules.scale_out import ScaleOut
from sellctl.core.rules.trailing_stop import TrailingStop
from sellctl.core.sell_strategies.base_strategy import BaseStrategy, Rule

FIFTEEN_POINTS = Pullback(Decimal("0.15"))


@dataclass(frozen=True)
class HalfThenTrail(BaseStrategy):
    target: Gain = Decimal("0.5")
    trail: PullbackValue = FIFTEEN_POINTS

    def rules(self) -> tuple[Rule, ...]:
        half = ScaleOut((ScaleStep(self.target, Decimal("0.5")),))
        return (half, TrailingStop(self.trail, activation=self.target))
