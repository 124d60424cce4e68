"""Prices: each symbol's path, what stands in the book, and what clients are shown of it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sellctl.sim.faults.catalogue import BehaviourBook, Fault
from sellctl.sim.faults.quote_faults import SPOILERS
from sellctl.sim.market import calendar
from sellctl.sim.market.assets import Asset, asset_of, tick_of
from sellctl.sim.market.price_paths import CENT, FOREVER, Fixed, Level, Path, Segment
from sellctl.sim.settings import Settings


@dataclass(frozen=True, slots=True)
class Shown:
    """A quote as clients see it: its level, its stamp, and a literal that stands for a price that is no number."""

    level: Level
    at: dt.datetime
    literal: str = ""


class Market:
    """The paths of all symbols. A symbol without a path has no quote."""

    def __init__(self, paths: Mapping[str, Path] | None = None) -> None:
        self.paths = dict(paths or {})
        self.behaviours = BehaviourBook()
        self.halted: dict[str, tuple[dt.datetime, Level | None]] = {}
        self._taken: dict[tuple[str, str], tuple[dt.datetime, Decimal]] = {}
        self._shift: dict[str, Decimal] = {}
        self._kept: dict[str, Level | None] = {}
        self._kept_at: dt.datetime | None = None
        self._quoted: dict[str, tuple[Level, Level]] = {}  # a path's level that stands, and how it is quoted
        self.stamps: dict[str, dt.datetime] = {}

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol with a path."""
        return tuple(self.paths)

    def put(self, symbol: str, level: Level, now: dt.datetime, stamp: dt.datetime | None = None) -> None:
        """Replace a symbol's path by one level from now on; `stamp` pins what its quotes carry."""
        self.paths[symbol] = Path([Fixed(now, level)])
        self.stamps.pop(symbol, None)
        self._shift.pop(symbol, None)
        self._quoted.pop(symbol, None)
        self._kept_at = None
        if stamp is not None:
            self.stamps[symbol] = stamp

    def follow(self, symbol: str, level: Level, now: dt.datetime, segment: Segment) -> None:
        """Replace a symbol's path by a move that begins at a level now."""
        self.put(symbol, level, now)
        self.paths[symbol] = Path([Fixed(now, level), segment])
        self._kept_at = None

    def level(self, symbol: str, now: dt.datetime) -> Level | None:
        """What stands in the book. Kept for the instant, since one look asks several times."""
        if now != self._kept_at:
            self._kept, self._kept_at = {}, now
        if symbol not in self._kept:
            self._kept[symbol] = self._level(symbol, now)
        return self._kept[symbol]

    def _level(self, symbol: str, now: dt.datetime) -> Level | None:
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

    def stands_until(self, symbol: str, now: dt.datetime) -> dt.datetime:
        """Until when a symbol's level is known to stand by itself, excluded; that instant itself when it moves."""
        path = self.paths.get(symbol)
        return FOREVER if path is None or symbol in self.halted else path.stands_until(now)

    def moves(self, symbol: str) -> bool:
        """Whether a symbol's prices are computed and may change at any instant."""
        path = self.paths.get(symbol)
        return path is not None and path.moves

    def halt(self, symbol: str, now: dt.datetime) -> None:
        """Stop trading in a symbol; its quote stands still."""
        self.halted.setdefault(symbol, (now, self.level(symbol, now)))
        self._kept_at = None

    def resume(self, symbol: str) -> None:
        """Let it trade again."""
        self.halted.pop(symbol, None)
        self._kept_at = None

    def is_halted(self, symbol: str) -> bool:
        """Whether a symbol's trading is stopped."""
        return symbol in self.halted

    def stamp(self, symbol: str, now: dt.datetime) -> dt.datetime:
        """When a quote was made: now while the market is open, the last close after it."""
        if symbol in self.stamps:
            return self.stamps[symbol]
        if symbol in self.halted:
            return self.halted[symbol][0]
        if asset_of(symbol).is_option or calendar.phase_at(now)[0] == "closed":
            return now if calendar.is_open(now) else calendar.last_close(now)
        return now

    def context(self, symbol: str, side: str, quote: Level, now: dt.datetime) -> Decimal:
        """What is left of the size on the opposite side in this second."""
        second, taken = self._taken.get((symbol, side), (now, Decimal(0)))
        size = Decimal(quote.ask_size if side == "buy" else quote.bid_size)
        return max(size - taken, Decimal(0)) if second == now.replace(microsecond=0) else size

    def took(self, symbol: str, side: str, qty: Decimal, now: dt.datetime, settings: Settings) -> None:
        """Note what was taken, and let the price move against the taker when the settings say so."""
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

    def shown(self, symbol: str, now: dt.datetime) -> Shown | None:
        """What clients see, misbehaviours applied; None is no quote at all."""
        level = self.level(symbol, now)
        if level is None:
            return None
        shown: Shown | None = Shown(level, self.stamp(symbol, now))
        if not self.behaviours.active:
            return shown
        for fault in self.behaviours.strikes("Q", symbol=symbol):
            shown = self._spoil(shown, fault, now) if shown else None
        return shown

    def shown_trade(self, symbol: str, now: dt.datetime) -> tuple[Decimal, dt.datetime] | None:
        """The last trade that clients see: at the mid, to the cent, unless an odd print is asked for."""
        level = self.level(symbol, now)
        if level is None:
            return None
        odd = self.behaviours.strike("Q15", symbol=symbol)
        price = level.mid * Decimal(str(odd["ratio"])) if odd else level.mid
        return price.quantize(CENT), self.stamp(symbol, now)

    def _spoil(self, shown: Shown, fault: Fault, now: dt.datetime) -> Shown | None:
        spoiler = SPOILERS.get(fault.name)
        return spoiler(self, shown, fault, now) if spoiler else shown


def quoted(asset: Asset, level: Level) -> Level:
    """A computed level as an exchange quotes it: outwards to the option's price step; a bid below one step is none."""
    if not asset.is_option:
        return level
    bid, ask = level.bid, level.ask
    if bid is not None:
        bid -= bid % tick_of(asset, bid)
    if ask is not None and (over := ask % tick_of(asset, ask)):
        ask += tick_of(asset, ask) - over
    return Level(bid or None, ask, level.bid_size, level.ask_size)
