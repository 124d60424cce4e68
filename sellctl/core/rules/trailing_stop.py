"""Trailing stop: closes after a fall from the best price since entry."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.config.schema import Pullback
from sellctl.core.model.gain import Basis, price_at_gain
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import PeakRule, armed_from, peak_gain
from sellctl.core.text import as_percent


@dataclass(frozen=True, slots=True)
class TrailingStop(PeakRule):
    """Once the peak's gain has reached `activation`, close when the price falls `trail` below the peak.

    `max_pullback` is a second trail; the stop nearer to the peak counts. The stop is never below the gain `floor`.
    """

    reason: ClassVar[Reason] = Reason.TRAILING_STOP
    trail: Pullback
    activation: Decimal = Decimal(0)
    floor: Decimal | None = None
    max_pullback: Pullback | None = None
    basis: Basis = Basis.MID

    def stop(self, holding: Holding) -> Decimal | None:
        """The stop that is nearest to the peak; None until the rule is armed."""
        peak, gain_at_peak = holding.state.peak, peak_gain(holding)
        if peak is None or gain_at_peak is None or gain_at_peak < self.activation:
            return None
        trails = (self.trail, self.max_pullback)
        stops = [_below(holding, peak, gain_at_peak, trail) for trail in trails if trail is not None]
        if self.floor is not None:
            stops.append(price_at_gain(holding.position, self.floor))
        known = [stop for stop in stops if stop is not None]
        return max(known) if holding.position.is_long else min(known)

    def text(self, holding: Holding) -> str:
        """For example, "trailing stop 10pt below the peak of +50%", or "trailing stop 10pt, armed from +20% on"."""
        trail = f"trailing stop {_pullback_text(self.trail)}"
        gain_at_peak = peak_gain(holding)
        if gain_at_peak is None or gain_at_peak < self.activation:
            return f"{trail}, {armed_from(self.activation)}"
        return f"{trail} below the peak of {as_percent(gain_at_peak)}"


def _below(holding: Holding, peak: Decimal, gain_at_peak: Decimal, trail: Pullback) -> Decimal | None:
    """The price that is `trail` worse than the peak."""
    if trail.of_price:
        return peak * (1 - trail.value if holding.position.is_long else 1 + trail.value)
    return price_at_gain(holding.position, gain_at_peak - trail.value)


def _pullback_text(trail: Pullback) -> str:
    """A trail as the configuration writes it."""
    return f"{(trail.value * 100).normalize():f}{'%' if trail.of_price else 'pt'}"
