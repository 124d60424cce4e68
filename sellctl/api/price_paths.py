"""The price of each open position since the process started, for its chart: thinned out with time, so that it fits."""

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

SAMPLE_SECONDS = 5.0  # between two samples at first; it doubles whenever a path is full
MAX_POINTS = 240  # per position; a day of 6.5 hours has a point every 160 seconds in the end

Point = tuple[float, float | None]


@dataclass(slots=True)
class PricePath:
    """The prices of one position. They are floats, because they are only drawn; an unknown one is a gap.

    Paths that began together have their points at the same times, so that those of legs can be added up.
    """

    spacing: float = SAMPLE_SECONDS  # least seconds between two points
    _times: "array[float]" = field(default_factory=lambda: array("d"))
    _prices: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, at: float, price: Decimal | None) -> None:
        """Add a point unless it is too close to the last one. Times are seconds since the epoch."""
        if self._times and at - self._times[-1] < self.spacing:
            return
        is_known = price is not None and price.is_finite()
        self._times.append(at)
        self._prices.append(float(price) if price is not None and is_known else math.nan)
        if len(self._times) > MAX_POINTS:
            self._times, self._prices = self._times[::2], self._prices[::2]
            self.spacing *= 2

    @property
    def points(self) -> list[Point]:
        """Time and price of each point, oldest first; the price is None where it was unknown."""
        return [(at, None if math.isnan(price) else price) for at, price in zip(self._times, self._prices, strict=True)]


@dataclass(slots=True)
class PricePaths:
    """The paths of all open positions, by account and symbol. One that is closed is forgotten with its path."""

    _paths: dict[str, dict[str, PricePath]] = field(default_factory=dict)

    def add(self, account: str, at: float, prices: Mapping[str, Decimal | None]) -> None:
        """Add a point to the path of each position that an account holds."""
        known = self._paths.get(account, {})
        self._paths[account] = held = {symbol: known.get(symbol) or PricePath() for symbol in prices}
        for symbol, price in prices.items():
            held[symbol].add(at, price)

    def of(self, account: str, symbol: str) -> list[Point]:
        """The points of one position; empty when nothing is known of it."""
        path = self._paths.get(account, {}).get(symbol)
        return path.points if path else []

    def net(self, account: str, weights: Mapping[str, float]) -> list[Point]:
        """The points of a structure: the sum of its legs by these weights, at the times that all of them have."""
        legs = {symbol: dict(self.of(account, symbol)) for symbol in weights}
        times = sorted(set.intersection(*map(set, legs.values()))) if legs else []
        return [(at, _sum([(legs[symbol][at], weight) for symbol, weight in weights.items()])) for at in times]


def _sum(prices: list[tuple[float | None, float]]) -> float | None:
    """The weighted sum; None when one of the prices is unknown."""
    known = [price * weight for price, weight in prices if price is not None]
    return sum(known) if len(known) == len(prices) else None
