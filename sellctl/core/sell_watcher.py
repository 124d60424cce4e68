"""Watches one account: observe, decide, record, execute.

A poll reads the account and decides. Between polls, a re-evaluation decides on all newer quotes and a tick on those of
one underlying, both with the positions and orders of the last poll.
"""

import asyncio
import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.config.schema import GuardAction
from sellctl.core.decision.alerts import overdue_alerts
from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import Policy
from sellctl.core.errors import RateLimitedError, SellctlError, UnknownOutcomeError
from sellctl.core.events import EventPublisher
from sellctl.core.model.account_state import AccountState, RunMode
from sellctl.core.model.event import EventKind
from sellctl.core.model.gain import Basis
from sellctl.core.model.market import NEW_YORK, Market
from sellctl.core.model.order import Order
from sellctl.core.model.plan import CancelOrder, Plan, Urgency
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import AccountFacts, Snapshot
from sellctl.core.order_manager import OrderManager
from sellctl.core.ports import Broker, Clock, Journal
from sellctl.core.position_manager import PositionManager
from sellctl.core.watching.account_observer import AccountObservation, AccountObserver
from sellctl.core.watching.manual_requests import CommandRequest, ManualRequests
from sellctl.core.watching.plan_announcer import PlanAnnouncer

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_RESUMED = "resumed"  # the journal's note on a symbol or underlying whose rules the user has resumed
_BUG_HINT = "Please report it; --debug logs where it happened."


class WatcherOptions(Struct, frozen=True):
    """How one account's watcher runs.

    `only` limits what is executed to these symbols. `exempt` returns the symbols and underlyings that are not traded,
    `resumed` the symbols whose suspended rules resume, each once. `halt` stops all new orders, for the reason given.
    """

    mode: RunMode = RunMode.ACT
    only: frozenset[str] | None = None
    exempt: Callable[[], frozenset[str]] = frozenset
    resumed: Callable[[], frozenset[str]] = frozenset
    halt: Callable[[str], object] = lambda _why: None


class LoadedOrders(Struct, frozen=True):
    """Orders of today by symbol that were loaded before.

    `forget` discards those that are about to change, `keep` stores those that were read.
    """

    by_symbol: Mapping[str, tuple[Order, ...]] = {}
    forget: Callable[[Collection[str]], None] = lambda _symbols: None
    keep: Callable[[Mapping[str, tuple[Order, ...]]], None] = lambda _orders: None


class TickView(Struct, frozen=True):
    """One underlying at the last poll, for a decision on newer quotes."""

    snapshot: Snapshot
    observed_at: float  # monotonic seconds


@dataclass(slots=True)
class SellWatcher:
    """One account's watcher. Other modules read its `state`."""

    name: str
    policy: Policy
    journal: Journal
    positions: PositionManager
    orders: OrderManager
    observer: AccountObserver
    clock: Clock
    publish: EventPublisher
    options: WatcherOptions = field(default_factory=WatcherOptions)
    requests: ManualRequests = field(default_factory=ManualRequests)
    _state: AccountState = field(init=False)
    _announcer: PlanAnnouncer = field(init=False)
    _knows_resumed: bool = False
    _resume_problem: str = ""  # why the symbols whose rules are to be resumed can't be read
    _seen: AccountObservation | None = None  # the one that the state's plan was made from, or the next one is
    _reading_orders: set[str] = field(default_factory=set)  # symbols whose orders of today are being read
    _tripped: tuple[dt.date, str] | None = None  # the account guard's limit, and the day on which it was reached
    # By underlying: when an order was last sent or cancelled, so that earlier views have expired; one plan at a time.
    _acted_at: dict[str, float] = field(default_factory=dict)
    _locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    def __post_init__(self) -> None:
        self._state = AccountState(self.name, self.options.mode, self.options.only)
        self._announcer = PlanAnnouncer(self.publish)

    @property
    def state(self) -> AccountState:
        """The account's current state."""
        return replace(
            self._state,
            facts=self.observer.facts,
            working=self.orders.symbols_working,
            broker_stops=self.orders.symbols_guarded,
            unknown_orders=self.orders.unknown,
            rejected=self.orders.rejected,
        )

    @property
    def broker(self) -> Broker:
        """The account at the broker."""
        return self.observer.broker

    # --- a poll -------------------------------------------------------------------------------------------------------

    async def observe(self, *, urgent: bool = False) -> AccountObservation | None:
        """Positions and open orders, with our orders updated; None after a failure, which is then in `state`.

        With `urgent`, the reads may use a part of the request budget that is kept for orders.
        """
        policy = self.policy
        return await self._contain(
            self.observer.observe(
                self.options.mode,
                with_equity=policy.guards_the_account,
                with_underlyings=policy.needs_underlyings,
                urgent=urgent,
            )
        )

    async def act_on_poll(self, seen: AccountObservation, market: Market) -> None:
        """Decide on an observation and execute the plan, except where a tick has acted since the observation began."""
        if await self._contain(self._act_on_poll(seen, market)):
            if self._state.problem is not None:
                self.publish("", EventKind.RECOVERED, "the account responds again")
            self._state = replace(self._state, problem=None, failures=0)

    async def _act_on_poll(self, seen: AccountObservation, market: Market) -> bool:
        self._seen = seen  # re-evaluations use it from now on: an older view would undo what changes in the episodes
        snapshot = self._snapshot(seen, market)
        if self.policy.needs_openings and await self.observer.load_openings():
            snapshot = replace(snapshot, holdings=self.positions.holdings(seen.positions.rows, market, again=True))
        await asyncio.sleep(0)  # lets a tick that arrived meanwhile act first
        if seen.at > max(self._acted_at.values(), default=float("-inf")):
            self._state = replace(self._state, acted=False, awaits_read=False)
        await self._decide_and_execute(snapshot, seen.at)
        return True

    def _snapshot(self, seen: AccountObservation, market: Market, *, again: bool = False) -> Snapshot:
        """The account by an observation, with the newest quotes; `again` when a snapshot of it was made before."""
        requests, rows = self.requests, seen.positions.rows
        if self._state.plan is not None or requests.panic_is_pending:
            requests.apply_to(frozenset(position.symbol for position in rows), self.positions.remembered)
        self._resume_rules(market)
        holdings = self.positions.holdings(rows, market, again=again)
        suspended = self.positions.episodes.take_newly_suspended()
        self._announcer.announce_suspended(suspended, is_evidence=self.options.mode is RunMode.ACT)
        age = dt.timedelta(seconds=self.clock.monotonic() - seen.at)
        return Snapshot(
            account=self.observer.facts or AccountFacts(self.name, ""),
            market=market,
            holdings=holdings,
            orders=seen.orders,
            positions_at=market.now - age,
            invalid=(*seen.positions.invalid, *seen.invalid_orders.invalid),
            manual_closes=requests.closing,
            panic=requests.panic,
            halted=self.orders.halted(),
            sent=self.positions.sent,
            exempt=self.options.exempt(),
            tripped=self._tripped[1] if self._tripped and self._tripped[0] == market.today else "",
            underlyings=self.positions.underlyings(rows) if self.policy.needs_underlyings else {},
            structures=self.positions.structures,
            unbooked_splits=self.positions.splits.underlyings,
        )

    def _resume_rules(self, market: Market) -> None:
        """Resume the rules that the user wants resumed. Later processes keep them through today's splits too."""
        if not self._knows_resumed:
            self._knows_resumed = True
            self.positions.splits.accept(self.journal.noted_today(self.name, _RESUMED), market.today)
        resumed = self._take_resumed()
        if resumed:
            self.positions.resume(resumed, market.today)
            for symbol in sorted(resumed):
                self.journal.note(self.name, _RESUMED, {"symbol": symbol})

    def _take_resumed(self) -> frozenset[str]:
        """The symbols to resume. When these can't be read nothing is resumed, which is published and stops nothing."""
        try:
            resumed, problem = self.options.resumed(), ""
        except SellctlError as error:
            resumed, problem = frozenset(), f"suspended rules can't be resumed: {error.sentence}"
        before, self._resume_problem = self._resume_problem, problem
        if problem and problem != before:
            self.publish("", EventKind.ALERT, problem, failed=True)
        return resumed

    # --- a re-evaluation ----------------------------------------------------------------------------------------------

    @property
    def is_executing(self) -> bool:
        """Whether a plan is being carried out: a read that begins now would not show its end."""
        return any(lock.locked() for lock in self._locks.values())

    @property
    def may_reevaluate(self) -> bool:
        """Whether newer quotes may act on the last poll's positions and orders.

        Not while the account fails, except for a while: a read that fails for a moment, or for which the request budget
        is used up, says nothing about orders, and the decision refuses positions that are too old.
        """
        state = self._state
        if state.mode is not RunMode.ACT or state.only is not None or self.requests.panic_is_pending:
            return False
        if state.problem is not None and not isinstance(state.problem, RateLimitedError | UnknownOutcomeError):
            return False
        return self._seen is not None and state.snapshot is not None and state.polled_at is not None

    async def reevaluate(self, market: Market, loaded: LoadedOrders | None = None) -> None:
        """Decide on the newest quotes with the last poll's positions and orders, and execute what is due by now."""
        if self._seen is not None and self.may_reevaluate:
            await self._contain(self._reevaluate(self._seen, market, loaded or LoadedOrders()))

    async def _reevaluate(self, seen: AccountObservation, market: Market, loaded: LoadedOrders) -> None:
        snapshot = replace(self._snapshot(seen, market, again=True), history=loaded.by_symbol, on_tick=True)
        plan = self.decide(snapshot)
        due = self._on_current_views(plan)
        read = due.needs_history - self.observer.unreadable  # polls try these again
        if read:
            self._reading_orders |= read
            try:
                snapshot = await self._with_history(snapshot, replace(due, needs_history=read))
                snapshot = replace(snapshot, sent=self.positions.sent)
            finally:
                self._reading_orders -= read
            plan = self.decide(snapshot)
            due = self._on_current_views(plan)
        if self._seen is not seen or self._state.plan is None:
            return  # a poll decides on a newer view
        was_read = read & due.symbols & snapshot.history.keys()
        loaded.keep({symbol: snapshot.history[symbol] for symbol in was_read})
        self.positions.decided(due)
        shown, updated = replace(snapshot, on_tick=False), self._state.plan.updated_by(due)
        self._state = replace(self._state, plan=updated, snapshot=shown)
        self._announcer.announce(updated)
        if due.sendable.acts:
            loaded.forget(due.sendable.symbols_acting)
            try:
                await self._execute(due, seen.at)
            finally:
                self.journal.plan_made(snapshot, plan)

    def _on_current_views(self, plan: Plan) -> Plan:
        """The plan without the underlyings on which something is being sent, or was since they were read.

        Symbols whose orders an earlier re-evaluation is reading are left out too: that one acts on them.
        """
        symbols = {h.symbol for h in (each.holding for each in plan.decisions) if self.accepts_ticks(_underlying(h))}
        symbols -= self._reading_orders
        return replace(plan.only(frozenset(symbols)), needs_history=plan.needs_history & symbols)

    # --- a tick -------------------------------------------------------------------------------------------------------

    def accepts_ticks(self, underlying: str) -> bool:
        """Whether a tick on this underlying may act on the last poll's positions.

        Not while a plan for it is being carried out, nor after one until the next poll.
        """
        polled_at = self._state.polled_at
        if not self.may_reevaluate or polled_at is None:
            return False
        return not self._locks[underlying].locked() and not self._is_expired(underlying, polled_at)

    def view_for_tick(self, underlying: str) -> TickView | None:
        """The last poll's positions on one underlying, with our current state; None when no tick may act."""
        state = self._state
        if not self.accepts_ticks(underlying) or state.snapshot is None or state.polled_at is None:
            return None
        group = [h for h in state.snapshot.holdings if h.position.instrument.underlying == underlying]
        if self.positions.splits.suspects((holding.position for holding in group), state.snapshot.market):
            return None  # the next poll suspends its rules
        snapshot = replace(
            state.snapshot,
            holdings=tuple(self.positions.with_price_increment(h, state.snapshot.market.today) for h in group),
            halted=self.orders.halted(),
            sent=self.positions.sent,
            on_tick=True,
        )
        return TickView(snapshot, state.polled_at)

    async def act_on_tick(self, underlying: str, view: TickView) -> None:
        """Decide on one underlying's newest quotes and execute the plan, unless the view has expired meanwhile."""
        if self.accepts_ticks(underlying):
            # Orders sent meanwhile count: their number per minute is limited (K2).
            snapshot = replace(view.snapshot, sent=self.positions.sent)
            await self._contain(self._decide_and_execute(snapshot, view.observed_at))

    # --- polls and ticks ----------------------------------------------------------------------------------------------

    def decide(self, snapshot: Snapshot) -> Plan:
        """The plan for a snapshot under the account's policy."""
        return decide(snapshot, self.policy)

    async def _decide_and_execute(self, snapshot: Snapshot, observed_at: float) -> None:
        """The only path from a snapshot to orders.

        A poll's plan is recorded before its orders are sent. A tick's is recorded afterwards, so that it doesn't delay
        them; the intent of each order is recorded before the order is sent in both cases.
        """
        plan = self.decide(snapshot)
        if snapshot.on_tick:
            if plan.acts:
                self.positions.decided(plan)
                try:
                    await self._execute(plan, observed_at)
                finally:
                    self.journal.plan_made(snapshot, plan)
            return
        if plan.needs_history:
            snapshot = await self._with_history(snapshot, plan)
            plan = self.decide(snapshot)
        self.positions.decided(plan)
        self._take_plan(snapshot, plan, observed_at)
        if self.options.mode is RunMode.ACT:
            self.journal.plan_made(snapshot, plan)
        self._apply_account_guard(plan)
        self._announcer.announce(plan)
        await self._execute(plan, observed_at)

    def _take_plan(self, snapshot: Snapshot, plan: Plan, observed_at: float) -> None:
        first = self._state.first_plan
        self._state = replace(
            self._state,
            plan=plan,
            first_plan=first.confirmed_by(plan) if first else plan,
            snapshot=snapshot,
            polled_at=observed_at,
        )

    async def _execute(self, plan: Plan, observed_at: float) -> None:
        """Carry out a plan. No underlying waits for another's cancel."""
        if await self._executed(plan, observed_at):
            awaits_read = self._state.awaits_read or bool(plan.cancels)
            self._state = replace(self._state, acted=True, awaits_read=awaits_read)

    async def _executed(self, plan: Plan, observed_at: float) -> bool:
        """Carry out a plan. Return whether anything was sent or cancelled, so that a poll should follow soon."""
        if self.options.mode is RunMode.DRY_RUN:
            return False
        if self.options.mode is RunMode.STALE_ONLY:
            return await self.orders.cancel_all(plan.stale)
        only = self.options.only
        groups = (plan if only is None else plan.only(only)).sendable.by_underlying
        steps = (self._execute_group(underlying, group, observed_at) for underlying, group in groups.items())
        ends = await asyncio.gather(*steps, return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return any(ends)

    async def _execute_group(self, underlying: str, plan: Plan, observed_at: float) -> bool:
        """Execute the plan for one underlying, one plan at a time, unless its view has expired."""
        async with self._locks[underlying]:
            if self._is_expired(underlying, observed_at):
                return True
            try:
                return await self.orders.carry_out(plan)
            finally:
                self._acted_at[underlying] = self.clock.monotonic()

    def _is_expired(self, underlying: str, observed_at: float) -> bool:
        """Whether something was sent or cancelled on an underlying since it was observed."""
        return observed_at <= self._acted_at.get(underlying, float("-inf"))

    async def _with_history(self, snapshot: Snapshot, plan: Plan) -> Snapshot:
        """The same snapshot with today's orders of the symbols that its plan lacks them for."""
        # The order of a set differs from process to process.
        return snapshot.with_history(await self.observer.history(sorted(plan.needs_history)))

    def _apply_account_guard(self, plan: Plan) -> None:
        """Keep a reached limit of the account guard for the rest of the day: alert the user, and halt if configured."""
        today = plan.made_at.astimezone(NEW_YORK).date()
        if not plan.tripped or (self._tripped and self._tripped[0] == today):
            return
        self._tripped = (today, plan.tripped)
        acts = self.options.mode is RunMode.ACT
        self.publish(
            "",
            EventKind.ALERT,
            f"account guard: {plan.tripped}",
            failed=True,
            evidence="account_guard" if acts else "",
            detail={"sentence": plan.tripped},
        )
        if acts and self.policy.account_guard.action is GuardAction.HALT:
            self.options.halt(f"account guard of {self.name}: {plan.tripped}")

    # --- calls from other modules -------------------------------------------------------------------------------------

    def take_policy(self, policy: Policy, basis: Basis) -> None:
        """Decide by another policy from the next poll on. `basis` is the side on which peaks are measured."""
        self.policy = policy
        self.positions.configure(basis, pairs=policy.uses_structures)

    def take_request(self, request: CommandRequest) -> None:
        """Accept another command's request; the next poll executes it."""
        self.requests.take(request)
        self.publish(
            request.symbol,
            EventKind.NOTE,
            f"{request.verb.value} requested by {request.by or 'another command'}",
            evidence="request",
            detail={"symbol": request.symbol, "verb": request.verb.value, "by": request.by},
        )

    def handed_over(self) -> None:
        """Clear the problem: the process that holds the account has accepted the request."""
        self._state = replace(self._state, problem=None)

    async def load_history(self, symbols: Iterable[str]) -> dict[str, tuple[Order, ...]]:
        """Today's orders by symbol, loaded in advance; empty after a failure, which is then in `state`."""
        return await self._contain(self.observer.history(symbols)) or {}

    async def todays_orders(self, symbol: str) -> tuple[Order, ...]:
        """Today's orders of one symbol, in any state, for display; empty after a failure, which is then in `state`."""
        return await self._contain(self.observer.todays_orders(symbol)) or ()

    async def cancel_targets(self, why: str) -> None:
        """Cancel the open orders of profit targets."""
        if self.options.mode is RunMode.ACT:
            await asyncio.gather(*(self.orders.cancel(CancelOrder(order, why)) for order in self._target_orders()))

    def _target_orders(self) -> Sequence[Order]:
        snapshot, only = self._state.snapshot, self.options.only
        if snapshot is None:
            return ()
        exits = [h.state.exit for h in snapshot.holdings if h.state.exit and h.state.exit.urgency >= Urgency.PROFIT]
        ids = {exit_.client_order_id for exit_ in exits}
        return [
            order
            for order in snapshot.orders
            if order.client_order_id in ids and not order.is_terminal and (only is None or order.symbol in only)
        ]

    # --- failures -----------------------------------------------------------------------------------------------------

    async def _contain(self, work: Awaitable[T]) -> T | None:
        """The result of the work; None after a failure, which doesn't affect other accounts (R7)."""
        try:
            return await work
        except SellctlError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001  a bug of ours or of a strategy must not stop other accounts
            _LOG.debug("%s: an internal error", self.name, exc_info=error)
            self._fail(SellctlError(f"Internal error: {type(error).__name__}.", hint=_BUG_HINT))
        return None

    def _fail(self, error: SellctlError) -> None:
        """Store a failure, and publish it unless it repeats the one before."""
        before = self._state.problem
        if before is None or before.sentence != error.sentence:
            self.publish("", EventKind.DEGRADED, str(error).removeprefix(f"{self.name}: "), failed=True)
        self._announce_overdue(error)
        self._state = replace(self._state, problem=error, failures=self._state.failures + 1, acted=False)

    def _announce_overdue(self, error: SellctlError) -> None:
        """Publish the alerts that are due on exits of the last plan, although the account fails now."""
        plan, market = self._state.plan, self._state.market
        if plan is None or market is None or market.closes_at is None or self.publish.now() >= market.closes_at:
            return
        self._announcer.announce_overdue(
            replace(
                decision,
                overdue=overdue_alerts(self.positions.due_for(decision.holding.symbol)),
                sentence=f"{decision.sentence}; {error.sentence.removeprefix(f'{self.name}: ')}",
            )
            for decision in plan.decisions
            if decision.pressing
        )


def _underlying(holding: Holding) -> str:
    return holding.position.instrument.underlying
