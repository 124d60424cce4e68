"""The newest usable quote per symbol, for all accounts at once, polled or streamed."""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal

from sellctl.core.errors import BrokerError
from sellctl.core.model.instrument import AssetClass, Instrument
from sellctl.core.model.market import Quote, Window
from sellctl.core.ports import Clock, QuoteSource
from sellctl.core.tracking.quote_history import JUMP_CONFIRM, QuoteBook, Source

QUOTED = frozenset({AssetClass.STOCK, AssetClass.OPTION})
CONFIRM = dt.timedelta(seconds=1.5)
SILENT_AFTER_POLLS = 2  # polls in a row that brought a new price before the stream did
_MARGIN = 0.001  # seconds added, so that rounding doesn't make a second quote too early


class PriceTracker:
    """Polls each symbol once for all accounts and keeps a book per symbol.

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
        self._books: dict[str, QuoteBook] = {}
        self._problem = ""
        self._failures = 0

    @property
    def problem(self) -> str:
        """What was wrong with the last poll of quotes; "" when nothing was."""
        return self._problem

    @property
    def failures(self) -> int:
        """Polls in a row that failed completely."""
        return self._failures

    def confirm_after(self, confirm: dt.timedelta) -> None:
        """Change the time between the two quotes that confirm a stop."""
        self._confirm = confirm.total_seconds()
        for book in self._books.values():
            book.confirm_after(self._confirm)

    @property
    def second_quote_in(self) -> float:
        """Seconds after which second quotes can confirm every stop and jump."""
        return self.second_quote_after(has_jumped=bool(self.jumped))

    def second_quote_after(self, *, has_jumped: bool) -> float:
        """Seconds after which a second quote of a symbol can confirm a stop, or a jump."""
        return max(self._confirm, JUMP_CONFIRM if has_jumped else 0.0) + _MARGIN

    @property
    def jumped(self) -> frozenset[str]:
        """Symbols with a price jump that no second quote has confirmed yet."""
        now = self._clock.monotonic()
        return frozenset(symbol for symbol, book in self._books.items() if book.has_jump(now))

    async def refresh(self, instruments: Iterable[Instrument], *, is_poll: bool = True) -> None:
        """Request the newest quotes. After a failure the stored quotes stay, and age until no rule accepts them.

        Unless this is a poll, whether it succeeds says nothing about the last one.
        """
        wanted = {i.symbol: i for i in instruments if i.asset_class in QUOTED}
        if not wanted:
            return
        try:
            self.accept(await self._source.latest(list(wanted.values())), wanted)
        except BrokerError as error:
            if is_poll:
                self._problem, self._failures = error.sentence, self._failures + 1
        else:
            if is_poll:
                self._problem, self._failures = " ".join(self._source.last_problems), 0

    def accept(
        self, quotes: Mapping[str, Quote], instruments: Mapping[str, Instrument], source: Source = Source.POLL
    ) -> frozenset[str]:
        """Store newer quotes, polled or streamed. Return the symbols whose quote is now the newest."""
        now, latest = self._clock.monotonic(), self._broker_now()
        taken = set()
        for symbol, quote in quotes.items():
            book = self._books.get(symbol)
            if book is None:
                book = self._books[symbol] = QuoteBook(instruments[symbol].asset_class, self._confirm)
            if book.take(quote, now, source, latest):
                taken.add(symbol)
        return frozenset(taken)

    def traded(self, symbol: str, price: Decimal) -> None:
        """Store a stock's latest trade, which can confirm a quote from IEX."""
        if symbol in self._books:
            self._books[symbol].traded(price)

    def take_silent(self, streamed: Collection[str]) -> bool:
        """Whether polls brought prices of these streamed symbols before their stream did; each symbol counts once."""
        silent = [b for symbol in streamed if (b := self.book(symbol)) and b.polls_ahead >= SILENT_AFTER_POLLS]
        for book in silent:
            book.restarted()
        return bool(silent)

    def newest(self, symbol: str) -> Quote | None:
        """The newest quote; None before the first."""
        book = self._books.get(symbol)
        return book.newest if book else None

    def book(self, symbol: str) -> QuoteBook | None:
        """The stored quotes of a symbol; None before the first."""
        return self._books.get(symbol)

    def wide_for(self, symbol: str) -> dt.timedelta:
        """How long the spread has been wide without a break."""
        book = self._books.get(symbol)
        return book.wide_for(self._clock.monotonic()) if book else dt.timedelta(0)

    def window(self, symbol: str) -> Window | None:
        """The best and the worst prices since a quote `confirm` older than the newest; None without such a quote."""
        book = self._books.get(symbol)
        return book.window if book else None

    def last_trade(self, symbol: str) -> Decimal | None:
        """The latest streamed trade; None when there was none."""
        book = self._books.get(symbol)
        return book.last_trade if book else None

    def last_streamed(self, symbols: Iterable[str]) -> float | None:
        """Seconds since any of these symbols had a streamed quote; None when none ever had."""
        books = [book for symbol in symbols if (book := self._books.get(symbol)) is not None]
        last = max((book.streamed_at for book in books), default=float("-inf"))
        return None if last == float("-inf") else self._clock.monotonic() - last

    def keep_only(self, symbols: Collection[str]) -> None:
        """Delete the quotes of all other symbols."""
        for symbol in self._books.keys() - symbols:
            del self._books[symbol]
