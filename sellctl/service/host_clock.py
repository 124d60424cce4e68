"""The host's clock; its monotonic time and its sleeps can run at the speed of a simulated market.

LeaseClock goes on while the host is suspended, which the monotonic clock of Linux does not.
"""

import asyncio
import datetime as dt
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RealClock:
    """The host's clock. With `speed` 60, sleeping for one minute takes one second; `now` is not affected."""

    speed: float = 1.0

    def now(self) -> dt.datetime:
        """The host's wall clock, in UTC. It may be wrong, and it may jump."""
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start, at this clock's speed; unaffected by changes of the system time."""
        return time.monotonic() * self.speed

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock's monotonic time."""
        await asyncio.sleep(seconds / self.speed)


class LeaseClock(RealClock):
    """The host's clock for leases, which end while a host is suspended, too."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start, including those for which the host was suspended."""
        boot_time = getattr(time, "CLOCK_BOOTTIME", None)  # Linux; elsewhere the monotonic clock counts them itself
        return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)
