"""The newest usable quote per symbol, for all accounts at once, polled or streamed."""

import datetime as dt
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal

from sellctl.core.errors import BrokerError
from sellctl.core.model.instrument import AssetClass, Instrument
from sellctl.core.model.market import Quote, Window
from sellctl.core.ports import Clock, QuoteSource
from sellctl.core.tracking.quote_history import JUMP_CONFIRM, QuoteHistory, Source

QUOTED_ASSET_CLASSES = frozenset({AssetClass.STOCK, AssetClass.OPTION})
CONFIRM = dt.timedelta(seconds=1.5)
LAGGING_AFTER_POLLS = 2  # polls in a row that brought a new price before the stream did
_ROUND_TRIPS = 3  # the last answers, the slowest of which tells how early a second quote is requested
_MOST_EARLY = 0.25  # seconds


class PriceTracker:
    """Polls each symbol once for all accounts and keeps a quote history per symbol.

    `confirm` is the time between the two quotes that confirm a stop. `broker_now` is the broker's clock; None while
    unknown.
    """

    def __init__(
        self,
        source: QuoteSource,
        clock: Clock,
        confirm: dt.timedelta = CONFIRM,
        broker_now: Callable[[], dt.datetime | None] = lambda: None,
    ) -> None:
        self._source = source
        self._clock = clock
        self._confirm = confirm.total_seconds()
        self._broker_now = broker_now
        self._histories: dict[str, QuoteHistory] = {}
        self._round_trips: deque[float] = deque(maxlen=_ROUND_TRIPS)
        self._problem = ""
        self._error: BrokerError | None = None
        self._failures = 0

    @property
    def problem(self) -> str:
        """What was wrong with the last poll of quotes; "" when nothing was."""
        return self._problem

    @property
    def error(self) -> BrokerError | None:
        """The error that the last poll of quotes ended in; None when any batch of it had an answer."""
        return self._error

    @property
    def failures(self) -> int:
        """Polls in a row that failed completely."""
        return self._failures

    def set_confirmation_delay(self, confirm: dt.timedelta) -> None:
        """Change the time between the two quotes that confirm a stop."""
        self._confirm = confirm.total_seconds()
        for history in self._histories.values():
            history.set_confirmation_delay(self._confirm)

    @property
    def confirmation_delay(self) -> float:
        """Seconds until a second quote can confirm every stop and jump."""
        return self.confirmation_delay_for(has_jumped=bool(self.jumped))

    def confirmation_delay_for(self, *, has_jumped: bool) -> float:
        """Seconds until a second quote of a symbol can confirm a stop, or a jump."""
        return max(self._confirm, JUMP_CONFIRM if has_jumped else 0.0)

    @property
    def round_trip(self) -> float:
        """Seconds that a request of quotes takes, by the slowest of the last answers; 0.0 before the first one."""
        return min(max(self._round_trips, default=0.0), _MOST_EARLY)

    @property
    def jumped(self) -> frozenset[str]:
        """Symbols with a price jump that no second quote has confirmed yet."""
        now = self._clock.monotonic()
        return frozenset(symbol for symbol, history in self._histories.items() if history.has_jump(now))

    async def refresh(
        self, instruments: Iterable[Instrument], *, is_poll: bool = True, not_before: float = float("-inf")
    ) -> None:
        """Request the newest quotes. After a failure the stored quotes stay until they are too old to use.

        With is_poll=False, `problem` and `failures` stay unchanged. Quotes that arrive before the
        instant `not_before` (monotonic seconds) are stored at that instant.
        """
        wanted = {i.symbol: i for i in instruments if i.asset_class in QUOTED_ASSET_CLASSES}
        if not wanted:
            return
        began = self._clock.monotonic()
        try:
            quotes = await self._source.latest(list(wanted.values()))
            arrived = self._clock.monotonic()
            self._round_trips.append(arrived - began)
            if arrived < not_before:
                await self._clock.sleep(not_before - arrived)
            self.accept(quotes, wanted)
        except BrokerError as error:
            if is_poll:
                self._problem, self._failures, self._error = error.sentence, self._failures + 1, error
        else:
            if is_poll:
                self._problem, self._failures, self._error = " ".join(self._source.last_problems), 0, None

    def accept(
        self, quotes: Mapping[str, Quote], instruments: Mapping[str, Instrument], source: Source = Source.POLL
    ) -> frozenset[str]:
        """Store newer quotes, polled or streamed. Return the symbols whose stored quote was replaced."""
        now, broker_time = self._clock.monotonic(), self._broker_now()
        replaced = set()
        for symbol, quote in quotes.items():
            history = self._histories.get(symbol)
            if history is None:
                history = self._histories[symbol] = QuoteHistory(instruments[symbol].asset_class, self._confirm)
            if history.store(quote, now, source, broker_time):
                replaced.add(symbol)
        return frozenset(replaced)

    def record_trade(self, symbol: str, price: Decimal) -> None:
        """Store a stock's latest trade, which can confirm a quote from IEX."""
        if symbol in self._histories:
            self._histories[symbol].record_trade(price)

    def pop_lagging_streams(self, streamed: Collection[str]) -> bool:
        """Whether any stream lags: LAGGING_AFTER_POLLS polls in a row had a newer price. Resets their counters."""
        lagging = [h for symbol in streamed if (h := self.history(symbol)) and h.polls_ahead >= LAGGING_AFTER_POLLS]
        for history in lagging:
            history.reset_polls_ahead()
        return bool(lagging)

    def newest(self, symbol: str) -> Quote | None:
        """The newest quote; None before the first."""
        history = self._histories.get(symbol)
        return history.newest if history else None

    def history(self, symbol: str) -> QuoteHistory | None:
        """The stored quotes of a symbol; None before the first."""
        return self._histories.get(symbol)

    def wide_for(self, symbol: str) -> dt.timedelta:
        """How long the spread has been wide without a break."""
        history = self._histories.get(symbol)
        return history.wide_for(self._clock.monotonic()) if history else dt.timedelta(0)

    def window(self, symbol: str) -> Window | None:
        """The best and worst prices over `confirm` up to the newest quote; None when quotes don't go back so far."""
        history = self._histories.get(symbol)
        return history.window if history else None

    def last_trade(self, symbol: str) -> Decimal | None:
        """The latest streamed trade; None when there was none."""
        history = self._histories.get(symbol)
        return history.last_trade if history else None

    def seconds_since_streamed(self, symbols: Iterable[str]) -> float | None:
        """Seconds since any of these symbols had a streamed quote; None when none ever had."""
        histories = [history for symbol in symbols if (history := self._histories.get(symbol)) is not None]
        last = max((history.streamed_at for history in histories), default=float("-inf"))
        return None if last == float("-inf") else self._clock.monotonic() - last

    def keep_only(self, symbols: Collection[str]) -> None:
        """Delete the quotes of all other symbols."""
        for symbol in self._histories.keys() - symbols:
            del self._histories[symbol]
