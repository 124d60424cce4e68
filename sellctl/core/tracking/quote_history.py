"""One symbol's quotes: the newest, the level that a jump is measured against, and the samples of the last minute."""

import datetime as dt
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.decision.pricing import believable
from sellctl.core.decision.quote_checks import is_ahead, is_wide
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Quote, Window

JUMP = {AssetClass.STOCK: Decimal("0.10"), AssetClass.OPTION: Decimal("0.50")}
STEP_DOLLARS = Decimal("0.05")  # a step of a cheap option is no jump
SAME = Decimal("0.20")  # how far two quotes of a new level may differ
JUMP_CONFIRM = 1.5  # seconds between a jump and the quote that confirms it
FORGOTTEN = 60.0  # seconds after which a sample no longer confirms anything
NIGHT = dt.timedelta(hours=4)  # no quotes for this long: the session before has ended
_ROUNDING = 1e-6  # seconds: a quote that was awaited to the very instant isn't too early because of a float's rounding
_NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


class Source(StrEnum):
    """How a quote arrived."""

    POLL = "poll"
    STREAM = "stream"


class QuoteSample(Struct, frozen=True):
    """A quote's plausible sides (None for others), and when it arrived, in monotonic seconds."""

    bid: Decimal | None
    ask: Decimal | None
    at: float

    @property
    def has_a_price(self) -> bool:
        """Whether it has a side and isn't crossed."""
        bid, ask = self.bid, self.ask
        return (bid is not None or ask is not None) and not (bid is not None and ask is not None and bid > ask)

    @property
    def price(self) -> Decimal | None:
        """The mid, or the only side; None without any."""
        if self.bid is None or self.ask is None:
            return self.bid or self.ask
        return (self.bid + self.ask) / 2


@dataclass(slots=True)
class QuoteHistory:
    """The quotes of one symbol. Instants are monotonic seconds; `confirm` is the time between two samples of a stop."""

    asset: AssetClass
    confirm: float
    newest: Quote | None = None
    source: Source = Source.POLL
    seen_at: float = float("-inf")
    streamed_at: float = float("-inf")
    last_trade: Decimal | None = None
    polls_ahead: int = 0  # polls in a row that brought a new price before the stream did
    closed_at: Decimal | None = None  # the price before the last night
    reopened_at: Decimal | None = None  # the first price after it, or of all
    jumped_from: Decimal | None = None  # the price before the last confirmed jump
    window: Window | None = None  # the best and the worst sides since a sample at least `confirm` before the newest
    _last_sides: tuple[Decimal | None, Decimal | None] | None = None  # bid and ask of the last quote, also of a jump
    _jump: QuoteSample | None = None  # a jump that isn't confirmed yet
    _level: QuoteSample | None = None
    _stamp: dt.datetime = _NEVER  # of the newest quote: earlier ones are ignored; _NEVER while none is
    _samples: deque[QuoteSample] = field(default_factory=deque)
    _wide_since: float | None = None

    def store(self, quote: Quote, now: float, source: Source, broker_now: dt.datetime | None = None) -> bool:
        """Store a quote unless it is older than the newest or an unconfirmed jump. Return whether it is now the newest.

        A quote from the future by the broker's clock is stored only while there is no other, and never outdates the
        next: not even when it came while that clock was wrong. `broker_now` is None while the clock is unknown.
        """
        future = is_ahead(quote.at, broker_now)
        if is_ahead(self._stamp, broker_now):
            self._stamp = _NEVER
        if source is Source.STREAM:
            self.polls_ahead, self.streamed_at = 0, now
        if quote.at < self._stamp or (future and self.newest is not None):
            return False
        self._compare_with_stream(quote, source)
        if self._level is not None and self._stamp != _NEVER and quote.at - self._stamp >= NIGHT:
            self.closed_at, self.reopened_at = self._level.price, None
        if not future:
            self._stamp = quote.at
        sample = QuoteSample(believable(quote.bid), believable(quote.ask), now)
        if self._is_unconfirmed_jump(sample):
            return False
        if self.newest != quote:
            self.source = source
        self.newest, self.seen_at = quote, now
        self._track_width(quote, now)
        if sample.has_a_price and not future:
            self._level = sample
            self._remember(sample)
            if self.reopened_at is None:
                self.reopened_at = sample.price
        self.window = self._window()
        return True

    @property
    def window_began_at(self) -> float | None:
        """When the first quote of the window arrived; None while there is no window."""
        return self._samples[0].at if self.window is not None and self._samples else None

    def record_trade(self, price: Decimal) -> None:
        """Store the price of the latest trade."""
        self.last_trade = price

    def set_confirmation_delay(self, seconds: float) -> None:
        """Change the time between two samples of a stop."""
        self.confirm = seconds
        self._drop_the_superseded()
        self.window = self._window()

    def reset_polls_ahead(self) -> None:
        """Count the polls ahead of the stream from zero again."""
        self.polls_ahead = 0

    def wide_for(self, now: float) -> dt.timedelta:
        """How long the spread has been wide without a break."""
        return dt.timedelta(0) if self._wide_since is None else dt.timedelta(seconds=now - self._wide_since)

    def has_jump(self, now: float) -> bool:
        """Whether there is a jump that no second quote has confirmed yet."""
        return self._jump is not None and now - self._jump.at < FORGOTTEN

    # --- inside -------------------------------------------------------------------------------------------------------

    def _window(self) -> Window | None:
        """The window of the newest quote; None without a sample that is old enough."""
        samples, newest = self._samples, self.newest
        if not samples or newest is None or not _are_apart(samples[0], samples[-1], self.confirm):
            return None
        bids = [sample.bid for sample in samples if sample.bid is not None]
        asks = [sample.ask for sample in samples if sample.ask is not None]
        high = replace(newest, bid=max(bids, default=None), ask=max(asks, default=None))
        return Window(high, low=replace(newest, bid=min(bids, default=None), ask=min(asks, default=None)))

    def _remember(self, sample: QuoteSample) -> None:
        """Keep a sample, and drop those that no window will reach back to."""
        self._samples.append(sample)
        while self._samples[0].at < sample.at - FORGOTTEN:
            self._samples.popleft()
        self._drop_the_superseded()

    def _drop_the_superseded(self) -> None:
        """Drop every sample before the newest that is old enough: the window begins with that one."""
        samples = self._samples
        while len(samples) > 1 and _are_apart(samples[1], samples[-1], self.confirm):
            samples.popleft()

    def _is_unconfirmed_jump(self, sample: QuoteSample) -> bool:
        """Whether it is an unconfirmed jump. A confirmed one restarts the samples from its first quote."""
        if self._level is None or _is_near(sample, self._level, JUMP[self.asset]):
            self._jump = None
            return False
        first = self._jump
        if first is None or not self.has_jump(sample.at) or not _is_near(sample, first, SAME):
            self._jump = sample
            return True
        if not _are_apart(first, sample, JUMP_CONFIRM):
            return True
        self._samples.clear()
        self._samples.append(first)
        self._jump = None
        self.jumped_from = self._level.price
        return False

    def _compare_with_stream(self, quote: Quote, source: Source) -> None:
        """Count the polls in a row that brought a new price before the stream did; a single one is normal.

        A price is not new when it came before, even if it is held back as a jump.
        """
        before, self._last_sides = self._last_sides, (quote.bid, quote.ask)
        if source is Source.POLL and before not in {None, self._last_sides}:
            self.polls_ahead += 1

    def _track_width(self, quote: Quote, now: float) -> None:
        if not is_wide(quote, self.asset):
            self._wide_since = None
        elif self._wide_since is None:
            self._wide_since = now


def _are_apart(first: QuoteSample, second: QuoteSample, seconds: float) -> bool:
    """Whether the second arrived at least so long after the first."""
    return second.at - first.at >= seconds - _ROUNDING


def _is_near(sample: QuoteSample, other: QuoteSample, share: Decimal) -> bool:
    """Whether the two differ by at most a share of the other, or a small step; true without a common side."""
    return all(abs(price - before) <= max(before * share, STEP_DOLLARS) for price, before in _comparable(sample, other))


def _comparable(sample: QuoteSample, other: QuoteSample) -> Iterator[tuple[Decimal, Decimal]]:
    """The mids of both, else the side that both have."""
    sides = ((sample.bid, other.bid), (sample.ask, other.ask))
    known = [(price, before) for price, before in sides if price is not None and before is not None]
    if len(known) == len(sides):
        (bid, bid_before), (ask, ask_before) = known
        yield (bid + ask) / 2, (bid_before + ask_before) / 2
    else:
        yield from known
