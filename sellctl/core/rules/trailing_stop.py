"""Trailing stop: a fall from the best price since entry."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.config.schema import Pullback
from sellctl.core.model.gain import Basis, price_at_gain
from sellctl.core.model.market import Market
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import ProtectiveRule, peak_gain
from sellctl.core.text import as_percent


@dataclass(frozen=True, slots=True)
class TrailingStop(ProtectiveRule):
    """Once the peak's gain reached `activation`, close when the price falls `trail` below the peak.

    `max_pullback` is a second trail, of which the nearer counts; `floor` is a gain that the stop never lies below.
    """

    reason: ClassVar[Reason] = Reason.TRAILING_STOP
    needs_peak: ClassVar[bool] = True
    trail: Pullback
    activation: Decimal = Decimal(0)
    floor: Decimal | None = None
    max_pullback: Pullback | None = None
    basis: Basis = Basis.MID

    def threshold(self, holding: Holding, _market: Market) -> Decimal | None:
        """The nearest of trail, second trail and floor; None until armed."""
        peak, ahead = holding.state.peak, peak_gain(holding)
        if peak is None or ahead is None or ahead < self.activation:
            return None
        trails = (self.trail, self.max_pullback)
        stops = [_below(holding, peak, ahead, trail) for trail in trails if trail is not None]
        if self.floor is not None:
            stops.append(price_at_gain(holding.position, self.floor))
        known = [stop for stop in stops if stop is not None]
        return max(known) if holding.position.is_long else min(known)

    def label(self, holding: Holding, _market: Market) -> str:
        """Trailing stop 10pt below the peak of +50%."""
        ahead = as_percent(peak_gain(holding) or Decimal(0))
        return f"trailing stop {_pullback_text(self.trail)} below the peak of {ahead}"


def _below(holding: Holding, peak: Decimal, ahead: Decimal, trail: Pullback) -> Decimal | None:
    """The price that is `trail` worse than the peak."""
    if trail.of_price:
        return peak * (1 - trail.value if holding.position.is_long else 1 + trail.value)
    return price_at_gain(holding.position, ahead - trail.value)


def _pullback_text(trail: Pullback) -> str:
    """A trail as the configuration writes it."""
    return f"{(trail.value * 100).normalize():f}{'%' if trail.of_price else 'pt'}"
