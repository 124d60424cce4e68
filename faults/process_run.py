"""One process of the program inside the bench: assembled by its own composition root, run, stopped or killed."""

import asyncio
import datetime as dt
import inspect
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from faults.loop import LoopClock, VirtualLoop
from faults.patching import patched
from faults.steps import Killed, Step
from faults.streams import PollingInterval, Streams
from faults.wire import ProbedBroker, ProbedJournal, ProbedQuotes, Wire
from sellctl import bootstrap
from sellctl.alpaca import connect as connecting
from sellctl.bootstrap import Records, RunOptions, Runtime, assemble
from sellctl.core.config.schema import Config
from sellctl.core.config_manager import LoadedConfig
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.event import Event
from sellctl.core.ports import Broker, Journal, QuoteSource
from sellctl.service.options import Options
from sellctl.sim.venue.exchange import Exchange

Connections = Callable[[Wire], tuple[dict[str, Broker], QuoteSource]]


@dataclass(frozen=True, slots=True)
class _Connected:
    """What the composition root gets instead of connections to Alpaca."""

    brokers: dict[str, ProbedBroker]
    quotes: ProbedQuotes

    def close(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class ProcessRun:
    """One process of sellctl on a state folder, against an exchange that outlives it."""

    exchange: Exchange
    folder: Path
    config: Config
    connections: Connections
    clock: LoopClock
    wire: Wire
    steps: Step
    listener: Callable[[Event], None]
    pace: PollingInterval
    once: bool = False  # run-once instead of watch
    streams: Streams | None = None  # None: prices and orders are only fetched
    runtime: Runtime | None = None
    loop: VirtualLoop | None = None
    _stop: asyncio.Event | None = field(default=None)

    def run(self, until: dt.datetime) -> bool:
        """Watch until an instant. False when it was killed on the way."""
        self.loop = VirtualLoop(self.exchange)
        self.assemble()
        try:
            with self.streams.in_virtual_time() if self.streams else nullcontext():
                self.loop.run_until_complete(self.watch(until))
        except Killed:
            self._abandon()
            return False
        self.close()
        return True

    def close(self) -> None:
        """The orderly end."""
        if self.streams and self.loop:
            self.streams.cut(self.loop)
        if self.runtime:
            self.runtime.close()
        if self.loop:
            self.loop.close()

    def stop(self) -> None:
        """What SIGTERM does."""
        if self._stop:
            self._stop.set()

    def freeze(self, seconds: float) -> None:
        """SIGSTOP, or a lid that closes: time goes on, the process does not."""
        self.exchange.advance_to(self.exchange.now + dt.timedelta(seconds=seconds))

    async def watch(self, until: dt.datetime) -> None:
        """Run the process: poll until an instant or SIGTERM, or one run-once."""
        self._stop = asyncio.Event()
        scheduler = cast("Runtime", self.runtime).scheduler
        if self.once:
            await scheduler.run_once()
            return
        setting_interval = asyncio.ensure_future(self._set_interval(until))
        watching = asyncio.ensure_future(scheduler.watch(self._stop, nothing))
        ticking = asyncio.ensure_future(self.streams.keep_ticking(self.pace)) if self.streams else None
        await asyncio.wait({setting_interval, watching}, return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        setting_interval.cancel()
        await watching
        if self.streams and ticking:
            ticking.cancel()
            await self.streams.close()

    async def _set_interval(self, until: dt.datetime) -> None:
        scheduler = cast("Runtime", self.runtime).scheduler
        while self.exchange.now < until:
            interval, then = self.pace(self.exchange.now)
            scheduler.set_interval(interval)
            scheduler.wake()
            left = (min(then, until) - self.exchange.now).total_seconds()
            await self.clock.sleep(max(left, 1.0))

    def assemble(self) -> None:
        """Come up: by the program's own composition root."""
        loaded = LoadedConfig(self.config, None, {}, ())
        options = Options(None, self.folder, live=False, debug=False, log_file=None)
        with self._our_connections():
            runtime = assemble(
                loaded, options, RunOptions("watch", RunMode.ACT, streams=bool(self.streams)), self.listener, self.clock
            )
        self.runtime = runtime

    @contextmanager
    def _our_connections(self) -> Iterator[None]:
        """The composition root with the bench's connections, clock and journal where it makes its own."""
        brokers, quotes = self.connections(self.wire)
        connected = _Connected(
            {n: ProbedBroker(b, self.wire) for n, b in brokers.items()}, ProbedQuotes(quotes, self.wire)
        )
        with ExitStack() as stack:
            stack.enter_context(patched(connecting, "connect", lambda *_, **__: connected))
            stack.enter_context(patched(bootstrap, "RealClock", lambda: self.clock))
            stack.enter_context(patched(bootstrap, "open_records", self._probed_records(bootstrap.open_records)))
            if self.streams:
                stack.enter_context(self.streams.our_connections())
            yield

    def _probed_records(self, opened: Callable[..., Records]) -> Callable[..., Records]:
        def probed(*arguments: Any) -> Records:
            records = opened(*arguments)
            cast("Any", records.journal).step = self.steps
            return replace(records, journal=cast("Journal", ProbedJournal(records.journal, self.steps)))

        return probed

    def _abandon(self) -> None:
        """What is left of a killed process: its files as they stand. Its lock is gone with it, as the system does."""
        left = self.folder.with_name(self.folder.name + "-left")
        shutil.copytree(self.folder, left, ignore=shutil.ignore_patterns("*-shm", "*.lock"))
        self._drop_what_never_began()
        self.close()
        shutil.rmtree(self.folder)
        left.rename(self.folder)

    def _drop_what_never_began(self) -> None:
        """Tasks whose turn never came: Python would complain of each. What had begun is left as it stands."""
        for task in asyncio.all_tasks(self.loop) if self.loop else ():
            coroutine = task.get_coro()
            if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()


def nothing(_event: Any) -> None:
    """A listener that doesn't listen."""
