"""Joins the broker's positions with their quotes, stored episodes and our own fills. It places no orders."""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.decision.pricing import needs_price_increment
from sellctl.core.model.episode import Episode
from sellctl.core.model.gain import Basis
from sellctl.core.model.instrument import StructureKind, an_option, underlying_of
from sellctl.core.model.market import NEW_YORK, Market, Quote
from sellctl.core.model.order import ZERO, Order
from sellctl.core.model.plan import ExitSignal, Plan, SubmitOrder, Urgency
from sellctl.core.model.position import (
    NOTHING_SENT,
    Direction,
    ExitAfter,
    ExitProgress,
    Holding,
    OrderCount,
    PastAverage,
    Position,
    PositionState,
)
from sellctl.core.orders.managed_order import ManagedOrder
from sellctl.core.orders.order_book import OrderBook
from sellctl.core.ports import Clock
from sellctl.core.price_tracker import PriceTracker
from sellctl.core.structures.held import HeldStructure, from_legs, held_structures
from sellctl.core.structures.names import is_reserved, is_structure_name, kind_named, legs_of
from sellctl.core.structures.opened import OpenedStructure
from sellctl.core.structures.recognition import SPREADS
from sellctl.core.tracking.episodes import MAY_BE_MISSING, Episodes, state_of_episode
from sellctl.core.tracking.net_widths import NetWidths
from sellctl.core.tracking.peaks import peak_of, peak_of_structure, peaks_move
from sellctl.core.tracking.reconciliation import Reconciliation
from sellctl.core.tracking.remembered_facts import RememberedFacts
from sellctl.core.tracking.split_guard import SplitGuard
from sellctl.core.tracking.splits import SplitsOfDay
from sellctl.core.tracking.uncovered_shorts import UncoveredShorts

# A position is forgotten after this many polls in a row without it: one empty answer doesn't prove it closed.
ABSENCES = 3
_NOT_AT_ALL = dt.timedelta(0)


@dataclass(slots=True)
class _Memory:
    """Facts about one position that the broker doesn't report."""

    direction: Direction
    first_seen: dt.datetime
    absent: int = 0  # polls in a row without it
    qty: Decimal = ZERO
    due_since: float | None = None  # monotonic seconds; None when no protective or forced exit is due
    unquoted_since: float | None = None  # monotonic seconds; None when its quotes are usable
    fills: Reconciliation = field(default_factory=Reconciliation)


class _OrderView(Struct, frozen=True):
    """The order book's values at one instant, read once per poll."""

    now: float
    at: dt.datetime  # the same by the broker's clock
    today: dt.date  # the exchange's
    unresolved: Mapping[str, Decimal]
    order_counts: Mapping[str, OrderCount]


class PositionManager:
    """Stores facts about one account's positions between polls."""

    def __init__(  # noqa: PLR0913  one parameter per collaborator and setting
        self,
        prices: PriceTracker,
        clock: Clock,
        episodes: Episodes,
        book: OrderBook,
        basis: Basis = Basis.MID,
        *,
        kinds: Collection[StructureKind] = (),
        may_match: Callable[[str], bool] = lambda _structure: True,
        splits: SplitsOfDay | None = None,
        facts: RememberedFacts | None = None,
    ) -> None:
        """`basis` is the price on which peaks are measured; structures of these `kinds` have episodes too.

        `may_match` says of a structure's name whether a match may fit it.

        `splits` are those of the day; without them no price is taken for that of a split. `facts` has the price
        increments that are known.
        """
        self._prices = prices
        self._basis = basis
        self._kinds = kinds
        self._may_match = may_match
        self.episodes = episodes
        self.structures: dict[str, PositionState] = {}  # by name
        self._structure_of: dict[str, HeldStructure] = {}  # by the symbol of each leg
        self._net_widths = NetWidths()
        self.uncovered_shorts = UncoveredShorts()
        self._facts = facts or RememberedFacts()
        self._clock = clock
        self._book = book
        self._memories: dict[str, _Memory] = {}
        self.splits = SplitGuard(splits, episodes, prices.history)
        # By symbol: when the last fill that a ledger may lack was seen, in monotonic seconds. The fill's own time says
        # nothing of what the positions show: the clock by which they are dated may be wrong.
        self._filled_at: dict[str, float] = {}
        self._fills: dict[str, dict[str, Decimal]] = {}  # by symbol and client order id: cumulative, never forgotten

    @property
    def basis(self) -> Basis:
        """The price on which peaks are measured."""
        return self._basis

    def configure(self, basis: Basis, *, kinds: Collection[StructureKind], may_match: Callable[[str], bool]) -> None:
        """Apply another configuration's `basis` and kinds of structures from the next poll on."""
        self._basis, self._kinds, self._may_match = basis, kinds, may_match

    @property
    def order_count(self) -> OrderCount:
        """How many orders the account has sent in the last minute."""
        return self._book.order_count(self._clock.monotonic())

    @property
    def remembered(self) -> frozenset[str]:
        """Symbols that are held, or were in one of the last polls."""
        return frozenset(self._memories)

    @property
    def have_structures(self) -> bool:
        """Whether any are held, or what is left of one is being closed."""
        return bool(self.structures or self.episodes.leaving)

    def missing_shorts(self, today: dt.date) -> tuple[Position, ...]:
        """Short options that the last reads left out, fewer than ABSENCES, and that no fill of ours has closed.

        One that has expired before `today`, the exchange's, isn't missing.
        """
        return tuple(filter(None, (self._missing_short(s, m, today) for s, m in self._memories.items() if m.absent)))

    def _missing_short(self, symbol: str, memory: _Memory, today: dt.date) -> Position | None:
        instrument, left = an_option(symbol), memory.fills.ledger.left(self._clock.monotonic())
        qty = memory.qty if left is None else min(left, memory.qty)
        if memory.direction is Direction.LONG or qty <= 0 or instrument is None or instrument.option is None:
            return None
        is_over = instrument.option.expires < today or symbol in self._filled_at
        return None if is_over else Position(instrument, memory.direction, qty, None, None)

    def exits(self, symbols: Iterable[str]) -> tuple[ExitProgress, ...]:
        """The exits under way of these symbols."""
        now = self._clock.monotonic()
        return tuple(filter(None, (self._book.exit_progress(symbol, now) for symbol in symbols)))

    # --- joining ------------------------------------------------------------------------------------------------------

    def holdings(
        self,
        positions: Iterable[Position],
        market: Market,
        *,
        again: bool = False,
        first: Collection[str] = (),
        opened: Sequence[OpenedStructure] = (),
    ) -> tuple[Holding, ...]:
        """The positions with their newest quotes and stored state, which `save` stores before it is used (D3).

        With `again`, `positions` is the same answer of the broker as before: absences aren't counted a second time.
        Structures with the names that come `first` are recognised before all others, whatever their kind, and those
        that were `opened` as such before anything that came later.
        """
        seen, now = tuple(positions), self._clock.monotonic()
        counts = self._book.order_counts_by_symbol(now)
        orders = _OrderView(now, market.now, market.today, self._book.unresolved(), counts)
        if not again:
            self._forget_the_gone({position.instrument.symbol for position in seen}, market.now, orders)
        for position in seen:
            self._remember(position, market.now, orders)
        valid = {each.instrument.symbol: each for each in seen if _may_have_an_episode(each)}
        is_needed = self._kinds or first
        found = [self._holding(p, None, orders) for p in seen] if is_needed else ()
        structures = self._structures(found, self._known_and_opened(opened, market.now), first)
        self._structure_of = {symbol: structure for structure in structures for symbol in structure.holdings}
        self._unmark_idle(seen, structures)
        wholes = {structure.name: structure.whole.position for structure in structures}
        filled = {s for s, m in self._memories.items() if m.absent and (m.fills.ledger.filled or s in self._filled_at)}
        self.episodes.seen((*valid.values(), *wholes.values()), market.now, filled)
        gone = [s for s in self.episodes.known if is_structure_name(s) and s not in wholes]
        self.episodes.set_aside(gone, market.now)
        self.splits.check(seen, market)
        known = self.episodes.known
        episodes = {symbol: known[symbol] for symbol in valid}
        held = tuple([self._holding(p, episodes.get(p.instrument.symbol), orders) for p in seen])
        if peaks_move(market):
            moving = valid.keys() - self.splits.suspended.keys()
            held = tuple([self._at_its_peak(h, market) if h.symbol in moving else h for h in held])
            self._move_peaks_of(structures, market)
        self._net_widths.see(structures, market, now)
        self.structures = {each.name: self._state_of_structure(known[each.name], each, now) for each in structures}
        return held

    def _unmark_idle(self, seen: Iterable[Position], structures: Iterable[HeldStructure]) -> None:
        """Legs of a structure that is held whole and isn't being closed any more don't leave either."""
        shorts = [position.symbol for position in seen if not position.is_long]
        whole = [each.name for each in structures if self._is_idle(each)]
        self.episodes.unmark_exit_after({*whole, *(s for s in shorts if not self._is_being_closed(s))})

    def _is_idle(self, structure: HeldStructure) -> bool:
        """Whether nothing closes it, and every leg that was to be closed with it is still held in full."""
        if any(self._is_being_closed(symbol) for symbol in structure.holdings):
            return False
        known = self.episodes.known
        marks = [(s, ExitAfter.of(known[s].exit_after)) for s in structure.holdings if s in known]
        return all(
            mark.structure != structure.name
            or structure.holdings[symbol].position.qty <= mark.kept + structure.qty_of(symbol)
            for symbol, mark in marks
        )

    def _is_being_closed(self, symbol: str) -> bool:
        """Whether an order of ours closes it, or has just done so: the positions may not show its last fill yet.

        That of an earlier process counts, whose exit isn't under way here.
        """
        filled_at, now = self._filled_at.get(symbol), self._clock.monotonic()
        may_be_missing = filled_at is not None and now - filled_at < MAY_BE_MISSING.total_seconds()
        exit_ = self._book.exit_progress(symbol, now)
        return may_be_missing or exit_ is not None or self._book.is_reserved(symbol)

    async def save(self) -> None:
        """Store what is remembered of the positions. It is on disk when this returns."""
        await self.episodes.save()

    def underlyings(self, positions: Iterable[Position]) -> dict[str, Quote]:
        """The newest quote per underlying of the options among these positions."""
        names = {position.instrument.underlying for position in positions if position.instrument.is_option}
        quotes = ((name, self._prices.newest(name)) for name in names)
        return {name: quote for name, quote in quotes if quote is not None}

    def with_price_increment(self, holding: Holding, today: dt.date) -> Holding:
        """The holding with what is known of its price increment now."""
        penny = self._facts.is_penny(holding.position.instrument.underlying, today)
        return holding if holding.state.penny == penny else replace(holding, state=replace(holding.state, penny=penny))

    def increment_refused(self, symbol: str, at: dt.datetime) -> bool:
        """The broker refused an order for its price increment. Return whether the next one has a coarser one."""
        today = at.astimezone(NEW_YORK).date()
        return needs_price_increment(symbol) and self._facts.increment_refused(underlying_of(symbol), today)

    def resume(self, symbols: frozenset[str], today: dt.date) -> None:
        """Resume the suspended rules of these symbols or underlyings, and keep them through today's splits."""
        self.episodes.resume(symbols)
        self.splits.accept(symbols, today)

    def _structures(
        self, held: Iterable[Holding], known: Iterable[str], first: Collection[str]
    ) -> tuple[HeldStructure, ...]:
        """The structures that are held, those with a `known` name first."""
        fit = [holding for holding in held if holding.position.qty.is_finite() and holding.position.qty > 0]
        return held_structures(fit, known, {}, self._kinds, self.episodes.leaving, first=first)

    def _known_and_opened(self, opened: Sequence[OpenedStructure], at: dt.datetime) -> tuple[str, ...]:
        """The structures of the last poll, which stay what they were, and those that orders have `opened`.

        One that was put together from what an order had opened already gives way to it once the order is seen, unless
        it is being closed. `at` is the broker's clock.
        """
        leaving = self.episodes.leaving
        known = tuple(name for name in self.episodes.structures if self._stays(name))
        new = [each for each in opened if leaving.keys().isdisjoint(legs_of(each.name))]
        opened_at: dict[str, dt.datetime] = {}  # by the symbol of each leg
        for each in new:
            opened_at |= {symbol: min(each.at, opened_at.get(symbol, each.at)) for symbol in legs_of(each.name)}
        later = {name for name in known if self._is_later(name, opened_at, at)} if new else set()
        earlier = (name for name in known if name not in later)
        return (*earlier, *(each.name for each in new), *(name for name in known if name in later))

    def _stays(self, name: str) -> bool:
        """Whether a structure stays what it was: a match may fit it, or it is being closed.

        Another spread gives way to a larger structure that a match names, such as a condor whose other spread was
        opened later, or was left out of an answer.
        """
        is_kept = kind_named(name) not in SPREADS or self._may_match(name)
        return is_kept or any(self._is_being_closed(symbol) for symbol in legs_of(name))

    def _is_later(self, name: str, opened_at: Mapping[str, dt.datetime], at: dt.datetime) -> bool:
        """Whether a structure was first seen after one with a common symbol was opened, or isn't shown any more."""
        episode, legs = self.episodes.known.get(name), legs_of(name)
        since = episode.first_seen if episode else at
        is_later = any(opened_at[symbol] <= since for symbol in legs if symbol in opened_at)
        return is_later and not any(self._is_being_closed(symbol) for symbol in legs)

    def _at_its_peak(self, holding: Holding, market: Market) -> Holding:
        if holding.symbol in self.episodes.in_question:
            return holding
        price = peak_of(holding, market, self._basis)
        if price is not None:
            self.episodes.peaked(holding.symbol, price)
        peak = self.episodes.known[holding.symbol].peak
        return holding if peak == holding.state.peak else replace(holding, state=replace(holding.state, peak=peak))

    def _state_of_structure(self, episode: Episode, structure: HeldStructure, now: float) -> PositionState:
        may_be_new = not self.episodes.in_question.isdisjoint(structure.holdings)
        state = state_of_episode(replace(episode, peak=None) if may_be_new else episode)
        known = self.episodes.known
        legs = from_legs(
            structure.structure, {symbol: state_of_episode(known[symbol]) for symbol in structure.holdings}
        )
        return replace(
            state,
            opened_at=legs.opened_at,
            opening_order_id=legs.opening_order_id,
            wide_for=self._net_widths.wide_for(structure.name, now),
        )

    def _move_peaks_of(self, structures: Iterable[HeldStructure], market: Market) -> None:
        for structure in structures:
            if not self.splits.suspended.keys().isdisjoint(structure.holdings):
                continue
            price = peak_of_structure(structure, market, self._basis)
            if price is not None:
                self.episodes.peaked(structure.name, price)

    def _remember(self, position: Position, at: dt.datetime, orders: _OrderView) -> None:
        """Store that the position is held. One that changed sides is a new position."""
        symbol = position.instrument.symbol
        memory = self._memories.get(symbol)
        if memory and memory.direction is not position.direction and symbol not in orders.unresolved:
            self._book.position_closed(symbol)
            memory = None
        if memory is None:
            memory = self._memories[symbol] = _Memory(position.direction, at)
        memory.absent, memory.qty = 0, position.qty

    def _forget_the_gone(self, held: set[str], at: dt.datetime, orders: _OrderView) -> None:
        for symbol in sorted(self.episodes.known.keys() - held - self._memories.keys()):
            if not is_structure_name(symbol):  # stored by an earlier process
                episode = self.episodes.known[symbol]
                self._memories[symbol] = _Memory(episode.direction, episode.first_seen, qty=episode.qty)
        for symbol in self._memories.keys() - held:
            memory = self._memories[symbol]
            memory.absent += 1
            if memory.absent >= ABSENCES and symbol not in orders.unresolved:
                del self._memories[symbol]
                self._book.position_closed(symbol)
                self.episodes.set_aside((symbol,), at)

    def _holding(self, position: Position, episode: Episode | None, orders: _OrderView) -> Holding:
        """A position with its quote and state; without an episode, the state starts when this process first saw it."""
        symbol, now = position.instrument.symbol, orders.now
        memory, history = self._memories[symbol], self._prices.history(symbol)
        filled_at = self._filled_at.get(symbol)
        facts = episode or Episode(symbol, memory.direction, memory.first_seen, position.qty)
        if symbol in self.episodes.in_question:
            facts = replace(facts, peak=None, past_averages=())
        rejects = self._book.rejects(symbol, now)
        state = PositionState(
            first_seen=facts.first_seen,
            qty_left=memory.fills.ledger.left(now),
            unresolved=orders.unresolved.get(symbol, ZERO),
            exit=self._book.exit_progress(symbol, now),
            wide_for=history.wide_for(now) if history else _NOT_AT_ALL,
            order_count=orders.order_counts.get(symbol, NOTHING_SENT),
            rejects=rejects.count,
            rejected_for=dt.timedelta(seconds=rejects.seconds) if rejects.count else _NOT_AT_ALL,
            recoverable=rejects.recoverable,
            quarantine=memory.fills.quarantine,
            window=history.window if history else None,
            last_trade=history.last_trade if history else None,
            penny=self._facts.is_penny(position.instrument.underlying, orders.today),
            opened_at=facts.opened_at,
            opening_order_id=facts.opening_order_id,
            peak=facts.peak,
            past_averages=_past_averages(position, facts),
            original_qty=facts.original_qty,
            suspended=facts.suspended or self.splits.why_suspended(symbol),
            exit_after=facts.exit_after,
            override=facts.override,
            backstop=self._book.backstop_state(position, now),
            filled_at=orders.at - dt.timedelta(seconds=now - filled_at) if filled_at is not None else None,
            due_for=_since(memory.due_since, now),
            unquoted_for=_since(memory.unquoted_since, now),
            confirmed_uncovered=self.uncovered_shorts.confirmed(symbol),
        )
        return Holding(position, history.newest if history else None, state)

    # --- what was decided ---------------------------------------------------------------------------------------------

    def remember_due_times(self, plan: Plan) -> None:
        """Store since when each protective or forced exit of a plan has been due, and each quote unusable."""
        now = self._clock.monotonic()
        for decision in plan.decisions:
            memory = self._memories.get(decision.holding.symbol)
            if memory is None:
                continue
            if not decision.pressing:
                memory.due_since = None
            elif memory.due_since is None:
                memory.due_since = now - _worked_for(decision.holding.state.exit)
            if not decision.unquoted:
                memory.unquoted_since = None
            elif memory.unquoted_since is None:
                memory.unquoted_since = now

    def due_for(self, symbol: str) -> dt.timedelta | None:
        """How long a protective or forced exit has been due; None when none is."""
        memory = self._memories.get(symbol)
        return _since(memory.due_since, self._clock.monotonic()) if memory else None

    # --- calls from OrderManager --------------------------------------------------------------------------------------

    def sending(self, order: SubmitOrder, signal: ExitSignal, at: dt.datetime) -> None:
        """An order is about to be sent, at `at` by the broker's clock, for the exit of `signal`."""
        if order.legs:
            for symbol in order.symbols:
                memory = self._memories[symbol]
                memory.fills.sending(memory.qty, at, self._clock.monotonic())
        else:
            position = signal.holding.position
            self._memories[position.symbol].fills.sending(position.qty, at, self._clock.monotonic())
        structure = self._structure_of.get(order.symbols[0])
        if structure and (signal.then_close or structure.holdings.keys() == set(order.symbols)):
            held = {symbol: leg.position.qty - structure.qty_of(symbol) for symbol, leg in structure.holdings.items()}
            self.episodes.mark_exit_after(structure.name, held, signal.detail)

    def filled(self, order: ManagedOrder, cumulative: Decimal) -> None:
        """An order of ours has filled this much, as was just seen. Each fill counts once (I8)."""
        now = self._clock.monotonic()
        for leg in order.legs:
            memory, filled = self._memories.get(leg.symbol), cumulative * leg.ratio
            fills = self._fills.setdefault(leg.symbol, {})
            fills[order.client_order_id] = max(filled, fills.get(order.client_order_id, ZERO))
            if order.handling.rests or memory is None or memory.fills.ledger.left(now) is None:
                self.filled_before(leg.symbol)
            if memory:
                memory.fills.filled(order.client_order_id, filled, now, only_if_open=order.handling.rests)

    def fills_of(self, symbol: str) -> Mapping[str, Decimal]:
        """What each order of ours on a symbol has filled as far as this process has seen, by client order id."""
        return dict(self._fills.get(symbol, {}))

    def filled_before(self, symbol: str, ago: dt.timedelta = _NOT_AT_ALL) -> None:
        """A fill of an order of ours was seen so long ago, perhaps without a ledger that counts it."""
        at = self._clock.monotonic() - max(ago, _NOT_AT_ALL).total_seconds()
        self._filled_at[symbol] = max(at, self._filled_at.get(symbol, at))

    # --- positions that contradict our fills --------------------------------------------------------------------------

    def in_doubt(self) -> tuple[str, ...]:
        """Symbols that show more than our fills should have left and are due for a check against today's orders."""
        now, there = self._clock.monotonic(), ((s, m) for s, m in self._memories.items() if not m.absent)
        return tuple(symbol for symbol, memory in there if memory.fills.is_in_doubt(memory.qty, now))

    def explain(self, todays: Mapping[str, tuple[Order, ...]]) -> tuple[str, ...]:
        """Check positions against today's orders. Return one sentence per symbol that is newly quarantined."""
        news = []
        for symbol, orders in todays.items():
            memory = self._memories[symbol]
            parts = (part for order in orders for part in order.parts_on(symbol))
            sentence = memory.fills.explain(memory.qty, memory.direction, parts)
            news += [f"{symbol} {sentence}"] if sentence else []
        return tuple(news)


def _since(at: float | None, now: float) -> dt.timedelta | None:
    return None if at is None else dt.timedelta(seconds=now - at)


def _worked_for(exit_: ExitProgress | None) -> float:
    """Seconds that a protective or forced exit has already worked, such as one that was adopted from an earlier run."""
    return exit_.age.total_seconds() if exit_ is not None and exit_.urgency <= Urgency.PROTECTIVE else 0.0


def _may_have_an_episode(position: Position) -> bool:
    """Whether the row makes sense: a quantity above zero, and a symbol that isn't the name of a structure."""
    return position.qty.is_finite() and position.qty > ZERO and not is_reserved(position.symbol)


def _past_averages(position: Position, facts: Episode) -> tuple[PastAverage, ...]:
    """The earlier averages; with the latest while the broker doesn't report one, so that what is armed stays armed."""
    if position.entry_price is not None or facts.entry_price is None or facts.peak is None:
        return facts.past_averages
    return (*facts.past_averages, PastAverage(facts.entry_price, facts.peak))
