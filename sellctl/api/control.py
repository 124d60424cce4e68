"""Control of the Runtime behind the API: starts and stops its watchers, requests polls, and halts trading.

It acts within the configuration: nothing here changes a key, an endpoint, a rule or a guard, or turns paper into live,
and it lifts no halt that was made at the machine or by the account guard. Reads return the state of the last poll and
send no request to the broker; only `left_at_broker` does.
"""

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from loguru import logger

from sellctl.api.confirmed_proposals import ConfirmedProposals
from sellctl.api.events import EventHub
from sellctl.api.explanations import explain_document
from sellctl.api.manual_exits import ManualExits
from sellctl.api.manual_overrides import ManualOverrides
from sellctl.api.price_paths import SAMPLE_SECONDS, PricePaths
from sellctl.core.errors import BrokerError, BusyError, SafetyRefusalError, SellctlError
from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.service.command_inbox import serve
from sellctl.service.confirming import Confirming
from sellctl.service.garbage_collection import exempt_what_is_loaded
from sellctl.service.halt_flag import Halt, HaltOrigin
from sellctl.service.notifier import Notifier
from sellctl.service.proposals import Surface
from sellctl.service.verbs import Verbs
from sellctl.ui.displays import explained_plan, structures_of

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from sellctl.bootstrap import Runtime
    from sellctl.core.model.order import Order
    from sellctl.core.model.plan import Plan
    from sellctl.core.model.view import ShownStructure
    from sellctl.core.ports import Journal
    from sellctl.core.sell_watcher import SellWatcher
    from sellctl.ui.documents import Document

SETTLE_SECONDS = 15.0  # the longest that a poll in progress may take to end after a stop (R5)
POLL_SECONDS = 45.0  # the longest that a requested poll may take
ORDERS_SECONDS = 10.0  # the longest that reading the orders left at the broker may take


class State(StrEnum):
    """The state of the watchers."""

    WATCHING = "watching"
    STOPPED = "stopped"
    RUNNING_ONCE = "running once"
    FAILED = "failed"  # they ended with an internal error


@dataclass(slots=True)
class Control:
    """Starts and stops the watchers. Its methods must be called in the event loop of the API."""

    runtime: "Runtime"
    hub: EventHub
    notifier: Notifier
    fault: str = ""
    polls: int = 0
    failed: asyncio.Event = field(default_factory=asyncio.Event)
    prices: PricePaths = field(default_factory=PricePaths)
    verbs: Verbs = field(init=False)
    exits: ManualExits = field(init=False)
    overrides: ManualOverrides = field(init=False)
    proposals: ConfirmedProposals = field(init=False)
    _sampled_at: float = float("-inf")
    _next_poll_at: float | None = None
    _task: asyncio.Task[None] | None = None
    _once: bool = False
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: list[tuple[float, asyncio.Future[None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.verbs = Verbs(self.runtime)
        self.exits = ManualExits(self)
        self.overrides = ManualOverrides(self)
        confirming = Confirming.on(Surface.API, self.verbs, self.why_idle)
        self.proposals = ConfirmedProposals(confirming, self.exits, self.overrides, self.runtime.clock.monotonic)

    # --- state --------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The present state of the watchers."""
        if self._task is not None and not self._task.done():
            return State.RUNNING_ONCE if self._once else State.WATCHING
        return State.FAILED if self.fault else State.STOPPED

    @property
    def journal(self) -> "Journal":
        """The journal for what is asked of the watchers."""
        return self.runtime.journal

    @property
    def enabled(self) -> bool:
        """Whether the sell module is switched on."""
        return self.runtime.loaded.config.sell_module.enabled

    @property
    def plans(self) -> "list[Plan]":
        """The last plan of each account that has one."""
        watchers = self.runtime.scheduler.watchers
        return [explained_plan(plan, watcher) for watcher in watchers if (plan := watcher.state.plan)]

    @property
    def plans_with_structures(self) -> "list[tuple[Plan, tuple[ShownStructure, ...]]]":
        """The same, each with the structures of its account."""
        watchers = {watcher.name: watcher for watcher in self.runtime.scheduler.watchers}
        return [(plan, structures_of(plan, watchers[plan.account])) for plan in self.plans]

    @property
    def next_poll_in(self) -> float | None:
        """Seconds until the next poll; None when none is planned."""
        if self._next_poll_at is None or self.state is not State.WATCHING:
            return None
        return max(0.0, self._next_poll_at - self.runtime.clock.monotonic())

    def explain(self, name: str, account: str = "") -> "Document":
        """Everything about one position or structure, from memory. ConfigError when it isn't held."""
        watchers = {watcher.name: watcher for watcher in self.runtime.scheduler.watchers}
        held = [(watchers[each.account], each) for each in self.verbs.listings(account)]
        return explain_document(name, held, self.prices)

    def require_watching(self) -> None:
        """SafetyRefusalError unless the watchers run here: they carry out what is asked by hand."""
        if self.state is not State.WATCHING:
            raise SafetyRefusalError(
                f"Nothing is watched here ({self.state.value}): nothing can be closed by hand.",
                hint="Start watching first, or use `sellctl close` on the machine.",
            )

    # --- actions ------------------------------------------------------------------------------------------------------

    def start(self) -> bool:
        """Start watching; False when it is watching already.

        SafetyRefusalError or BusyError when it can't start.
        """
        if self.state is State.WATCHING:
            return False
        self._be_ready()
        self._stop.clear()
        self._run(self._watch(), once=False)
        self._publish("Watching.")
        return True

    async def stop(self) -> bool:
        """Stop watching; False when it wasn't. Orders at the broker stay as they are. BusyError during a single run."""
        if self.state is State.RUNNING_ONCE:
            raise BusyError("A single run is under way.", hint="It ends by itself within 50 s.")
        if self.state is not State.WATCHING:
            return False
        await self._end()
        self._publish("Stopped: nothing is watched and nothing is sold.")
        return True

    async def run_once(self) -> bool:
        """Poll every account now; False when that did not end in time. While stopped, do what `run-once` does.

        SafetyRefusalError or BusyError when it can't start.
        """
        if self.state is State.WATCHING:
            return await self._poll_now()
        self._be_ready()
        task = self._run(self.runtime.scheduler.run_once(), once=True)
        await asyncio.wait({task}, timeout=POLL_SECONDS + SETTLE_SECONDS)
        return task.done()

    def halt(self, reason: str, by: str) -> tuple[bool, str]:
        """Stop all new orders. Returns whether they weren't stopped before, and why other hosts aren't (Verbs.halt)."""
        changed = self.current_halt is None
        return changed, self.verbs.halt(reason, by, HaltOrigin.API)

    def resume(self, reason: str, by: str) -> bool:
        """Lift a halt that was made over the API or by chat. Returns whether there was one.

        SafetyRefusalError when it was made elsewhere, JournalError when the reason can't be recorded, or other hosts
        can't be told.
        """
        halt = self.current_halt
        if halt is not None and halt.origin.is_remote:
            self.journal.note("", "resume", {"reason": reason, "by": by})
        if not self.verbs.resume_remote():
            return False
        self._publish(f"Resumed by {by}: {reason}", severity=Severity.WARNING)
        return True

    @property
    def current_halt(self) -> Halt | None:
        """The halt with its origin, of this machine or of all hosts; None without one."""
        halt, halted = self.runtime.state.current_halt(), self.runtime.halted
        return halt or (Halt(halted, "", HaltOrigin.MACHINE) if halted else None)

    def why_idle(self) -> str:
        """Why nothing is closed or set now, as no watcher runs; "" while one does."""
        return "" if self.state is State.WATCHING else f"Nothing is watched now ({self.state}), so nothing is done."

    def halted(self) -> str:
        """Why trading is halted; "" when it isn't."""
        return self.runtime.halted

    async def left_at_broker(self) -> "list[tuple[str, Order]]":
        """Our open orders at the broker, each with its account's name.

        For an account whose orders can't be read, those of the last poll.
        """
        found = await asyncio.gather(*(_ours(watcher) for watcher in self.runtime.scheduler.watchers))
        return [each for orders in found for each in orders]

    def begin_to_close(self) -> None:
        """Make no new decision from now on, and end the event streams."""
        self._stop.set()
        self.hub.close()

    async def close(self) -> None:
        """Stop watching and end the event streams."""
        self.begin_to_close()
        await self._end()

    # --- internals ----------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Watch, and accept requests from other commands; a process that only observes leaves them to the hosts."""
        scheduler, state = self.runtime.scheduler, self.runtime.state
        inbox = None if self.runtime.observes else asyncio.create_task(serve(scheduler, state, self._stop))
        try:
            await scheduler.watch(self._stop, self._after_poll)
        finally:
            if inbox:
                inbox.cancel()

    async def _end(self) -> None:
        """End the poll in progress; it is cancelled after SETTLE_SECONDS."""
        self._stop.set()
        task = self._task
        if task is None or task.done():
            return
        await asyncio.wait({task}, timeout=SETTLE_SECONDS)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})

    def _be_ready(self) -> None:
        """Check and lock every account again. SafetyRefusalError or BusyError when one can't be used."""
        if not self.enabled:
            raise SafetyRefusalError("sell_module.enabled is false: nothing is watched and nothing is sold.")
        if self.state is State.RUNNING_ONCE:
            raise BusyError("A single run is under way.", hint="Wait until it has ended; it takes at most 50 s.")
        try:
            for watcher in self.runtime.scheduler.watchers:
                watcher.observer.admit_again()
        except SellctlError:
            self.runtime.state.release()
            raise

    def _run(self, work: "Coroutine[object, object, None]", *, once: bool) -> asyncio.Task[None]:
        self.fault, self._once = "", once
        self._task = asyncio.create_task(work, name="sellctl-watchers")
        self._task.add_done_callback(self._ended)
        return self._task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Release the accounts after the watchers have ended, and publish an internal error."""
        self._next_poll_at = None
        self._release()
        self.runtime.state.release()
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        self.fault = error.sentence if isinstance(error, SellctlError) else f"internal error {type(error).__name__}"
        logger.opt(exception=error).critical("The watcher has failed")
        self._publish(f"The watcher has failed: {self.fault}", EventKind.ALERT, Severity.ERROR)
        self.failed.set()

    async def _poll_now(self) -> bool:
        """Request polls until every account was polled after this call; False after POLL_SECONDS."""
        since = self.runtime.clock.monotonic()
        polled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((since, polled))
        self.runtime.scheduler.read_at_once(watcher.name for watcher in self.runtime.scheduler.watchers)
        done, _ = await asyncio.wait({polled}, timeout=POLL_SECONDS)
        return bool(done)

    def _after_poll(self, wait: float) -> None:
        exempt_what_is_loaded()
        self.polls += 1
        self._next_poll_at = self.runtime.clock.monotonic() + wait
        self._remember_prices()
        for waiting in [each for each in self._waiting if self._has_polled_since(each[0])]:
            self._waiting.remove(waiting)
            waiting[1].set_result(None)
        market = self.runtime.scheduler.market
        self.notifier.after_poll(market.is_open if market else None)
        self.hub.announce("look", {"looks": self.polls, "next_look_in": round(wait, 3)})

    def _remember_prices(self) -> None:
        """Keep the present price of each position for its chart, at most once per SAMPLE_SECONDS."""
        now = self.runtime.clock.monotonic()
        if now - self._sampled_at < SAMPLE_SECONDS:
            return
        self._sampled_at = now
        for watcher in self.runtime.scheduler.watchers:
            if plan := watcher.state.plan:
                held = {each.holding.symbol: each.holding.exit_price for each in plan.decisions}
                self.prices.add(watcher.name, plan.made_at.timestamp(), held)

    def _has_polled_since(self, since: float) -> bool:
        """Whether each account was polled since then, or can't be polled now."""
        scheduler = self.runtime.scheduler
        if scheduler.problem is not None or (scheduler.market is not None and not scheduler.market.is_open):
            return True
        return all(
            state.problem is not None or (state.polled_at is not None and state.polled_at >= since)
            for state in scheduler.states
        )

    def _release(self) -> None:
        for _, polled in self._waiting:
            if not polled.done():
                polled.set_result(None)
        self._waiting.clear()

    def _publish(self, text: str, kind: EventKind = EventKind.NOTE, severity: Severity = Severity.INFO) -> None:
        market = self.runtime.scheduler.market
        at = market.now if market else self.runtime.clock.now()
        logger.log(severity.value.upper(), "{}", text)
        event = Event(at, text, severity=severity, kind=kind)
        self.hub.publish(event)
        self.notifier.notify(event)


async def _ours(watcher: "SellWatcher") -> "list[tuple[str, Order]]":
    try:
        async with asyncio.timeout(ORDERS_SECONDS):
            orders = (await watcher.broker.open_orders()).rows
    except (BrokerError, TimeoutError):
        orders = watcher.state.open_orders
    return [(watcher.name, order) for order in orders if order.is_ours]
