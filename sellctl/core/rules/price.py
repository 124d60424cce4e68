"""What every rule on a price shares: which side is looked at, when it is reached, how the sentence reads.

A protective rule fires when the price falls to its threshold, a profit rule when it rises to it; a subclass says only
where the threshold is. All prices are dollars a share, all thresholds count as reached when met exactly.
"""

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import ClassVar

from sellctl.core.config.schema import Basis
from sellctl.core.model.market import Market
from sellctl.core.model.plan import TABLE, ExitSignal, Reason, Trigger
from sellctl.core.model.position import Holding
from sellctl.core.rules.gain import as_dollars, is_at_or_above, is_at_or_below, price_on, side_name


class PriceRule(ABC):
    """A rule with one threshold in dollars a share."""

    __slots__ = ()
    needs_underlying: ClassVar[bool] = False
    needs_peak: ClassVar[bool] = False
    reason: ClassVar[Reason]
    basis: Basis

    @abstractmethod
    def threshold(self, holding: Holding, market: Market) -> Decimal | None:
        """The price at which it fires; None while it can't fire, or can't be known."""

    @abstractmethod
    def label(self, holding: Holding, market: Market) -> str:
        """What the rule is called in a sentence, with its numbers."""

    @abstractmethod
    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit; None when not reached or not known."""

    def trigger(self, holding: Holding, market: Market) -> Trigger | None:
        """The price at which it fires and how far away that is."""
        threshold = self.threshold(holding, market)
        if threshold is None:
            return None
        price = price_on(holding, self.basis)
        return Trigger(self.reason, threshold, (threshold - price) / price if price else None)


class ProtectiveRule(PriceRule):
    """Fires when the price falls to the threshold (rises to it, for a short).

    On a wide quote it fires only when even the far side (the ask, for a long) is at or beyond the threshold, or when
    the wideness has settled: then at the mid, and a person hears of it.
    """

    __slots__ = ()

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit; None when not reached or not known."""
        threshold = self.threshold(holding, market)
        if threshold is None:
            return None
        price = _loss_price(holding, self.basis)
        if price is None or not is_at_or_below(holding.position, price, threshold):
            return None
        side = _loss_side(holding, self.basis)
        moved = "fell" if holding.position.is_long else "rose"
        wide = " on a wide spread" if holding.prices.wide else ""
        label = self.label(holding, market)
        detail = f"{label}: {side} {as_dollars(price)} {moved} to {as_dollars(threshold)}{wide}"
        return ExitSignal(holding, holding.position.qty, self.reason, detail, TABLE[self.reason].urgency)


class ProfitRule(PriceRule):
    """Fires when the price reaches the threshold, which then is the exit's floor. A wide quote never fires it."""

    __slots__ = ()

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit, with the price that met it as its floor; None when not reached or not known."""
        threshold = self.threshold(holding, market)
        price = price_on(holding, self.basis)
        if threshold is None or price is None or holding.prices.wide:
            return None
        if not is_at_or_above(holding.position, price, threshold):
            return None
        side = side_name(holding.position, self.basis)
        detail = f"{self.label(holding, market)}: {side} {as_dollars(price)} reached {as_dollars(threshold)}"
        urgency = TABLE[self.reason].urgency
        return ExitSignal(holding, self.qty(holding), self.reason, detail, urgency, floor=threshold)

    def qty(self, holding: Holding) -> Decimal:
        """How much leaves; all of it unless the rule says otherwise."""
        return holding.position.qty


def _loss_price(holding: Holding, basis: Basis) -> Decimal | None:
    """The price that a protective rule looks at."""
    prices = holding.prices
    if not prices.wide:
        return price_on(holding, basis)
    if prices.wide_settled:
        return prices.mid
    return prices.ask if holding.position.is_long else prices.bid


def _loss_side(holding: Holding, basis: Basis) -> str:
    """What that price is called."""
    prices = holding.prices
    if not prices.wide or prices.wide_settled:
        return side_name(holding.position, Basis.MID if prices.wide else basis)
    return "ask" if holding.position.is_long else "bid"
