"""Polls all accounts: they share one clock and one set of quotes, and none waits for a slow one.

An ordinary poll concurrently reads the clock, the quotes of the known positions and each account's positions and
orders; then it reads missing quotes, decides and executes per account. Between two ordinary polls, an account with an
exit under way is read at its own pace and re-evaluated on newer quotes: `watching.due_accounts` says when. A slow
account's answer is used by a later poll; an account that fails is polled less often.
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sellctl.core.decision.quote_checks import price_exits_paused
from sellctl.core.errors import BrokerError, ConfigError, RateLimitedError, SellctlError
from sellctl.core.events import EventPublisher
from sellctl.core.market_clock import MarketClock
from sellctl.core.model.account_state import AccountState, RunMode
from sellctl.core.model.event import EventKind
from sellctl.core.model.instrument import Instrument
from sellctl.core.model.market import Market
from sellctl.core.model.plan import Plan
from sellctl.core.ports import Clock
from sellctl.core.price_tracker import QUOTED_ASSET_CLASSES, PriceTracker
from sellctl.core.sell_watcher import SellWatcher
from sellctl.core.tick_handler import TickHandler
from sellctl.core.watching.account_observer import AccountObservation
from sellctl.core.watching.due_accounts import Due, DueAccounts
from sellctl.core.watching.fact_refresher import FactRefresher
from sellctl.core.watching.poll_schedule import (
    AT_ONCE_SECONDS,
    CLOCK_SECONDS,
    EASY_LOAD,
    SHORTEST_SECONDS,
    TRIES,
    may_recover,
    rest_while_closed,
)
from sellctl.core.watching.problem_alerts import ProblemAlerts
from sellctl.core.watching.split_reader import SplitReader
from sellctl.core.watching.start_check import StartCheck, found_account

PATIENCE_SECONDS = 2.0  # how long a poll of run-once waits for a slow account once another is ready
ROUND_SECONDS = 0.5  # how long `watch` waits for reads: a later round uses an answer that comes then
EXECUTION_SECONDS = 0.1  # how long `watch` waits for plans to be carried out before it goes on beside them
RECOVERY_SECONDS = 1.1  # before run-once tries again after a failure that may be temporary
GRACE_SECONDS = 2.0  # extra time in run-once for an exit that has cancelled and not sent yet
FACTS_SECONDS = 2.0  # how long the end of run-once waits for facts that the next run remembers
LOOK_UP_SECONDS = 2.0  # how long a look-up of an order at the end of `watch` may take
LOOK_UP_AGAIN_SECONDS = 1.0  # between two look-ups of an order at the end of `watch`
OUTCOMES_SECONDS = 11.0  # after that none begins: what the broker does not have is known to be absent after 10 s
RUN_ONCE_SECONDS = 45.0  # run-once ends within 50 s; the rest is for the last cancels

_CLOCK_IS_BACK = "the broker's clock can be read again"

Observed = tuple[SellWatcher, AccountObservation]


@dataclass(slots=True)
class AccountScheduler:
    """Polls the watchers of all accounts, once or until stopped.

    `interval` is the time between ordinary polls. Without a `tick_handler` prices are only polled, without a
    `split_reader` nobody asks for splits, and without a `fact_refresher` remembered facts stay as they are.
    `start_check` is made once, before the first decision: its ConfigError ends `poll`, `run_once` and `watch`.
    """

    watchers: Sequence[SellWatcher]
    market_clock: MarketClock
    prices: PriceTracker
    clock: Clock
    interval: dt.timedelta
    publish: EventPublisher
    tick_handler: TickHandler | None = None
    split_reader: SplitReader | None = None
    fact_refresher: FactRefresher | None = None
    start_check: StartCheck | None = None
    _market: Market | None = None
    _problem: SellctlError | None = None
    _clock_failures: int = 0
    _under_way: dict[str, asyncio.Task[AccountObservation | None]] = field(default_factory=dict)
    _executing: set[asyncio.Task[None]] = field(default_factory=set)
    _wake_up: asyncio.Event = field(default_factory=asyncio.Event)
    _accounts: DueAccounts = field(init=False)
    _alerts: ProblemAlerts = field(init=False)

    def __post_init__(self) -> None:
        self._accounts = DueAccounts(self.watchers, self.prices, self.interval.total_seconds(), self._streams_orders_of)
        self._alerts = ProblemAlerts(self.publish)

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

    # --- accounts that come and go ------------------------------------------------------------------------------------

    def join(self, watcher: SellWatcher) -> None:
        """Watch one more account from the next poll on, which begins at once, as at a start."""
        self._set_watchers((*self.watchers, watcher))
        self.read_at_once([watcher.name])

    def leave(self, account: str) -> None:
        """Watch an account no more. Its reads end now; what is being sent for it goes on, if its permit allows it."""
        reading = self._under_way.pop(account, None)
        if reading:
            reading.cancel()
        self._accounts.forget(account)
        self._set_watchers([watcher for watcher in self.watchers if watcher.name != account])

    def _set_watchers(self, watchers: Sequence[SellWatcher]) -> None:
        self.watchers = watchers
        self._accounts.set_accounts(watchers)
        if self.tick_handler:
            self.tick_handler.set_watchers(watchers)

    # --- one poll -----------------------------------------------------------------------------------------------------

    async def poll(self, *, expedited: bool = False) -> None:
        """Poll every account; with `expedited`, only those that are due before the next ordinary poll.

        Returns when every plan was carried out.
        """
        await asyncio.gather(*await self._poll(ordinary=not expedited, patient=True))

    async def _poll(self, *, ordinary: bool, patient: bool) -> list[asyncio.Task[None]]:
        """Read, decide, and start to carry out the plans. Unless `patient`, the first answer is not waited for long."""
        now = self.clock.monotonic()
        self._send_reminders(now)
        due = self._accounts.due(now, ordinary=ordinary)
        started = [self._start_reading(watcher, now) for watcher in self.watchers if watcher.name in due.reads]
        requested = self._accounts.instruments_due(due) if self._needs_quotes() else []
        market, *_ = await asyncio.gather(
            self._read_market(ordinary=ordinary), self.prices.refresh(requested), *self._follow(due, now)
        )
        self._accounts.quoted(due, self.clock.monotonic())
        plans = self._reevaluate(due) if market else []
        seen = await self._arrived(started, patient=patient or self.start_check is not None)
        if market is None:
            if seen:  # an account that fails too has told why
                self._alerts.publish_change(
                    "clock", f"the broker's clock can't be read: {self._problem}", _CLOCK_IS_BACK
                )
            return []
        self._check_at_start(seen)
        self._ask_for_splits(seen, market)
        if self._needs_quotes() and (missing := self._missing(seen, requested)):
            await self.prices.refresh(missing)
            self._accounts.quotes_arrived([watcher.name for watcher, _ in seen], self.clock.monotonic())
        self._remember(seen)
        seen = [each for each in seen if any(each[0] is watcher for watcher in self.watchers)]  # some may have left
        market = self._market = self.market_clock.now()
        self._alerts.publish_change("quotes", self.prices.problem, "quotes are available again")
        self._alerts.publish_change(
            "hours", "" if market.confirmed else price_exits_paused(market), "clock and calendar agree again"
        )
        plans += [self._start(watcher.act_on_poll(observation, market)) for watcher, observation in seen]
        if self.tick_handler and seen:
            self._start(self._prepare_ticks(self.tick_handler, plans))
        self._refresh_facts(plans, seen, market)
        return plans

    def _check_at_start(self, seen: Sequence[Observed]) -> None:
        """Make the start check with the first accounts that were read. Unless all were, it concludes nothing."""
        check = self.start_check
        if check is None or not seen:
            return
        self.start_check = None
        if len(seen) == len(self.watchers):
            check([found_account(each.name, read, each.positions.episodes) for each, read in seen])

    def _reevaluate(self, due: Due) -> list[asyncio.Task[None]]:
        """Decide and execute on the accounts that are re-evaluated: they don't wait for any that is read."""
        market = self._market = self.market_clock.now()
        arrived = {account for account, task in self._under_way.items() if task.done()}
        reevaluated = [each for each in self.watchers if each.name in due.reevaluations - arrived]
        return [self._start(watcher.reevaluate(market)) for watcher in reevaluated]

    def _follow(self, due: Due, now: float) -> list[Coroutine[Any, Any, None]]:
        """Ask what became of the working orders of the accounts that are followed without a read."""
        self._accounts.followed(due.follows, now)
        return [watcher.follow() for watcher in self.watchers if watcher.name in due.follows]

    def _missing(self, seen: Iterable[Observed], requested: Iterable[Instrument]) -> list[Instrument]:
        """Instruments in these observations that have no new quotes yet: this poll hasn't requested them."""
        lately = self._accounts.quoted_lately(self.clock.monotonic())
        known = {instrument.symbol for instrument in (*requested, *self._accounts.instruments_of(lately))}
        return [i for _, observation in seen for i in observation.instruments if i.symbol not in known]

    def _ask_for_splits(self, seen: Iterable[Observed], market: Market) -> None:
        if self.split_reader and market.is_open:
            instruments = (i for _, observation in seen for i in observation.instruments)
            stocks = {i.underlying for i in instruments if i.asset_class in QUOTED_ASSET_CLASSES}
            self.split_reader.ask(stocks, market.today)

    def _refresh_facts(self, plans: Iterable[asyncio.Task[None]], seen: Sequence[Observed], market: Market) -> None:
        if self.fact_refresher and seen:
            brokers = [watcher.broker for watcher, _ in seen]
            instruments = (i for _, observation in seen for i in observation.instruments)
            self.fact_refresher.begin(plans, brokers, instruments, market)

    @staticmethod
    async def _prepare_ticks(tick_handler: TickHandler, plans: Iterable[asyncio.Task[None]]) -> None:
        await asyncio.gather(*plans)
        await tick_handler.polled()

    def _start_reading(self, watcher: SellWatcher, now: float) -> asyncio.Task[AccountObservation | None]:
        urgent = self._accounts.read_began(watcher, now)

        async def read() -> AccountObservation | None:
            try:
                return await watcher.observe(urgent=urgent)
            finally:
                self._accounts.read_ended(watcher.name, self.clock.monotonic())

        task = self._under_way[watcher.name] = asyncio.create_task(read())
        return task

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._executing.add(task)
        task.add_done_callback(self._executing.discard)
        return task

    # --- the time until the next poll ---------------------------------------------------------------------------------

    def _streams_orders_of(self, account: str) -> bool:
        return self.tick_handler is not None and self.tick_handler.streams_orders_of(account)

    def _next_in(self, *, ordinary: bool = True) -> float:
        """Seconds until an account is read or re-evaluated; with `ordinary`, at most until the next ordinary poll."""
        rest = rest_while_closed(self._market, self.market_clock.next_open)
        if rest is not None and not self._accounts.any_at_once and not any(state.acted for state in self.states):
            return rest
        return max(self._accounts.next_at(ordinary=ordinary) - self.clock.monotonic(), SHORTEST_SECONDS)

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
            fresh_for = float("inf")
            if ordinary:
                fresh_for = 0.0 if self._accounts.take_ordinary_request() else CLOCK_SECONDS[is_busy]
            is_known = self.market_clock.age < fresh_for
            self._market = self.market_clock.now() if is_known else await self.market_clock.read()
        except BrokerError as error:
            if self.market_clock.instant is None:
                self._problem = error
                self._clock_failures += 1
                return None
            self._market = self.market_clock.now()
            if not isinstance(error, RateLimitedError):  # of our own budget: the clock was read moments ago
                text = f"the broker's clock can't be read, its last answer and the calendar are used: {error}"
                self._alerts.publish_change("clock", text, _CLOCK_IS_BACK)
            return self._market
        self._problem, self._clock_failures = None, 0
        if not is_known:
            self._alerts.publish_change("clock", "", _CLOCK_IS_BACK)
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
                self._accounts.read_used(watcher.name)
                observation = task.result()
                arrived += [(watcher, observation)] if observation else []
        return arrived

    async def _wait_for_reads(self, waiting: "set[asyncio.Task[AccountObservation | None]]", *, patient: bool) -> None:
        """Wait until all are done; when `patient`, at most PATIENCE_SECONDS from the first on, else ROUND_SECONDS."""
        if patient and waiting:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        await self._wait_at_most(PATIENCE_SECONDS if patient else ROUND_SECONDS, waiting, patient=patient)

    def _wake_when_done(self, tasks: "Iterable[asyncio.Task[Any]]") -> None:
        """Continue `watch` as soon as one of the tasks that are not done yet is."""
        for task in tasks:
            if not task.done():
                task.add_done_callback(lambda _task: self._wake_up.set())

    async def _wait_at_most(self, seconds: float, tasks: "Iterable[asyncio.Task[Any]]", *, patient: bool) -> None:
        """Wait until all tasks are done or the time is up. Unless `patient`, the time is up once an account is due."""
        waiting = {task for task in tasks if not task.done()}
        if not waiting:
            return
        ends_at = self.clock.monotonic() + seconds
        while waiting and (left := ends_at - self.clock.monotonic()) > 0:
            timers: set[asyncio.Future[Any]] = set()
            if not patient:
                left = min(left, self._next_in())
                timers.add(asyncio.ensure_future(self._wake_up.wait()))
            timers.add(asyncio.ensure_future(self.clock.sleep(left)))
            await asyncio.wait({*waiting, *timers}, return_when=asyncio.FIRST_COMPLETED)
            for timer in timers:
                timer.cancel()
            waiting = {task for task in waiting if not task.done()}
            if not patient and self._accounts.next_at(ordinary=True) <= self.clock.monotonic():
                return
            if waiting and not patient:
                self._wake_up.clear()

    def _remember(self, seen: Iterable[Observed]) -> None:
        for watcher, observation in seen:
            self._accounts.holds(watcher.name, observation.instruments)
        self.prices.keep_only(self._accounts.symbols)

    def _send_reminders(self, now: float) -> None:
        is_open = self._market is not None and self._market.is_open
        alerts = self._alerts.take_due_reminders(self.states, now, is_open=is_open, clock_problem=self._problem)
        for watcher in self.watchers:
            if watcher.name in alerts:
                watcher.publish("", EventKind.ALERT, alerts[watcher.name], failed=True, critical=True)

    # --- watch --------------------------------------------------------------------------------------------------------

    async def watch(self, stop: asyncio.Event, after_poll: Callable[[float], None]) -> None:
        """Poll until `stop` is set. `after_poll` is called after each poll with the seconds until the next one."""
        if self.tick_handler:
            self.tick_handler.open(self.wake)
        self._accounts.set_single_run(single_run=False)
        mistake = None
        try:
            await self._poll_until(stop, after_poll)
        except ConfigError as error:
            mistake = error
        stopped_at = self.clock.monotonic()
        self._accounts.set_single_run(single_run=True)
        await asyncio.gather(*self._executing)
        if self.tick_handler:
            await self.tick_handler.close()
        self._abandon_observations()
        if mistake:
            raise mistake
        await self._look_up_unknown(stopped_at + OUTCOMES_SECONDS)

    async def _poll_until(self, stop: asyncio.Event, after_poll: Callable[[float], None]) -> None:
        while not stop.is_set():
            self._wake_up.clear()
            ordinary = self._accounts.is_ordinary_due(self.clock.monotonic())
            if await self._is_worth_a_poll():
                plans = await self._poll(ordinary=ordinary, patient=False)
                await self._wait_at_most(EXECUTION_SECONDS, plans, patient=False)
                self._wake_when_done(plans)
            elif ordinary:
                self._accounts.ordinary_began(self.clock.monotonic())
            wait = self._next_in()
            after_poll(wait)
            await self._sleep(wait, stop)

    async def _look_up_unknown(self, ends_at: float) -> None:
        """Look up the orders whose outcome is unknown until none is, or the time is up; the next run does it then."""
        if waiting := self._with_unknown_orders():
            orders = sum(len(watcher.state.unknown_orders) for watcher in waiting)
            self.publish("", EventKind.NOTE, f"stopping: looking up what became of {orders} orders without an answer")
        while waiting := self._with_unknown_orders():
            with suppress(TimeoutError):
                look_ups = asyncio.gather(*(watcher.look_up_unknown() for watcher in waiting))
                await asyncio.wait_for(look_ups, LOOK_UP_SECONDS)
            if not self._with_unknown_orders() or self.clock.monotonic() + LOOK_UP_AGAIN_SECONDS > ends_at:
                return
            await self.clock.sleep(LOOK_UP_AGAIN_SECONDS)

    def _with_unknown_orders(self) -> list[SellWatcher]:
        return [watcher for watcher in self.watchers if watcher.state.unknown_orders]

    def wake(self, account: str = "") -> None:
        """Make a running `watch` read all accounts soon, or only this one: at its pace, and not while it backs off."""
        self._accounts.request([account] if account else [watcher.name for watcher in self.watchers])
        if not account:
            self._accounts.request_ordinary()
        self._wake_up.set()

    def read_at_once(self, accounts: Iterable[str]) -> None:
        """Make a running `watch` read these accounts now, also those that back off: a user waits for it."""
        self._accounts.request_at_once(accounts)
        self._wake_up.set()

    def set_interval(self, interval: dt.timedelta) -> None:
        """Set the time between ordinary polls."""
        self.interval = interval
        self._accounts.set_interval(interval.total_seconds())

    async def _is_worth_a_poll(self) -> bool:
        """Whether to poll now. While the market is closed, only the clock is read, once every account was polled.

        An order of ours that is still working is followed to its end in any case: it may have filled at the close.
        """
        if self._market is None or self._market.is_open or not self._all_have_polled() or self._accounts.any_at_once:
            return True
        if any(state.pending_symbols for state in self.states):
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
        for account, task in self._under_way.items():
            task.cancel()
            self._accounts.read_used(account)
        self._under_way.clear()
        if self.split_reader:
            self.split_reader.stop()
        if self.fact_refresher:
            self.fact_refresher.stop()

    # --- run once -----------------------------------------------------------------------------------------------------

    async def run_once(self) -> None:
        """Poll until nothing more is to be done, for about 45 s at most; then cancel the open orders of targets."""
        ends_at = self.clock.monotonic() + RUN_ONCE_SECONDS
        self._accounts.set_single_run(single_run=True)
        await self.poll()
        while self._is_unfinished() and self.clock.monotonic() < ends_at + self._grace():
            again = self._may_recover()
            wait = self._next_in(ordinary=False) if self._all_have_polled() else AT_ONCE_SECONDS
            await self.clock.sleep(RECOVERY_SECONDS if again else wait)
            await self.poll(expedited=not again and self._market is not None and self._all_have_polled())
        # Orders more urgent than a target stay open, and the next run takes them over.
        why = "the run is over and the target is not filled"
        await asyncio.gather(*(watcher.cancel_targets(why) for watcher in self.watchers))
        if self.fact_refresher:
            left = max(ends_at - self.clock.monotonic(), 0.0)
            await self._wait_at_most(min(FACTS_SECONDS, left), self.fact_refresher.tasks, patient=True)
        self._abandon_observations()

    def _grace(self) -> float:
        """Extra seconds while an exit waits for the end of a cancel, because its next order has not been sent yet."""
        return GRACE_SECONDS if any(state.awaits_read for state in self.states) else 0.0

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
