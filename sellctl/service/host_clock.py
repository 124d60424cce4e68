"""The host's clock, at its own speed or, for a simulated market, at another."""

import asyncio
import datetime as dt
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RealClock:
    """The host's clock; `speed` 60 makes a minute of a second."""

    speed: float = 1.0

    def now(self) -> dt.datetime:
        """The host's idea of the instant, UTC."""
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        """Seconds that never step, at this clock's speed."""
        return time.monotonic() * self.speed

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""
        await asyncio.sleep(seconds / self.speed)
