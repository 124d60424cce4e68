"""Take profit and stop loss: the two rules on price against entry."""

from dataclasses import dataclass
from decimal import Decimal

from sellctl.core.model.config import Basis
from sellctl.core.model.market import Market
from sellctl.core.model.plan import ExitSignal, Reason, Trigger, Urgency
from sellctl.core.model.position import Holding
from sellctl.core.rules.gain import (
    as_dollars,
    as_percent,
    is_at_or_above,
    is_at_or_below,
    price_on,
    side_name,
    target_price,
)


@dataclass(frozen=True, slots=True)
class TakeProfit:
    """Leave when price / entry reaches `rate`. A wide quote never fires it."""

    rate: Decimal
    basis: Basis = Basis.BID

    def evaluate(self, holding: Holding, _market: Market) -> ExitSignal | None:
        """The exit, with the price that met it as its floor; None when not reached or not known."""
        threshold = target_price(holding.position, self.rate)
        price = price_on(holding, self.basis)
        if threshold is None or price is None or holding.prices.wide:
            return None
        if not is_at_or_above(holding.position, price, threshold):
            return None
        side = side_name(holding.position, self.basis)
        detail = f"target {as_percent(self.rate - 1)}: {side} {as_dollars(price)} reached {as_dollars(threshold)}"
        return ExitSignal(holding, holding.position.qty, Reason.TAKE_PROFIT, detail, Urgency.PROFIT, floor=threshold)

    def trigger(self, holding: Holding) -> Trigger | None:
        """The price at which it fires; None without an entry price."""
        return _trigger(holding, Reason.TAKE_PROFIT, self.rate, self.basis)


@dataclass(frozen=True, slots=True)
class StopLoss:
    """Leave when price / entry falls to `rate`.

    On a wide quote it fires only when even the far side (the ask, for a long) is at or beyond the threshold, or when
    the wideness has settled: then at the mid, and a person hears of it.
    """

    rate: Decimal
    basis: Basis = Basis.MID

    def evaluate(self, holding: Holding, _market: Market) -> ExitSignal | None:
        """The exit; None when not reached or not known."""
        threshold = target_price(holding.position, self.rate)
        side, price = self._price(holding)
        if threshold is None or price is None or not is_at_or_below(holding.position, price, threshold):
            return None
        moved = "fell" if holding.position.is_long else "rose"
        wide = " on a wide spread" if holding.prices.wide else ""
        detail = (
            f"stop {as_percent(self.rate - 1)}: {side} {as_dollars(price)} {moved} to {as_dollars(threshold)}{wide}"
        )
        return ExitSignal(holding, holding.position.qty, Reason.STOP_LOSS, detail, Urgency.PROTECTIVE)

    def trigger(self, holding: Holding) -> Trigger | None:
        """The price at which it fires; None without an entry price."""
        return _trigger(holding, Reason.STOP_LOSS, self.rate, self.basis)

    def _price(self, holding: Holding) -> tuple[str, Decimal | None]:
        """Which side is looked at, and its price."""
        prices, is_long = holding.prices, holding.position.is_long
        if prices.wide and not prices.wide_settled:
            return ("ask", prices.ask) if is_long else ("bid", prices.bid)
        basis = Basis.MID if prices.wide else self.basis
        return side_name(holding.position, basis), price_on(holding, basis)


def _trigger(holding: Holding, reason: Reason, rate: Decimal, basis: Basis) -> Trigger | None:
    threshold = target_price(holding.position, rate)
    if threshold is None:
        return None
    price = price_on(holding, basis)
    return Trigger(reason, threshold, (threshold - price) / price if price else None)
