"""Base classes of exit rules: the side of the quote, when a price has reached a threshold, the text of the reason.

A protective rule fires when the price falls to its threshold, a profit rule when it rises to it (mirrored for a short);
a subclass only computes the threshold. All prices are dollars per share.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from decimal import Decimal
from typing import ClassVar

from msgspec.structs import replace

from sellctl.core.model.gain import (
    Amount,
    AmountUnit,
    Basis,
    is_at_least_as_bad,
    is_at_least_as_good,
    price_on,
    side_name,
)
from sellctl.core.model.market import Market
from sellctl.core.model.plan import REASONS, ExitSignal, Reason, Trigger
from sellctl.core.model.position import Holding
from sellctl.core.text import as_dollars, as_percent


class UnpricedRule:
    """A rule that depends on time or on the underlying: it has no trigger price of its own."""

    __slots__ = ()
    needs_underlying: ClassVar[bool] = False
    needs_peak: ClassVar[bool] = False
    reason: ClassVar[Reason]

    def trigger(self, _holding: Holding, _market: Market) -> Trigger | None:
        """Always None."""
        return None

    def exit_signal(self, holding: Holding, detail: str) -> ExitSignal:
        """The signal to close the whole position."""
        return ExitSignal(holding, holding.position.qty, self.reason, detail, REASONS[self.reason].urgency)


class PriceRule(ABC):
    """A rule with one threshold in dollars per share."""

    __slots__ = ()
    needs_underlying: ClassVar[bool] = False
    needs_peak: ClassVar[bool] = False
    reason: ClassVar[Reason]
    basis: Basis

    @abstractmethod
    def threshold(self, holding: Holding, market: Market) -> Decimal | None:
        """The price at which it fires; None while it can't fire, or while that price is unknown."""

    @abstractmethod
    def label(self, holding: Holding, market: Market) -> str:
        """The rule with its numbers, as used in sentences."""

    @abstractmethod
    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit; None when the threshold is not reached, or a price is unknown."""

    def trigger(self, holding: Holding, market: Market) -> Trigger | None:
        """The price at which it fires, and its distance from the current price; None while it can't fire."""
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
        """The exit; None when the threshold is not reached, or a price is unknown."""
        threshold = self.threshold(holding, market)
        if threshold is None:
            return None
        side, price = _loss_price(holding, self.basis)
        if price is None or not is_at_least_as_bad(holding.position, price, threshold):
            return None
        where = "at or below" if holding.position.is_long else "at or above"
        wide = ", on a wide spread" if holding.prices.wide else ""
        reached = f"{side} {as_dollars(price)} is {where} the stop {as_dollars(threshold)}{wide}"
        detail = f"{self.label(holding, market)}: {reached}"
        return ExitSignal(holding, holding.position.qty, self.reason, detail, REASONS[self.reason].urgency)


class PeakRule(ProtectiveRule):
    """A protective rule that the peak arms. What it armed stays armed when the average entry price changes.

    An earlier average under which it was armed goes on as if it were still the entry, and of all these stops the one
    nearest to the peak counts: its price never moves back.
    """

    __slots__ = ()
    needs_peak: ClassVar[bool] = True

    @abstractmethod
    def stop(self, holding: Holding) -> Decimal | None:
        """The price at which it fires, from the entry and the peak of `holding`; None while it isn't armed."""

    @abstractmethod
    def text(self, holding: Holding) -> str:
        """The rule with its numbers, from the entry and the peak of `holding`."""

    def threshold(self, holding: Holding, _market: Market) -> Decimal | None:
        """The stop that is nearest to the peak; None until the rule is armed."""
        return self.stop(self._in_force(holding))

    def label(self, holding: Holding, _market: Market) -> str:
        """The rule with its numbers, and the earlier average that armed it."""
        subject = self._in_force(holding)
        entry = subject.position.entry_price
        armed = "" if subject is holding or entry is None else f" of the earlier average {as_dollars(entry)}"
        return f"{self.text(subject)}{armed}"

    def _in_force(self, holding: Holding) -> Holding:
        """The holding, at the present average or at the earlier one whose stop is nearest to the peak."""
        best, nearest = holding, None
        for subject in (holding, *self._armed_before(holding)) if holding.state.past_averages else ():
            stop = self.stop(subject)
            if stop is not None and (nearest is None or not is_at_least_as_bad(holding.position, stop, nearest)):
                best, nearest = subject, stop
        return best

    def _armed_before(self, holding: Holding) -> Iterator[Holding]:
        """The holding at each earlier average under which the rule was armed."""
        for past in holding.state.past_averages:
            position = replace(holding.position, entry_price=past.entry_price)
            then = replace(holding, position=position, state=replace(holding.state, peak=past.peak))
            if self.stop(then) is not None:
                yield replace(holding, position=position)


class ProfitRule(PriceRule):
    """Fires when the price reaches the threshold, the exit's worst price. It never fires on a wide spread."""

    __slots__ = ()

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit, with the threshold as its worst price; None when that is not reached, or a price is unknown."""
        threshold = self.threshold(holding, market)
        price = price_on(holding, self.basis)
        if threshold is None or price is None or holding.prices.wide:
            return None
        if not is_at_least_as_good(holding.position, price, threshold):
            return None
        side = side_name(holding.position, self.basis)
        where = "at or above" if holding.position.is_long else "at or below"
        reached = f"{side} {as_dollars(price)} is {where} the target {as_dollars(threshold)}"
        detail = f"{self.label(holding, market)}: {reached}"
        urgency = REASONS[self.reason].urgency
        return ExitSignal(holding, self.qty(holding), self.reason, detail, urgency, worst_price=threshold)

    def qty(self, holding: Holding) -> Decimal:
        """The quantity to close: all of the position by default."""
        return holding.position.qty


def _loss_price(holding: Holding, basis: Basis) -> tuple[str, Decimal | None]:
    """The name and the value of the price that a protective rule compares."""
    prices, position = holding.prices, holding.position
    if not prices.wide:
        return side_name(position, basis), price_on(holding, basis)
    if prices.wide_settled:
        return "mid", prices.mid
    return ("ask", prices.ask) if position.is_long else ("bid", prices.bid)


def peak_gain(holding: Holding) -> Decimal | None:
    """The gain at the peak; None before there is one.

    A peak only moves to the worse of two usable quotes, so the quote that arms a stop can't fire it.
    """
    return holding.gain_at(holding.state.peak)


def armed_from(gain: Decimal) -> str:
    """From which gain at the best price on a rule is armed, as one line of text."""
    return f"armed from {as_percent(gain)} on" if gain.is_finite() else "armed by the first confirmed price"


def amount_text(amount: Amount) -> str:
    """An amount as the configuration writes it."""
    if amount.unit is AmountUnit.GAIN:
        return as_percent(amount.value).removeprefix("+")
    if amount.unit is AmountUnit.PRICE:
        return f"price {amount.value:f}"
    return f"${amount.value:f}/{amount.unit.value}"
