"""The market: each symbol's price path, the quote in the book, and the quote published to clients."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from sellctl.sim.faults.quote_faults import QuoteContext, corrupt_quote
from sellctl.sim.faults.registry import FaultRegistry
from sellctl.sim.market import calendar
from sellctl.sim.market.assets import Asset, asset_of, tick_of
from sellctl.sim.market.price_paths import CENT, FOREVER, Fixed, Path, PublishedQuote, Segment, TwoSidedQuote
from sellctl.sim.settings import Settings


@dataclass(frozen=True, slots=True)
class SimSplit:
    """A split that the venue announces: `ratio` new shares per old one, traded so from `ex_date` on."""

    symbol: str
    ratio: Decimal
    ex_date: dt.date


class Market:
    """The paths of all symbols. A symbol without a path has no quote."""

    def __init__(self, paths: Mapping[str, Path] | None = None) -> None:
        self.paths = dict(paths or {})
        self.faults = FaultRegistry()
        self.halted: dict[str, tuple[dt.datetime, TwoSidedQuote | None]] = {}
        self._taken: dict[tuple[str, str], tuple[dt.datetime, Decimal]] = {}
        self._shift: dict[str, Decimal] = {}
        self._kept: dict[str, TwoSidedQuote | None] = {}
        self._kept_at: dt.datetime | None = None
        # per symbol: the path's current level, and that level rounded to the price increments
        self._quoted: dict[str, tuple[TwoSidedQuote, TwoSidedQuote]] = {}
        self.stamps: dict[str, dt.datetime] = {}

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol with a path."""
        return tuple(self.paths)

    def put(self, symbol: str, level: TwoSidedQuote, now: dt.datetime, stamp: dt.datetime | None = None) -> None:
        """Replace a symbol's path by one level from now on; its quotes carry the timestamp `stamp` when given."""
        self.paths[symbol] = Path([Fixed(now, level)])
        self.stamps.pop(symbol, None)
        self._shift.pop(symbol, None)
        self._quoted.pop(symbol, None)
        self._kept_at = None
        if stamp is not None:
            self.stamps[symbol] = stamp

    def follow(self, symbol: str, level: TwoSidedQuote, now: dt.datetime, segment: Segment) -> None:
        """Replace a symbol's path by a move that begins at a level now."""
        self.put(symbol, level, now)
        self.paths[symbol] = Path([Fixed(now, level), segment])
        self._kept_at = None

    def level(self, symbol: str, now: dt.datetime) -> TwoSidedQuote | None:
        """The quote in the book at an instant. Computed once per instant, because matching reads it repeatedly."""
        if now != self._kept_at:
            self._kept, self._kept_at = {}, now
        if symbol not in self._kept:
            self._kept[symbol] = self._level(symbol, now)
        return self._kept[symbol]

    def _level(self, symbol: str, now: dt.datetime) -> TwoSidedQuote | None:
        if symbol in self.halted:
            return self.halted[symbol][1]
        path = self.paths.get(symbol)
        level = path.at(now) if path else None
        if level is None or (level.bid is None and level.ask is None):
            return None
        shift = self._shift.get(symbol)
        if not shift and not (path and path.moves):
            return level
        known = self._quoted.get(symbol)
        if known is None or known[0] is not level:
            known = (level, quoted(asset_of(symbol), level.moved_to(level.mid + shift) if shift else level))
            self._quoted[symbol] = known
        return known[1]

    def unchanged_until(self, symbol: str, now: dt.datetime) -> dt.datetime:
        """The instant until which a symbol's level can't change by itself; `now` when it is moving."""
        path = self.paths.get(symbol)
        return FOREVER if path is None or symbol in self.halted else path.unchanged_until(now)

    def moves(self, symbol: str) -> bool:
        """Whether a symbol's prices are computed, so that they may change at any instant."""
        path = self.paths.get(symbol)
        return path is not None and path.moves

    def halt(self, symbol: str, now: dt.datetime) -> None:
        """Stop trading in a symbol; its quote stays as it is."""
        self.halted.setdefault(symbol, (now, self.level(symbol, now)))
        self._kept_at = None

    def resume(self, symbol: str) -> None:
        """Resume trading in a symbol."""
        self.halted.pop(symbol, None)
        self._kept_at = None

    def is_halted(self, symbol: str) -> bool:
        """Whether a symbol's trading is stopped."""
        return symbol in self.halted

    def stamp(self, symbol: str, now: dt.datetime) -> dt.datetime:
        """The timestamp of a symbol's quote: the present instant in the session, the last close outside it."""
        if symbol in self.stamps:
            return self.stamps[symbol]
        if symbol in self.halted:
            return self.halted[symbol][0]
        if asset_of(symbol).is_option or calendar.phase_at(now)[0] == "closed":
            return now if calendar.is_open(now) else calendar.last_close(now)
        return now

    def available_size(self, symbol: str, side: str, quote: TwoSidedQuote, now: dt.datetime) -> Decimal:
        """The size left on the opposite side after this second's fills."""
        second, taken = self._taken.get((symbol, side), (now, Decimal(0)))
        size = Decimal(quote.ask_size if side == "buy" else quote.bid_size)
        return max(size - taken, Decimal(0)) if second == now.replace(microsecond=0) else size

    def consume(self, symbol: str, side: str, qty: Decimal, now: dt.datetime, settings: Settings) -> None:
        """Subtract a fill from the size of this second, and move the price against the taker by `impact`."""
        second = now.replace(microsecond=0)
        before, taken = self._taken.get((symbol, side), (second, Decimal(0)))
        self._taken[symbol, side] = (second, qty + (taken if before == second else 0))
        level = self.level(symbol, now)
        if settings.impact and level and symbol not in self.halted:
            size = Decimal(max(level.ask_size if side == "buy" else level.bid_size, 1))
            move = settings.impact * level.spread * qty / size
            self._shift[symbol] = self._shift.get(symbol, Decimal(0)) + (move if side == "buy" else -move)
            self._quoted.pop(symbol, None)
            self._kept_at = None

    def published_quote(self, symbol: str, now: dt.datetime) -> PublishedQuote | None:
        """The quote that clients receive, with the active faults applied; None means no quote."""
        level = self.level(symbol, now)
        if level is None:
            return None
        published: PublishedQuote | None = PublishedQuote(level, self.stamp(symbol, now))
        if not self.faults.active:
            return published
        context = QuoteContext(now, partial(self.level, now=now))
        for fault in self.faults.trigger_all("Q", symbol=symbol):
            published = corrupt_quote(published, fault, context) if published else None
        return published

    def published_trade(self, symbol: str, now: dt.datetime) -> tuple[Decimal, dt.datetime] | None:
        """The price and time of the last trade that clients receive: the mid to the cent, unless Q15 is active."""
        level = self.level(symbol, now)
        if level is None:
            return None
        odd = self.faults.trigger("Q15", symbol=symbol)
        price = level.mid * Decimal(str(odd["ratio"])) if odd else level.mid
        return price.quantize(CENT), self.stamp(symbol, now)


def quoted(asset: Asset, level: TwoSidedQuote) -> TwoSidedQuote:
    """A computed level rounded outwards to the option's price increment; a bid below one increment is no bid."""
    if not asset.is_option:
        return level
    bid, ask = level.bid, level.ask
    if bid is not None:
        bid -= bid % tick_of(asset, bid)
    if ask is not None and (over := ask % tick_of(asset, ask)):
        ask += tick_of(asset, ask) - over
    return TwoSidedQuote(bid or None, ask, level.bid_size, level.ask_size)
