"""A Clock with the exchange's time: when all tasks sleep, time jumps to the first wake-up, without real waiting."""

import asyncio
import datetime as dt
import heapq

from sellctl.sim.venue.exchange import Exchange

SETTLE_ROUNDS = 12  # event-loop iterations that running tasks get before time moves


class VirtualClock:
    """The Clock port over an exchange, for one event loop without work in other threads."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._start = exchange.now
        self._sleepers: list[tuple[dt.datetime, int, asyncio.Future[None]]] = []
        self._sequence = 0
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
        sleeper: asyncio.Future[None] = loop.create_future()
        self._sequence += 1
        wakes_at = self.now() + dt.timedelta(seconds=max(seconds, 0.0))
        heapq.heappush(self._sleepers, (wakes_at, self._sequence, sleeper))
        if self._driver is None or self._driver.done():
            self._driver = loop.create_task(self._drive())
        await sleeper

    async def _drive(self) -> None:
        """Run the tasks until all sleep, then move time to the first wake-up, and repeat until no task sleeps."""
        while self._sleepers:
            for _ in range(SETTLE_ROUNDS):
                await asyncio.sleep(0)
            while self._sleepers and self._sleepers[0][2].done():
                heapq.heappop(self._sleepers)  # a cancelled sleep does not move the time
            if self._sleepers:
                wakes_at, _, sleeper = heapq.heappop(self._sleepers)
                self._exchange.advance_to(wakes_at)
                if not sleeper.done():
                    sleeper.set_result(None)
