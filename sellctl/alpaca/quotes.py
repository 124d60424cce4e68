"""The ports QuoteSource and CorporateActions on Alpaca's market data API, for all accounts at once.

Symbols are requested in batches that are spread over the accounts' keys, each from the best feed its key may use. The
feed that a key was granted is remembered, so that no later process asks for one that was refused; every few hours a
better one is requested again, after everything else. A key without a remembered feed begins with the best feed that any
other key was granted, so that many keys don't collect one refusal each; better ones are requested later, one key at a
time. While no feed of any key is known, as in the first run of all, every feed is requested at once and the best answer
counts: a refusal of the best feed then costs no additional round trip.
"""

import asyncio
import datetime as dt
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final

from sellctl.alpaca.convert import is_ordinary_symbol, quotes_of, splits_of
from sellctl.alpaca.errors import FeedNotGrantedError
from sellctl.alpaca.paging import batches_of
from sellctl.alpaca.rest import ApiRequest, RateLimit, RestClient
from sellctl.core.config.schema import MarketDataConfig, OptionFeed, StockFeed
from sellctl.core.errors import AuthError, BrokerError, NotFoundError, RateLimitedError, RequestRejectedError
from sellctl.core.model.instrument import AssetClass, Instrument
from sellctl.core.model.market import Quote, Split
from sellctl.core.model.snapshot import InvalidRow, Rows
from sellctl.core.tracking.remembered_facts import RememberedFacts

BETTER_FEED_AFTER: Final = dt.timedelta(hours=6)  # how long a refusal of a better feed counts
_POLLS_DEFERRED: Final = 12  # polls for which a key that failed is tried last: a minute at the default interval
_RETRY_SECONDS: Final = 12.0  # after this no further key is tried for a batch
_NOT_ABOUT_SYMBOLS: Final = (FeedNotGrantedError, RateLimitedError, NotFoundError)
_SPLIT_TYPES: Final = "forward_split,reverse_split,stock_dividend"
_PROCESSED_WITHIN_DAYS: Final = 7
_MAX_PAGES: Final = 20
_NO_ROWS: Final[Rows[Quote]] = Rows(())
_WORD: Final = re.compile(r"[A-Za-z0-9./]+")


@dataclass(frozen=True, slots=True)
class _Market:
    """The endpoint of one asset class's quotes and its feeds, the best first."""

    asset: AssetClass
    action: str
    path: str
    version: str
    feeds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Symbols of one market for one request."""

    market: _Market
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Fetched:
    """The result of a batch: quotes and unreadable rows, or the last error when every key failed."""

    batch: _Batch
    rows: Rows[Quote] = _NO_ROWS
    error: BrokerError | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """The problems of this batch, one sentence each."""
        invalid = tuple(f"{row.symbol}: its quote is unreadable: {row.why}." for row in self.rows.invalid)
        return invalid if self.error is None else (*invalid, self._failure())

    def _failure(self) -> str:
        first, *others = self.batch.symbols
        return f"No quotes for {first}{f' and {len(others)} more' if others else ''}: {self.error}"


@dataclass(slots=True)
class _KeyState:
    """A key's client, the feeds that it was granted, and until which poll it is tried last."""

    client: RestClient
    facts: RememberedFacts
    now: Callable[[], dt.datetime]
    deferred_until: int = 0

    def feeds(self, market: _Market, best_granted: int | None) -> tuple[str, ...]:
        """The feeds to try in order: from the one that was granted on, and then the better ones.

        A key without a remembered feed starts at the index `best_granted` of the market's feeds, or with the best.
        """
        granted = self.granted_index(market)
        start = (best_granted or 0) if granted is None else granted
        return (*market.feeds[start:], *market.feeds[:start])

    def better_feeds(self, market: _Market) -> tuple[str, ...]:
        """The feeds that were refused so long ago that they are worth another request, the best first."""
        known, start = self.facts.granted_feed(self.client.key_fingerprint, market.asset), self.granted_index(market)
        is_old = known is not None and not dt.timedelta(0) <= self.now() - known.at < BETTER_FEED_AFTER
        return market.feeds[:start] if start and is_old else ()

    def granted(self, market: _Market, feed: str, *, better_refused: bool = False) -> None:
        """The key was granted this feed; with `better_refused`, every better one has just been refused."""
        known = self.facts.granted_feed(self.client.key_fingerprint, market.asset)
        if better_refused or known is None or known.feed != feed:
            self.facts.feed_granted(self.client.key_fingerprint, market.asset, feed, self.now())

    def granted_index(self, market: _Market) -> int | None:
        """The index of the granted feed in the market's feeds; None while no feed is remembered for the key."""
        known = self.facts.granted_feed(self.client.key_fingerprint, market.asset)
        return market.feeds.index(known.feed) if known is not None and known.feed in market.feeds else None


def utc_now() -> dt.datetime:
    """The host's time."""
    return dt.datetime.now(dt.UTC)


class AlpacaQuotes:
    """The ports QuoteSource and CorporateActions on Alpaca's market data API."""

    def __init__(
        self,
        clients: Sequence[RestClient],
        config: MarketDataConfig,
        *,
        retry_seconds: float = _RETRY_SECONDS,
        facts: RememberedFacts | None = None,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        """`facts` has the feeds that the keys were granted, which age by `now`."""
        self._problems: tuple[str, ...] = ()
        facts = facts or RememberedFacts()
        self._keys = [_KeyState(client, facts, now) for client in clients]
        self._samples: dict[AssetClass, str] = {}  # a symbol whose quotes were requested last
        self._markets = {AssetClass.STOCK: _stocks(config.stock_feed), AssetClass.OPTION: _options(config.option_feed)}
        self._retry_seconds = retry_seconds
        self._polls = 0
        self._fetches = 0

    @property
    def last_problems(self) -> tuple[str, ...]:
        """The problems of the last poll, one sentence each."""
        return self._problems

    @property
    def rate_limits(self) -> dict[str, RateLimit | None]:
        """The market data budget of each account's key, from its last answer that had one."""
        return {key.client.account: key.client.rate_limit for key in self._keys}

    async def latest(self, instruments: Collection[Instrument]) -> Mapping[str, Quote]:
        """The newest quote per symbol; symbols without a quote are absent. BrokerError when every batch failed."""
        batches = self._batches(instruments)
        self._samples |= {batch.market.asset: batch.symbols[0] for batch in reversed(batches)}
        fetched = await asyncio.gather(*(self._fetch(batch, self._keys_to_try()) for batch in batches))
        self._polls += 1
        self._problems = tuple(problem for part in fetched for problem in part.problems)
        _raise_if_all_failed(fetched)
        return {quote.symbol: quote for part in fetched for quote in part.rows.rows}

    async def splits(self, symbols: Collection[str], day: dt.date) -> tuple[Split, ...]:
        """The splits of these stocks whose ex-date is `day`, from the first key that answers about all of them.

        Symbols of unusual form are left out: Alpaca may refuse the whole request for one of them.
        """
        error: BrokerError | None = None
        ordinary = sorted(filter(is_ordinary_symbol, symbols))
        for key in self._keys_to_try():
            try:
                parts = [await _splits(key.client, batch, day) for batch in batches_of(ordinary)]
            except BrokerError as failed:
                error = failed
            else:
                return tuple(split for part in parts for split in part)
        raise error or BrokerError("No key is configured that could read the corporate actions.")

    async def try_better_feeds(self) -> None:
        """Request better feeds: with keys that were refused them hours ago, and with one that has no remembered feed.

        One symbol, one request per feed and key.
        """
        wanted = []
        for market in (self._markets[asset] for asset in self._samples):
            batch, best = _Batch(market, (self._samples[market.asset],)), self._best_granted(market)
            unknown_keys = [key for key in self._keys if best and key.granted_index(market) is None]
            wanted += [(key, batch, key.better_feeds(market)) for key in self._keys]
            if unknown_keys:
                wanted.append((unknown_keys[self._polls % len(unknown_keys)], batch, market.feeds[:best]))
        await asyncio.gather(*(_try_better_feeds(*each) for each in wanted if each[2]))

    def _batches(self, instruments: Collection[Instrument]) -> list[_Batch]:
        """Only stocks and options: sellctl trades nothing else.

        Symbols of unusual form are requested separately: Alpaca may refuse the whole request for one of them.
        """
        batches = []
        for asset, market in self._markets.items():
            symbols = sorted({each.symbol for each in instruments if each.asset_class is asset})
            for ordinary in (True, False):
                group = [symbol for symbol in symbols if is_ordinary_symbol(symbol) is ordinary]
                batches += [_Batch(market, batch) for batch in batches_of(group)]
        return batches

    def _best_granted(self, market: _Market) -> int | None:
        """The index of the best feed that any key was granted; None while that isn't known of any."""
        granted = (key.granted_index(market) for key in self._keys)
        return min((index for index in granted if index is not None), default=None)

    def _keys_to_try(self) -> list[_KeyState]:
        """The keys, each time starting with the next one, and those that failed recently last."""
        self._fetches += 1
        start = self._fetches % max(len(self._keys), 1)
        rotated = self._keys[start:] + self._keys[:start]
        return sorted(rotated, key=lambda key: key.deferred_until > self._polls)

    async def _fetch(self, batch: _Batch, keys: list[_KeyState]) -> _Fetched:
        """The batch from the first key that succeeds, as long as the time for further keys is not over."""
        error: BrokerError | None = None
        deadline = time.monotonic() + self._retry_seconds
        for key in keys:
            if error is not None and time.monotonic() > deadline:
                break
            try:
                rows = await _with_key(key, batch, self._best_granted(batch.market))
            except BrokerError as failed:
                key.deferred_until = self._polls + _POLLS_DEFERRED
                error = failed
            else:
                key.deferred_until = 0
                return _Fetched(batch, rows)
        return _Fetched(batch, error=error)


async def _splits(client: RestClient, symbols: tuple[str, ...], day: dt.date) -> tuple[Split, ...]:
    """Every page of one batch. Alpaca filters by the day on which it processes an action, maybe not the ex-date."""
    first, last = (day + dt.timedelta(days=days) for days in (-_PROCESSED_WITHIN_DAYS, _PROCESSED_WITHIN_DAYS))
    query = {
        "symbols": ",".join(symbols),
        "types": _SPLIT_TYPES,
        "start": str(first),
        "end": str(last),
        "limit": "1000",
    }
    found: list[Split] = []
    for _ in range(_MAX_PAGES):
        request = ApiRequest("reading the corporate actions", "/corporate-actions", query, version="v1")
        splits, token = await client.request(request, partial(splits_of, day=day))
        found += splits
        if not token:
            return tuple(found)
        query = query | {"page_token": token}
    raise BrokerError(f"{client.account}: the list of corporate actions has no end.")


async def _with_key(key: _KeyState, batch: _Batch, best_granted: int | None) -> Rows[Quote]:
    """The batch from one key, from the best feed that the key is entitled to.

    A key without a remembered feed begins at the index `best_granted`. When that feed serves, it is not remembered:
    whether the key is granted a better one is still unknown.
    """
    market = batch.market
    feeds = key.feeds(market, best_granted)
    is_known = key.granted_index(market) is not None
    if best_granted is None and not is_known:
        feed, rows = await _from_all_feeds(key.client, batch, feeds)
    else:
        feed, rows = await _first_granted(feeds, lambda each: _request(key.client, batch, each))
    if is_known or not best_granted or feed == feeds[-1] or market.feeds.index(feed) < best_granted:
        key.granted(market, feed)
    return rows


async def _from_all_feeds(client: RestClient, batch: _Batch, feeds: tuple[str, ...]) -> tuple[str, Rows[Quote]]:
    """The best feed that is granted, and its rows; all feeds are requested at once."""
    requests = {feed: asyncio.ensure_future(_request(client, batch, feed)) for feed in feeds}
    try:
        return await _first_granted(feeds, requests.__getitem__)
    finally:
        for request in requests.values():
            request.cancel()
        await asyncio.gather(*requests.values(), return_exceptions=True)


async def _first_granted(
    feeds: tuple[str, ...], rows_from: Callable[[str], Awaitable[Rows[Quote]]]
) -> tuple[str, Rows[Quote]]:
    """The first of these feeds that is granted, and its rows. The last one's error when every one is refused."""
    *others, last = feeds
    for feed in others:
        try:
            return feed, await rows_from(feed)
        except BrokerError as error:
            if not _may_be_about_feed(error):
                raise
    return last, await rows_from(last)


def _may_be_about_feed(error: BrokerError) -> bool:
    """Whether another feed may be granted. Alpaca promises the status of a refusal and not its words.

    A 403 that gives no reason reads like a refused key, which the next feed tells apart: it refuses that too.
    """
    if isinstance(error, RequestRejectedError):
        return isinstance(error, FeedNotGrantedError) or error.answer.status == HTTPStatus.FORBIDDEN
    return isinstance(error, AuthError)


async def _try_better_feeds(key: _KeyState, batch: _Batch, better: tuple[str, ...]) -> None:
    """Use the best of these feeds that the key is granted by now. A refusal counts for some hours.

    Any other failure counts as one too, except for a key without a remembered feed: it is tried again soon.
    """
    for feed in better:
        try:
            await _request(key.client, batch, feed)
        except FeedNotGrantedError:
            continue
        except BrokerError:
            if key.granted_index(batch.market) is None:
                return
            continue
        key.granted(batch.market, feed)
        return
    key.granted(batch.market, batch.market.feeds[len(better)], better_refused=True)


async def _request(client: RestClient, batch: _Batch, feed: str) -> Rows[Quote]:
    """One request. Symbols for which Alpaca refuses it become unreadable rows, and the rest is requested again."""
    query = {"symbols": ",".join(batch.symbols), "feed": feed}
    request = ApiRequest(batch.market.action, batch.market.path, query, version=batch.market.version)
    try:
        return await client.request(request, partial(quotes_of, symbols=frozenset(batch.symbols), feed=feed))
    except RequestRejectedError as error:
        why = error.answer.message
        if isinstance(error, _NOT_ABOUT_SYMBOLS) or "symbol" not in why:
            raise
    refused = _refused_symbols(batch, why)
    invalid: Rows[Quote] = Rows((), tuple(InvalidRow(symbol, why) for symbol in refused))
    return _joined([invalid, *[await _request(client, part, feed) for part in _remaining(batch, refused)]])


def _refused_symbols(batch: _Batch, why: str) -> tuple[str, ...]:
    """The symbols that a refusal names, or the batch's only symbol."""
    words = {word.strip(".") for word in _WORD.findall(why)}
    return batch.symbols if len(batch.symbols) == 1 else tuple(each for each in batch.symbols if each in words)


def _remaining(batch: _Batch, refused: tuple[str, ...]) -> list[_Batch]:
    """What is still to be requested: all but the refused symbols, or two halves when none is named."""
    left = tuple(symbol for symbol in batch.symbols if symbol not in refused)
    cut = len(left) if refused else len(left) // 2
    return [_Batch(batch.market, part) for part in (left[:cut], left[cut:]) if part]


def _joined(parts: Sequence[Rows[Quote]]) -> Rows[Quote]:
    return Rows(tuple(row for part in parts for row in part.rows), tuple(row for part in parts for row in part.invalid))


def _raise_if_all_failed(fetched: Sequence[_Fetched]) -> None:
    """Raise one error for all when every batch failed: a refused key only when nothing else went wrong."""
    errors = [part.error for part in fetched if part.error is not None]
    if errors and len(errors) == len(fetched):
        raise next((error for error in errors if not isinstance(error, AuthError)), errors[0])


def _stocks(feed: StockFeed) -> _Market:
    feeds = (StockFeed.SIP, StockFeed.IEX) if feed is StockFeed.AUTO else (feed,)
    return _Market(
        AssetClass.STOCK, "reading stock quotes", "/stocks/quotes/latest", "v2", tuple(each.value for each in feeds)
    )


def _options(feed: OptionFeed) -> _Market:
    feeds = (OptionFeed.OPRA, OptionFeed.INDICATIVE) if feed is OptionFeed.AUTO else (feed,)
    return _Market(
        AssetClass.OPTION,
        "reading option quotes",
        "/options/quotes/latest",
        "v1beta1",
        tuple(each.value for each in feeds),
    )
