"""Watches one account: observe, decide, write down, carry out. Every decision is made from a whole snapshot."""

import asyncio
import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sellctl.core.config.schema import GuardAction
from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import Policy
from sellctl.core.decision.pricing import needs_price_increment
from sellctl.core.errors import BrokerError, RateLimitedError, SellctlError
from sellctl.core.events import EventPublisher
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.event import EventKind
from sellctl.core.model.instrument import Instrument, a_stock
from sellctl.core.model.market import NEW_YORK, Market
from sellctl.core.model.order import Order
from sellctl.core.model.plan import DecisionState, Plan, PositionDecision, Urgency
from sellctl.core.model.position import Position
from sellctl.core.model.request import Request, Verb
from sellctl.core.model.snapshot import AccountFacts, Rows, Snapshot
from sellctl.core.order_manager import OrderManager
from sellctl.core.ports import Broker, Clock, Journal
from sellctl.core.position_manager import PositionManager

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_BUG_HINT = "Please report it; --debug logs where it was."


# How far back opening orders are looked for.
OPENINGS_WITHIN = dt.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class AccountObservation:
    """What the broker said about one account, before quotes are known."""

    positions: Rows[Position]
    orders: tuple[Order, ...]
    invalid_orders: Rows[Order]
    at: float  # monotonic seconds when it was asked
    with_underlyings: bool = False  # whether rules ask for the prices of underlyings


@dataclass(slots=True)
class SellWatcher:
    """One account's watcher.

    `admit` refuses an account that may not be acted on. `by_hand` are symbols to close, and `panic`
    those to close even under a halt, until they are gone; `only` limits what is carried out to these symbols.
    """

    name: str
    policy: Policy
    broker: Broker
    journal: Journal
    positions: PositionManager
    orders: OrderManager
    clock: Clock
    report: EventPublisher
    admit: Callable[[AccountFacts], None]
    mode: RunMode = RunMode.ACT
    by_hand: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    panic: frozenset[str] = frozenset()
    facts: AccountFacts | None = None
    plan: Plan | None = None
    first_plan: Plan | None = None
    market: Market | None = None
    problem: SellctlError | None = None
    failures: int = 0
    acted: bool = False  # whether the last look sent or cancelled anything
    seen_at: float | None = None
    open_orders: tuple[Order, ...] = ()
    exempt: Callable[[], frozenset[str]] = frozenset  # symbols or underlyings to leave alone
    thawed: Callable[[], frozenset[str]] = frozenset  # symbols whose frozen rules go on, each told once
    halt: Callable[[str], None] = lambda _why: None
    tripped: tuple[dt.date, str] | None = None  # the account guard's day and limit
    panics: bool = False  # whether the next look takes everything held into `panic`
    targets: tuple[Order, ...] = ()  # open orders of ours that only a target wants
    last_snapshot: Snapshot | None = None  # what the last look was decided on
    # By underlying: when something was last sent or cancelled (what was seen before is spent), and whose turn it is.
    _acted_at: dict[str, float] = field(default_factory=dict)
    _turns: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    # By symbol, what was told last of what stands in an exit's way, and what a person was alerted to; and the faults.
    _said: dict[str, str] = field(default_factory=dict)
    _alerted: dict[str, str] = field(default_factory=dict)
    _faults_told: set[str] = field(default_factory=set)
    _overdue: dict[str, int] = field(default_factory=dict)  # by symbol, the last word on an exit that isn't out

    async def observe(self) -> AccountObservation | None:
        """Positions and open orders, and what became of ours; None (and `problem` says why) when that fails."""
        return await self._own(self._observe())

    async def _observe(self) -> AccountObservation:
        at = self.clock.monotonic()
        await self._join()
        positions, orders = await asyncio.gather(self.broker.positions(), self.broker.open_orders())
        known = await self._settle(orders.rows) if self.mode is RunMode.ACT else orders.rows
        return AccountObservation(positions, known, orders, at, with_underlyings=self.policy.needs_underlyings)

    async def _settle(self, orders: Sequence[Order]) -> tuple[Order, ...]:
        """What became of our orders; and whether the broker's word on a position agrees with our fills (S5)."""
        known = await self.orders.settle(orders, self.report.now())
        doubted = self.positions.in_doubt()
        if doubted:
            for sentence in self.positions.explain(await self._history(doubted)):
                self.report("", EventKind.ALERT, sentence)
                self.journal.note(self.name, "quarantine", {"sentence": sentence})
        return known

    async def _join(self) -> None:
        """Learn which account the key belongs to and whether it may be acted on: once, or until it may trade."""
        trading_block = self.orders.trading_block
        if self.facts is None or self.facts.blocked or trading_block.row or self.policy.guards_the_account:
            facts = await self.broker.account()
            self.admit(facts)
            if facts.blocked:
                trading_block.lift()  # its own word counts, and as soon as it is taken back
            self.facts = replace(facts, blocked=facts.blocked or trading_block.holds(self.clock.monotonic()))

    async def decide_and_act(self, seen: AccountObservation, market: Market) -> None:
        """Decide on what was observed and carry it out, but where a tick has acted since it was asked for."""
        if await self._own(self._decide_and_act(seen, market)):
            self._recover()

    async def _decide_and_act(self, seen: AccountObservation, market: Market) -> bool:
        plan = await self._decide(seen, market)
        self._tell(plan)
        self.acted = await self._carry_out(plan, seen.at)
        return True

    async def _in_turn(self, underlying: str, plan: Plan, seen_at: float) -> bool:
        """Carry out what was decided on one group, one plan at a time, unless its view is spent.

        Whether the next look should follow at once: something was cancelled, or sent and not refused, or just before.
        """
        async with self._turns[underlying]:
            if self._is_spent(underlying, seen_at):
                return True
            try:
                return await self.orders.carry_out(plan)
            finally:
                self._acted_at[underlying] = self.clock.monotonic()

    def _is_spent(self, underlying: str, seen_at: float) -> bool:
        """Whether something was sent or cancelled on a group since it was seen."""
        return seen_at <= self._acted_at.get(underlying, float("-inf"))

    def view_for_ticks(self, underlying: str) -> tuple[Snapshot, float] | None:
        """The last look's view, and when it was seen, while a tick on this underlying may act on it.

        None in the middle of a step on it, after one until the next look, and while the account fails. Reads that wait
        for their budget are no failure: orders have one of their own, and the view grows too old by itself.
        """
        acting = self.mode is RunMode.ACT and self.only is None and not self.panics
        failing = self.problem is not None and not isinstance(self.problem, RateLimitedError)
        if not acting or failing or self.last_snapshot is None or self.seen_at is None:
            return None
        if self._turns[underlying].locked() or self._is_spent(underlying, self.seen_at):
            return None
        return self.last_snapshot, self.seen_at

    async def act_on(self, underlying: str, snapshot: Snapshot, plan: Plan, seen_at: float) -> None:
        """Carry out what was decided on a tick, unless something was sent on its underlying since."""
        self.acted = bool(await self._own(self._act_on(underlying, snapshot, plan, seen_at)))

    async def _act_on(self, underlying: str, snapshot: Snapshot, plan: Plan, seen_at: float) -> bool:
        """The plan is written down behind the order, whose intent came first: nothing delays an order on a tick."""
        try:
            return await self._in_turn(underlying, plan, seen_at)
        finally:
            self.journal.plan_made(snapshot, plan)

    async def know_history(self, symbols: Iterable[str]) -> dict[str, tuple[Order, ...]]:
        """Today's orders of these symbols, ahead of need; none (and `problem` says why) on failure."""
        return await self._own(self._history(symbols)) or {}

    async def _own(self, work: Awaitable[T]) -> T | None:
        """What comes of it; None after a failure, which is this account's own (R7)."""
        try:
            return await work
        except SellctlError as error:
            self.fail(error)
        except Exception as error:  # noqa: BLE001  the boundary: our bug, or a strategy's, stops no other account
            _LOG.debug("%s: the look ended in a bug", self.name, exc_info=error)
            self.fail(SellctlError(f"A bug of ours ended the look: {type(error).__name__}.", hint=_BUG_HINT))
        return None

    def fail(self, error: SellctlError) -> None:
        """Remember a failure; the first of a row is reported."""
        self.failures += 1
        self.acted = False
        if self.problem is None or self.problem.sentence != error.sentence:
            self.report("", EventKind.DEGRADED, str(error).removeprefix(f"{self.name}: "), failed=True)
        self.problem = error

    @property
    def is_expedited(self) -> bool:
        """Whether something is under way that shouldn't wait for the next ordinary look."""
        if self.plan is None or self.mode is RunMode.STALE_ONLY:
            return False
        if self.plan.is_unconfirmed or self.mode is RunMode.DRY_RUN:
            return self.plan.is_unconfirmed
        if self.only is None:
            return bool(self.orders.working or self.plan.acts)
        return self.plan.only(self.only).acts or not self.only.isdisjoint(self.orders.symbols_working)

    async def _decide(self, seen: AccountObservation, market: Market) -> Plan:
        snapshot = self._snapshot(seen, market)
        if await self._learn_openings():
            snapshot = replace(snapshot, holdings=self.positions.holdings(seen.positions.rows, market, again=True))
        await asyncio.sleep(0)  # a tick that came meanwhile goes first
        plan = decide(snapshot, self.policy)
        if plan.needs_history:
            asked = sorted(plan.needs_history)  # a set's order is the process's own: a day would not repeat
            history, news = await asyncio.gather(self._history(asked), self._load_price_increments(asked))
            snapshot = (self._snapshot(seen, market) if news else snapshot).with_history(history)
            plan = decide(snapshot, self.policy)
        self.plan, self.market, self.seen_at, self.last_snapshot = plan, market, seen.at, snapshot
        self.first_plan = self.first_plan.confirmed_by(plan) if self.first_plan else plan
        self.open_orders = snapshot.orders
        self.targets = tuple(o for o in _targets_of(snapshot) if self.only is None or o.symbol in self.only)
        if self.mode is RunMode.ACT:
            self.journal.plan_made(snapshot, plan)
        self._mind_the_account(plan)
        return plan

    def _mind_the_account(self, plan: Plan) -> None:
        """The account guard's limit holds for the rest of the day; a person hears of it, and it may halt."""
        if not plan.tripped or (self.tripped and self.tripped[0] == plan.made_at.astimezone(NEW_YORK).date()):
            return
        self.tripped = (plan.made_at.astimezone(NEW_YORK).date(), plan.tripped)
        self.report("", EventKind.ALERT, f"account guard: {plan.tripped}", failed=True)
        if self.mode is RunMode.ACT:
            self.journal.note(self.name, "account_guard", {"sentence": plan.tripped})
            if self.policy.account_guard.action is GuardAction.HALT:
                self.halt(f"account guard of {self.name}: {plan.tripped}")

    async def _learn_openings(self) -> bool:
        """Look up once when each position was opened and by which order; whether anything was looked up."""
        wanted = self.positions.episodes.without_opening() if self.policy.needs_openings else ()
        if not wanted:
            return False
        start = self.report.now() - OPENINGS_WITHIN
        try:
            rows = await self.broker.orders_since(start, sorted(wanted))
        except BrokerError:
            return False  # time held counts from first sight until the next look asks again: no exit waits for this
        for symbol in wanted:
            self.positions.episodes.opened(symbol, [order for order in rows.rows if order.symbol == symbol])
        return True

    def _tell_frozen(self) -> None:
        for symbol, why in self.positions.frozen_news():
            self.report(symbol, EventKind.ALERT, f"its rules rest: {why}; `sellctl manage {symbol}` lets them go on")
            if self.mode is RunMode.ACT:
                self.journal.note(self.name, "frozen", {"symbol": symbol, "why": why})

    def ask(self, request: Request) -> None:
        """Take up what another command asks for; the next look carries it out."""
        if request.verb is Verb.CLOSE:
            self.by_hand |= {request.symbol}
        elif request.verb is Verb.PANIC:
            self.panics = True
        text = f"{request.verb.value} {request.symbol}".strip() + f", asked by {request.by or 'another command'}"
        self.report(request.symbol, EventKind.NOTE, text)
        self.journal.note(
            self.name, "request", {"symbol": request.symbol, "verb": request.verb.value, "by": request.by}
        )

    def _snapshot(self, seen: AccountObservation, market: Market) -> Snapshot:
        held = frozenset(position.symbol for position in seen.positions.rows)
        if self.panics:
            self.panic, self.panics = held, False
        elif self.plan is not None:
            known = held | self.positions.remembered
            self.by_hand, self.panic = self.by_hand & known, self.panic & known
        age = dt.timedelta(seconds=self.clock.monotonic() - seen.at)
        thawed = self.thawed()
        if thawed:
            self.positions.episodes.thaw(thawed)
        holdings = self.positions.holdings(seen.positions.rows, market)
        self._tell_frozen()
        day = market.today
        return Snapshot(
            account=self.facts or AccountFacts(self.name, ""),
            market=market,
            holdings=holdings,
            orders=seen.orders,
            positions_at=market.now - age,
            invalid=(*seen.positions.invalid, *seen.invalid_orders.invalid),
            manual_closes=self.by_hand,
            panic=self.panic,
            halted=self.orders.halted(),
            sent=self.positions.sent,
            exempt=self.exempt(),
            tripped=self.tripped[1] if self.tripped and self.tripped[0] == day else "",
            underlyings=self.positions.underlyings(seen.positions.rows) if self.policy.needs_underlyings else {},
            structures=self.positions.structures,
        )

    async def todays_orders(self, symbol: str) -> tuple[Order, ...]:
        """Today's orders of one symbol, in any state, for a person; none (and `problem` says why) on failure."""
        rows = await self._own(self.broker.orders_since(self._midnight(), [symbol]))
        return tuple(order for order in rows.rows if order.symbol == symbol) if rows else ()

    def _midnight(self) -> dt.datetime:
        """When the exchange's day began."""
        today = self.report.now().astimezone(NEW_YORK).date()
        return dt.datetime.combine(today, dt.time(), NEW_YORK).astimezone(dt.UTC)

    async def load_price_increments(self, symbols: Iterable[str]) -> bool:
        """Ask ahead of need whether options trade in pennies. Whether there is news."""
        return bool(await self._own(self._load_price_increments(symbols)))

    async def _load_price_increments(self, symbols: Iterable[str]) -> bool:
        """Ask once of each option that is about to be closed whether it trades in pennies. Whether there is news."""
        return any(
            await asyncio.gather(*(self._load_price_increment(s) for s in symbols if self.has_a_tick_to_learn(s)))
        )

    async def _load_price_increment(self, symbol: str) -> bool:
        """Without an answer too nothing waits: an exit takes the coarser step. Without a budget it is asked again."""
        try:
            self.positions.contracts[symbol] = await self.broker.is_penny(symbol)
        except RateLimitedError:
            return False
        except BrokerError:
            self.positions.contracts[symbol] = None
        return self.positions.contracts[symbol] is not None

    def has_a_tick_to_learn(self, symbol: str) -> bool:
        """Whether only the broker knows a symbol's price step, and wasn't asked yet."""
        return needs_price_increment(symbol) and symbol not in self.positions.contracts

    async def _history(self, symbols: Iterable[str]) -> dict[str, tuple[Order, ...]]:
        """Today's orders of these symbols. An unreadable row could be any of them, so it fails the look."""
        wanted = sorted(symbols)
        rows = await self.broker.orders_since(self._midnight(), wanted)
        if rows.invalid:
            why = rows.invalid[0].why
            raise BrokerError(f"An order of today can't be read ({why}): nothing is sent until it can.")
        return {symbol: tuple(o for o in rows.rows if o.symbol == symbol) for symbol in wanted}

    async def _carry_out(self, plan: Plan, seen_at: float) -> bool:
        """Whether anything was sent or cancelled. Each underlying by itself: none waits for another's cancel."""
        if self.mode is RunMode.DRY_RUN:
            return False
        if self.mode is RunMode.STALE_ONLY:
            return await self.orders.cancel_all(plan.stale)
        groups = (plan if self.only is None else plan.only(self.only)).by_underlying
        if not groups:
            return False
        steps = (self._in_turn(underlying, group, seen_at) for underlying, group in groups.items())
        return _any_of(await asyncio.gather(*steps, return_exceptions=True))

    def _tell(self, plan: Plan) -> None:
        """Report what a person should hear of, once until it changes."""
        self._forget_the_quiet(plan)
        for decision in plan.notable:
            symbol = decision.holding.symbol
            signal = decision.signal
            said = f"{decision.state}:{signal.reason}:{signal.urgency}" if signal else decision.state
            if decision.state in _TOLD and not decision.unconfirmed and self._said.get(symbol) != said:
                urgent = signal is not None and signal.urgency <= Urgency.PROTECTIVE
                failed = urgent or decision.state is DecisionState.FAULT
                critical = urgent and decision.state is DecisionState.BLOCKED
                self.report(symbol, _TOLD[decision.state], decision.sentence, failed=failed, critical=critical)
            self._said[symbol] = said
            self._tell_alert(decision)
        self._tell_overdue(plan)
        for fault in plan.faults:
            if fault not in self._faults_told:
                self._faults_told.add(fault)
                self.report("", EventKind.DEGRADED, fault, failed=True)

    def _forget_the_quiet(self, plan: Plan) -> None:
        """Of a holding of which there is nothing to tell any more, the next word is news."""
        known = (self._said.keys() | self._alerted.keys()) - {decision.holding.symbol for decision in plan.notable}
        for symbol in known and known & {decision.holding.symbol for decision in plan.decisions}:
            self._said.pop(symbol, None)
            self._alerted.pop(symbol, None)

    def _tell_alert(self, decision: PositionDecision) -> None:
        """An alert on what is held or leaves all the same, once an exit: such as an order that a halt keeps waiting."""
        if decision.state in _TOLD or decision.unconfirmed:
            return
        symbol = decision.holding.symbol
        if decision.alert:
            about = f"{decision.signal and decision.signal.reason}:{bool(decision.cancel_first)}"
            if self._alerted.get(symbol) != about:
                self.report(symbol, EventKind.ALERT, decision.sentence, failed=True)
            self._alerted[symbol] = about
        elif decision.signal is None:
            self._alerted.pop(symbol, None)

    def _tell_overdue(self, plan: Plan) -> None:
        """Protective and forced exits that aren't out: a critical alert each, and again after each while."""
        told, self._overdue = self._overdue, {}
        for decision in plan.notable:
            symbol = decision.holding.symbol
            if decision.overdue:
                self._overdue[symbol] = decision.overdue
                if told.get(symbol) != decision.overdue:
                    self.report(
                        symbol, EventKind.ALERT, f"still not out: {decision.sentence}", failed=True, critical=True
                    )
            elif decision.state is DecisionState.DENIED and symbol in told:
                self._overdue[symbol] = told[symbol]

    def _recover(self) -> None:
        if self.problem is not None:
            self.report("", EventKind.RECOVERED, "the account answers again")
        self.problem, self.failures = None, 0


def _any_of(ends: Sequence[bool | BaseException]) -> bool:
    """Whether any step did something; the first one's error, now that all have ended."""
    for end in ends:
        if isinstance(end, BaseException):
            raise end
    return any(ends)


_TOLD = {
    DecisionState.BLOCKED: EventKind.BLOCKED,
    DecisionState.DENIED: EventKind.DENIED,
    DecisionState.FAULT: EventKind.DEGRADED,
}


def instruments_of(seen: AccountObservation) -> Iterable[Instrument]:
    """What quotes are needed for."""
    held = [position.instrument for position in seen.positions.rows]
    wanted = {i.underlying for i in held if i.is_option} if seen.with_underlyings else set()
    return (*held, *(a_stock(symbol) for symbol in sorted(wanted - {i.symbol for i in held})))


def _targets_of(snapshot: Snapshot) -> Iterable[Order]:
    for holding in snapshot.holdings:
        state = holding.state.exit
        if state and state.urgency >= Urgency.PROFIT:
            yield from (o for o in snapshot.orders if o.client_order_id == state.client_order_id and not o.is_terminal)
