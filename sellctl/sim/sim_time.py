"""The simulator's time, which runs at a speed relative to the host's monotonic clock."""

import datetime as dt
import time


class SimTime:
    """Simulated now = base + speed x host seconds since the base. At speed 0 it changes by `move_to` only."""

    def __init__(self, start: dt.datetime, speed: float = 1.0) -> None:
        self._base = start
        self._speed = speed
        self._since = time.monotonic()

    @property
    def speed(self) -> float:
        """Simulated seconds per second of the host."""
        return self._speed

    def now(self) -> dt.datetime:
        """The present instant of the simulation, UTC."""
        if not self._speed:
            return self._base
        return self._base + dt.timedelta(seconds=(time.monotonic() - self._since) * self._speed)

    def move_to(self, at: dt.datetime) -> None:
        """Jump forward; an earlier instant has no effect."""
        self._base, self._since = max(at, self.now()), time.monotonic()

    def set_speed(self, speed: float) -> None:
        """Continue from now at this speed."""
        self._base, self._since, self._speed = self.now(), time.monotonic(), speed
