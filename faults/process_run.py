"""Runs the program inside the bench as a process would: assembled by its composition root, run, stopped or killed."""

import asyncio
import datetime as dt
import inspect
import shutil
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from faults.loop import LoopClock, VirtualLoop
from faults.network import MarketData, Network, ProbedBroker, ProbedJournal, ProbedQuotes
from faults.patching import patched
from faults.steps import Killed, Step
from faults.streams import PollingInterval, Streams
from sellctl import bootstrap
from sellctl.alpaca import connect as connect_module
from sellctl.bootstrap import Records, RunOptions, Runtime, assemble
from sellctl.core.config.schema import Config
from sellctl.core.config_manager import LoadedConfig
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.event import Event
from sellctl.core.ports import Broker, Journal
from sellctl.core.tracking.remembered_facts import RememberedFacts
from sellctl.service.options import Options
from sellctl.sim.venue.exchange import Exchange

Connections = Callable[[RememberedFacts], tuple[dict[str, Broker], MarketData]]


@dataclass(frozen=True, slots=True)
class _Connected:
    """Replaces the composition root's connections to Alpaca."""

    brokers: dict[str, ProbedBroker]
    quotes: ProbedQuotes

    def close(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class ProcessRun:
    """One process of sellctl on a state folder. The exchange continues after it has ended."""

    exchange: Exchange
    folder: Path
    config: Config
    connections: Connections
    clock: LoopClock
    network: Network
    steps: Step
    listener: Callable[[Event], None]
    polling_interval: PollingInterval
    once: bool = False  # run-once instead of watch
    streams: Streams | None = None  # None: prices and orders are only fetched
    after_poll: Callable[[Runtime], None] = lambda _runtime: None
    people: Callable[[Runtime], Coroutine[Any, Any, None]] | None = None  # who ask something of it
    runtime: Runtime | None = None
    loop: VirtualLoop | None = None
    _stop: asyncio.Event | None = field(default=None)

    def run(self, until: dt.datetime) -> bool:
        """Watch until an instant. False when it was killed."""
        self.loop = VirtualLoop(self.exchange)
        self.assemble()
        try:
            with self.streams.in_virtual_time() if self.streams else nullcontext():
                self.loop.run_until_complete(self.watch(until))
        except Killed:
            self._leave_as_killed()
            return False
        self.close()
        return True

    def close(self) -> None:
        """Release everything, as an orderly end does."""
        if self.streams and self.loop:
            self.streams.cut(self.loop)
        if self.runtime:
            self.runtime.close()
        if self.loop:
            self.loop.close()

    def stop(self) -> None:
        """Stop as on SIGTERM."""
        if self._stop:
            self._stop.set()

    def suspend(self, seconds: float) -> None:
        """Suspend the process, as SIGSTOP or a suspended host does: only the exchange's time continues."""
        self.exchange.advance_to(self.exchange.now + dt.timedelta(seconds=seconds))

    async def watch(self, until: dt.datetime) -> None:
        """Run the process: poll until an instant or SIGTERM, or one run-once."""
        self._stop = asyncio.Event()
        runtime = cast("Runtime", self.runtime)
        scheduler = runtime.scheduler
        if self.once:
            await scheduler.run_once()
            return
        setting_interval = asyncio.ensure_future(self._set_interval(until))
        watching = asyncio.ensure_future(scheduler.watch(self._stop, lambda _seconds: self.after_poll(runtime)))
        ticking = asyncio.ensure_future(self.streams.keep_ticking(self.polling_interval)) if self.streams else None
        asking = asyncio.ensure_future(self.people(runtime)) if self.people else None
        await asyncio.wait({setting_interval, watching}, return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        setting_interval.cancel()
        if asking:
            asking.cancel()
        await watching
        if self.streams and ticking:
            ticking.cancel()
            await self.streams.close()

    async def _set_interval(self, until: dt.datetime) -> None:
        scheduler = cast("Runtime", self.runtime).scheduler
        while self.exchange.now < until:
            interval, then = self.polling_interval(self.exchange.now)
            scheduler.set_interval(interval)
            scheduler.wake()
            left = (min(then, until) - self.exchange.now).total_seconds()
            await self.clock.sleep(max(left, 1.0))

    def assemble(self) -> None:
        """Assemble the program by its own composition root."""
        loaded = LoadedConfig(self.config, None, {}, ())
        options = Options(None, self.folder, live=False, debug=False, log_file=None)
        with self._replaced_connections():
            runtime = assemble(
                loaded, options, RunOptions("watch", RunMode.ACT, streams=bool(self.streams)), self.listener, self.clock
            )
        self.runtime = runtime

    @contextmanager
    def _replaced_connections(self) -> Iterator[None]:
        """Let the composition root use the bench's connections, clock and journal instead of its own."""
        with ExitStack() as stack:
            stack.enter_context(patched(connect_module, "connect", self._connected))
            stack.enter_context(patched(bootstrap, "RealClock", lambda: self.clock))
            stack.enter_context(patched(bootstrap, "open_records", self._probed_records(bootstrap.open_records)))
            if self.streams:
                stack.enter_context(self.streams.replaced())
            yield

    def _connected(self, *_: object, facts: RememberedFacts, **__: object) -> _Connected:
        brokers, quotes = self.connections(facts)
        probed = {name: ProbedBroker(broker, self.network) for name, broker in brokers.items()}
        return _Connected(probed, ProbedQuotes(quotes, self.network))

    def _probed_records(self, opened: Callable[..., Records]) -> Callable[..., Records]:
        def probed(*arguments: Any) -> Records:
            records = opened(*arguments)
            cast("Any", records.journal).step = self.steps
            return replace(records, journal=cast("Journal", ProbedJournal(records.journal, self.steps)))

        return probed

    def _leave_as_killed(self) -> None:
        """Keep the state folder as a killed process leaves it. Its lock is released, as the operating system does."""
        left = self.folder.with_name(self.folder.name + "-left")
        shutil.copytree(self.folder, left, ignore=shutil.ignore_patterns("*-shm", "*.lock"))
        self._end_tasks()
        self.close()
        shutil.rmtree(self.folder)
        left.rename(self.folder)

    def _end_tasks(self) -> None:
        """End the killed process's coroutines now: Python would warn of each when it collects them at some later time.

        What they do while they end changes nothing that survives: every step of a dead process raises Killed, and the
        state folder has been copied before.
        """
        for task in asyncio.all_tasks(self.loop) if self.loop else ():
            coroutine = task.get_coro()
            if inspect.iscoroutine(coroutine):
                with suppress(BaseException):
                    coroutine.close()
