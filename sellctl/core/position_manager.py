"""Joins the broker's positions with our memory of them: what we sold, what is under way. It places no orders."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from sellctl.core.config.schema import Basis
from sellctl.core.decision.quote_checks import judge_quote, price_exits_paused, stops_paused
from sellctl.core.model.episode import Episode
from sellctl.core.model.instrument import an_option
from sellctl.core.model.market import Market, Quote
from sellctl.core.model.order import ZERO, Order
from sellctl.core.model.plan import ExitSignal, SubmitOrder, Urgency
from sellctl.core.model.position import (
    NO_BACKSTOP,
    NOTHING_SENT,
    BackstopState,
    Direction,
    ExitProgress,
    Holding,
    OrderCount,
    Position,
    PositionState,
    Prices,
)
from sellctl.core.ports import Clock
from sellctl.core.price_tracker import PriceTracker
from sellctl.core.structures.coverage import cover_of
from sellctl.core.structures.pairs import Pair, pair_at, pairs_of
from sellctl.core.tracking.episodes import Episodes, state_of_episode
from sellctl.core.tracking.fill_ledger import Ledger, net_of_others
from sellctl.core.tracking.order_rate import OrderRate

# A position is forgotten after this many looks in a row without it: one empty answer is not flat.
ABSENCES = 3
_PAIR = "+"  # what joins the two symbols of a pair
# An exit whose last order ended this long ago is over: the next one starts its ladder anew.
EXIT_OVER_SECONDS = 60.0
# A position that nobody can explain is looked into again after this long.
DOUBT_SECONDS = 30.0
_NOT_AT_ALL = dt.timedelta(0)


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """The last order of an exit. Instants are monotonic seconds."""

    client_order_id: str
    reason: str
    urgency: Urgency
    step: int
    at: float
    limit_price: Decimal | None
    pressing_since: float  # when its first order as a protective or forced exit was sent
    ended_at: float | None = None


@dataclass(slots=True)
class _Memory:
    """What we know of one position that the broker doesn't show."""

    direction: Direction
    first_seen: dt.datetime
    absent: int = 0
    qty: Decimal = ZERO
    ledger: Ledger = field(default_factory=Ledger)
    exit: _UnderWay | None = None
    unresolved: dict[str, Decimal] = field(default_factory=dict)
    quarantine: str = ""
    doubted_at: float = float("-inf")
    backstop_waits_until: float = float("-inf")


class PositionManager:
    """The memory of one account's positions."""

    def __init__(
        self, prices: PriceTracker, clock: Clock, episodes: Episodes, basis: Basis = Basis.MID, *, pairs: bool = False
    ) -> None:
        """`basis` is the side that peaks are seen on; `pairs` keeps memory of pairs of option legs too."""
        self._prices = prices
        self._basis = basis
        self._keeps_pairs = pairs
        self.episodes = episodes
        self.structures: dict[str, PositionState] = {}
        self.contracts: dict[str, bool | None] = {}  # whether an option is in the penny programme, once asked
        self._clock = clock
        self._memories: dict[str, _Memory] = {}
        self._orphans: dict[str, dict[str, Decimal]] = {}  # unresolved orders of symbols not seen yet
        self._pace = OrderRate()
        self._without_backstop: set[str] = set()  # the broker took none under these
        self._filled_at: dict[str, dt.datetime] = {}  # fills that no ledger may know of

    def mind(self, basis: Basis, *, pairs: bool) -> None:
        """Keep memory as another configuration wants it, from the next look on."""
        self._basis, self._keeps_pairs = basis, pairs

    @property
    def sent(self) -> OrderCount:
        """The account's orders of the last minute."""
        return self._pace.sent(self._clock.monotonic())

    @property
    def remembered(self) -> frozenset[str]:
        """Symbols that are held, or were a look or two ago."""
        return frozenset(self._memories)

    def holdings(self, positions: Iterable[Position], market: Market, *, again: bool = False) -> tuple[Holding, ...]:
        """The positions with their newest quotes and our memory, which is on disk before anybody sees it (D3).

        `again`: the same answer of the broker once more, in which nobody is absent anew.
        """
        seen = tuple(positions)
        if not again:
            self._forget_the_gone({position.instrument.symbol for position in seen})
        for position in seen:
            self._meet(position, market.now)
        sane = {each.instrument.symbol: each for each in seen if each.qty.is_finite() and each.qty > ZERO}
        now = self._clock.monotonic()
        self.episodes.stay(p.symbol for p in seen if not p.is_long and not self._is_leaving(p.symbol, now))
        sent = self._pace.sent_of_each(now)
        pairs = self._pairs([self._holding(p, None, now, sent) for p in seen]) if self._keeps_pairs else ()
        wholes = {pair.whole.symbol: pair.whole.position for pair in pairs}
        self.episodes.seen((*sane.values(), *wholes.values()), market.now)
        self.episodes.forget(s for s in tuple(self.episodes.known) if _PAIR in s and s not in wholes)
        known = self.episodes.known
        episodes = {symbol: known[symbol] for symbol in sane}
        held = tuple([self._holding(p, episodes.get(p.instrument.symbol), now, sent) for p in seen])
        if _peaks_move(market):
            held = tuple([self._at_its_peak(h, market) if h.symbol in sane else h for h in held])
            self._mind_the_peaks_of(pairs, market)
        self.episodes.save()
        self.structures = {name: state_of_episode(known[name]) for name in wholes}
        return held

    def _pairs(self, held: Iterable[Holding]) -> tuple[Pair, ...]:
        fit = tuple(holding for holding in held if holding.position.qty.is_finite() and holding.position.qty > 0)
        return pairs_of(fit, cover_of(fit), {})

    def _at_its_peak(self, holding: Holding, market: Market) -> Holding:
        """Its peak moves to the worse of the looks that must agree (design, section 4); a wide quote moves none."""
        if not self._may_set_a_peak(holding):
            return holding
        prices = self._at_the_worst(holding, market)
        price = _seen_on(prices, holding, self._basis) if prices and not prices.wide else None
        if price is not None:
            self.episodes.peaked(holding.symbol, price)
        peak = self.episodes.known[holding.symbol].peak
        return holding if peak == holding.state.peak else _with_peak(holding, peak)

    def _mind_the_peaks_of(self, pairs: Iterable[Pair], market: Market) -> None:
        """Likewise of pairs, on their net price."""
        for pair in pairs:
            short, long = self._at_the_worst(pair.short, market), self._at_the_worst(pair.long, market)
            whole = pair_at(pair, short, long) if short and long else None
            price = _seen_on(whole.prices, whole, self._basis) if whole and not whole.prices.wide else None
            if price is not None:
                self.episodes.peaked(pair.whole.symbol, price)

    def _may_set_a_peak(self, holding: Holding) -> bool:
        """Whether the window's worst price beats the peak; mostly it doesn't, and its quotes need no judging."""
        window, peak = holding.state.window, holding.state.peak
        if window is None or peak is None:
            return window is not None
        long = holding.position.is_long
        price = _seen_on(window.low if long else window.high, holding, self._basis)
        return price is not None and (price > peak if long else price < peak)

    def _at_the_worst(self, holding: Holding, market: Market) -> Prices | None:
        """The worst sides in the window of looks; None without an earlier look, or when either look isn't usable."""
        window, asset = holding.state.window, holding.position.instrument.asset_class
        if window is None:
            return None
        wide_for = holding.state.wide_for
        newest = judge_quote(holding.quote, asset, market, wide_for)
        worst = judge_quote(window.low if holding.position.is_long else window.high, asset, market, wide_for)
        return None if newest.wide or worst.wide or newest.problem else worst

    # --- what OrderManager tells --------------------------------------------------------------------------------------

    def underlyings(self, positions: Iterable[Position]) -> dict[str, Quote]:
        """The newest quotes of what the options among them are on."""
        names = {position.instrument.underlying for position in positions if position.instrument.is_option}
        quotes = ((name, self._prices.newest(name)) for name in names)
        return {name: quote for name, quote in quotes if quote is not None}

    def frozen_news(self) -> list[tuple[str, str]]:
        """What was frozen since it was last asked: symbol and why."""
        news, self.episodes.news = self.episodes.news, []
        return news

    def sending(self, signal: ExitSignal, order: SubmitOrder, step: int, at: dt.datetime) -> None:
        """An order is about to leave: until its fate is known, its quantity counts as gone. `at`: broker's clock."""
        memory, now = self._memories[order.symbol], self._clock.monotonic()
        memory.ledger.open(signal.holding.position.qty, at, now)
        memory.unresolved[order.client_order_id] = order.qty
        before = memory.exit if signal.holding.state.exit else None
        since = before.pressing_since if before and before.urgency <= Urgency.PROTECTIVE else now
        memory.exit = _UnderWay(
            order.client_order_id, signal.reason, signal.urgency, step, now, order.limit_price, since
        )
        self._pace.sending(order.symbol, signal.urgency, now)
        if signal.then_close:
            self.episodes.lead(order.symbol, signal.then_close, signal.detail)

    def guarding(self, order: SubmitOrder, held: Decimal, at: dt.datetime) -> None:
        """A backstop is about to leave: no exit, and its quantity counts as gone until its fate is known."""
        memory = self._memories[order.symbol]
        memory.ledger.open(held, at, self._clock.monotonic())
        memory.unresolved[order.client_order_id] = order.qty

    def backstop_filled(self, symbol: str, client_order_id: str, cumulative: Decimal, at: dt.datetime) -> None:
        """A backstop has filled, at `at` by the broker's clock: the position may not show it yet."""
        self.filled_before(symbol, at)
        memory, now = self._memories.get(symbol), self._clock.monotonic()
        if memory and memory.ledger.left(now) is not None:
            memory.ledger.fill(client_order_id, cumulative, now)

    def filled_before(self, symbol: str, at: dt.datetime) -> None:
        """An order of ours filled at `at` by the broker's clock, and no ledger of this process may know of it."""
        self._filled_at[symbol] = max(at, self._filled_at.get(symbol, at))

    def backstop_waits(self, symbol: str, seconds: float) -> None:
        """The next backstop is not tried before that long."""
        if symbol in self._memories:
            self._memories[symbol].backstop_waits_until = self._clock.monotonic() + seconds

    def takes_no_backstop(self, symbol: str) -> None:
        """The broker takes none under this symbol; under an option: under no option."""
        self._without_backstop.add(symbol)

    def unresolved(self, symbol: str, client_order_id: str, qty: Decimal) -> None:
        """An order that an earlier process wrote down and nobody knows the fate of."""
        known = self._memories[symbol].unresolved if symbol in self._memories else self._orphans.setdefault(symbol, {})
        known[client_order_id] = qty

    def adopted(self, symbol: str, progress: ExitProgress) -> None:
        """An order that an earlier process sent is an exit under way."""
        memory = self._memories.get(symbol)
        if memory and memory.exit is None:
            at = self._clock.monotonic() - progress.age.total_seconds()
            memory.exit = _UnderWay(
                progress.client_order_id,
                progress.reason,
                Urgency(progress.urgency),
                progress.step,
                at,
                progress.limit_price,
                at,
            )

    def resolved(self, symbol: str, client_order_id: str) -> None:
        """The order's fate is known: the broker has it, or certainly hasn't."""
        self._orphans.get(symbol, {}).pop(client_order_id, None)
        if symbol in self._memories:
            self._memories[symbol].unresolved.pop(client_order_id, None)

    def refused(self, symbol: str, client_order_id: str, *, has_next_step: bool) -> None:
        """The broker definitely has no such order: the step wasn't taken."""
        self.resolved(symbol, client_order_id)
        if not has_next_step:
            self._pace.rejected(symbol, self._clock.monotonic())
        memory = self._memories.get(symbol)
        if memory and memory.exit and memory.exit.client_order_id == client_order_id:
            memory.exit = replace(memory.exit, step=memory.exit.step - 1) if memory.exit.step > 1 else None

    def ended(self, symbol: str, client_order_id: str, *, rejected: bool) -> None:
        """The order is terminal at the broker."""
        self.resolved(symbol, client_order_id)
        if rejected:
            self._pace.rejected(symbol, self._clock.monotonic())
        else:
            self._pace.taken(symbol)
        memory = self._memories.get(symbol)
        if memory and memory.exit and memory.exit.client_order_id == client_order_id:
            memory.exit = replace(memory.exit, ended_at=self._clock.monotonic())

    def filled(self, symbol: str, client_order_id: str, cumulative: Decimal) -> bool:
        """Fold a fill in, once whatever arrives how often (I8). Whether it was news."""
        memory = self._memories.get(symbol)
        return bool(memory and memory.ledger.fill(client_order_id, cumulative, self._clock.monotonic()))

    # --- what the broker's word can't explain -------------------------------------------------------------------------

    def in_doubt(self) -> tuple[str, ...]:
        """Symbols whose position shows more than our fills have left, and that are due to be looked into."""
        now = self._clock.monotonic()
        found = []
        for symbol, memory in self._memories.items():
            if memory.absent or not memory.ledger.fills or now <= memory.ledger.until:
                continue
            if not memory.ledger.is_in_doubt(memory.qty, now):
                memory.ledger.close()
                memory.quarantine = ""
            elif now - memory.doubted_at >= DOUBT_SECONDS:
                memory.doubted_at = now
                found.append(symbol)
        return tuple(found)

    def explain(self, todays: Mapping[str, tuple[Order, ...]]) -> tuple[str, ...]:
        """Hold these symbols' orders of today against their positions; the sentences on those newly quarantined."""
        news = []
        for symbol, orders in todays.items():
            memory = self._memories[symbol]
            ledger = memory.ledger
            if ledger.opened_at is None:
                continue
            expected = ledger.held - ledger.filled + net_of_others(orders, memory.direction, ledger.opened_at)
            if expected == memory.qty:
                ledger.close()
                memory.quarantine = ""
            else:
                sentence = f"quarantined: {memory.qty:f} held, {expected:f} expected after our fills"
                news += [f"{symbol} {sentence}"] if not memory.quarantine else []
                memory.quarantine = sentence
        return tuple(news)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _meet(self, position: Position, at: dt.datetime) -> None:
        """A position is there: it is remembered, and no longer absent."""
        memory = self._memory_of(position, at)
        memory.absent, memory.qty = 0, position.qty

    def _is_leaving(self, symbol: str, now: float) -> bool:
        return _progress_of(self._memories[symbol].exit, now) is not None

    def _holding(
        self, position: Position, episode: Episode | None, now: float, sent: Mapping[str, OrderCount]
    ) -> Holding:
        """A position with what is known of it; of its episode, when it has one."""
        symbol = position.instrument.symbol
        memory, book = self._memories[symbol], self._prices.book(symbol)
        facts = episode or Episode(symbol, memory.direction, memory.first_seen, position.qty)
        rejects, rejected_for = self._pace.rejects(symbol, now)
        state = PositionState(  # a call with more than 15 names makes a dict of them, which takes seven times as long
            facts.first_seen,
            memory.ledger.left(now),
            sum(memory.unresolved.values(), ZERO) if memory.unresolved else ZERO,
            _progress_of(memory.exit, now) if memory.exit else None,
            book.wide_for(now) if book else _NOT_AT_ALL,
            sent=sent.get(symbol, NOTHING_SENT),
            rejects=rejects,
            rejected_for=rejected_for,
            quarantine=memory.quarantine,
            window=book.window() if book else None,
            last_trade=book.last_trade if book else None,
            penny=self.contracts.get(symbol),
            opened_at=facts.opened_at,
            opening_order_id=facts.opening_order_id,
            peak=facts.peak,
            original_qty=facts.original_qty,
            suspended=facts.suspended,
            exit_after=facts.exit_after,
            backstop=self._backstop_of(position, memory, now),
            filled_at=self._filled_at.get(symbol),
        )
        return Holding(position, book.newest if book else None, state)

    def _backstop_of(self, position: Position, memory: _Memory, now: float) -> BackstopState:
        refused = bool(self._without_backstop) and self.is_refused_a_backstop(position)
        waits = now < memory.backstop_waits_until
        return BackstopState(refused, waits) if refused or waits else NO_BACKSTOP

    def is_refused_a_backstop(self, position: Position) -> bool:
        """Whether the broker takes no backstop under it, as far as it was asked."""
        if position.instrument.is_option:
            return any(an_option(symbol) for symbol in self._without_backstop)
        return position.symbol in self._without_backstop

    def _memory_of(self, position: Position, at: dt.datetime) -> _Memory:
        symbol = position.instrument.symbol
        memory = self._memories.get(symbol)
        if memory is None or (memory.direction is not position.direction and not memory.unresolved):
            orphans = self._orphans.pop(symbol, {})
            memory = self._memories[symbol] = _Memory(position.direction, at, unresolved=orphans)
        return memory

    def _forget_the_gone(self, held: set[str]) -> None:
        for symbol in self.episodes.known.keys() - held - self._memories.keys():
            if _PAIR not in symbol:  # an earlier process knew it
                episode = self.episodes.known[symbol]
                self._memories[symbol] = _Memory(episode.direction, episode.first_seen)
        for symbol in self._memories.keys() - held:
            memory = self._memories[symbol]
            memory.absent += 1
            if memory.absent >= ABSENCES and not memory.unresolved:
                del self._memories[symbol]
                self.episodes.forget((symbol,))


def _peaks_move(market: Market) -> bool:
    """Whether this is a time of day at which prices may set a peak."""
    return market.is_open and not price_exits_paused(market) and not stops_paused(market)


def _with_peak(holding: Holding, peak: Decimal | None) -> Holding:
    return replace(holding, state=replace(holding.state, peak=peak))


def _seen_on(prices: Prices | Quote, holding: Holding, basis: Basis) -> Decimal | None:
    if basis is Basis.MID:
        return prices.mid
    return prices.bid if holding.position.is_long else prices.ask


def _progress_of(exit_: _UnderWay | None, now: float) -> ExitProgress | None:
    if exit_ is None or (exit_.ended_at is not None and now - exit_.ended_at > EXIT_OVER_SECONDS):
        return None
    return ExitProgress(
        reason=exit_.reason,
        urgency=exit_.urgency,
        step=exit_.step,
        age=dt.timedelta(seconds=now - exit_.at),
        client_order_id=exit_.client_order_id,
        limit_price=exit_.limit_price,
        pressing_for=dt.timedelta(seconds=now - exit_.pressing_since if exit_.urgency <= Urgency.PROTECTIVE else 0),
    )
