"""The network between program and exchange: latency, a log of requests about orders, and named steps for kills."""

import datetime as dt
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from faults.loop import LoopClock
from faults.steps import Step
from sellctl.core.errors import (
    AuthError,
    BrokerError,
    NotFoundError,
    RateLimitedError,
    RequestRejectedError,
    UnknownOutcomeError,
)
from sellctl.core.model.instrument import Instrument, underlying_of
from sellctl.core.model.market import BrokerClock, Quote, Session, Split
from sellctl.core.model.order import Order
from sellctl.core.model.plan import SubmitOrder
from sellctl.core.model.position import Position
from sellctl.core.model.snapshot import AccountFacts, Rows
from sellctl.core.ports import Broker, CorporateActions, FeedSource, Journal, QuoteSource
from sellctl.sim.inprocess import body_of

T = TypeVar("T")
TIMEOUT = 5.0  # seconds until a client gives up waiting for a response


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request about an order and its answer as the program received it: ok, not found, refused or unknown.

    `kind` says what was refused: the key, the request budget, or the order, in the words of core.errors.Refusal.
    """

    at: dt.datetime
    what: str
    client_order_id: str
    answer: str
    body: Mapping[str, object] = field(default_factory=dict)
    process: int = 0
    kind: str = ""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of the order; none without a body."""
        legs = self.body.get("legs")
        named = [leg["symbol"] for leg in legs] if isinstance(legs, list) else [self.body.get("symbol")]
        return tuple(str(symbol) for symbol in named if symbol)


@dataclass(slots=True)
class Network:
    """The state that all probed brokers of a run share."""

    clock: LoopClock
    step: Step
    latency: float
    rng: Callable[[], float]
    arrives: Callable[[str, SubmitOrder], None]  # called before an order reaches the exchange
    cancels: Callable[[str, str], None]
    log: list[LoggedRequest] = field(default_factory=list)
    reads: int = 0
    polls: int = 0  # counted by requests for positions, one per poll
    process: int = 0
    clock_reads: list[dt.datetime] = field(default_factory=list)  # when the broker's clock was read
    positions_read: list[dt.datetime] = field(default_factory=list)  # when a request for positions was answered
    orders_read: list[dt.datetime] = field(default_factory=list)  # likewise for open orders
    increments_asked: set[str] = field(default_factory=set)  # underlyings

    @property
    def at(self) -> dt.datetime:
        """The instant, without the error of the host's clock."""
        return self.clock.now() - self.clock.skew

    async def travel(self) -> None:
        """Wait for the latency of one direction."""
        if self.latency:
            await self.clock.sleep(self.latency * self.rng())

    def log_request(
        self, what: str, client_order_id: str, answer: str, body: Mapping[str, object] | None = None, kind: str = ""
    ) -> None:
        """Add one request to the log."""
        self.log.append(LoggedRequest(self.at, what, client_order_id, answer, body or {}, self.process, kind))


class ProbedBroker:
    """A Broker that wraps another one: adds latency, and steps and log entries to requests about orders."""

    def __init__(self, inner: Broker, network: Network) -> None:
        self._inner = inner
        self._network = network

    @property
    def name(self) -> str:
        """The account's name in the configuration."""
        return self._inner.name

    @property
    def load(self) -> float:
        """That of the wrapped broker."""
        return self._inner.load

    async def account(self, *, urgent: bool = False) -> AccountFacts:
        """Delegate with latency."""
        return await self._read(lambda: self._inner.account(urgent=urgent))

    async def positions(self, *, urgent: bool = False) -> Rows[Position]:
        """Count a poll and delegate."""
        self._network.polls += 1
        rows = await self._read(lambda: self._inner.positions(urgent=urgent))
        self._network.positions_read.append(self._network.at)
        return rows

    async def open_orders(self, *, urgent: bool = False) -> Rows[Order]:
        """Delegate with latency."""
        rows = await self._read(lambda: self._inner.open_orders(urgent=urgent))
        self._network.orders_read.append(self._network.at)
        return rows

    async def orders_since(
        self, start: dt.datetime, symbols: Collection[str] | None, *, for_order: bool = True, urgent: bool = False
    ) -> Rows[Order]:
        """Delegate with latency."""
        return await self._read(lambda: self._inner.orders_since(start, symbols, for_order=for_order, urgent=urgent))

    async def penny_program(self, contracts: Sequence[str]) -> Mapping[str, bool]:
        """Delegate with latency, and record the underlyings."""
        self._network.increments_asked |= {underlying_of(symbol) for symbol in contracts}
        return await self._read(lambda: self._inner.penny_program(contracts))

    async def order_by_client_id(self, client_order_id: str) -> Order:
        """Delegate, and log the request."""
        return await self._order_request(
            "look-up", client_order_id, lambda: self._inner.order_by_client_id(client_order_id)
        )

    def body(self, order: SubmitOrder) -> Mapping[str, object]:
        """The fields of the request that submits an order."""
        body = getattr(self._inner, "body", None)
        return body(order) if body else body_of(order)

    async def submit(self, order: SubmitOrder) -> Order:
        """Delegate, and log the request with its body."""

        async def send() -> Order:
            self._network.arrives(self.name, order)
            return await self._inner.submit(order)

        return await self._order_request("submit", order.client_order_id, send, self.body(order))

    async def cancel(self, order_id: str) -> None:
        """Delegate, and log the request."""

        async def send() -> None:
            self._network.cancels(self.name, order_id)
            await self._inner.cancel(order_id)

        await self._order_request("cancel", order_id, send)

    async def clock(self) -> BrokerClock:
        """Delegate with latency."""
        clock = await self._read(self._inner.clock)
        self._network.clock_reads.append(self._network.at)
        return clock

    async def sessions(self, start: dt.date, end: dt.date) -> tuple[Session, ...]:
        """Delegate with latency."""
        return await self._read(lambda: self._inner.sessions(start, end))

    async def _read(self, request: Callable[[], Awaitable[T]]) -> T:
        self._network.reads += 1
        await self._network.travel()
        try:
            answer = await request()
        except UnknownOutcomeError:
            await self._network.clock.sleep(TIMEOUT * self._network.rng())
            raise
        await self._network.travel()
        return answer

    async def _order_request(
        self, what: str, name: str, request: Callable[[], Awaitable[T]], body: Mapping[str, object] | None = None
    ) -> T:
        network = self._network
        network.step(f"broker.{what}.before")
        if what == "submit":
            network.log_request("sending", name, "", body)
        await network.travel()
        try:
            answer = await request()
        except BrokerError as error:
            network.step(f"broker.{what}.failed")
            await network.clock.sleep(TIMEOUT * network.rng() if isinstance(error, UnknownOutcomeError) else 0.0)
            network.log_request(what, name, _answer_kind(error), body, _refusal_kind(error))
            raise
        network.step(f"broker.{what}.arrived")
        await network.travel()
        network.log_request(what, name, "ok", body)
        network.step(f"broker.{what}.after")
        return answer


def _answer_kind(error: BrokerError) -> str:
    if isinstance(error, NotFoundError):
        return "not found"
    return "unknown" if isinstance(error, UnknownOutcomeError) else "refused"


def _refusal_kind(error: BrokerError) -> str:
    if isinstance(error, AuthError):
        return "key"
    if isinstance(error, RateLimitedError):
        return "budget"
    return error.refusal.value if isinstance(error, RequestRejectedError) else ""


class MarketData(QuoteSource, CorporateActions, Protocol):
    """A source of both quotes and corporate actions."""


class ProbedQuotes:
    """Passes on quotes and corporate actions of another source, with latency."""

    @property
    def last_problems(self) -> tuple[str, ...]:
        """Those of the wrapped source."""
        return self._inner.last_problems

    def __init__(self, inner: MarketData, network: Network) -> None:
        self._inner = inner
        self._network = network

    async def latest(self, instruments: Collection[Instrument]) -> Mapping[str, Quote]:
        """Delegate with latency."""
        self._network.reads += 1
        await self._network.travel()
        return await self._inner.latest(instruments)

    async def splits(self, symbols: Collection[str], day: dt.date) -> tuple[Split, ...]:
        """Delegate with latency."""
        self._network.reads += 1
        await self._network.travel()
        return await self._inner.splits(symbols, day)

    async def try_better_feeds(self) -> None:
        """Delegate, if the wrapped source has several feeds."""
        if isinstance(self._inner, FeedSource):
            await self._inner.try_better_feeds()


class ProbedJournal:
    """A Journal that wraps another one: adds a named step before and after each write."""

    def __init__(self, inner: Journal, step: Step) -> None:
        self._inner = inner
        self._step = step

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        return partial(self._write, name, attribute) if name in _WRITES else attribute

    async def intend(self, *args: Any, fence: int | None = None) -> None:
        """Delegate with a step before and after."""
        await self._grouped("intend", partial(self._inner.intend, fence=fence), *args)

    async def accepted(self, *args: Any) -> None:
        """Likewise."""
        await self._grouped("accepted", self._inner.accepted, *args)

    async def plan_made(self, *args: Any) -> None:
        """Likewise."""
        await self._grouped("plan_made", self._inner.plan_made, *args)

    async def _grouped(self, what: str, action: Callable[..., Awaitable[None]], *args: Any) -> None:
        self._step(f"journal.{what}.before")
        await action(*args)
        self._step(f"journal.{what}.after")

    def _write(self, name: str, action: Callable[..., T], *args: Any) -> T:
        index = _WRITES[name]
        what = f"{name} {args[index]}" if index else name
        self._step(f"journal.{what}.before")
        done = action(*args)
        self._step(f"journal.{what}.after")
        return done


# The writing methods, and the position of the argument that names the kind of entry (0: none).
_WRITES = {"outcome": 2, "record_fill": 0, "note": 1}
