"""Watches one account: observe, decide, record, execute.

A poll reads the account and decides. Between polls, a re-evaluation decides on all newer quotes and a tick on those of
some underlyings, both with the positions and orders of the last poll.
"""

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.config.schema import GuardAction
from sellctl.core.decision.alerts import overdue_alerts
from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import Policy
from sellctl.core.errors import BrokerError, RateLimitedError, SellctlError, UnknownOutcomeError
from sellctl.core.events import EventPublisher
from sellctl.core.manual.verb import Verb
from sellctl.core.model.account_state import AccountState, RunMode
from sellctl.core.model.event import EventKind
from sellctl.core.model.gain import Basis
from sellctl.core.model.instrument import underlying_of
from sellctl.core.model.market import NEW_YORK, Market
from sellctl.core.model.order import Order
from sellctl.core.model.plan import CancelOrder, Plan, Reason, Urgency
from sellctl.core.model.position import Holding, OverrideChange, Position
from sellctl.core.model.snapshot import AccountFacts, CloseTerms, Snapshot
from sellctl.core.order_manager import OrderManager
from sellctl.core.ports import Broker, Clock, Journal
from sellctl.core.position_manager import PositionManager
from sellctl.core.structures.named import HeldNames, held_names
from sellctl.core.structures.names import legs_of
from sellctl.core.structures.opened import opened_structures
from sellctl.core.tracking.uncovered_shorts import SETTLED_AFTER
from sellctl.core.watching.account_observer import AccountObservation, AccountObserver
from sellctl.core.watching.manual_requests import CommandRequest, ManualRequests, terms_text
from sellctl.core.watching.named_orders import NamedOrders
from sellctl.core.watching.plan_announcer import OverrideNews, PlanAnnouncer
from sellctl.core.watching.poll_schedule import AWAITED_SECONDS

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
ENDS_WITHIN = (0.0, 0.25, 1.0)  # seconds between the looks for the end of a cancel at the end of a run
_RESUMED = "resumed"  # the journal's note on a symbol or underlying whose rules the user has resumed
BUG_HINT = "Please report it; --debug logs where it happened."


class WatcherOptions(Struct, frozen=True):
    """How one account's watcher runs.

    `only` limits what is executed to these symbols. `exempt` returns what is not traded, each with the end of that,
    `resumed` the symbols whose suspended rules resume, each once. `halt` stops all new orders, for the reason given.
    """

    mode: RunMode = RunMode.ACT
    only: frozenset[str] | None = None
    exempt: Callable[[], Mapping[str, dt.datetime | None]] = dict
    resumed: Callable[[], frozenset[str]] = frozenset
    halt: Callable[[str], object] = lambda _why: None


class TickView(Struct, frozen=True):
    """Some underlyings at the last poll, for a decision on newer quotes."""

    snapshot: Snapshot
    observed_at: float  # monotonic seconds

    @property
    def underlyings(self) -> frozenset[str]:
        """The underlyings that it shows."""
        return frozenset(map(_underlying, self.snapshot.holdings))


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
    _named_orders: NamedOrders = field(init=False)
    _knows_resumed: bool = False
    _resume_problem: str = ""  # why the symbols whose rules are to be resumed can't be read
    _seen: AccountObservation | None = None  # the one that the state's plan was made from, or the next one is
    _reading_orders: set[str] = field(default_factory=set)  # symbols whose orders of today are being read
    _awaited: frozenset[str] = frozenset()  # the broker's ids of orders whose cancel an exit waits for
    _overrides_to_announce: list[OverrideNews] = field(default_factory=list)
    _tripped_limit: tuple[dt.date, str] | None = None  # the account guard's limit, and the day on which it was reached

    def __post_init__(self) -> None:
        self._state = AccountState(self.name, self.options.mode, self.options.only)
        self._announcer = PlanAnnouncer(self.publish)
        self._named_orders = NamedOrders(self.broker, self.clock)

    @property
    def state(self) -> AccountState:
        """The account's current state."""
        return replace(
            self._state,
            facts=self.observer.facts,
            pending_symbols=self.orders.pending_symbols,
            broker_stops=self.orders.symbols_with_backstop,
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

        Today's orders are read with them the first time, and while an exit is under way. With `urgent`, the reads may
        use a part of the request budget that is kept for orders.
        """
        policy = self.policy
        return await self._contain(
            self.observer.observe(
                self.options.mode,
                with_equity=policy.guards_the_account,
                with_underlyings=policy.needs_underlyings,
                in_full=self._needs_todays_orders(),
                urgent=urgent,
            )
        )

    def _needs_todays_orders(self) -> bool:
        """Whether the next read is to show today's orders too: the first one, and those that an order may follow.

        So is a read that makes them certain again for what is held, so that a tick's order needs no request, and one
        that shows which order opened the legs that were new in the last read. That one is tried once.
        """
        state = self.state
        if (
            state.snapshot is None
            or state.acted
            or state.is_following
            or state.is_pressing
            or self.orders.pending_cancel_ids
        ):
            return True
        held = frozenset(holding.symbol for holding in state.snapshot.holdings)
        if self.policy.structure_kinds and not held <= self.observer.asked_with_orders:
            return True
        return self.observer.lacks_orders(held)

    async def act_on_poll(self, seen: AccountObservation, market: Market) -> None:
        """Decide on an observation and execute the plan, except where a tick has acted since the observation began."""
        if await self._contain(self._act_on_poll(seen, market)):
            self._recover()

    def _recover(self) -> None:
        """The account has responded."""
        if self._state.problem is not None:
            self.publish("", EventKind.RECOVERED, "the account responds again")
        self._state = replace(self._state, problem=None, failures=0)

    async def _act_on_poll(self, seen: AccountObservation, market: Market) -> bool:
        self._seen = seen  # re-evaluations use it from now on: an older view would undo what changes in the episodes
        filled_lately = self.observer.todays.filled_underlyings(market.now - SETTLED_AFTER)
        self.positions.uncovered_shorts.see(seen.positions, seen.at, filled_lately)
        await self._named_orders.load(self.policy.named_structures)
        snapshot = self._snapshot(seen, market)
        needs_openings = self.policy.needs_openings or self.positions.episodes.has_overrides
        if needs_openings and await self.observer.load_openings():
            holdings = self._recognised(seen.positions.rows, market, snapshot.named, again=True)
            snapshot = replace(snapshot, holdings=holdings)
        await self._save()
        await asyncio.sleep(0)  # lets a tick that arrived meanwhile act first
        snapshot = replace(snapshot, order_count=self.positions.order_count)
        if seen.at > self.orders.in_flight.last_ended_at:
            self._see_cancels(seen)
        await self._decide_and_execute(snapshot, seen.at)
        return True

    def _see_cancels(self, seen: AccountObservation) -> None:
        """A read has shown what the last plans brought about; a cancel that is pending is soon looked for again."""
        self._awaited &= self.orders.pending_cancel_ids & {order.id for order in seen.orders}
        in_vain = self._state.reads_in_vain + 1 if self._awaited else 0
        awaits_read = 0 < in_vain < len(AWAITED_SECONDS)
        self._state = replace(self._state, acted=False, awaits_read=awaits_read, reads_in_vain=in_vain)

    def _snapshot(self, seen: AccountObservation, market: Market, *, again: bool = False) -> Snapshot:
        """The account by an observation, with the newest quotes; `again` when a snapshot of it was made before."""
        requests, rows = self.requests, seen.positions.rows
        if self._state.plan is not None or requests.panic_is_pending:
            requests.apply_to(frozenset(position.symbol for position in rows), self.positions.remembered)
        self._resume_rules(market)
        structures = self.policy.named_structures
        named = held_names(self._named_orders.known(structures), rows, self.positions.episodes.leaving)
        self._announcer.announce_named((*self._named_orders.problems(structures), *named.problems))
        holdings = self._holdings(rows, market, named, again=again)
        if self._change_overrides(market):
            holdings = self._holdings(rows, market, named, again=True)
        self._count_for_requests(market)
        suspended = self.positions.episodes.take_newly_suspended()
        is_recorded = self.options.mode is RunMode.ACT
        self._announcer.announce_suspended(suspended, self.policy.program, is_recorded=is_recorded)
        age = dt.timedelta(seconds=self.clock.monotonic() - seen.at)
        exempt = self.options.exempt()
        return Snapshot(
            account=self.observer.facts or AccountFacts(self.name, ""),
            market=market,
            holdings=holdings,
            orders=seen.orders,
            positions_at=market.now - age,
            history=self.observer.known_orders((holding.symbol for holding in holdings), seen.read),
            invalid=(
                *seen.positions.invalid,
                *(replace(row, is_order=True) for row in seen.unreadable_orders),
            ),
            manual_closes=requests.closing,
            close_terms=dict(requests.terms),
            panic=requests.panic,
            halted=self.orders.halted(),
            order_count=self.positions.order_count,
            exempt=frozenset(exempt),
            exempt_until={name: end for name, end in exempt.items() if end is not None},
            tripped_limit=self._tripped_limit[1]
            if self._tripped_limit and self._tripped_limit[0] == market.today
            else "",
            underlyings=self.positions.underlyings(rows) if self.policy.needs_underlyings else {},
            structures=self.positions.structures,
            missing=self.positions.missing_shorts(market.today),
            named=named.names,
            unbooked_splits=self.positions.splits.underlyings,
            no_multi_leg=self.orders.no_multi_leg(market.today) if self._may_leave_as_one(rows) else frozenset(),
        )

    def follow_overrides(self) -> None:
        """Take over what another process has set for the positions, in a dry run; the next read shows it."""
        if self.options.mode is not RunMode.ACT:
            self.positions.episodes.follow_stored_overrides()

    def _change_overrides(self, market: Market) -> bool:
        """Set what was requested for positions, and end what has had its time. Returns whether anything has changed.

        It is announced once it is on disk.
        """
        if self.options.mode is not RunMode.ACT:
            return False
        episodes = self.positions.episodes
        for request in self.requests.take_changes():
            change = request.change or OverrideChange()
            is_held = episodes.change_override(request.symbol, change, request.by, market.now)
            self._overrides_to_announce.append(OverrideNews(request.symbol, change, request.by, request.id, is_held))
        for symbol, override in episodes.end_overrides(market.now):
            self._overrides_to_announce.append(OverrideNews(symbol, override, override.by))
        return bool(self._overrides_to_announce)

    async def _save(self) -> None:
        """Store what is remembered of the positions, then announce what has become of requests to change it."""
        await self.positions.save()
        news = tuple(self._overrides_to_announce)
        del self._overrides_to_announce[: len(news)]
        self._announcer.announce_overrides(news)

    def _count_for_requests(self, market: Market) -> None:
        """Count what our orders have filled for the pending requests; drop those that are done or of another day."""
        requests, fills_of = self.requests, self.positions.fills_of
        for name in requests.expire(market.today):
            self.publish(name, EventKind.NOTE, "the request to close it has ended with its day")
        requests.begin(fills_of, market.now)
        requests.count(fills_of)

    def _may_leave_as_one(self, rows: Iterable[Position]) -> bool:
        """Whether a structure could leave as one order: one that is judged as one or leaves, or has a short option."""
        shorts = (not row.is_long and row.instrument.is_option for row in rows)
        return self.positions.have_structures or (self.policy.recognises_structures and any(shorts))

    def _holdings(
        self, rows: Sequence[Position], market: Market, named: HeldNames, *, again: bool
    ) -> tuple[Holding, ...]:
        """The positions with their structures: those that are asked to close, then those that the user names."""
        self.requests.call(named.names)
        holdings = self._recognised(rows, market, named.names, again=again)
        self.positions.episodes.held_whole(named.names)
        held, known = {position.symbol for position in rows}, self.positions.structures
        asked = (name for name in self.requests.structures if name not in known)
        self.requests.drop(name for name in asked if held.issuperset(legs_of(name)))
        return holdings

    def _recognised(
        self, rows: Sequence[Position], market: Market, named: Iterable[str], *, again: bool
    ) -> tuple[Holding, ...]:
        """The positions, with those structures first that are asked to close or `named` by the user.

        What orders opened is known from the lists that are read anyway: one sight of an order is enough.
        """
        asked, kinds = self.requests.structures, self.policy.structure_kinds
        first = (*asked, *named) if kinds else asked
        opened = opened_structures(self.observer.todays.filled_multi_leg, rows, kinds) if kinds else ()
        return self.positions.holdings(rows, market, again=again, first=first, opened=opened)

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

    # --- working orders ----------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Ask what became of our working orders. The account is soon read when one has ended or is not listed."""
        if await self._contain(self._follow()):
            self._recover()

    async def _follow(self) -> bool:
        pending = set(self.orders.pending_symbols)
        followed = await self.observer.follow_orders(pending)
        self.orders.follow(order for orders in followed.by_symbol.values() for order in orders)
        ended = pending.difference(self.orders.pending_symbols) | followed.lacking
        if ended:  # the last read of them is stale
            self.orders.in_flight.invalidate_reads(ended)
            self._state = replace(self._state, acted=True, awaits_read=True, reads_in_vain=0)
        return True

    async def look_up_unknown(self) -> None:
        """Look up our orders whose outcome is unknown. None is sent again."""
        await self._contain(self.orders.look_up_unknown())

    # --- a re-evaluation ----------------------------------------------------------------------------------------------

    @property
    def is_executing(self) -> bool:
        """Whether a plan is being carried out: a read that begins now would not show its end."""
        return self.orders.in_flight.has_any

    @property
    def is_sending(self) -> bool:
        """Whether an order is being sent: the read that follows it, once, comes after the last of several."""
        return self.orders.in_flight.is_sending

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

    async def reevaluate(self, market: Market) -> None:
        """Decide on the newest quotes with the last poll's positions and orders, and execute what is due by now."""
        if self._seen is not None and self.may_reevaluate:
            await self._contain(self._reevaluate(self._seen, market))

    async def _reevaluate(self, seen: AccountObservation, market: Market) -> None:
        """Today's orders that were read since the poll may keep an exit waiting; what is sent needs certain ones."""
        snapshot = replace(self._snapshot(seen, market, again=True), orders=self._orders_by_now(seen), on_tick=True)
        await self._save()
        plan = self.decide(snapshot)
        due = self._due(plan, seen.at)
        read = self.lacks_certain_orders(due) - self.observer.unreadable  # polls try these again
        if read:
            self._reading_orders |= read
            try:
                snapshot = snapshot.with_history(await self.observer.read_orders(read))
                snapshot = replace(snapshot, order_count=self.positions.order_count)
            finally:
                self._reading_orders -= read
            plan = self.decide(snapshot)
            due = self._due(plan, seen.at)
        if self._seen is not seen or self._state.plan is None:
            return  # a poll decides on a newer view
        due = replace(due, needs_history=due.needs_history | (self.lacks_certain_orders(due) - read))
        self.positions.remember_due_times(due)
        repriced = self._repriced(plan, seen.at)
        shown, updated = replace(snapshot, on_tick=False), self._state.plan.updated_by(due).updated_by(repriced)
        first = self._state.first_plan
        first = first.confirmed_by(updated) if first else updated
        self._state = replace(self._state, plan=updated, first_plan=first, snapshot=shown)
        self._announcer.announce(updated)
        if due.sendable.acts or repriced.acts:
            try:
                await asyncio.gather(self._execute(due, seen.at), self._execute(repriced, self.clock.monotonic()))
            finally:
                await self.journal.plan_made(snapshot, plan)

    def _orders_by_now(self, seen: AccountObservation) -> tuple[Order, ...]:
        """The open orders of an observation, and those of ours that the broker has accepted since."""
        known = {order.client_order_id for order in seen.orders}
        return (*seen.orders, *(order for order in self.orders.shown if order.client_order_id not in known))

    def _repriced(self, plan: Plan, observed_at: float) -> Plan:
        """The decisions that only cancel our working orders, where the read is stale: nothing can be sent."""
        in_flight, pending_cancel_ids = self.orders.in_flight, self.orders.pending_cancel_ids
        shown = (order for order in self.orders.shown if order.id not in pending_cancel_ids)
        working = {symbol: order.id for order in shown for symbol in order.symbols}
        outdated = {symbol for symbol in working if not in_flight.is_read_current(symbol, observed_at)}
        symbols = {
            decision.holding.symbol
            for decision in plan.decisions
            if decision.cancel_first
            and decision.holding.symbol in outdated
            and not in_flight.has(decision.holding.symbol)
            and {cancel.order.id for cancel in decision.cancel_first} == {working[decision.holding.symbol]}
        }
        return replace(plan.only(frozenset(symbols)), stale=())

    def lacks_certain_orders(self, plan: Plan) -> frozenset[str]:
        """The symbols with an order to send whose orders of today aren't certain now."""
        due = plan.due_symbols
        return plan.needs_history | (due - self.observer.known_orders(due).keys()) if due else plan.needs_history

    # --- a tick -------------------------------------------------------------------------------------------------------

    def accepts_ticks(self, underlying: str) -> bool:
        """Whether a tick on this underlying may act on the last poll's positions.

        Not while an order is being sent on it, nor after one until the next poll.
        """
        polled_at = self._state.polled_at
        if not self.may_reevaluate or polled_at is None:
            return False
        return self.orders.in_flight.is_underlying_read_current(underlying, polled_at)

    def view_for_tick(self, underlyings: Collection[str]) -> TickView | None:
        """The last poll's positions on these underlyings, with our current state; None when no tick may act.

        Left out are those on which no tick may act, and those whose rules the next poll suspends because of a split.
        """
        state = self._state
        if state.snapshot is None or state.polled_at is None or not self._seen:
            return None
        accepted = {underlying for underlying in underlyings if self.accepts_ticks(underlying)}
        held = (holding for holding in state.snapshot.holdings if _underlying(holding) in accepted)
        group = sorted(held, key=_underlying)
        splits, market = self.positions.splits, state.snapshot.market
        by_underlying = [tuple(holdings) for _, holdings in groupby(group, key=_underlying)]
        shown = [h for hs in by_underlying if not splits.suspects((h.position for h in hs), market) for h in hs]
        if not shown:
            return None
        snapshot = replace(
            state.snapshot,
            holdings=tuple(self.positions.with_price_increment(holding, market.today) for holding in shown),
            history=self.observer.known_orders((holding.symbol for holding in shown), self._seen.read),
            close_terms={**state.snapshot.close_terms, **self._counted_terms()},
            halted=self.orders.halted(),
            order_count=self.positions.order_count,
            on_tick=True,
        )
        return TickView(snapshot, state.polled_at)

    def _counted_terms(self) -> dict[str, CloseTerms]:
        """The terms of the requests that have begun, with what our orders have filled by now."""
        fills_of = self.positions.fills_of
        return {
            name: replace(terms, filled={symbol: fills_of(symbol) for symbol in terms.parts})
            for name, terms in self.requests.terms.items()
            if terms.since is not None
        }

    def due_on_tick(self, view: TickView, plan: Plan, withheld: Collection[str] = ()) -> Plan:
        """What the plan of a view may do now.

        Left out are `withheld` underlyings, and symbols on which an order is being cancelled, or was since the poll.
        """
        due = self._with_current_reads(plan, view.observed_at)
        if not withheld:
            return due
        return due.only(frozenset(symbol for symbol in due.symbols if underlying_of(symbol) not in withheld))

    async def act_on_tick(self, view: TickView, plan: Plan, withheld: Collection[str] = ()) -> None:
        """Execute the plan that was decided on a view, except on `withheld` underlyings and where the view is stale.

        It is decided again when orders were sent meanwhile, because their number per minute is limited (K2), or when
        what was known of today's orders isn't certain any more.
        """
        if self.may_reevaluate:
            await self._contain(self._act_on_tick(view, plan, withheld))

    async def _act_on_tick(self, view: TickView, plan: Plan, withheld: Collection[str]) -> None:
        before = view.snapshot
        now = replace(
            before, order_count=self.positions.order_count, history=self.observer.known_orders(before.history)
        )
        if (now.order_count, now.history) != (before.order_count, before.history):
            plan = self.decide(now)
        due = self.due_on_tick(view, plan, withheld)
        if due.acts:
            self.positions.remember_due_times(due)
            try:
                await self._execute(due, view.observed_at)
            finally:
                await self.journal.plan_made(now, plan)

    # --- polls and ticks ----------------------------------------------------------------------------------------------

    def decide(self, snapshot: Snapshot) -> Plan:
        """The plan for a snapshot under the account's policy."""
        return decide(snapshot, self.policy)

    async def _decide_and_execute(self, snapshot: Snapshot, observed_at: float) -> None:
        """The path from a poll's snapshot to orders.

        The intent of each order is recorded before the order is sent, and the plan afterwards, so that it delays none.
        """
        plan = self.decide(snapshot)
        if plan.needs_history:
            snapshot = snapshot.with_history(await self.observer.read_orders(plan.needs_history))
            plan = self.decide(snapshot)
        self.positions.remember_due_times(plan)
        self._take_plan(snapshot, plan, observed_at)
        self._apply_account_guard(plan)
        self._announcer.announce(plan)
        try:
            await self._execute(plan, observed_at)
        finally:
            if self.options.mode is RunMode.ACT:
                await self.journal.plan_made(snapshot, plan)

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
        """Carry out a plan."""
        if await self._executed(plan, observed_at):
            awaited = frozenset(cancel.order.id for cancel in plan.awaited_cancels)
            self._awaited |= awaited
            again = {"awaits_read": True, "reads_in_vain": 0} if awaited else {}
            self._state = replace(self._state, acted=True, **again)

    async def _executed(self, plan: Plan, observed_at: float) -> bool:
        """Carry out a plan, except for symbols whose reads are stale: a later poll decides on these again.

        Return whether a poll should follow soon: anything was sent, cancelled or left out.
        """
        if self.options.mode is RunMode.DRY_RUN:
            return False
        if self.options.mode is RunMode.STALE_ONLY:
            return await self._cancel_stale(plan.stale)
        only = self.options.only
        wanted = (plan if only is None else plan.only(only)).sendable
        due = self._with_current_reads(wanted, observed_at)
        acted = await self.orders.carry_out(due)
        return acted or due.symbols_touched != wanted.symbols_touched

    async def _cancel_stale(self, cancels: Sequence[CancelOrder]) -> bool:
        """Cancel stale orders, and wait briefly until none of them is listed as open any more."""
        requested = await self.orders.cancel_all(cancels)
        for seconds in ENDS_WITHIN:
            if self.orders.pending_cancel_ids.isdisjoint(cancel.order.id for cancel in cancels):
                break
            await self.clock.sleep(seconds)
            try:
                listed = await self.broker.open_orders()
            except BrokerError:
                continue
            self.orders.book.forget_cancels_except({order.id for order in listed.rows})
        return requested

    def _with_current_reads(self, plan: Plan, observed_at: float) -> Plan:
        """The plan without the symbols whose reads are stale."""
        in_flight = self.orders.in_flight
        symbols = plan.symbols | plan.symbols_touched
        current = frozenset(symbol for symbol in symbols if in_flight.is_read_current(symbol, observed_at))
        return plan if current == symbols else replace(plan.only(current), needs_history=plan.needs_history & current)

    def _due(self, plan: Plan, observed_at: float) -> Plan:
        """What a re-evaluation may act on.

        Symbols whose orders an earlier re-evaluation is reading are left out: that one acts on them.
        """
        due = self._with_current_reads(plan, observed_at) if self.may_reevaluate else plan.only(frozenset())
        symbols = due.symbols - self._reading_orders
        return replace(due.only(symbols), needs_history=due.needs_history & symbols)

    def _apply_account_guard(self, plan: Plan) -> None:
        """Keep a reached limit of the account guard for the rest of the day: alert the user, and halt if configured."""
        today = plan.made_at.astimezone(NEW_YORK).date()
        if not plan.tripped_limit or (self._tripped_limit and self._tripped_limit[0] == today):
            return
        self._tripped_limit = (today, plan.tripped_limit)
        acts = self.options.mode is RunMode.ACT
        self.publish(
            "",
            EventKind.ALERT,
            f"account guard: {plan.tripped_limit}",
            failed=True,
            journal_kind="account_guard" if acts else "",
            detail={"sentence": plan.tripped_limit},
        )
        if acts and self.policy.account_guard.action is GuardAction.HALT:
            self.options.halt(f"account guard of {self.name}: {plan.tripped_limit}")

    # --- calls from other modules -------------------------------------------------------------------------------------

    def take_policy(self, policy: Policy, basis: Basis) -> None:
        """Decide by another policy from the next poll on. `basis` is the side on which peaks are measured."""
        self.policy = policy
        self.positions.configure(basis, kinds=policy.structure_kinds, may_match=policy.may_match)

    def snapshot_under(self, policy: Policy, basis: Basis, market: Market) -> Snapshot | None:
        """The last read as another policy would see it, for a decision that is only shown; None before the first."""
        if self._seen is None:
            return None
        before, before_basis = self.policy, self.positions.basis
        self.take_policy(policy, basis)
        try:
            return self._snapshot(self._seen, market, again=True)
        finally:
            self.take_policy(before, before_basis)

    def take_request(self, request: CommandRequest) -> None:
        """Accept another command's request; the next poll executes it, and announces what was set."""
        self.requests.take(request)
        if request.verb is Verb.SET:
            return
        if self._state.plan is not None:  # what an earlier process's orders have filled is known from the first poll on
            self.requests.begin(self.positions.fills_of, self.publish.now())
        asked = terms_text(request.terms)
        self.publish(
            request.symbol,
            EventKind.NOTE,
            f"{request.verb.value}{f' ({asked})' if asked else ''} requested by {request.by or 'another command'}",
            journal_kind="request",
            detail=request.row,
        )

    def orders_streamed(self, *, is_connected: bool) -> None:
        """The stream of the account's orders was connected, or has ended."""
        self.observer.todays.streamed(is_connected=is_connected)

    def order_changed(self, symbol: str) -> None:
        """An order of this symbol has changed, or one of any when it is ""."""
        self.observer.todays.changed(symbol)

    async def todays_orders(self, symbol: str) -> tuple[Order, ...]:
        """Today's orders of one symbol, in any state, for display; empty after a failure, which is then in `state`."""
        return await self._contain(self.observer.todays_orders(symbol)) or ()

    async def cancel_targets(self, why: str) -> None:
        """Cancel the open orders of profit targets, and wait briefly for their end."""
        targets = self._target_orders() if self.options.mode is RunMode.ACT else ()
        await self.orders.cancel_all([CancelOrder(order, why) for order in targets])
        for seconds in ENDS_WITHIN:
            if self.orders.pending_cancel_ids.isdisjoint(order.id for order in targets):
                return
            await self.clock.sleep(seconds)
            await self.follow()

    def _target_orders(self) -> Sequence[Order]:
        snapshot, only = self._state.snapshot, self.options.only
        if snapshot is None or self._seen is None:
            return ()
        exits = self.positions.exits(holding.symbol for holding in snapshot.holdings)
        targets = (
            exit_ for exit_ in exits if exit_.urgency >= Urgency.PROFIT and exit_.reason != Reason.CLOSED_MANUALLY
        )
        ids = {exit_.client_order_id for exit_ in targets}
        orders = (o for o in self._orders_by_now(self._seen) if o.client_order_id in ids and not o.is_terminal)
        return [order for order in orders if only is None or not only.isdisjoint(order.symbols)]

    # --- failures -----------------------------------------------------------------------------------------------------

    async def _contain(self, work: Awaitable[T]) -> T | None:
        """The result of the work; None after a failure, which doesn't affect other accounts (R7)."""
        try:
            return await work
        except SellctlError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001  a bug of ours or of a strategy must not stop other accounts
            _LOG.debug("%s: an internal error", self.name, exc_info=error)
            self._fail(SellctlError(f"Internal error: {type(error).__name__}.", hint=BUG_HINT))
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
