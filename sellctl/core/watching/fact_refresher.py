"""Asks again for what is remembered, after the decisions of a poll were carried out; no order waits for it."""

import asyncio
import datetime as dt
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from sellctl.core.decision.pricing import needs_price_increment
from sellctl.core.errors import BrokerError, NotFoundError, RequestRejectedError
from sellctl.core.market_clock import MarketClock
from sellctl.core.model.instrument import Instrument
from sellctl.core.model.market import Market
from sellctl.core.ports import Broker, Clock, FeedSource, QuoteSource
from sellctl.core.tracking.remembered_facts import RememberedFacts
from sellctl.core.watching.poll_schedule import EASY_LOAD

_LOG = logging.getLogger(__name__)

REFRESH_SECONDS = 5.0  # at least between the beginnings of two refreshes
RETRY_SECONDS = 60.0  # after a request without a clear answer
UNDERLYINGS_PER_REQUEST = 10  # a page of a thousand contracts has those of about ten underlyings and one expiry


@dataclass(slots=True)
class FactRefresher:
    """Refreshes the remembered facts of all accounts in the background, one request of a kind at a time."""

    facts: RememberedFacts
    market_clock: MarketClock
    quotes: QuoteSource
    clock: Clock
    _task: asyncio.Task[None] | None = None
    _not_before: float = float("-inf")
    _day: dt.date | None = None
    _alone: set[str] = field(default_factory=set)  # underlyings that the answer on several lacked
    _unanswered: set[str] = field(default_factory=set)  # those that an answer on them alone lacked

    @property
    def tasks(self) -> Collection[asyncio.Task[None]]:
        """The refresh that is under way."""
        return () if self._task is None or self._task.done() else (self._task,)

    def begin(
        self,
        after: Iterable[asyncio.Task[None]],
        brokers: Sequence[Broker],
        instruments: Iterable[Instrument],
        market: Market,
    ) -> None:
        """Refresh once the tasks `after` are done, unless the last refresh is under way or began just now.

        `brokers` are the accounts that were read, and `instruments` what they hold.
        """
        now = self.clock.monotonic()
        if self.tasks or now < self._not_before:
            return
        self._not_before = now + REFRESH_SECONDS
        self._task = asyncio.create_task(self._refresh(tuple(after), brokers, tuple(instruments), market))

    def stop(self) -> None:
        """Abandon a refresh that is under way, and store what was found out, unless no account was ever read."""
        if self._task is not None:
            self._task.cancel()
            self.facts.save()

    async def _refresh(
        self,
        after: Iterable[asyncio.Task[None]],
        brokers: Sequence[Broker],
        instruments: Iterable[Instrument],
        market: Market,
    ) -> None:
        await asyncio.gather(*after, return_exceptions=True)
        try:
            if market.is_open:
                await self._load_increments(brokers, instruments, market.today)
            await self.market_clock.refresh_calendar()
            if isinstance(self.quotes, FeedSource):
                await self.quotes.try_better_feeds()
        except Exception:  # noqa: BLE001  a bug here must neither stop a poll nor go unnoticed
            self._not_before = self.clock.monotonic() + RETRY_SECONDS
            _LOG.exception("Remembered facts can't be refreshed because of an internal error.")
        self.facts.save()

    async def _load_increments(
        self, brokers: Sequence[Broker], instruments: Iterable[Instrument], today: dt.date
    ) -> None:
        """Read whether the underlyings without an answer of today trade in pennies, by the keys that are used least.

        Not while the request budget is needed for more: the coarser increment serves until then.
        """
        if self._day != today:
            self._day = today
            self._alone.clear()
            self._unanswered.clear()
        for contracts in self._requests(instruments, today):
            broker = min(brokers, key=lambda each: each.load)
            if broker.load >= EASY_LOAD or not await self._load(broker, contracts, today):
                return

    def _requests(self, instruments: Iterable[Instrument], today: dt.date) -> list[list[Instrument]]:
        """One contract per underlying without an answer, those of one request together."""
        options = sorted((i for i in instruments if i.is_option and needs_price_increment(i.symbol)), key=_page)
        one_each = {option.underlying: option for option in options}
        lacking = self.facts.lacking(one_each.keys() - self._unanswered, today)
        alone = [[one_each[name]] for name in sorted(lacking & self._alone)]
        together = sorted((one_each[name] for name in lacking - self._alone), key=_page)
        pages = (list(group) for _, group in groupby(together, lambda option: _page(option)[:2]))
        size = UNDERLYINGS_PER_REQUEST
        return [*(page[i : i + size] for page in pages for i in range(0, len(page), size)), *alone]

    async def _load(self, broker: Broker, contracts: Sequence[Instrument], today: dt.date) -> bool:
        """One request. An underlying that its answer lacks is asked for alone, and then not again today.

        Return False when there was no clear answer: then they are asked for alone later.
        """
        names = {contract.underlying for contract in contracts}
        try:
            answer = await broker.penny_program([contract.symbol for contract in contracts])
        except BrokerError as error:
            if not _is_definite(error):
                self._alone |= names if len(contracts) > 1 else set()
                self._not_before = self.clock.monotonic() + RETRY_SECONDS
                return False
            answer = {}
        self.facts.increments_known({name: answer[name] for name in names & answer.keys()}, today)
        lacking = names - answer.keys()
        (self._alone if len(contracts) > 1 else self._unanswered).update(lacking)
        return True


def _is_definite(error: BrokerError) -> bool:
    """Whether asking the same again would be answered in the same way."""
    return isinstance(error, NotFoundError) or type(error) is RequestRejectedError


def _page(option: Instrument) -> tuple[str, str, str]:
    """What the contracts of one request have in common, and then their order."""
    contract = option.option
    return ("", "", option.symbol) if contract is None else (str(contract.expires), contract.right.value, option.symbol)
