"""Polls all accounts: they share one clock and one set of quotes, and none waits for a slow one.

A poll concurrently reads the clock, the quotes of the known positions and each account's positions and orders; then it
reads missing quotes, decides and executes per account. A slow account's answer is used by a later poll; an account that
fails is polled less often.
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sellctl.core.decision.quote_checks import price_exits_paused
from sellctl.core.errors import AuthError, BrokerError, SellctlError
from sellctl.core.events import EventPublisher
from sellctl.core.market_clock import MarketClock
from sellctl.core.model.account_state import AccountState, RunMode
from sellctl.core.model.event import EventKind
from sellctl.core.model.instrument import Instrument
from sellctl.core.model.market import Market
from sellctl.core.model.plan import Plan
from sellctl.core.ports import Clock
from sellctl.core.price_tracker import QUOTED, PriceTracker
from sellctl.core.sell_watcher import SellWatcher
from sellctl.core.tick_handler import TickHandler
from sellctl.core.watching.account_observer import AccountObservation
from sellctl.core.watching.poll_schedule import (
    AT_ONCE_SECONDS,
    TRIES,
    PollConditions,
    accounts_to_poll,
    back_off,
    may_recover,
    next_poll,
    rest_while_closed,
)
from sellctl.core.watching.split_reader import SplitReader

PATIENCE_SECONDS = 2.0  # how long a poll waits for a slow account once another is ready
RECOVERY_SECONDS = 1.1  # before run-once tries again after a failure that may be temporary
UNWATCHED_SECONDS = 300.0  # between alerts that an account still fails
GRACE_SECONDS = 2.0  # extra time in run-once for an exit that has cancelled and not sent yet
RUN_ONCE_SECONDS = 45.0  # run-once ends within 50 s; the rest is for the last cancels

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
    _not_before: dict[str, float] = field(default_factory=dict)  # when an account that fails is polled again
    _well_at: dict[str, float] = field(default_factory=dict)  # when an account last worked, or the last alert about it
    _wake_up: asyncio.Event = field(default_factory=asyncio.Event)
    _requested: set[str] = field(default_factory=set)  # accounts to be polled early
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
        """Poll the accounts that are due; with `expedited`, only those that need it before the next ordinary poll."""
        self._alert_unwatched()
        due = self._due(expedited=expedited)
        self._requested.clear()
        for watcher in due:
            if watcher.name not in self._under_way:
                self._under_way[watcher.name] = asyncio.create_task(watcher.observe())
        requested = self._held_by(due) if self._needs_quotes() else []
        market, _ = await asyncio.gather(self._read_market(expedited=expedited), self.prices.refresh(requested))
        seen = await self._arrived()
        if market is None:
            return
        self._ask_for_splits(seen, market)
        if self._needs_quotes():
            await self.prices.refresh(_missing(seen, requested))
        self._remember(seen)
        market = self._market = self.market_clock.now()
        self._publish_change("quotes", self.prices.problem, "quotes are available again")
        self._publish_change(
            "hours", "" if market.confirmed else price_exits_paused(market), "clock and calendar agree again"
        )
        await asyncio.gather(*(watcher.act_on_poll(observation, market) for watcher, observation in seen))
        for watcher in due:
            self._not_before[watcher.name] = self.clock.monotonic() + back_off(watcher.state)
        if self.tick_handler:
            await self.tick_handler.polled()

    def _ask_for_splits(self, seen: Iterable[Observed], market: Market) -> None:
        if self.split_reader and market.is_open:
            instruments = (i for _, observation in seen for i in observation.instruments)
            stocks = {i.underlying for i in instruments if i.asset_class in QUOTED}
            self.split_reader.ask(stocks, market.today)

    def _due(self, *, expedited: bool) -> list[SellWatcher]:
        early = self._requested | self._with_a_jump() if expedited else None
        names = accounts_to_poll(self.states, self.clock.monotonic(), self._not_before, early)
        return [watcher for watcher in self.watchers if watcher.name in names]

    def _with_a_jump(self) -> set[str]:
        """Accounts that need a price whose jump no second quote has confirmed yet."""
        jumped = self.prices.jumped
        return {account for account, known in self._instruments.items() if not jumped.isdisjoint(known)}

    def _needs_quotes(self) -> bool:
        """Whether quotes are requested: while the market is closed, only for a dry run, which displays them."""
        open_or_unknown = self._market is None or self._market.is_open
        return open_or_unknown or any(state.mode is RunMode.DRY_RUN for state in self.states)

    async def _read_market(self, *, expedited: bool) -> Market | None:
        try:
            self._market = self.market_clock.now() if expedited else await self.market_clock.read()
        except BrokerError as error:
            self._problem = error
            self._clock_failures += 1
            return None
        self._problem, self._clock_failures = None, 0
        return self._market

    async def _arrived(self) -> list[Observed]:
        """The observations that are complete. A slow account's is used by the poll during which it completes."""
        await self._wait_patiently(set(self._under_way.values()))
        arrived = []
        for watcher in self.watchers:
            task = self._under_way.get(watcher.name)
            if task and task.done():
                del self._under_way[watcher.name]
                observation = task.result()
                arrived += [(watcher, observation)] if observation else []
        return arrived

    async def _wait_patiently(self, tasks: set[asyncio.Task[AccountObservation | None]]) -> None:
        """Wait until all are done, or until PATIENCE_SECONDS after the first."""
        if not tasks:
            return
        _, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        patience = asyncio.ensure_future(self.clock.sleep(PATIENCE_SECONDS))
        while waiting and not patience.done():
            await asyncio.wait({*waiting, patience}, return_when=asyncio.FIRST_COMPLETED)
            waiting = {task for task in waiting if not task.done()}
        patience.cancel()

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
        last_full = float("-inf")
        if self.tick_handler:
            self.tick_handler.open(self.wake)
        while not stop.is_set():
            woken = self._wake_up.is_set()
            self._wake_up.clear()
            due_in = last_full + self.interval.total_seconds() - self.clock.monotonic()
            expedited = due_in > 0 and (not woken or bool(self._requested))
            if not expedited:
                last_full = self.clock.monotonic()
            if await self._is_worth_a_poll():
                await self.poll(expedited=expedited)
            rest = rest_while_closed(self._market, self.market_clock.next_open)
            wait = next_poll(self.states, self._conditions(rest))
            after_poll(wait)
            await self._sleep(wait, stop)
        if self.tick_handler:
            await self.tick_handler.close()
        self._abandon_observations()

    def wake(self, account: str = "") -> None:
        """Make a running `watch` poll every account, or only this one, at once."""
        if account:
            self._requested.add(account)
        else:
            self._requested.clear()
        self._wake_up.set()

    def set_interval(self, interval: dt.timedelta) -> None:
        """Set the time between ordinary polls."""
        self.interval = interval

    def _conditions(self, rests_for: float | None = None) -> PollConditions:
        prices = self.prices
        return PollConditions(self.interval.total_seconds(), prices.second_quote_in, bool(prices.jumped), rests_for)

    async def _is_worth_a_poll(self) -> bool:
        """Whether to poll now. While the market is closed, only the clock is read, once every account was polled.

        An order of ours that is still working is followed to its end in any case: it may have filled at the close.
        """
        if self._market is None or self._market.is_open or not self._all_have_polled():
            return True
        if any(state.working for state in self.states):
            return True
        market = await self._read_market(expedited=False)
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
            wait = next_poll(self.states, self._conditions()) if self._all_have_polled() else AT_ONCE_SECONDS
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
