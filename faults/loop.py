"""Virtual time: an event loop whose waiting moves the exchange's clock, and the Clock port on top of it."""

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
    """Everybody waits for something that nobody will do."""


class VirtualSelector(selectors.SelectSelector):
    """Never waits: where a loop would, it lets `idle` move time instead."""

    def __init__(self, idle: Callable[[float], None]) -> None:
        super().__init__()
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; never a wait of the host's."""
        if timeout is not None and timeout <= 0:
            return []
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise StalledError("nothing is scheduled and everybody waits")
        self._idle(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in the exchange's time: it jumps to the next timer when all tasks wait. A day takes a second or so."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        super().__init__(VirtualSelector(self._jump))
        self._clock_resolution = 2 / _MICRO
        self.set_exception_handler(_ignore)

    def time(self) -> float:
        """Seconds of the exchange's clock; they go on over restarts."""
        return seconds(self._exchange.now)

    def _jump(self, by: float) -> None:
        micros = math.ceil(by * _MICRO)
        self._exchange.advance_to(self._exchange.now + dt.timedelta(microseconds=micros))


def seconds(at: dt.datetime) -> float:
    """An instant as a loop's time."""
    return (at - EPOCH).total_seconds()


def _ignore(_loop: asyncio.AbstractEventLoop, _context: dict[str, Any]) -> None:
    """A loop that was killed leaves tasks behind; nobody is told."""


class LoopClock:
    """The Clock port in the exchange's time. `skew` is how wrong the host's wall clock is (T01, T02)."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.skew = dt.timedelta(0)

    def now(self) -> dt.datetime:
        """The host's idea of the instant."""
        return self._exchange.now + self.skew

    def monotonic(self) -> float:
        """Seconds that never step."""
        return seconds(self._exchange.now)

    async def sleep(self, seconds: float) -> None:
        """Return when that much of the exchange's time has passed."""
        await asyncio.sleep(max(seconds, 0.0))
