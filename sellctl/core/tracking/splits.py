"""Splits of the day, and whether a price has jumped by one while quantity and entry price are still the old ones. Pure.

From the ex-date on a stock is quoted after its split. Until the broker has booked it, the position shows the old
quantity and entry price, so that a split looks like a loss, and a reverse split like a profit.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec import Struct

from sellctl.core.decision.pricing import believable
from sellctl.core.model.market import Split
from sellctl.core.model.position import Position
from sellctl.core.tracking.quote_history import QuoteHistory

# Smaller ones (stock dividends) move a price no more than a day's news does.
SMALLEST_RATIO = Decimal("1.2")
# The splits that companies choose, as new shares per old one; each also the other way round, as a reverse split.
_USUAL = tuple(
    map(Decimal, ("1.5", "2", "3", "4", "5", "6", "7", "8", "10", "15", "20", "25", "30", "40", "50", "100"))
)
_EXACTLY = Decimal("0.02")  # how far a move may be from a usual split's, as a share of it
_ONE = Decimal(1)
_LEAST_MOVE = min(_USUAL) * (_ONE - _EXACTLY)


@dataclass(slots=True)
class SplitsOfDay:
    """The splits of one day, by stock, as far as the broker has answered; `is_asked` while an answer is to come."""

    day: dt.date | None = None
    is_asked: bool = False
    _answers: dict[str, Decimal | None] = field(default_factory=dict)

    def begin(self, day: dt.date) -> None:
        """Forget the answers of any other day."""
        if day != self.day:
            self.day = day
            self._answers.clear()

    def answered(self, symbols: Iterable[str], splits: Iterable[Split]) -> None:
        """Store a complete answer about these symbols. Several splits of a stock count as one of all their ratios."""
        for symbol in symbols:
            self._answers[symbol] = None
        for split in splits:
            ratio = (self._answers.get(split.symbol) or _ONE) * split.ratio
            self._answers[split.symbol] = ratio if _is_large(ratio) else None

    def missing(self, symbols: Iterable[str]) -> frozenset[str]:
        """Those of the symbols about which the broker has not answered."""
        return frozenset(symbol for symbol in symbols if symbol not in self._answers)

    def is_without_split(self, symbol: str) -> bool:
        """Whether the broker has answered that a stock has no split today."""
        return self._answers.get(symbol, _ONE) is None

    def ratio_of(self, symbol: str) -> Decimal | None:
        """The ratio of today's split of a stock; None when it has none, or when that is unknown."""
        return self._answers.get(symbol)


def _is_large(ratio: Decimal) -> bool:
    return ratio > 0 and max(ratio, _ONE / ratio) >= SMALLEST_RATIO


def has_jumped_by(ratio: Decimal, price: Decimal, before: Iterable[Decimal]) -> bool:
    """Whether a price is nearer to any earlier one after a known split than before it; true without an earlier one."""
    earlier = tuple(before)
    return not earlier or any(_is_nearer_to_split(price / each, ratio) for each in earlier)


def _is_nearer_to_split(move: Decimal, ratio: Decimal) -> bool:
    """Whether a move is nearer to 1 / ratio than to 1, in proportion."""
    return move * move * ratio < 1 if ratio > 1 else move * move * ratio > 1


def usual_split(price: Decimal, before: Iterable[Decimal]) -> Decimal | None:
    """The usual split that exactly explains the move from an earlier price; None when none does."""
    for each in before:
        is_reverse = each < price
        size = price / each if is_reverse else each / price
        for ratio in _USUAL if size > _LEAST_MOVE else ():
            if abs(size / ratio - 1) <= _EXACTLY:
                return _ONE / ratio if is_reverse else ratio
    return None


def ratio_text(ratio: Decimal) -> str:
    """A ratio as traders write it: 2:1, 3:2, 1:10."""
    for old in range(1, 101):
        new = ratio * old
        nearest = new.to_integral_value()
        if nearest >= 1 and abs(new - nearest) < Decimal("0.001") * old:
            return f"{nearest:f}:{old}"
    return f"{ratio:.4f}:1"


class SuspectedSplit(Struct, frozen=True):
    """Why a symbol's rules are suspended; `is_certain` when a split is known, not only a price that looks like one."""

    why: str
    is_certain: bool


def suspected_split(position: Position, history: QuoteHistory, splits: SplitsOfDay) -> SuspectedSplit | None:
    """Whether the newest price has jumped by a split that the position may not show yet; None when it has not.

    A known split needs a jump near its ratio, from any earlier price: that before the night, that before the last jump,
    the broker's previous close, or the entry price. While the broker hasn't answered, only a jump over night counts,
    and only one that a usual split explains exactly. Since options often halve, their previous close counts only until
    the first answer or failure; from then on that of a stock counts only if the first price seen since shows the jump
    too.
    """
    stock, is_stock = position.instrument.underlying, not position.instrument.is_option
    ratio, price = splits.ratio_of(stock), price_of(history)
    if price is None or splits.is_without_split(stock):
        return None
    if ratio is not None:
        before = _known(history.closed_at, history.jumped_from, position.lastday_price, position.entry_price)
        if not has_jumped_by(ratio, price, before):
            return None
        return SuspectedSplit(
            f"today's {ratio_text(ratio)} split of {stock} may not be reflected in the position yet", is_certain=True
        )
    usual = usual_split(history.reopened_at, _known(history.closed_at)) if history.reopened_at else None
    if usual is None and (is_stock or splits.is_asked):
        first = None if splits.is_asked else history.reopened_at
        usual = _usual_over_night(price, first, position.lastday_price)
    if usual is None:
        return None
    why = f"its price moved over night by exactly a {ratio_text(usual)} split, and whether there was one is unknown"
    return SuspectedSplit(why, is_certain=False)


def _usual_over_night(price: Decimal, first: Decimal | None, lastday: Decimal | None) -> Decimal | None:
    """The usual split between the previous close and both the newest price and the first one seen since."""
    before = _known(lastday)
    return usual_split(price, before) if first is None or usual_split(first, before) else None


def price_of(history: QuoteHistory) -> Decimal | None:
    """The newest quote's mid, or its only side; None without a price."""
    quote = history.newest
    if quote is None:
        return None
    bid, ask = believable(quote.bid), believable(quote.ask)
    return bid or ask if bid is None or ask is None else (bid + ask) / 2


def _known(*prices: Decimal | None) -> tuple[Decimal, ...]:
    return tuple(price for price in prices if believable(price) is not None and price is not None)
