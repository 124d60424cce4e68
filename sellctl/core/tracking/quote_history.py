"""What is known of one symbol's quotes: the newest, the level that a spike is measured against, and the last looks."""

import datetime as dt
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from itertools import islice

from sellctl.core.decision.pricing import believable
from sellctl.core.decision.quote_checks import is_wide
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Quote, Window

JUMP = {AssetClass.STOCK: Decimal("0.10"), AssetClass.OPTION: Decimal("0.50")}
STEP_DOLLARS = Decimal("0.05")  # a step of a cheap option is no jump
SAME = Decimal("0.20")  # how far two quotes of a new level may differ
JUMP_CONFIRM = 1.5  # seconds between a jump and the quote that confirms it
FORGOTTEN = 60.0  # seconds after which a look agrees with nothing any more
_NOT_AT_ALL = dt.timedelta(0)
_NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


class Source(StrEnum):
    """Which way a quote came."""

    POLL = "poll"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class _Look:
    """A quote, those of its sides that are prices, and when it was seen, in monotonic seconds."""

    quote: Quote
    bid: Decimal | None
    ask: Decimal | None
    at: float

    @property
    def has_a_price(self) -> bool:
        """Whether a side stands and the quote isn't crossed."""
        bid, ask = self.bid, self.ask
        return (bid is not None or ask is not None) and not (bid is not None and ask is not None and bid > ask)


def _look(quote: Quote, at: float) -> _Look:
    return _Look(quote, believable(quote.bid), believable(quote.ask), at)


@dataclass(slots=True)
class QuoteBook:
    """One symbol. Instants are monotonic seconds; `confirm` is how far apart two looks of a stop are."""

    asset: AssetClass
    confirm: float
    newest: Quote | None = None
    source: Source = Source.POLL
    seen_at: float = float("-inf")
    streamed_at: float = float("-inf")
    last_trade: Decimal | None = None
    missed: int = 0  # polls in a row that brought a new price which no stream had told
    doubted: _Look | None = None  # a jump that nothing has confirmed yet
    _level: _Look | None = None
    _stamp: dt.datetime = _NEVER  # what newer quotes have to reach
    _looks: deque[_Look] = field(default_factory=deque)
    _wide_since: float | None = None
    _windowed: tuple[float, Window | None] | None = None  # the window, and for which `confirm`

    def take(self, quote: Quote, now: float, source: Source, *, future: bool = False) -> bool:
        """Take a quote unless it is older than what is known, or a jump. Whether it is the newest now.

        One stamped in the `future` is shown only while there is no other, and never holds up the next.
        """
        if quote.at < self._stamp or (future and self.newest is not None):
            return False
        self._windowed = None
        self._mind_the_stream(quote, now, source)
        if not future:
            self._stamp = quote.at
        look = _look(quote, now)
        if self._is_jump(look):
            return False
        if self.newest != quote:
            self.source = source
        self.newest, self.seen_at = quote, now
        self._mind_the_width(quote, now)
        if look.has_a_price and not future:
            self._level = look
            self._remember(look)
        return True

    def wide_for(self, now: float) -> dt.timedelta:
        """How long the spread has been wide without a break."""
        return _NOT_AT_ALL if self._wide_since is None else dt.timedelta(seconds=now - self._wide_since)

    def is_in_doubt(self, now: float) -> bool:
        """Whether a jump waits for a second quote."""
        return self.doubted is not None and now - self.doubted.at < FORGOTTEN

    def window(self) -> Window | None:
        """The best and the worst sides since a look at least `confirm` before the newest; None without such a look.

        It is worked out once between two quotes, however many accounts hold the symbol.
        """
        if self._windowed is None or self._windowed[0] != self.confirm:
            self._windowed = (self.confirm, self._worked_out())
        return self._windowed[1]

    # --- inside -------------------------------------------------------------------------------------------------------

    def _worked_out(self) -> Window | None:
        start = self._start()
        if start is None or self.newest is None:
            return None
        looks = self._looks if start == 0 else tuple(islice(self._looks, start, None))
        bids = [look.bid for look in looks if look.bid is not None]
        asks = [look.ask for look in looks if look.ask is not None]
        return Window(high=_extreme(bids, asks, self.newest, max), low=_extreme(bids, asks, self.newest, min))

    def _start(self) -> int | None:
        """Where the window begins: the newest look that is old enough."""
        if not self._looks:
            return None
        old_enough, start = self._looks[-1].at - self.confirm, None
        for place, look in enumerate(self._looks):  # what came before the start is forgotten, so it is near
            if look.at > old_enough:
                break
            start = place
        return start

    def _remember(self, look: _Look) -> None:
        self._looks.append(look)
        while self._looks[0].at < look.at - FORGOTTEN:
            self._looks.popleft()
        for _ in range(self._start() or 0):
            self._looks.popleft()

    def _is_jump(self, look: _Look) -> bool:
        """Whether it is a jump that isn't believed yet. A confirmed one starts the looks anew, from its first quote."""
        if self._level is None or _is_near(look, self._level, JUMP[self.asset]):
            self.doubted = None
            return False
        doubted = self.doubted
        if doubted is None or not self.is_in_doubt(look.at) or not _is_near(look, doubted, SAME):
            self.doubted = look
            return True
        if look.at - doubted.at < JUMP_CONFIRM:
            return True
        self._looks.clear()
        self._looks.append(doubted)
        self.doubted = None
        return False

    def _mind_the_stream(self, quote: Quote, now: float, source: Source) -> None:
        """Count the polls that were ahead of the stream: one may be, but not one after the other."""
        if source is Source.STREAM:
            self.missed, self.streamed_at = 0, now
        elif self.newest is not None and (quote.bid, quote.ask) != (self.newest.bid, self.newest.ask):
            self.missed += 1

    def _mind_the_width(self, quote: Quote, now: float) -> None:
        if not is_wide(quote, self.asset):
            self._wide_since = None
        elif self._wide_since is None:
            self._wide_since = now


def _is_near(look: _Look, other: _Look, share: Decimal) -> bool:
    """Whether the two differ by no more than a share of the other, or a small step. Without a common side they do."""
    return all(abs(price - before) <= max(before * share, STEP_DOLLARS) for price, before in _comparable(look, other))


def _comparable(look: _Look, other: _Look) -> Iterator[tuple[Decimal, Decimal]]:
    """The mids of both, else the side that both have."""
    sides = ((look.bid, other.bid), (look.ask, other.ask))
    known = [(price, before) for price, before in sides if price is not None and before is not None]
    if len(known) == len(sides):
        (bid, bid_before), (ask, ask_before) = known
        yield (bid + ask) / 2, (bid_before + ask_before) / 2
    else:
        yield from known


def _extreme(
    bids: list[Decimal], asks: list[Decimal], newest: Quote, choose: Callable[[list[Decimal]], Decimal]
) -> Quote:
    """Each side at its extreme, under the newest stamp."""
    bid, ask = choose(bids) if bids else None, choose(asks) if asks else None
    return Quote(newest.symbol, bid, ask, newest.at, newest.feed, newest.bid_size, newest.ask_size)
