"""A Clock whose time is the exchange's: it jumps to the next waker when everybody waits. An hour takes milliseconds."""

import asyncio
import datetime as dt
import heapq

from sellctl.sim.venue.exchange import Exchange

SETTLE_ROUNDS = 12  # turns of the event loop that running tasks get before time moves


class VirtualClock:
    """The Clock port over an exchange. Works in one event loop and expects no work in other threads."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._start = exchange.now
        self._wakers: list[tuple[dt.datetime, int, asyncio.Future[None]]] = []
        self._count = 0
        self._driver: asyncio.Task[None] | None = None

    def now(self) -> dt.datetime:
        """The present instant of the simulation, UTC."""
        return self._exchange.now

    def monotonic(self) -> float:
        """Simulated seconds since the start."""
        return (self._exchange.now - self._start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Return when that many simulated seconds have passed."""
        loop = asyncio.get_running_loop()
        waker: asyncio.Future[None] = loop.create_future()
        self._count += 1
        wakes_at = self.now() + dt.timedelta(seconds=max(seconds, 0.0))
        heapq.heappush(self._wakers, (wakes_at, self._count, waker))
        if self._driver is None or self._driver.done():
            self._driver = loop.create_task(self._drive())
        await waker

    async def _drive(self) -> None:
        """Let everybody run until all wait, then move time to the earliest waker; end when nobody waits."""
        while self._wakers:
            for _ in range(SETTLE_ROUNDS):
                await asyncio.sleep(0)
            while self._wakers and self._wakers[0][2].done():
                heapq.heappop(self._wakers)  # a cancelled sleep moves no time
            if self._wakers:
                wakes_at, _, waker = heapq.heappop(self._wakers)
                self._exchange.advance_to(wakes_at)
                if not waker.done():
                    waker.set_result(None)
