"""Polls all accounts: they share one clock and one set of quotes, and none waits for a slow one.

An ordinary poll concurrently reads the clock, the quotes of the known positions and each account's positions and
orders; then it reads missing quotes, decides and executes per account. Between two ordinary polls, an account with an
exit under way is read at its own pace (`watching.poll_schedule`) and decides on newer quotes. A slow account's answer
is used by a later poll; an account that fails is polled less often.
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sellctl.core.decision.quote_checks import price_exits_paused
from sellctl.core.errors import AuthError, BrokerError, RateLimitedError, SellctlError
from sellctl.core.events import EventPublisher
from sellctl.core.market_clock import MarketClock
from sellctl.core.model.account_state import AccountState, RunMode
from sellctl.core.model.event import EventKind
from sellctl.core.model.instrument import Instrument
from sellctl.core.model.market import Market
from sellctl.core.model.plan import Plan
from sellctl.core.ports import Clock
from sellctl.core.price_tracker import QUOTED, PriceTracker
from sellctl.core.sell_watcher import LoadedOrders, SellWatcher
from sellctl.core.tick_handler import TickHandler
from sellctl.core.watching.account_observer import AccountObservation
from sellctl.core.watching.poll_schedule import (
    AT_ONCE_SECONDS,
    CLOCK_SECONDS,
    EASY_LOAD,
    FOLLOW_UP_SECONDS,
    HURRIED_SECONDS,
    LOOK_SECONDS,
    SHORTEST_SECONDS,
    SLOWEST_SECONDS,
    TRIES,
    PollConditions,
    back_off,
    look_gap,
    may_recover,
    quote_requests,
    read_gap,
    rest_while_closed,
    slowed,
)
from sellctl.core.watching.split_reader import SplitReader

PATIENCE_SECONDS = 2.0  # how long a poll waits for a slow account once another is ready
EXECUTION_SECONDS = 0.1  # how long `watch` waits for plans to be carried out before it goes on beside them
RECOVERY_SECONDS = 1.1  # before run-once tries again after a failure that may be temporary
UNWATCHED_SECONDS = 300.0  # between alerts that an account still fails
GRACE_SECONDS = 2.0  # extra time in run-once for an exit that has cancelled and not sent yet
RUN_ONCE_SECONDS = 45.0  # run-once ends within 50 s; the rest is for the last cancels

_CLOCK_IS_BACK = "the broker's clock can be read again"

Observed = tuple[SellWatcher, AccountObservation]


@dataclass(slots=True)
class AccountScheduler:
    """Polls the watchers of all accounts, once or until stopped.

    `interval` is the time between ordinary polls. Without a `tick_handler` prices are only polled, and without a
    `split_reader` nobody asks for splits.
    """

    watchers: Sequence[SellWatcher]
    market_clock: MarketClock
    prices: PriceTracker
    clock: Clock
    interval: dt.timedelta
    publish: EventPublisher
    tick_handler: TickHandler | None = None
    split_reader: SplitReader | None = None
    _market: Market | None = None
    _problem: SellctlError | None = None
    _clock_failures: int = 0
    _instruments: dict[str, dict[str, Instrument]] = field(default_factory=dict)  # by account and symbol
    _under_way: dict[str, asyncio.Task[AccountObservation | None]] = field(default_factory=dict)
    _executing: set[asyncio.Task[None]] = field(default_factory=set)
    # By account, in monotonic seconds: when its last read began and ended, and when it last got newer quotes.
    _read_at: dict[str, float] = field(default_factory=dict)
    _read_ended_at: dict[str, float] = field(default_factory=dict)
    _quoted_at: dict[str, float] = field(default_factory=dict)
    _last_ordinary: float = float("-inf")  # when the last ordinary poll began
    _well_at: dict[str, float] = field(default_factory=dict)  # when an account last worked, or the last alert about it
    _wake_up: asyncio.Event = field(default_factory=asyncio.Event)
    _jumped: frozenset[str] = frozenset()  # symbols whose price has jumped without a second quote yet
    _second_quote_in: float = 0.0
    _is_watching: bool = False  # a single run only decides on reads: each of its decisions is recorded
    _ordinary_requested: bool = False
    _requested: set[str] = field(default_factory=set)  # accounts to be read early, at their pace
    _look_requested: set[str] = field(default_factory=set)  # accounts to decide again now, on the quotes that there are
    _at_once: set[str] = field(default_factory=set)  # accounts to be read by the next poll in any case
    _published: dict[str, str] = field(default_factory=dict)  # the last problem published, by subject

    @property
    def states(self) -> list[AccountState]:
        """The current state of each account."""
        return [watcher.state for watcher in self.watchers]

    @property
    def market(self) -> Market | None:
        """The market at the last poll; None before the broker's clock was read."""
        return self._market

    @property
    def problem(self) -> SellctlError | None:
        """Why the broker's clock can't be read; None when it can."""
        return self._problem

    @property
    def first_plans(self) -> list[Plan]:
        """The plan of each account's first poll; accounts without a successful poll are left out."""
        return [state.first_plan for state in self.states if state.first_plan is not None]

    # --- one poll -----------------------------------------------------------------------------------------------------

    async def poll(self, *, expedited: bool = False) -> None:
        """Poll every account; with `expedited`, only those that are due before the next ordinary poll.

        Returns when every plan was carried out.
        """
        await asyncio.gather(*await self._poll(ordinary=not expedited, patient=True))

    async def _poll(self, *, ordinary: bool, patient: bool) -> list[asyncio.Task[None]]:
        """Read, decide, and start to carry out the plans. Unless `patient`, the first answer is not waited for long."""
        self._alert_unwatched()
        self._look_for_jumps()
        now = self.clock.monotonic()
        if ordinary:
            self._last_ordinary = now
        due = [watcher for watcher in self.watchers if self._is_due(watcher, now, ordinary=ordinary)]
        started = [self._start_reading(watcher, now) for watcher in due]
        quoting = self._due_to_look(now)
        looking = [each for each in self.watchers if each in quoting or (each.name in self._look_requested)]
        looking = [each for each in looking if each not in due and self._is_watching and each.may_look]
        unquoted = [each for each in due if self._quoted_at.get(each.name, float("-inf")) <= now - LOOK_SECONDS]
        quoting = [each for each in self.watchers if each in quoting or each in unquoted]
        requested = self._held_by(quoting) if self._needs_quotes() else []
        market, _ = await asyncio.gather(self._read_market(ordinary=ordinary), self.prices.refresh(requested))
        seen = await self._arrived(started, patient=patient)
        if market is None:
            if seen:  # an account that fails too has told why
                self._publish_change("clock", f"the broker's clock can't be read: {self._problem}", _CLOCK_IS_BACK)
            return []
        self._ask_for_splits(seen, market)
        if self._needs_quotes():
            await self.prices.refresh(_missing(seen, requested))
        self._remember(seen)
        market = self._market = self.market_clock.now()
        self._publish_change("quotes", self.prices.problem, "quotes are available again")
        self._publish_change(
            "hours", "" if market.confirmed else price_exits_paused(market), "clock and calendar agree again"
        )
        self._look_requested.difference_update(watcher.name for watcher in (*due, *looking))
        self._quoted_at |= dict.fromkeys((watcher.name for watcher in quoting), self.clock.monotonic())
        observed = {watcher.name for watcher, _ in seen}
        work = [watcher.act_on_poll(observation, market) for watcher, observation in seen]
        work += [watcher.look(market, self._loaded(watcher)) for watcher in looking if watcher.name not in observed]
        plans = [self._start(each) for each in work]
        if self.tick_handler and seen:
            self._start(self._prepare_ticks(self.tick_handler, plans))
        return plans

    def _ask_for_splits(self, seen: Iterable[Observed], market: Market) -> None:
        if self.split_reader and market.is_open:
            instruments = (i for _, observation in seen for i in observation.instruments)
            stocks = {i.underlying for i in instruments if i.asset_class in QUOTED}
            self.split_reader.ask(stocks, market.today)

    @staticmethod
    async def _prepare_ticks(tick_handler: TickHandler, plans: Iterable[asyncio.Task[None]]) -> None:
        await asyncio.gather(*plans)
        await tick_handler.polled()

    def _loaded(self, watcher: SellWatcher) -> LoadedOrders:
        """The account's orders of today that were loaded for ticks; without these, that its last poll or look read."""
        ticks, snapshot = self.tick_handler, watcher.state.snapshot
        if ticks is None:
            return LoadedOrders(snapshot.history if snapshot else {})
        return LoadedOrders(
            ticks.todays_orders(watcher.name),
            forget=partial(ticks.forget_orders, watcher.name),
            keep=partial(ticks.keep_orders, watcher.name),
        )

    def _start_reading(self, watcher: SellWatcher, now: float) -> asyncio.Task[AccountObservation | None]:
        state, name = watcher.state, watcher.name
        is_overdue = state.polled_at is None or now - state.polled_at >= SLOWEST_SECONDS
        urgent = name in self._at_once or state.is_pressing or is_overdue
        self._requested.discard(name)
        self._at_once.discard(name)
        self._read_at[name] = now

        async def read() -> AccountObservation | None:
            try:
                return await watcher.observe(urgent=urgent)
            finally:
                self._read_ended_at[name] = self.clock.monotonic()

        task = self._under_way[name] = asyncio.create_task(read())
        return task

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._executing.add(task)
        task.add_done_callback(self._executing.discard)
        return task

    # --- who is due ---------------------------------------------------------------------------------------------------

    def _is_due(self, watcher: SellWatcher, now: float, *, ordinary: bool) -> bool:
        """Whether to read an account now: not while it is being read, backs off, or was read a moment ago."""
        name = watcher.name
        if name in self._under_way:
            return False
        if name in self._at_once:
            return True
        if now < self._read_at.get(name, float("-inf")) + (HURRIED_SECONDS if watcher.is_executing else 0.0):
            return False
        if ordinary:
            rested = self._read_at.get(name, float("-inf")) + slowed(FOLLOW_UP_SECONDS, watcher.broker.load)
            return now >= max(min(rested, self._read_due_at(watcher)), self._backs_off_until(watcher))
        return now >= self._read_due_at(watcher)

    def _read_due_at(self, watcher: SellWatcher) -> float:
        """When the account is read unless an ordinary poll comes first; infinite while it is being read."""
        if watcher.name in self._under_way:
            return float("inf")
        if watcher.name in self._at_once:
            return float("-inf")
        if watcher.state.failures:
            return self._backs_off_until(watcher)
        read_at = self._read_at.get(watcher.name, float("-inf"))
        gap = HURRIED_SECONDS if watcher.is_executing else read_gap(watcher.state, self._conditions(watcher))
        return max(read_at + gap, self._backs_off_until(watcher))

    def _backs_off_until(self, watcher: SellWatcher) -> float:
        return self._read_ended_at.get(watcher.name, float("-inf")) + back_off(watcher.state)

    def _due_to_look(self, now: float) -> list[SellWatcher]:
        """The accounts that need newer quotes: all that want any once one is due, so that they share the requests."""
        looks = self._looks()
        return [watcher for watcher, _ in looks] if any(due_at <= now for _, due_at in looks) else []

    def _looks(self) -> list[tuple[SellWatcher, float]]:
        """The accounts that decide on newer quotes before their next read, and when each needs them."""
        requests = quote_requests(self._held_by(each for each in self.watchers if each.state.is_expedited))
        found = []
        for watcher in self.watchers:
            gap = look_gap(watcher.state, self._conditions(watcher), requests)
            if gap is not None:
                found.append((watcher, self._quoted_at.get(watcher.name, float("-inf")) + gap))
        return found

    def _look_for_jumps(self) -> None:
        """Once per round, because it goes through every symbol of all accounts."""
        self._jumped, self._second_quote_in = self.prices.jumped, self.prices.second_quote_in

    def _conditions(self, watcher: SellWatcher) -> PollConditions:
        return PollConditions(
            interval=self.interval.total_seconds(),
            second_quote_in=self._second_quote_in,
            has_jump=not self._jumped.isdisjoint(self._instruments.get(watcher.name, {})),
            load=watcher.broker.load,
            orders_streamed=self.tick_handler is not None and self.tick_handler.streams_orders_of(watcher.name),
            is_requested=watcher.name in self._requested,
            looks=self._is_watching and watcher.may_look,
        )

    def _next_in(self, *, ordinary: bool = True) -> float:
        """Seconds until the next poll or look; with `ordinary`, at most until the next ordinary poll."""
        rest = rest_while_closed(self._market, self.market_clock.next_open)
        if rest is not None and not self._at_once and not any(state.acted for state in self.states):
            return rest
        self._look_for_jumps()
        now, interval = self.clock.monotonic(), self.interval.total_seconds()
        times = [self._read_due_at(watcher) for watcher in self.watchers]
        times += [due_at for _, due_at in self._looks()]
        soonest = min(times, default=float("inf"))
        if ordinary or soonest == float("inf"):
            soonest = min(soonest, self._last_ordinary + interval)
        return max(soonest - now, SHORTEST_SECONDS)

    def _needs_quotes(self) -> bool:
        """Whether quotes are requested: while the market is closed, only for a dry run, which displays them."""
        open_or_unknown = self._market is None or self._market.is_open
        return open_or_unknown or any(state.mode is RunMode.DRY_RUN for state in self.states)

    async def _read_market(self, *, ordinary: bool) -> Market | None:
        """The market by the broker's clock; None while that was never read.

        A clock that can't be read now is bridged: its last answer and the calendar still tell the time, so no
        observation is thrown away.
        """
        try:
            is_busy = any(watcher.broker.load >= EASY_LOAD for watcher in self.watchers)
            fresh_for = 0.0 if self._ordinary_requested else CLOCK_SECONDS[is_busy]
            is_known = self.market_clock.age < (fresh_for if ordinary else float("inf"))
            self._ordinary_requested &= not ordinary
            self._market = self.market_clock.now() if is_known else await self.market_clock.read()
        except BrokerError as error:
            if self.market_clock.instant is None:
                self._problem = error
                self._clock_failures += 1
                return None
            self._market = self.market_clock.now()
            if not isinstance(error, RateLimitedError):  # of our own budget: the clock was read moments ago
                text = f"the broker's clock can't be read, its last answer and the calendar are used: {error}"
                self._publish_change("clock", text, _CLOCK_IS_BACK)
            return self._market
        self._problem, self._clock_failures = None, 0
        if not is_known:
            self._publish_change("clock", "", _CLOCK_IS_BACK)
        return self._market

    async def _arrived(
        self, started: Sequence[asyncio.Task[AccountObservation | None]], *, patient: bool
    ) -> list[Observed]:
        """The observations that are complete. A slow account's is used by the poll during which it completes."""
        await self._wait_for_reads(set(started), patient=patient)
        self._wake_when_done(started)
        arrived = []
        for watcher in self.watchers:
            task = self._under_way.get(watcher.name)
            if task and task.done():
                del self._under_way[watcher.name]
                observation = task.result()
                arrived += [(watcher, observation)] if observation else []
        return arrived

    async def _wait_for_reads(self, waiting: "set[asyncio.Task[AccountObservation | None]]", *, patient: bool) -> None:
        """Wait until all are done, or for PATIENCE_SECONDS; when `patient`, these begin with the first that is done."""
        if patient and waiting:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        await self._wait_at_most(PATIENCE_SECONDS, waiting)

    def _wake_when_done(self, tasks: "Iterable[asyncio.Task[Any]]") -> None:
        """Continue `watch` as soon as one of the tasks that are not done yet is."""
        for task in tasks:
            if not task.done():
                task.add_done_callback(lambda _task: self._wake_up.set())

    async def _wait_at_most(self, seconds: float, tasks: "Iterable[asyncio.Task[Any]]") -> None:
        """Wait until all tasks are done or the time is up."""
        waiting = {task for task in tasks if not task.done()}
        if not waiting:
            return
        time_is_up = asyncio.ensure_future(self.clock.sleep(seconds))
        while waiting and not time_is_up.done():
            await asyncio.wait({*waiting, time_is_up}, return_when=asyncio.FIRST_COMPLETED)
            waiting = {task for task in waiting if not task.done()}
        time_is_up.cancel()

    def _held_by(self, watchers: Iterable[SellWatcher]) -> list[Instrument]:
        return [i for watcher in watchers for i in self._instruments.get(watcher.name, {}).values()]

    def _remember(self, seen: Iterable[Observed]) -> None:
        for watcher, observation in seen:
            self._instruments[watcher.name] = {i.symbol: i for i in observation.instruments}
        self.prices.keep_only({symbol for known in self._instruments.values() for symbol in known})

    # --- alerts -------------------------------------------------------------------------------------------------------

    def _publish_change(self, about: str, problem: str, well: str) -> None:
        """Publish a problem that concerns all accounts once, and once more when it is over."""
        published = self._published.get(about, "")
        if problem and problem != published:
            self.publish("", EventKind.DEGRADED, problem, failed=True)
        elif published and not problem:
            self.publish("", EventKind.RECOVERED, well)
        self._published[about] = problem

    def _alert_unwatched(self) -> None:
        """Alert repeatedly while an account fails and the market is open: nothing protects its positions.

        Not for a key that has never worked: its refusal was published, and it has protected nothing so far.
        """
        now, is_open = self.clock.monotonic(), self._market is not None and self._market.is_open
        for watcher in self.watchers:
            state = watcher.state
            since = self._well_at.setdefault(state.name, now)
            never_worked = state.plan is None and isinstance(state.problem, AuthError)
            if state.problem is None or never_worked or not is_open:
                self._well_at[state.name] = now
            elif now - since >= UNWATCHED_SECONDS:
                self._well_at[state.name] = now
                text = f"still not watched: {state.problem.sentence.removeprefix(f'{state.name}: ')}"
                watcher.publish("", EventKind.ALERT, text, failed=True, critical=True)

    # --- watch --------------------------------------------------------------------------------------------------------

    async def watch(self, stop: asyncio.Event, after_poll: Callable[[float], None]) -> None:
        """Poll until `stop` is set. `after_poll` is called after each poll with the seconds until the next one."""
        if self.tick_handler:
            self.tick_handler.open(self.wake)
        self._is_watching = True
        while not stop.is_set():
            self._wake_up.clear()
            next_ordinary = self._last_ordinary + self.interval.total_seconds()
            ordinary = self._ordinary_requested or self.clock.monotonic() >= next_ordinary
            if await self._is_worth_a_poll():
                plans = await self._poll(ordinary=ordinary, patient=False)
                await self._wait_at_most(EXECUTION_SECONDS, plans)
                self._wake_when_done(plans)
            elif ordinary:
                self._last_ordinary = self.clock.monotonic()
            wait = self._next_in()
            after_poll(wait)
            await self._sleep(wait, stop)
        self._is_watching = False
        await asyncio.gather(*self._executing)
        if self.tick_handler:
            await self.tick_handler.close()
        self._abandon_observations()

    def wake(self, account: str = "") -> None:
        """Make a running `watch` read all accounts soon, or only this one: at its pace, and not while it backs off."""
        accounts = [account] if account else [watcher.name for watcher in self.watchers]
        self._requested.update(accounts)
        self._look_requested.update(accounts)
        self._ordinary_requested |= not account
        self._wake_up.set()

    def read_at_once(self, accounts: Iterable[str]) -> None:
        """Make a running `watch` read these accounts now, also those that back off: a user waits for it."""
        self._at_once.update(accounts)
        self._wake_up.set()

    def set_interval(self, interval: dt.timedelta) -> None:
        """Set the time between ordinary polls."""
        self.interval = interval

    async def _is_worth_a_poll(self) -> bool:
        """Whether to poll now. While the market is closed, only the clock is read, once every account was polled.

        An order of ours that is still working is followed to its end in any case: it may have filled at the close.
        """
        if self._market is None or self._market.is_open or not self._all_have_polled() or self._at_once:
            return True
        if any(state.working for state in self.states):
            return True
        market = await self._read_market(ordinary=True)
        return market is not None and market.is_open

    async def _sleep(self, seconds: float, stop: asyncio.Event) -> None:
        """Wait until the time is up, `stop` is set or `wake` is called."""
        waits = (self.clock.sleep(seconds), stop.wait(), self._wake_up.wait())
        waiting = [asyncio.ensure_future(each) for each in waits]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()

    def _abandon_observations(self) -> None:
        """Cancel unfinished observations, so that a later run can't use them."""
        for task in self._under_way.values():
            task.cancel()
        self._under_way.clear()
        if self.split_reader:
            self.split_reader.stop()

    # --- run once -----------------------------------------------------------------------------------------------------

    async def run_once(self) -> None:
        """Poll until nothing more is to be done, for about 45 s at most; then cancel the open orders of targets."""
        ends_at = self.clock.monotonic() + RUN_ONCE_SECONDS
        await self.poll()
        while self._is_unfinished() and self.clock.monotonic() < ends_at + self._grace():
            again = self._may_recover()
            wait = self._next_in(ordinary=False) if self._all_have_polled() else AT_ONCE_SECONDS
            await self.clock.sleep(RECOVERY_SECONDS if again else wait)
            await self.poll(expedited=not again and self._market is not None and self._all_have_polled())
        # Orders more urgent than a target stay open, and the next run adopts them.
        why = "the run is over and the target is not filled"
        await asyncio.gather(*(watcher.cancel_targets(why) for watcher in self.watchers))
        self._abandon_observations()

    def _grace(self) -> float:
        """Extra seconds when an account acted in its last poll: a cancelled order may not have been replaced yet."""
        return GRACE_SECONDS if any(state.acted for state in self.states) else 0.0

    def _is_unfinished(self) -> bool:
        if self._may_recover():
            return True
        if self._problem is not None:
            return False
        if self.split_reader and self.split_reader.is_asking and any(state.may_lack_split for state in self.states):
            return True
        return any(state.is_expedited or not state.has_polled for state in self.states)

    def _may_recover(self) -> bool:
        """Whether the clock, the quotes or an account have failed in a way that may be temporary."""
        problems = [(self._problem, self._clock_failures), *((s.problem, s.failures) for s in self.states)]
        return 0 < self.prices.failures < TRIES or may_recover(problems)

    def _all_have_polled(self) -> bool:
        return all(state.has_polled for state in self.states)


def _missing(seen: Iterable[Observed], requested: Iterable[Instrument]) -> list[Instrument]:
    """Instruments in these observations whose quotes this poll hasn't requested."""
    known = {instrument.symbol for instrument in requested}
    return [i for _, observation in seen for i in observation.instruments if i.symbol not in known]
