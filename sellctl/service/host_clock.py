"""The host's clock, at its own speed or, for a simulated market, at another."""

import asyncio
import datetime as dt
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RealClock:
    """The host's clock; with `speed` 60 a minute of this clock takes a second."""

    speed: float = 1.0

    def now(self) -> dt.datetime:
        """The host's wall clock, UTC, which may be wrong and may step."""
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        """Seconds that never step, at this clock's speed."""
        return time.monotonic() * self.speed

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""
        await asyncio.sleep(seconds / self.speed)
