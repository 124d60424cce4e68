"""The simulator's time: an instant, and its speed against the host's monotonic clock. The one place that reads it."""

import datetime as dt
import time


class SimTime:
    """Simulated now = base + speed x host seconds since; speed 0 stands still until it is moved."""

    def __init__(self, start: dt.datetime, speed: float = 1.0) -> None:
        self._base = start
        self._speed = speed
        self._since = time.monotonic()

    @property
    def speed(self) -> float:
        """Simulated seconds a second of the host."""
        return self._speed

    def now(self) -> dt.datetime:
        """The present instant of the simulation, UTC."""
        if not self._speed:
            return self._base
        return self._base + dt.timedelta(seconds=(time.monotonic() - self._since) * self._speed)

    def move_to(self, at: dt.datetime) -> None:
        """Jump forward; a jump back is refused by staying."""
        self._base, self._since = max(at, self.now()), time.monotonic()

    def run_at(self, speed: float) -> None:
        """Go on from now at another speed."""
        self._base, self._since, self._speed = self.now(), time.monotonic(), speed
