"""What exit rules share: which side of the quote is used, when a price has reached a threshold, how the reason reads.

A protective rule fires when the price falls to its threshold, a profit rule when it rises to it (the mirror for a
short); a subclass says only where the threshold is. All prices are dollars per share.
"""

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import ClassVar

from sellctl.core.model.gain import Amount, Basis, Per, is_at_or_above, is_at_or_below, price_on, side_name
from sellctl.core.model.market import Market
from sellctl.core.model.plan import TABLE, ExitSignal, Reason, Trigger
from sellctl.core.model.position import Holding
from sellctl.core.text import as_dollars, as_percent


class UnpricedRule:
    """A rule that depends on time or on the underlying: it has no trigger price of its own."""

    __slots__ = ()
    needs_underlying: ClassVar[bool] = False
    needs_peak: ClassVar[bool] = False
    reason: ClassVar[Reason]

    def trigger(self, _holding: Holding, _market: Market) -> Trigger | None:
        """None."""
        return None

    def exit_signal(self, holding: Holding, detail: str) -> ExitSignal:
        """The exit of the whole position."""
        return ExitSignal(holding, holding.position.qty, self.reason, detail, TABLE[self.reason].urgency)


class PriceRule(ABC):
    """A rule with one threshold in dollars per share."""

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

    On a wide spread it fires only when even the far side (the ask, for a long) is at or beyond the threshold, or at the
    mid once the spread has been wide for long enough.
    """

    __slots__ = ()

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit; None when not reached or not known."""
        threshold = self.threshold(holding, market)
        if threshold is None:
            return None
        side, price = _loss_price(holding, self.basis)
        if price is None or not is_at_or_below(holding.position, price, threshold):
            return None
        where = "at or below" if holding.position.is_long else "at or above"
        wide = ", on a wide spread" if holding.prices.wide else ""
        reached = f"{side} {as_dollars(price)} is {where} the stop {as_dollars(threshold)}{wide}"
        detail = f"{self.label(holding, market)}: {reached}"
        return ExitSignal(holding, holding.position.qty, self.reason, detail, TABLE[self.reason].urgency)


class ProfitRule(PriceRule):
    """Fires when the price reaches the threshold, which then is the exit's floor. A wide spread never fires it."""

    __slots__ = ()

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit, with the threshold as its floor; None when not reached or not known."""
        threshold = self.threshold(holding, market)
        price = price_on(holding, self.basis)
        if threshold is None or price is None or holding.prices.wide:
            return None
        if not is_at_or_above(holding.position, price, threshold):
            return None
        side = side_name(holding.position, self.basis)
        where = "at or above" if holding.position.is_long else "at or below"
        reached = f"{side} {as_dollars(price)} is {where} the target {as_dollars(threshold)}"
        detail = f"{self.label(holding, market)}: {reached}"
        urgency = TABLE[self.reason].urgency
        return ExitSignal(holding, self.qty(holding), self.reason, detail, urgency, floor=threshold)

    def qty(self, holding: Holding) -> Decimal:
        """How much to close; all of it unless the rule says otherwise."""
        return holding.position.qty


def _loss_price(holding: Holding, basis: Basis) -> tuple[str, Decimal | None]:
    """The price that a protective rule compares, and what it is called."""
    prices, position = holding.prices, holding.position
    if not prices.wide:
        return side_name(position, basis), price_on(holding, basis)
    if prices.wide_settled:
        return "mid", prices.mid
    return ("ask", prices.ask) if position.is_long else ("bid", prices.bid)


def peak_gain(holding: Holding) -> Decimal | None:
    """The gain at the peak; None before there is one.

    A peak moves only on usable quotes, to the worse of two that agree, so the quote that arms a stop can't fire it.
    """
    return holding.gain_at(holding.state.peak)


def amount_text(amount: Amount) -> str:
    """An amount as the configuration writes it."""
    if amount.per is Per.GAIN:
        return as_percent(amount.value).removeprefix("+")
    if amount.per is Per.PRICE:
        return f"price {amount.value:f}"
    return f"${amount.value:f}/{amount.per.value}"
