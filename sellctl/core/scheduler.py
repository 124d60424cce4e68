"""All accounts together: rounds of looks that share one clock and one set of quotes, and wait for no slow account.

A round reads the clock, the quotes of what is known to be held and every account's positions and orders at the same
time, then the quotes that were missing, then decides and acts for each account by itself. An account that is slow
joins a later round; one that fails is asked ever more rarely, and the others never notice.
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sellctl.core.decision.quote_checks import price_exits_paused
from sellctl.core.errors import AuthError, BrokerError, RateLimitedError, SellctlError, UnknownOutcomeError
from sellctl.core.events import EventPublisher
from sellctl.core.market_clock import MarketClock
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.event import EventKind
from sellctl.core.model.instrument import Instrument
from sellctl.core.model.market import Market
from sellctl.core.model.plan import CancelOrder, Plan
from sellctl.core.ports import Clock
from sellctl.core.price_tracker import PriceTracker
from sellctl.core.sell_watcher import AccountObservation, SellWatcher, instruments_of
from sellctl.core.tick_handler import TickHandler

PATIENCE_SECONDS = 2.0  # how long a round waits for a slow account once another is ready
EXPEDITED_SECONDS = 1.5  # between looks at an account with an order working
AT_ONCE_SECONDS = 0.25  # before the look that follows an order or a cancel
CLOSED_SECONDS = 60.0  # between looks at the clock while the market is closed
TRIES = 2  # how often run-once tries what fails in a way that may be over in a moment
RECOVERY_SECONDS = 1.1
BUDGET_SECONDS = 3.0  # before an account whose request budget is used up is looked at again
BACK_OFF_SECONDS = (1.0, 5.0, 15.0, 60.0)  # between looks at an account that fails, by failures in a row
UNWATCHED_SECONDS = 300.0  # after which a person hears, and hears again, that an account still fails
GRACE_SECONDS = 2.0  # what run-once gives a step that has cancelled and not yet sent
RUN_ONCE_SECONDS = 45.0  # run-once ends within 50 s; the rest is for the last cancels


@dataclass(slots=True)
class AccountScheduler:
    """The watchers of all accounts."""

    watchers: Sequence[SellWatcher]
    market_clock: MarketClock
    prices: PriceTracker
    clock: Clock
    interval: dt.timedelta
    report: EventPublisher
    tick_handler: TickHandler | None = None  # where streams are heard; None: prices are only fetched
    market: Market | None = None
    problem: SellctlError | None = None
    _known: dict[str, dict[str, Instrument]] = field(default_factory=dict)
    _under_way: dict[str, asyncio.Task[AccountObservation | None]] = field(default_factory=dict)
    _clock_failures: int = 0
    _due_at: dict[str, float] = field(default_factory=dict)
    _watched_at: dict[str, float] = field(default_factory=dict)  # when an account was last well, or told to be not
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _wanted: set[str] = field(default_factory=set)
    _said: dict[str, str] = field(default_factory=dict)  # what was said last to be wrong, by what it is about

    @property
    def first_plans(self) -> list[Plan]:
        """What each account's first look decided; accounts that never had one are left out."""
        return [watcher.first_plan for watcher in self.watchers if watcher.first_plan is not None]

    # --- one round ----------------------------------------------------------------------------------------------------

    async def poll(self, *, expedited: bool = False) -> None:
        """One round over the accounts that are due; `hurried` only over those with something under way."""
        self._tell_unwatched()
        due = [w for w in self.watchers if self._is_due(w) and (not expedited or self._is_expedited(w))]
        self._wanted.clear()
        for watcher in due:
            name = watcher.name
            if name not in self._under_way:
                self._under_way[name] = asyncio.create_task(watcher.observe())
        asked = self._held_by(due) if self._needs_quotes() else []
        market, _ = await asyncio.gather(self._read_market(expedited=expedited), self.prices.refresh(asked))
        seen = await self._arrived()
        if market is None:
            return
        if self._needs_quotes():
            await self.prices.refresh(_missing(seen, asked))
        self._remember(seen)
        market = self.market = self.market_clock.now()
        self._tell("quotes", self.prices.problem, "quotes come again")
        self._tell("hours", "" if market.confirmed else price_exits_paused(market), "clock and calendar agree again")
        await asyncio.gather(*(watcher.decide_and_act(what, market) for watcher, what in seen))
        self._schedule(due)
        if self.tick_handler:
            await self.tick_handler.polled()

    def _needs_quotes(self) -> bool:
        """Whether prices are worth a request: while the market is closed, only somebody who merely looks wants them."""
        return self.market is None or self.market.is_open or any(w.mode is RunMode.DRY_RUN for w in self.watchers)

    def _tell(self, about: str, problem: str, well: str) -> None:
        """Say once what is wrong for all accounts at once, and once that it is `well` again."""
        said = self._said.get(about, "")
        if problem and problem != said:
            self.report("", EventKind.DEGRADED, problem, failed=True)
        elif said and not problem:
            self.report("", EventKind.RECOVERED, well)
        self._said[about] = problem

    def _tell_unwatched(self) -> None:
        """An account that goes on failing while the market is open is told again: nothing protects what it holds.

        A key that never worked is told once: it watched nothing that would now be unwatched.
        """
        now, is_open = self.clock.monotonic(), self.market is not None and self.market.is_open
        for watcher in self.watchers:
            problem, since = watcher.problem, self._watched_at.setdefault(watcher.name, now)
            never = watcher.plan is None and isinstance(problem, AuthError)
            if problem is None or never or not is_open:
                self._watched_at[watcher.name] = now
            elif now - since >= UNWATCHED_SECONDS:
                self._watched_at[watcher.name] = now
                text = f"still not watched: {problem.sentence.removeprefix(f'{watcher.name}: ')}"
                watcher.report("", EventKind.ALERT, text, failed=True, critical=True)

    async def _read_market(self, *, expedited: bool) -> Market | None:
        try:
            self.market = self.market_clock.now() if expedited else await self.market_clock.read()
        except BrokerError as error:
            self.problem = error
            self._clock_failures += 1
            return None
        self.problem, self._clock_failures = None, 0
        return self.market

    async def _arrived(self) -> list[tuple[SellWatcher, AccountObservation]]:
        """What came in time. A slow account's answer is taken in the round in which it comes."""
        await self._wait_patiently(set(self._under_way.values()))
        arrived = []
        for watcher in self.watchers:
            task = self._under_way.get(watcher.name)
            if task and task.done():
                del self._under_way[watcher.name]
                what = task.result()
                arrived += [(watcher, what)] if what else []
        return arrived

    async def _wait_patiently(self, tasks: set[asyncio.Task[AccountObservation | None]]) -> None:
        """Until all are done, or some are and the patience with the others ran out."""
        if not tasks:
            return
        _, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        patience = asyncio.ensure_future(self.clock.sleep(PATIENCE_SECONDS))
        while waiting and not patience.done():
            await asyncio.wait({*waiting, patience}, return_when=asyncio.FIRST_COMPLETED)
            waiting = {task for task in waiting if not task.done()}
        patience.cancel()

    def _held_by(self, watchers: Iterable[SellWatcher]) -> list[Instrument]:
        return [i for watcher in watchers for i in self._known.get(watcher.name, {}).values()]

    def _remember(self, seen: Iterable[tuple[SellWatcher, AccountObservation]]) -> None:
        for watcher, what in seen:
            self._known[watcher.name] = {i.symbol: i for i in instruments_of(what)}
        self.prices.keep_only({symbol for known in self._known.values() for symbol in known})

    def _is_expedited(self, watcher: SellWatcher) -> bool:
        """Whether an account is looked at before its time."""
        return watcher.is_expedited or watcher.name in self._wanted or self._doubts(watcher)

    def _doubts(self, watcher: SellWatcher) -> bool:
        """Whether a price of the account's has jumped and waits for a second quote."""
        return not self.prices.doubted.isdisjoint(self._known.get(watcher.name, ()))

    # --- when to look next --------------------------------------------------------------------------------------------

    def _is_due(self, watcher: SellWatcher) -> bool:
        return self.clock.monotonic() >= self._due_at.get(watcher.name, 0.0)

    def _schedule(self, watchers: Iterable[SellWatcher]) -> None:
        """An account that fails is asked ever more rarely; every other one in each round."""
        for watcher in watchers:
            wait = 0.0
            if isinstance(watcher.problem, RateLimitedError):
                wait = BUDGET_SECONDS
            elif watcher.failures:
                wait = BACK_OFF_SECONDS[min(watcher.failures, len(BACK_OFF_SECONDS)) - 1]
            self._due_at[watcher.name] = self.clock.monotonic() + wait

    def _next_poll_in(self) -> float:
        """Seconds until the next round."""
        if any(watcher.acted for watcher in self.watchers):
            return AT_ONCE_SECONDS
        if self.prices.doubted or any(watcher.plan and watcher.plan.is_unconfirmed for watcher in self.watchers):
            return self.prices.second_quote_in
        if any(watcher.is_expedited for watcher in self.watchers):
            return EXPEDITED_SECONDS
        if self.market is not None and not self.market.is_open:
            return self._until_open()
        return self.interval.total_seconds()

    def _is_resting(self) -> bool:
        """Whether the market is closed and nothing was done just now."""
        closed = self.market is not None and not self.market.is_open
        return closed and not any(watcher.acted for watcher in self.watchers)

    def _until_open(self) -> float:
        opens = self.market_clock.next_open
        if opens is None or self.market is None:
            return CLOSED_SECONDS
        return min(CLOSED_SECONDS, max((opens - self.market.now).total_seconds(), 1.0))

    # --- the two ways to run ------------------------------------------------------------------------------------------

    async def watch(self, stop: asyncio.Event, after_poll: Callable[[float], None]) -> None:
        """Look again and again until `stop` is set. `after_look` is told how many seconds remain until the next one."""
        last_full = float("-inf")
        if self.tick_handler:
            self.tick_handler.open(self.wake)
        while not stop.is_set():
            woken = self._woken.is_set()
            self._woken.clear()
            due_in = last_full + self.interval.total_seconds() - self.clock.monotonic()
            expedited = due_in > 0 and (not woken or bool(self._wanted))
            if not expedited:
                last_full = self.clock.monotonic()
            if await self._worth_a_look():
                await self.poll(expedited=expedited)
            wait = self._until_open() if self._is_resting() else self._next_poll_in()
            after_poll(wait)
            await self._sleep(wait, stop)
        if self.tick_handler:
            await self.tick_handler.close()
        self._let_go()

    def wake(self, account: str = "") -> None:
        """Let a running `watch` look at every account, or at this one, now instead of when its time comes."""
        if account:
            self._wanted.add(account)
        else:
            self._wanted.clear()
        self._woken.set()

    @property
    def is_woken(self) -> bool:
        """Whether a look that was asked for hasn't begun yet."""
        return self._woken.is_set()

    def _let_go(self) -> None:
        """Leave no observation behind that a later run could take for a fresh one."""
        for task in self._under_way.values():
            task.cancel()
        self._under_way.clear()

    async def run_once(self) -> None:
        """Look until nothing more is to be done, at most 45 s; then cancel what only a target still wants."""
        ends_at = self.clock.monotonic() + RUN_ONCE_SECONDS
        await self.poll()
        while self._unfinished() and self.clock.monotonic() < (
            ends_at + GRACE_SECONDS if self._mid_step() else ends_at
        ):
            again = self._may_recover()
            wait = self._next_poll_in() if self._all_have_polled() else AT_ONCE_SECONDS
            await self.clock.sleep(RECOVERY_SECONDS if again else wait)
            await self.poll(expedited=not again and self.market is not None and self._all_have_polled())
        await self._drop_targets()
        self._let_go()

    async def _worth_a_look(self) -> bool:
        """While the market is closed one clock request a minute is enough, once every account was seen.

        An order of ours that may have filled or expired in the last second is followed to its end all the same.
        """
        if self.market is None or self.market.is_open or not self._all_have_polled():
            return True
        if any(watcher.orders.working for watcher in self.watchers):
            return True
        market = await self._read_market(expedited=False)
        return market is not None and market.is_open

    def _mid_step(self) -> bool:
        """Whether an account acted in its last look, so that what it cancelled may still lack its successor."""
        return any(watcher.acted for watcher in self.watchers)

    def _unfinished(self) -> bool:
        if self._may_recover():
            return True
        if self.problem is not None:
            return False
        return any(w.is_expedited or not self._has_polled(w) for w in self.watchers)

    def _may_recover(self) -> bool:
        """Whether the clock, the quotes or an account have failed in a way that a moment later may be over."""
        tried = [(self.problem, self._clock_failures), *((w.problem, w.failures) for w in self.watchers)]
        return 0 < self.prices.failures < TRIES or any(
            isinstance(problem, UnknownOutcomeError) and failures < TRIES for problem, failures in tried
        )

    @staticmethod
    def _has_polled(watcher: SellWatcher) -> bool:
        return watcher.plan is not None or watcher.problem is not None

    def _all_have_polled(self) -> bool:
        return all(self._has_polled(watcher) for watcher in self.watchers)

    async def _drop_targets(self) -> None:
        """An unfilled target doesn't outlive its run; everything more urgent stays working and is adopted next time."""
        why = "the run is over and the target is not filled"
        await asyncio.gather(
            *(
                w.orders.cancel(CancelOrder(order, why))
                for w in self.watchers
                if w.mode is RunMode.ACT
                for order in w.targets
            )
        )

    async def _sleep(self, seconds: float, stop: asyncio.Event) -> None:
        """Until the time is up, or somebody wants to stop or to look now."""
        waits = (self.clock.sleep(seconds), stop.wait(), self._woken.wait())
        waiting = [asyncio.ensure_future(each) for each in waits]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()


def _missing(seen: Iterable[tuple[SellWatcher, AccountObservation]], asked: Iterable[Instrument]) -> list[Instrument]:
    """Instruments in these observations whose quotes this round hasn't asked for."""
    known = {instrument.symbol for instrument in asked}
    return [i for _, what in seen for i in instruments_of(what) if i.symbol not in known]
