"""Price paths: a symbol's quote as a function of time. Random walks depend on their seed only."""

import datetime as dt
import random
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
DEFAULT_SIZE = 100
FOREVER = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class TwoSidedQuote:
    """Both sides of a quote in dollars per share, with their sizes. None means that the side is inactive."""

    bid: Decimal | None
    ask: Decimal | None
    bid_size: int = DEFAULT_SIZE
    ask_size: int = DEFAULT_SIZE

    @property
    def mid(self) -> Decimal:
        """The midpoint; the only side when the other is missing; zero without both."""
        if self.bid is not None and self.ask is not None:
            return (self.bid + self.ask) / 2
        return self.ask or self.bid or Decimal(0)

    @property
    def spread(self) -> Decimal:
        """Ask minus bid; zero unless there are both."""
        return Decimal(0) if self.bid is None or self.ask is None else self.ask - self.bid

    def moved_to(self, mid: Decimal) -> "TwoSidedQuote":
        """The same spread and sizes around another mid, to the cent; a bid at or below zero is removed."""
        spread = self.spread
        bid = (mid - spread / 2).quantize(CENT, ROUND_HALF_UP)
        return TwoSidedQuote(bid if bid > 0 else None, max(bid + spread, CENT), self.bid_size, self.ask_size)


@dataclass(frozen=True, slots=True)
class PublishedQuote:
    """A quote published to clients. `price_text`, such as "NaN", replaces both prices unless it is empty."""

    level: TwoSidedQuote
    at: dt.datetime
    price_text: str = ""


def level(
    mid: Decimal, spread: Decimal = CENT, *, bid_size: int = DEFAULT_SIZE, ask_size: int = DEFAULT_SIZE
) -> TwoSidedQuote:
    """A quote of this mid and spread, to the cent."""
    around = TwoSidedQuote(mid - spread / 2, mid + spread / 2, bid_size, ask_size)
    return around.moved_to(mid)


@dataclass(frozen=True, slots=True)
class Fixed:
    """One level from `start` on."""

    start: dt.datetime
    to: TwoSidedQuote

    def at(self, _now: dt.datetime, _before: TwoSidedQuote) -> TwoSidedQuote:
        """The level."""
        return self.to

    def unchanged_until(self, _now: dt.datetime) -> dt.datetime:
        """FOREVER, because the level is constant."""
        return FOREVER


@dataclass(frozen=True, slots=True)
class Jump:
    """A sudden move of the mid by a ratio (0.6 is -40%), with the spread kept."""

    start: dt.datetime
    ratio: Decimal

    def at(self, _now: dt.datetime, before: TwoSidedQuote) -> TwoSidedQuote:
        """The level after the jump."""
        return before.moved_to(before.mid * self.ratio)

    def unchanged_until(self, _now: dt.datetime) -> dt.datetime:
        """FOREVER, because the level changes only at the start."""
        return FOREVER


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear move of both sides from the level before to another, between `start` and `until`."""

    start: dt.datetime
    until: dt.datetime
    to: TwoSidedQuote

    def at(self, now: dt.datetime, before: TwoSidedQuote) -> TwoSidedQuote:
        """The interpolated level."""
        if now >= self.until:
            return self.to
        share = Decimal((now - self.start) / (self.until - self.start))
        return replace(
            self.to, bid=_between(before.bid, self.to.bid, share), ask=_between(before.ask, self.to.ask, share)
        )

    def unchanged_until(self, now: dt.datetime) -> dt.datetime:
        """`now` until the move ends, FOREVER afterwards."""
        return FOREVER if now >= self.until else now


@dataclass(slots=True)
class Walk:
    """A random walk of the mid: every `step` seconds a normal move of `sigma` plus `drift`, as ratios."""

    start: dt.datetime
    seed: int
    sigma: float
    step: float = 1.0
    drift: float = 0.0
    _random: random.Random = field(init=False, repr=False)
    _factors: list[float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311  prices of a simulation, not a secret
        self._factors = [1.0]

    def at(self, now: dt.datetime, before: TwoSidedQuote) -> TwoSidedQuote:
        """The level after as many steps as fit between the start and now."""
        steps = self._steps_at(now)
        while len(self._factors) <= steps:
            move = max(1 + self.drift + self._random.gauss(0, self.sigma), 0.01)
            self._factors.append(self._factors[-1] * move)
        return before.moved_to(before.mid * Decimal(str(self._factors[steps])))

    def unchanged_until(self, now: dt.datetime) -> dt.datetime:
        """The instant of the next step."""
        return self.start + dt.timedelta(seconds=(self._steps_at(now) + 1) * self.step)

    def _steps_at(self, now: dt.datetime) -> int:
        return int((now - self.start).total_seconds() / self.step)


Segment = Fixed | Jump | Linear | Walk


class Path:
    """The segments of one symbol in order of time. Each starts from the level of the one before it."""

    def __init__(self, segments: list[Segment]) -> None:
        self._segments = sorted(segments, key=lambda segment: segment.start)
        self._starts = [segment.start for segment in self._segments]
        self._moves = any(not isinstance(segment, Fixed) for segment in self._segments)
        self._bases = [TwoSidedQuote(None, None)]
        for earlier, later in zip(self._segments, self._segments[1:], strict=False):
            self._bases.append(earlier.at(later.start, self._bases[-1]))
        self._level: TwoSidedQuote | None = None
        self._from = self._until = FOREVER  # the cached level is valid from the first instant to before the second

    def at(self, now: dt.datetime) -> TwoSidedQuote | None:
        """The level at an instant; None before the first segment. An unchanged level is the same object."""
        if not self._from <= now < self._until:
            place = bisect_right(self._starts, now) - 1
            self._level = self._segments[place].at(now, self._bases[place]) if place >= 0 else None
            self._from, self._until = now, self._unchanged_until(place, now)
        return self._level

    def unchanged_until(self, now: dt.datetime) -> dt.datetime:
        """The instant until which the level can't change; `now` when it is moving."""
        self.at(now)
        return self._until

    def _unchanged_until(self, place: int, now: dt.datetime) -> dt.datetime:
        later = self._starts[place + 1] if place + 1 < len(self._starts) else FOREVER
        return min(later, self._segments[place].unchanged_until(now)) if place >= 0 else later

    @property
    def moves(self) -> bool:
        """Whether any level is computed (a line, a walk, a jump by a ratio) rather than given."""
        return self._moves


def _between(before: Decimal | None, after: Decimal | None, share: Decimal) -> Decimal | None:
    if before is None or after is None:
        return after
    return (before + (after - before) * share).quantize(CENT, ROUND_HALF_UP)
