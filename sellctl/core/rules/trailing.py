"""Stops that follow the peak: trailing stop, breakeven, profit lock. The peak is memory's (`track.peak`), a price.

Memory moves it on usable quotes only and to the worse of two agreeing ones, so the price is at or beyond it on the
look that arms a stop: that look can't fire it.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.config.schema import Basis, LockStep, Pullback
from sellctl.core.model.market import Market
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.gain import as_percent, price_at_gain
from sellctl.core.rules.price import ProtectiveRule


def peak_gain(holding: Holding) -> Decimal | None:
    """The gain at the peak; None before there is one."""
    return holding.gain_at(holding.state.peak)


@dataclass(frozen=True, slots=True)
class TrailingStop(ProtectiveRule):
    """Once the peak's gain reached `activation`, leave when the price falls `trail` below the peak.

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
        stops = [below(holding, peak, ahead, trail) for trail in trails if trail is not None]
        if self.floor is not None:
            stops.append(price_at_gain(holding.position, self.floor))
        known = [stop for stop in stops if stop is not None]
        return max(known) if holding.position.is_long else min(known)

    def label(self, holding: Holding, _market: Market) -> str:
        """Trailing stop 10pt below the peak of +50%."""
        ahead = as_percent(peak_gain(holding) or Decimal(0))
        return f"trailing stop {pullback_text(self.trail)} below the peak of {ahead}"


def below(holding: Holding, peak: Decimal, ahead: Decimal, trail: Pullback) -> Decimal | None:
    """The price that is `trail` worse than the peak."""
    if trail.of_price:
        return peak * (1 - trail.value if holding.position.is_long else 1 + trail.value)
    return price_at_gain(holding.position, ahead - trail.value)


def pullback_text(trail: Pullback) -> str:
    """A trail as the configuration writes it."""
    return f"{(trail.value * 100).normalize():f}{'%' if trail.of_price else 'pt'}"


@dataclass(frozen=True, slots=True)
class Breakeven(ProtectiveRule):
    """Once the peak's gain reached `activation`, leave when the gain falls to `keep`."""

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


@dataclass(frozen=True, slots=True)
class ProfitLock(ProtectiveRule):
    """Of the rungs whose `at` the peak's gain reached, the highest `keep` holds: leave when the gain falls to it."""

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
