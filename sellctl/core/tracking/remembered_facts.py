"""What rarely changes, remembered from process to process with its age: granted feeds, price increments, the calendar.

A fact is used at once. It is asked for again behind the orders (`fact_refresher`), and an answer that contradicts it
replaces it. Nothing here is a secret or about an order: without the file, everything is asked for again.
"""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Calendar

FORMAT = 1
PENNY_KEPT = dt.timedelta(days=30)  # an older fact is not written again


class GrantedFeed(Struct, frozen=True):
    """The best feed that a key was granted, and when better ones were refused last."""

    feed: str
    at: dt.datetime


class PennyFact(Struct, frozen=True):
    """Whether an underlying's options are in the Penny Interval Program, by an answer of one exchange date.

    `is_refused`: on that day an order was refused for its increment, so that the coarser one is used.
    """

    is_penny: bool
    day: dt.date
    is_refused: bool = False


class KnownCalendar(Struct, frozen=True):
    """The exchange's sessions up to and including `until`, by an answer of one exchange date."""

    calendar: Calendar
    until: dt.date
    asked_on: dt.date

    def covers(self, day: dt.date) -> bool:
        """Whether the sessions of this day are known."""
        return self.calendar.since <= day <= self.until


class Facts(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is remembered. `feeds` are by key and asset class, `penny` by underlying."""

    format: int = FORMAT
    feeds: dict[str, GrantedFeed] = field(default_factory=dict)
    penny: dict[str, PennyFact] = field(default_factory=dict)
    calendar: KnownCalendar | None = None


class FactsStore(Protocol):
    """Where facts are kept from process to process. No method raises an error: facts are never needed."""

    def load(self) -> Facts:
        """The stored facts; none when they can't be read."""

    def save(self, facts: Facts) -> bool:
        """Replace the stored facts. Return whether that succeeded."""


class RememberedFacts:
    """The facts that this process uses. Without a `store` they last as long as the process."""

    def __init__(self, store: FactsStore | None = None) -> None:
        self._store = store
        self._facts = store.load() if store else Facts()
        self._news = Facts()  # what this process found out since it saved last

    # --- feeds --------------------------------------------------------------------------------------------------------

    def granted_feed(self, key: str, asset: AssetClass) -> GrantedFeed | None:
        """The best feed that a key was granted; None before it was asked. `key` is the key's fingerprint."""
        return self._facts.feeds.get(_feed_name(key, asset))

    def feed_granted(self, key: str, asset: AssetClass, feed: str, at: dt.datetime) -> None:
        """A key was granted this feed, and refused every better one at this instant."""
        news = {_feed_name(key, asset): GrantedFeed(feed, at)}
        self._facts, self._news = (replace(each, feeds=each.feeds | news) for each in (self._facts, self._news))

    # --- price increments ---------------------------------------------------------------------------------------------

    def is_penny(self, underlying: str, today: dt.date) -> bool | None:
        """Whether an underlying is in the penny programme, by an answer of today; None when there is none."""
        fact = self._facts.penny.get(underlying)
        return fact.is_penny if fact is not None and fact.day == today else None

    def lacking(self, underlyings: Collection[str], today: dt.date) -> frozenset[str]:
        """Those of the underlyings whose price increment isn't known from today."""
        return frozenset(name for name in underlyings if self.is_penny(name, today) is None)

    def increments_known(self, answer: Mapping[str, bool], today: dt.date) -> None:
        """The broker's answer by underlying. It doesn't lift a refusal of today."""
        refused = {name for name, fact in self._facts.penny.items() if fact.is_refused and fact.day == today}
        self._set_penny({name: PennyFact(answer[name], today) for name in answer.keys() - refused})

    def increment_refused(self, underlying: str, today: dt.date) -> bool:
        """An order was refused for its increment: today the coarser one is used. False when it was already."""
        known = self._facts.penny.get(underlying)
        if known is not None and known.day == today and not known.is_penny:
            return False
        self._set_penny({underlying: PennyFact(is_penny=False, day=today, is_refused=True)})
        return True

    def _set_penny(self, news: dict[str, PennyFact]) -> None:
        self._facts, self._news = (replace(each, penny=each.penny | news) for each in (self._facts, self._news))

    # --- the calendar -------------------------------------------------------------------------------------------------

    @property
    def calendar(self) -> KnownCalendar | None:
        """The last calendar."""
        return self._facts.calendar

    def calendar_known(self, calendar: KnownCalendar) -> None:
        """The broker's answer."""
        self._facts, self._news = (replace(each, calendar=calendar) for each in (self._facts, self._news))

    # --- from process to process --------------------------------------------------------------------------------------

    def save(self) -> None:
        """Store what is new, beside what other processes have stored; what can't be stored now is at the next call."""
        news = self._news
        if self._store is None or news == Facts():
            return
        stored = self._store.load()
        newest = max((fact.day for fact in news.penny.values()), default=None)
        penny = stored.penny | news.penny
        if newest is not None:
            penny = {name: fact for name, fact in penny.items() if newest - fact.day <= PENNY_KEPT}
        calendar = news.calendar or stored.calendar
        if self._store.save(Facts(FORMAT, stored.feeds | news.feeds, penny, calendar)):
            self._news = Facts()


def _feed_name(key: str, asset: AssetClass) -> str:
    return f"{key} {asset.value}"
