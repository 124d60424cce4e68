"""Episodes: the stored state of each position while it is held, and when its rules are suspended.

An episode is on disk before a decision uses it (invariant D3). It ends when the position was gone for a minute; a
flipped position, or one that its orders show to have been flat between two polls, begins a new one.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal

from msgspec.structs import replace

from sellctl.core.model.episode import Episode
from sellctl.core.model.gain import SHARES_PER_CONTRACT
from sellctl.core.model.instrument import Right, an_option, underlying_of
from sellctl.core.model.order import ZERO, Order
from sellctl.core.model.position import (
    Direction,
    ExitAfter,
    Override,
    OverrideChange,
    PastAverage,
    Position,
    PositionState,
)
from sellctl.core.orders.claims import closes
from sellctl.core.ports import EpisodeStore
from sellctl.core.structures.names import is_structure_name, legs_of, name_since

# A split leaves the total cost unchanged; a change by more than this share of it is a trade.
SPLIT_TOLERANCE = Decimal("0.002")
KEPT_ASIDE = dt.timedelta(minutes=1)  # how long the episode of a position that isn't shown any more is kept
MAY_BE_MISSING = dt.timedelta(seconds=30)  # how long after a fill the positions that were read may not show it
SMALLEST_SPLIT = Decimal("0.01")  # of the quantity; a smaller trade may leave the cost within the tolerance


class Episodes:
    """The episodes of one account's positions and structures."""

    def __init__(self, account: str, store: EpisodeStore) -> None:
        self._account = account
        self._store = store
        self._known: dict[str, Episode] | None = None
        self._looked_up: set[str] = set()
        self.in_question: set[str] = set()  # symbols that may have been closed and opened again: see `opened`
        self._set_aside: dict[str, tuple[Episode, dt.datetime]] = {}  # of positions that are gone, and since when
        self._taken_back: dict[str, dt.datetime] = {}  # set aside then, shown again, and not looked up since
        self._newly_suspended: list[tuple[str, str]] = []  # symbol and reason

    @property
    def known(self) -> dict[str, Episode]:
        """Every episode by symbol, initially as an earlier process stored them."""
        if self._known is None:
            self._known = _by_todays_names(self._store.load(self._account))
        return self._known

    @property
    def structures(self) -> tuple[str, ...]:
        """The names of the structures that were held, then of those that are not shown now or are being closed."""
        held = sorted(filter(is_structure_name, self.known), key=lambda name: (self.known[name].first_seen, name))
        closing = {mark.structure for mark in self.leaving.values()}
        return tuple(dict.fromkeys((*held, *filter(is_structure_name, sorted(self._set_aside.keys() | closing)))))

    @property
    def leaving(self) -> dict[str, ExitAfter]:
        """With which structure legs are closed, by symbol."""
        return {symbol: ExitAfter.of(each.exit_after) for symbol, each in self.known.items() if each.exit_after}

    @property
    def whole(self) -> frozenset[str]:
        """The names of structures that were held with all of their legs, and of which a leg still is."""
        legs = {name for each in self.known.values() for name in (each.whole, ExitAfter.of(each.exit_after).structure)}
        return frozenset(filter(is_structure_name, legs | self.known.keys()))

    async def save(self) -> None:
        """Store all episodes. They are on disk when this returns."""
        await self._store.save(self._account, self.known)

    def forget(self, symbols: Iterable[str]) -> None:
        """Delete the episodes of positions that are gone."""
        for symbol in symbols:
            self.known.pop(symbol, None)
            self._looked_up.discard(symbol)
            self.in_question.discard(symbol)

    def set_aside(self, symbols: Iterable[str], now: dt.datetime) -> None:
        """End the episodes of positions that are not shown any more.

        A position that is shown again within KEPT_ASIDE carries on with its episode: the broker had left it out. Since
        it may also have been closed and opened again, it has no peak until its orders were looked up.
        """
        for symbol in symbols:
            if symbol in self.known:
                self._set_aside[symbol] = (self.known.pop(symbol), now)

    def seen(self, positions: Iterable[Position], now: dt.datetime, filled: Collection[str] = ()) -> None:
        """Begin, carry on or suspend the episodes of these positions, which are all that are held.

        Fills of ours have closed those that are `filled`, or a part of them.
        """
        held = {position.instrument.symbol: position for position in positions}
        self._take_back(held, now)
        settled = tuple(self._settled(held))
        assigned = tuple(symbol for symbol, _ in settled if symbol not in filled and self._is_assigned(symbol, held))
        known = self.known
        for symbol, position in held.items():
            before = known.get(symbol)
            after = carried_on(before, position, now)
            if after is before:
                continue
            known[symbol] = after
            if before and after.suspended and not before.suspended:
                self._newly_suspended.append((symbol, after.suspended))
            if before and (after.first_seen, after.entry_price) != (before.first_seen, before.entry_price):
                self._looked_up.discard(symbol)  # it may have been closed and opened again between two polls
        for symbol, why in settled:
            self.suspend(underlying_of(symbol), why, held)
        for symbol in assigned:
            self._keep_what_protects(symbol)
        self.forget(symbol for symbol, _ in settled)  # so that it suspends nothing again after the user's `manage`

    def _take_back(self, held: Collection[str], now: dt.datetime) -> None:
        for symbol, (episode, since) in [*self._set_aside.items()]:
            if now - since >= KEPT_ASIDE:
                del self._set_aside[symbol]
                self._looked_up.discard(symbol)
                self.in_question.discard(symbol)
            elif symbol in held:
                del self._set_aside[symbol]
                self.known[symbol] = episode
                if symbol in self._looked_up:
                    self._looked_up.discard(symbol)
                    self.in_question.add(symbol)
                    self._taken_back[symbol] = since

    def peaked(self, symbol: str, price: Decimal) -> None:
        """Move the peak to a confirmed price, if that is better and the rules aren't suspended."""
        episode = self.known[symbol]
        better = episode.peak is None or (
            price > episode.peak if episode.direction is Direction.LONG else price < episode.peak
        )
        if better and not episode.suspended:
            self.known[symbol] = replace(episode, peak=price)

    def without_opening(self) -> tuple[str, ...]:
        """Symbols whose opening orders this process has not looked up yet."""
        return tuple(symbol for symbol in self.known if symbol not in self._looked_up and not is_structure_name(symbol))

    def opened(self, symbol: str, orders: Iterable[Order], now: dt.datetime) -> None:
        """Derive from its orders when the position was opened, and by which one. `now` is the broker's clock.

        A fill of the last moments may be missing in the positions: an addition to a position then looks as if it had
        opened it anew. Such a position is in question, without a peak, and looked up again. One that was not shown for
        a while begins anew if it was closed meanwhile.
        """
        self._looked_up.add(symbol)
        self.in_question.discard(symbol)
        away_since = self._taken_back.pop(symbol, None)
        episode = self.known.get(symbol)
        every = tuple(orders)
        todays = tuple(
            replace(part, client_order_id=order.client_order_id) for order in every for part in order.parts_on(symbol)
        )
        opening = opening_of(episode, todays) if episode else None
        opened_at = opening.last_fill_at if opening else None
        if episode is None:
            return
        if opening is None or opened_at is None:
            if away_since is not None and _was_reduced(episode, every, away_since - KEPT_ASIDE):
                self.known[symbol] = _fresh(episode, now)
            return
        if was_reopened(episode, opening, todays):
            if opened_at > now - MAY_BE_MISSING:
                self._looked_up.discard(symbol)
                self.in_question.add(symbol)
                return
            episode = _fresh(episode, opened_at)
            for name in [name for name in self.known if symbol in legs_of(name)]:
                self.known[name] = _fresh(self.known[name], opened_at)
        self.known[symbol] = replace(episode, opened_at=opened_at, opening_order_id=opening.client_order_id)

    def mark_exit_after(self, structure: str, kept: Mapping[str, Decimal], why: str) -> None:
        """The structure is being closed: mark its legs to be closed with it, each but for what is `kept` of it."""
        for symbol, rest in kept.items():
            episode = self.known.get(symbol)
            if episode and not _follows(episode, (structure,)):
                self.known[symbol] = replace(episode, exit_after=ExitAfter(structure, why, rest).text)

    def unmark_exit_after(self, held_without_exit: Collection[str]) -> None:
        """Unmark legs of structures that are held and aren't being closed; also by the short leg of a pair."""
        for symbol, episode in self.known.items():
            if _follows(episode, held_without_exit):
                self.known[symbol] = replace(episode, exit_after="")

    def held_whole(self, structures: Iterable[str]) -> None:
        """All legs of these structures are held, which the user names: each leg keeps that as long as it is held."""
        for name in structures:
            for symbol in legs_of(name):
                episode = self.known.get(symbol)
                if episode and episode.whole != name:
                    self.known[symbol] = replace(episode, whole=name)

    def resume(self, symbols: frozenset[str]) -> None:
        """Resume the suspended rules of these symbols, underlyings or structures, with new peaks."""
        legs = {leg for name in symbols for leg in legs_of(name)}
        for symbol, episode in self.known.items():
            meant = symbol in legs or not symbols.isdisjoint({symbol, underlying_of(symbol), *_named(symbol)})
            if episode.suspended and meant:
                self.known[symbol] = _fresh(episode, episode.first_seen, episode.exit_after)

    @property
    def has_overrides(self) -> bool:
        """Whether a person has set rules for any of the positions."""
        return any(episode.override for episode in self.known.values())

    def change_override(self, symbol: str, change: OverrideChange, by: str, now: dt.datetime) -> bool:
        """Change the rules that are set for a position or structure. Returns False when it isn't held."""
        episode = self.known.get(symbol)
        if episode is None:
            return False
        self.known[symbol] = replace(episode, override=change.applied_to(episode.override, by, now))
        return True

    def follow_stored_overrides(self) -> None:
        """Take over what another process has set for the positions by now, where this one stores nothing itself."""
        stored = _by_todays_names(self._store.load(self._account))
        for symbol, episode in self.known.items():
            override = stored[symbol].override if symbol in stored else None
            if override != episode.override:
                self.known[symbol] = replace(episode, override=override)

    def end_overrides(self, now: dt.datetime) -> tuple[tuple[str, Override], ...]:
        """End those overrides whose time is over; returns them with their symbols. `now` is the broker's clock."""
        ended = tuple((s, e.override) for s, e in self.known.items() if e.override and not e.override.is_in_force(now))
        for symbol, _ in ended:
            self.known[symbol] = replace(self.known[symbol], override=None)
        return ended

    def suspend(self, underlying: str, why: str, held: Iterable[str]) -> None:
        """Suspend the rules of the held symbols on an underlying, also of delivered shares and a renamed contract."""
        for symbol in held:
            episode = self.known.get(symbol)
            if episode and not episode.suspended and _root_underlying(symbol) == underlying:
                self.known[symbol] = replace(episode, suspended=why)
                self._newly_suspended.append((symbol, why))

    def take_newly_suspended(self) -> tuple[tuple[str, str], ...]:
        """The symbols whose rules were suspended since the last call, each with the reason."""
        news = tuple(self._newly_suspended)
        self._newly_suspended.clear()
        return news

    def _settled(self, held: Mapping[str, Position]) -> Iterator[tuple[str, str]]:
        """The options that were assigned, exercised or renamed, each with what happened.

        An option whose shares came or went at the same time was assigned or exercised.
        """
        for symbol, episode in self.known.items():
            if symbol not in held and an_option(symbol):
                underlying = underlying_of(symbol)
                if self._shares_moved(underlying, episode, held):
                    yield symbol, f"{symbol} was assigned or exercised"
                elif self._was_renamed(symbol, held):
                    yield symbol, f"{symbol} was renamed or adjusted"

    def _shares_moved(self, underlying: str, episode: Episode, held: Mapping[str, Position]) -> bool:
        return abs(self._moved(underlying, held)) == episode.qty * SHARES_PER_CONTRACT

    def _moved(self, underlying: str, held: Mapping[str, Position]) -> Decimal:
        """How many shares came since the last look; below zero when they went."""
        before, now = self.known.get(underlying), held.get(underlying)
        return _signed(now) - (ZERO if before is None else _signed_qty(before.qty, before.direction))

    def _is_assigned(self, symbol: str, held: Mapping[str, Position]) -> bool:
        """Whether shares came with the end of a short put, or went with that of a short call."""
        option, episode = an_option(symbol), self.known[symbol]
        if option is None or option.option is None or episode.direction is Direction.LONG:
            return False
        delivered = episode.qty * SHARES_PER_CONTRACT
        moved = self._moved(underlying_of(symbol), held)
        return moved == (delivered if option.option.right is Right.PUT else -delivered)

    def _keep_what_protects(self, assigned: str) -> None:
        """Unmark the long legs of the assigned one's right: they may protect the shares that came, or went."""
        for symbol, episode in self.known.items():
            if not episode.exit_after or episode.direction is Direction.SHORT:
                continue
            structure = ExitAfter.of(episode.exit_after).structure
            if assigned in (structure, *legs_of(structure)) and _right_of(symbol) is _right_of(assigned):
                self.known[symbol] = replace(episode, exit_after="")

    def _was_renamed(self, symbol: str, held: Mapping[str, Position]) -> bool:
        was = an_option(symbol)
        for other in held.keys() - self.known.keys():
            option = an_option(other)
            if was and was.option and option and option.option and option.option.is_adjusted:
                root = option.option.root.rstrip("0123456789")
                if root == was.option.root and option.option.expires == was.option.expires:
                    return True
        return False


def _by_todays_names(stored: Mapping[str, Episode]) -> dict[str, Episode]:
    """The stored episodes, those of pairs under the name that their structure has now."""
    names = {symbol: name_since(symbol) for symbol in stored}
    carried = {name: replace(stored[symbol], symbol=name) for symbol, name in names.items() if name != symbol}
    return carried | {symbol: episode for symbol, episode in stored.items() if names[symbol] == symbol}


def _follows(episode: Episode, structures: Collection[str]) -> bool:
    """Whether a leg is closed with one of these structures."""
    return bool(episode.exit_after) and ExitAfter.of(episode.exit_after).structure in structures


def _named(name: str) -> tuple[str, ...]:
    """The legs of a structure and its underlying."""
    legs = legs_of(name)
    return (*legs, underlying_of(legs[0])) if legs else ()


def state_of_episode(episode: Episode) -> PositionState:
    """The state of a structure, from its episode."""
    return PositionState(
        first_seen=episode.first_seen,
        opened_at=episode.opened_at,
        opening_order_id=episode.opening_order_id,
        peak=episode.peak,
        past_averages=episode.past_averages,
        original_qty=episode.original_qty,
        suspended=episode.suspended,
        exit_after=episode.exit_after,
        override=episode.override,
    )


def carried_on(episode: Episode | None, position: Position, now: dt.datetime) -> Episode:
    """The episode after this poll; the same object when nothing changed."""
    if episode is None or episode.direction is not position.direction:
        return _begun(position, now)
    qty, entry = position.qty, position.entry_price
    if (qty, entry) == (episode.qty, episode.entry_price):
        return episode
    if is_split(episode, position):
        why = f"looks like a split: {episode.qty:f} at {episode.entry_price} became {qty:f} at {entry}"
        return replace(episode, qty=qty, entry_price=entry, suspended=why)
    original = episode.original_qty
    if qty > episode.qty:  # scale-outs count from the larger quantity
        original = (original or episode.qty) + qty - episode.qty
    entry = entry or episode.entry_price
    return replace(
        episode, qty=qty, entry_price=entry, original_qty=original, past_averages=_past_averages(episode, entry)
    )


def _past_averages(episode: Episode, entry: Decimal | None) -> tuple[PastAverage, ...]:
    """The earlier averages once the average is `entry`. One that the peak never beat has armed nothing."""
    past, before, peak = episode.past_averages, episode.entry_price, episode.peak
    if before is None or peak is None or entry == before:
        return past
    beaten = peak >= before if episode.direction is Direction.LONG else peak <= before
    others = tuple(each for each in past if each.entry_price != before)
    return (*others, PastAverage(before, peak)) if beaten else past


def is_split(episode: Episode, position: Position) -> bool:
    """Whether the quantity changed and the total cost did not, which no trade of that size does."""
    if episode.entry_price is None or position.entry_price is None:
        return False
    if abs(position.qty - episode.qty) < episode.qty * SMALLEST_SPLIT:
        return False
    before, after = episode.qty * episode.entry_price, position.qty * position.entry_price
    return abs(after - before) <= before * SPLIT_TOLERANCE


def _fresh(episode: Episode, first_seen: dt.datetime, exit_after: str = "") -> Episode:
    """The episode with nothing armed, nothing sold and nothing set by hand."""
    return replace(
        episode,
        first_seen=first_seen,
        peak=None,
        past_averages=(),
        original_qty=episode.qty,
        suspended="",
        exit_after=exit_after,
        override=None,
    )


def _begun(position: Position, now: dt.datetime) -> Episode:
    return Episode(
        position.symbol, position.direction, now, position.qty, position.entry_price, original_qty=position.qty
    )


def opening_of(episode: Episode, orders: Iterable[Order]) -> Order | None:
    """The order that opened the position from flat.

    None when the orders don't add up to the quantity held, or one of them has filled at an unknown time.
    """
    filled = [order for order in orders if order.filled_qty > 0]
    dated = [(at, order.id, order) for order in filled if (at := order.last_fill_at) is not None]
    if len(dated) < len(filled):
        return None
    held, opening = ZERO, None
    for _, _, order in sorted(dated, key=lambda row: row[:2]):
        step = -order.filled_qty if closes(order, episode.direction) else order.filled_qty
        if held <= 0 < step:
            held, opening = ZERO, order
        held += step
    return opening if held == episode.qty else None


def was_reopened(episode: Episode, opening: Order, orders: Iterable[Order]) -> bool:
    """Whether the position was closed and opened again after it was first seen.

    An order that was sent before and has filled since, without a closing fill in between, is still the same opening.
    """
    since, filled_at = episode.first_seen, opening.last_fill_at
    if filled_at is None or filled_at <= since:
        return False
    closed = any(
        closes(order, episode.direction) and order.last_fill_at and since < order.last_fill_at <= filled_at
        for order in orders
    )
    return closed or opening.submitted_at is None or opening.submitted_at > since


def _was_reduced(episode: Episode, orders: Iterable[Order], since: dt.datetime) -> bool:
    """Whether an order, or a leg of one, has closed a part of the position since then."""
    each = (part for order in orders for part in (order, *order.legs) if part.symbol == episode.symbol)
    return any(
        closes(part, episode.direction) and part.last_fill_at is not None and part.last_fill_at > since for part in each
    )


def _right_of(symbol: str) -> Right | None:
    option = an_option(symbol)
    return option.option.right if option and option.option else None


def _signed(position: Position | None) -> Decimal:
    return ZERO if position is None else _signed_qty(position.qty, position.direction)


def _signed_qty(qty: Decimal, direction: Direction) -> Decimal:
    return qty if direction is Direction.LONG else -qty


def _root_underlying(symbol: str) -> str:
    """The underlying; of an adjusted option (AAPL1) that of its original root (AAPL)."""
    option = an_option(symbol)
    if option and option.option and option.option.is_adjusted:
        return option.option.root.rstrip("0123456789")
    return underlying_of(symbol)
