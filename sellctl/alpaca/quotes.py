"""Quotes for all accounts at once: batches of symbols, every account's key in turn, the best feed each is granted."""

import asyncio
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sellctl.alpaca.convert import quotes_of
from sellctl.alpaca.errors import FeedNotGrantedError
from sellctl.alpaca.paging import batches_of
from sellctl.alpaca.rest import Ask, RateLimit, RestClient
from sellctl.core.config.schema import MarketDataConfig, OptionFeed, StockFeed
from sellctl.core.errors import AuthError, BrokerError, NotFoundError, RateLimitedError, RequestRejectedError
from sellctl.core.model.instrument import AssetClass, Instrument
from sellctl.core.model.market import Quote
from sellctl.core.model.snapshot import InvalidRow, Rows

_BENCH: Final = 12  # looks during which a key that failed is asked last: a minute at the default interval
_PATIENCE: Final = 12.0  # seconds after which a batch isn't tried with one more key
_NOT_ABOUT_SYMBOLS: Final = (FeedNotGrantedError, RateLimitedError, NotFoundError)
_NO_ROWS: Final[Rows[Quote]] = Rows(())
_WORD: Final = re.compile(r"[A-Za-z0-9./]+")


@dataclass(frozen=True, slots=True)
class _Market:
    """Where the quotes of one asset class are, and its feeds, the best first."""

    what: str
    path: str
    version: str
    feeds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Symbols of one market that go into one request."""

    market: _Market
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What came of a batch: quotes and unreadable rows, or the error when every key failed."""

    batch: _Batch
    rows: Rows[Quote] = _NO_ROWS
    error: BrokerError | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """What a person should know, a sentence each."""
        invalid = tuple(f"{row.symbol}: its quote can't be read: {row.why}." for row in self.rows.invalid)
        return invalid if self.error is None else (*invalid, self._nothing_came())

    def _nothing_came(self) -> str:
        first, *others = self.batch.symbols
        return f"No quotes for {first}{f' and {len(others)} more' if others else ''}: {self.error}"


@dataclass(slots=True)
class _KeyState:
    """What is remembered of a key: feeds refused to it, and until which look it is asked last."""

    client: RestClient
    refused: set[str] = field(default_factory=set)
    benched_until: int = 0

    def feeds(self, market: _Market) -> tuple[str, ...]:
        """The feeds worth asking for; the last one always is, since a refusal may be lifted."""
        *better, last = market.feeds
        return (*(feed for feed in better if feed not in self.refused), last)


class AlpacaQuotes:
    """The QuoteSource port on Alpaca's market data API."""

    def __init__(
        self,
        clients: Sequence[RestClient],
        config: MarketDataConfig,
        *,
        patience: float = _PATIENCE,
    ) -> None:
        self._problems: tuple[str, ...] = ()
        self._keys = [_KeyState(client) for client in clients]
        self._markets = {AssetClass.STOCK: _stocks(config.stock_feed), AssetClass.OPTION: _options(config.option_feed)}
        self._patience = patience
        self._look = 0
        self._turn = 0

    @property
    def last_problems(self) -> tuple[str, ...]:
        """What the last look did not get, a sentence each."""
        return self._problems

    @property
    def rate_limits(self) -> dict[str, RateLimit | None]:
        """The market data budget of each account's key, as its last answer told it."""
        return {key.client.account: key.client.rate_limit for key in self._keys}

    async def latest(self, instruments: Collection[Instrument]) -> Mapping[str, Quote]:
        """The newest quote a symbol; a symbol without one is absent. BrokerError when none could be fetched at all."""
        batches = self._batches(instruments)
        fetched = await asyncio.gather(*(self._fetch(batch, self._in_turn()) for batch in batches))
        self._look += 1
        self._problems = tuple(problem for part in fetched for problem in part.problems)
        _raise_if_all_failed(fetched)
        return {quote.symbol: quote for part in fetched for quote in part.rows.rows}

    def _batches(self, instruments: Collection[Instrument]) -> list[_Batch]:
        """Only stocks and options are asked for; nothing else is ever traded by us."""
        batches = []
        for asset, market in self._markets.items():
            symbols = sorted({each.symbol for each in instruments if each.asset_class is asset})
            batches += [_Batch(market, batch) for batch in batches_of(symbols)]
        return batches

    def _in_turn(self) -> list[_KeyState]:
        """The keys, another one first each time, and those that failed lately last."""
        self._turn += 1
        start = self._turn % max(len(self._keys), 1)
        rotated = self._keys[start:] + self._keys[:start]
        return sorted(rotated, key=lambda key: key.benched_until > self._look)

    async def _fetch(self, batch: _Batch, keys: list[_KeyState]) -> _Fetched:
        """The batch by the first key that gets it, as long as there is patience."""
        error: BrokerError | None = None
        until = time.monotonic() + self._patience
        for key in keys:
            if error is not None and time.monotonic() > until:
                break
            try:
                rows = await _with_key(key, batch)
            except BrokerError as failed:
                key.benched_until = self._look + _BENCH
                error = failed
            else:
                key.benched_until = 0
                return _Fetched(batch, rows)
        return _Fetched(batch, error=error)


async def _with_key(key: _KeyState, batch: _Batch) -> Rows[Quote]:
    """The batch by one key, from the best feed that the key is granted."""
    *better, last = key.feeds(batch.market)
    for feed in better:
        try:
            return await _ask(key.client, batch, feed)
        except FeedNotGrantedError:
            key.refused.add(feed)
    return await _ask(key.client, batch, last)


async def _ask(client: RestClient, batch: _Batch, feed: str) -> Rows[Quote]:
    """One request; when Alpaca refuses it for some of its symbols, those spoil only themselves."""
    query = {"symbols": ",".join(batch.symbols), "feed": feed}
    ask = Ask(batch.market.what, batch.market.path, query, version=batch.market.version)
    try:
        return await client.ask(ask, partial(quotes_of, symbols=frozenset(batch.symbols), feed=feed))
    except RequestRejectedError as refused:
        why = refused.answer.message
        if isinstance(refused, _NOT_ABOUT_SYMBOLS) or "symbol" not in why:
            raise
    culprits = _culprits(batch, why)
    invalid: Rows[Quote] = Rows((), tuple(InvalidRow(symbol, why) for symbol in culprits))
    return _joined([invalid, *[await _ask(client, part, feed) for part in _rest(batch, culprits)]])


def _culprits(batch: _Batch, why: str) -> tuple[str, ...]:
    """The symbols that a refusal names, or the only one it can mean."""
    words = {word.strip(".") for word in _WORD.findall(why)}
    return batch.symbols if len(batch.symbols) == 1 else tuple(each for each in batch.symbols if each in words)


def _rest(batch: _Batch, culprits: tuple[str, ...]) -> list[_Batch]:
    """What is still to be asked for: all but the culprits, or two halves when none is named."""
    left = tuple(symbol for symbol in batch.symbols if symbol not in culprits)
    cut = len(left) if culprits else len(left) // 2
    return [_Batch(batch.market, part) for part in (left[:cut], left[cut:]) if part]


def _joined(parts: Sequence[Rows[Quote]]) -> Rows[Quote]:
    return Rows(tuple(row for part in parts for row in part.rows), tuple(row for part in parts for row in part.invalid))


def _raise_if_all_failed(fetched: Sequence[_Fetched]) -> None:
    """The one error that stands for all; a refused key only when there was nothing else."""
    errors = [part.error for part in fetched if part.error is not None]
    if errors and len(errors) == len(fetched):
        raise next((error for error in errors if not isinstance(error, AuthError)), errors[0])


def _stocks(feed: StockFeed) -> _Market:
    feeds = (StockFeed.SIP, StockFeed.IEX) if feed is StockFeed.AUTO else (feed,)
    return _Market("reading stock quotes", "/stocks/quotes/latest", "v2", tuple(each.value for each in feeds))


def _options(feed: OptionFeed) -> _Market:
    feeds = (OptionFeed.OPRA, OptionFeed.INDICATIVE) if feed is OptionFeed.AUTO else (feed,)
    return _Market("reading option quotes", "/options/quotes/latest", "v1beta1", tuple(each.value for each in feeds))
