"""Virtual time: an event loop that advances the exchange's clock instead of waiting, and the Clock port based on it."""

import asyncio
import datetime as dt
import math
import selectors
from collections.abc import Callable
from typing import Any

from sellctl.sim.venue.exchange import Exchange

EPOCH = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_MICRO = 1_000_000


class StalledError(RuntimeError):
    """All tasks wait and no timer is scheduled."""


class VirtualSelector(selectors.SelectSelector):
    """A selector that never waits: it calls `idle` with the timeout instead."""

    def __init__(self, idle: Callable[[float], None]) -> None:
        super().__init__()
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now, or nothing after `idle` has advanced the time."""
        if timeout is not None and timeout <= 0:
            return []
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise StalledError("all tasks wait and no timer is scheduled")
        self._idle(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in the exchange's time. It jumps to the next timer when all tasks wait."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        super().__init__(VirtualSelector(self._jump))
        self._clock_resolution = 2 / _MICRO
        self.set_exception_handler(_ignore)

    def time(self) -> float:
        """Seconds of the exchange's clock, continuous over restarts of the program."""
        return seconds(self._exchange.now)

    def _jump(self, by: float) -> None:
        micros = math.ceil(by * _MICRO)
        self._exchange.advance_to(self._exchange.now + dt.timedelta(microseconds=micros))


def seconds(at: dt.datetime) -> float:
    """An instant as the loop's time in seconds."""
    return (at - EPOCH).total_seconds()


def _ignore(_loop: asyncio.AbstractEventLoop, _context: dict[str, Any]) -> None:
    """Suppress reports about the tasks that a killed loop leaves behind."""


class LoopClock:
    """The Clock port in the exchange's time. `skew` is the error of the host's wall clock (T01, T02)."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.skew = dt.timedelta(0)

    def now(self) -> dt.datetime:
        """The instant by the host's clock, including its error."""
        return self._exchange.now + self.skew

    def monotonic(self) -> float:
        """Seconds of a clock without steps."""
        return seconds(self._exchange.now)

    async def sleep(self, seconds: float) -> None:
        """Return when that much of the exchange's time has passed."""
        await asyncio.sleep(max(seconds, 0.0))
