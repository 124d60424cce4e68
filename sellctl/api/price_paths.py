"""The price of each open position since the process started, for its chart: thinned out with time, so that it fits."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

SAMPLE_SECONDS = 5.0  # between two samples at first; it doubles whenever a path is full
MAX_POINTS = 240  # per position; a day of 6.5 hours has a point every 160 seconds in the end

Key = tuple[str, str]  # account, and symbol or name of a structure
Sample = tuple[Key, Decimal | None]


@dataclass(slots=True)
class PricePath:
    """The prices of one position. Points are floats, because they are only drawn."""

    spacing: float = SAMPLE_SECONDS  # least seconds between two points
    _times: "array[float]" = field(default_factory=lambda: array("d"))
    _prices: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, at: float, price: Decimal) -> None:
        """Add a point unless it is too close to the last one. Times are seconds since the epoch."""
        if self._times and at - self._times[-1] < self.spacing:
            return
        self._times.append(at)
        self._prices.append(float(price))
        if len(self._times) > MAX_POINTS:
            self._times, self._prices = self._times[::2], self._prices[::2]
            self.spacing *= 2

    @property
    def points(self) -> list[tuple[float, float]]:
        """Time and price of each point, oldest first."""
        return list(zip(self._times, self._prices, strict=True))


@dataclass(slots=True)
class PricePaths:
    """The paths of all open positions. One that is closed is forgotten with its path."""

    _paths: dict[Key, PricePath] = field(default_factory=dict)

    def add(self, at: float, samples: Iterable[Sample]) -> None:
        """Add a point to the path of each position whose price is known."""
        held = dict(samples)
        self._paths = {key: self._paths.get(key) or PricePath() for key in held}
        for key, price in held.items():
            if price is not None and price.is_finite():
                self._paths[key].add(at, price)

    def of(self, account: str, symbol: str) -> PricePath:
        """The path of one position; empty when nothing is known of it."""
        return self._paths.get((account, symbol)) or PricePath()
