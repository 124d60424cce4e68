"""The newest quote a symbol, for all accounts at once, and how long its spread has been wide."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping

from sellctl.core.errors import BrokerError
from sellctl.core.guards import is_wide
from sellctl.core.model.instrument import AssetClass, Instrument
from sellctl.core.model.market import Quote
from sellctl.core.ports import Clock, QuoteSource

_QUOTED = frozenset({AssetClass.STOCK, AssetClass.OPTION})


class PriceTracker:
    """Fetches each symbol once for all accounts and keeps the newest quote; an older one never replaces it."""

    def __init__(self, source: QuoteSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._quotes: dict[str, Quote] = {}
        self._wide_since: dict[str, float] = {}
        self.problem = ""

    async def refresh(self, instruments: Iterable[Instrument]) -> None:
        """Fetch the newest quotes. A failure leaves what is known, which then ages until no rule believes it."""
        wanted = {i.symbol: i for i in instruments if i.asset_class in _QUOTED}
        if not wanted:
            return
        try:
            self.accept(await self._source.latest(list(wanted.values())), wanted)
            self.problem = ""
        except BrokerError as error:
            self.problem = error.sentence

    def accept(self, quotes: Mapping[str, Quote], instruments: Mapping[str, Instrument]) -> None:
        """Take newer quotes, from whichever way they came."""
        for symbol, quote in quotes.items():
            known = self._quotes.get(symbol)
            if known is None or quote.at >= known.at:
                self._quotes[symbol] = quote
                self._mind_the_width(quote, instruments[symbol])

    def newest(self, symbol: str) -> Quote | None:
        """The newest quote; None when none ever came."""
        return self._quotes.get(symbol)

    def wide_for(self, symbol: str) -> dt.timedelta:
        """How long the spread has been wide without a break."""
        since = self._wide_since.get(symbol)
        return dt.timedelta(seconds=0 if since is None else self._clock.monotonic() - since)

    def keep_only(self, symbols: Collection[str]) -> None:
        """Forget what is no longer held by anybody."""
        for symbol in self._quotes.keys() - symbols:
            del self._quotes[symbol]
            self._wide_since.pop(symbol, None)

    def _mind_the_width(self, quote: Quote, instrument: Instrument) -> None:
        if is_wide(quote, instrument.asset_class):
            self._wide_since.setdefault(quote.symbol, self._clock.monotonic())
        else:
            self._wide_since.pop(quote.symbol, None)
