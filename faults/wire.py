"""The wire between the program and the exchange: latency, a log of what went over it, and steps to die at."""

import datetime as dt
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from faults.loop import LoopClock
from faults.steps import Step
from sellctl.core.errors import BrokerError, NotFoundError, UnknownOutcomeError
from sellctl.core.model.instrument import Instrument
from sellctl.core.model.market import BrokerClock, Quote, Session
from sellctl.core.model.order import Order
from sellctl.core.model.plan import SubmitOrder
from sellctl.core.model.position import Position
from sellctl.core.model.snapshot import AccountFacts, Rows
from sellctl.core.ports import Broker, Journal, QuoteSource
from sellctl.sim.inprocess import body_of

T = TypeVar("T")
TIMES_OUT = 5.0  # seconds after which a client has had enough of silence


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request about an order and the answer as the program got it: ok, not found, refused or doubt."""

    at: dt.datetime
    what: str
    client_order_id: str
    answer: str
    body: Mapping[str, str] = field(default_factory=dict)
    process: int = 0


@dataclass(slots=True)
class Wire:
    """What all brokers of one bench share."""

    clock: LoopClock
    step: Step
    latency: float
    rng: Callable[[], float]
    arrives: Callable[[str, SubmitOrder], None]  # told what is about to reach the exchange
    cancels: Callable[[str, str], None]
    log: list[LoggedRequest] = field(default_factory=list)
    reads: int = 0
    polls: int = 0  # each asks for the positions once
    process: int = 0
    hours: list[dt.datetime] = field(default_factory=list)  # when the broker's clock was read

    async def travel(self) -> None:
        """One way."""
        if self.latency:
            await self.clock.sleep(self.latency * self.rng())

    def log_request(self, what: str, client_order_id: str, answer: str, body: Mapping[str, str] | None = None) -> None:
        """Write one exchange down."""
        self.log.append(
            LoggedRequest(self.clock.now() - self.clock.skew, what, client_order_id, answer, body or {}, self.process)
        )


class ProbedBroker:
    """The Broker port around another one. Everything about orders passes the steps and the log."""

    def __init__(self, inner: Broker, wire: Wire) -> None:
        self._inner = inner
        self._wire = wire

    @property
    def name(self) -> str:
        """Our name for the account."""
        return self._inner.name

    async def account(self) -> AccountFacts:
        """Passed on."""
        return await self._read(self._inner.account)

    async def positions(self) -> Rows[Position]:
        """Passed on, and counted: a look."""
        self._wire.polls += 1
        return await self._read(self._inner.positions)

    async def open_orders(self) -> Rows[Order]:
        """Passed on."""
        return await self._read(self._inner.open_orders)

    async def orders_since(self, start: dt.datetime, symbols: Collection[str]) -> Rows[Order]:
        """Passed on."""
        return await self._read(lambda: self._inner.orders_since(start, symbols))

    async def is_penny(self, symbol: str) -> bool | None:
        """Passed on."""
        return await self._read(lambda: self._inner.is_penny(symbol))

    async def order_by_client_id(self, client_order_id: str) -> Order:
        """Passed on, and logged."""
        return await self._about("look-up", client_order_id, lambda: self._inner.order_by_client_id(client_order_id))

    def body(self, order: SubmitOrder) -> Mapping[str, str]:
        """What is sent."""
        body = getattr(self._inner, "body", None)
        return body(order) if body else {key: str(value) for key, value in body_of(order).items()}

    async def submit(self, order: SubmitOrder) -> Order:
        """Passed on, and logged with its body."""

        async def send() -> Order:
            self._wire.arrives(self.name, order)
            return await self._inner.submit(order)

        return await self._about("submit", order.client_order_id, send, self.body(order))

    async def cancel(self, order_id: str) -> None:
        """Passed on, and logged."""

        async def send() -> None:
            self._wire.cancels(self.name, order_id)
            await self._inner.cancel(order_id)

        await self._about("cancel", order_id, send)

    async def clock(self) -> BrokerClock:
        """Passed on."""
        said = await self._read(self._inner.clock)
        self._wire.hours.append(self._wire.clock.now() - self._wire.clock.skew)
        return said

    async def sessions(self, start: dt.date, end: dt.date) -> tuple[Session, ...]:
        """Passed on."""
        return await self._read(lambda: self._inner.sessions(start, end))

    async def _read(self, ask: Callable[[], Awaitable[T]]) -> T:
        self._wire.reads += 1
        await self._wire.travel()
        try:
            answer = await ask()
        except UnknownOutcomeError:
            await self._wire.clock.sleep(TIMES_OUT * self._wire.rng())
            raise
        await self._wire.travel()
        return answer

    async def _about(
        self, what: str, name: str, ask: Callable[[], Awaitable[T]], body: Mapping[str, str] | None = None
    ) -> T:
        wire = self._wire
        wire.step(f"broker.{what}.before")
        if what == "submit":
            wire.log_request("sending", name, "", body)
        await wire.travel()
        try:
            answer = await ask()
        except BrokerError as error:
            wire.step(f"broker.{what}.failed")
            await wire.clock.sleep(TIMES_OUT * wire.rng() if isinstance(error, UnknownOutcomeError) else 0.0)
            wire.log_request(what, name, _kind(error), body)
            raise
        wire.step(f"broker.{what}.arrived")
        await wire.travel()
        wire.log_request(what, name, "ok", body)
        wire.step(f"broker.{what}.after")
        return answer


def _kind(error: BrokerError) -> str:
    if isinstance(error, NotFoundError):
        return "not found"
    return "doubt" if isinstance(error, UnknownOutcomeError) else "refused"


class ProbedQuotes:
    """The QuoteSource port around another one, with latency."""

    @property
    def last_problems(self) -> tuple[str, ...]:
        """The inner one's."""
        return self._inner.last_problems

    def __init__(self, inner: QuoteSource, wire: Wire) -> None:
        self._inner = inner
        self._wire = wire

    async def latest(self, instruments: Collection[Instrument]) -> Mapping[str, Quote]:
        """Passed on."""
        self._wire.reads += 1
        await self._wire.travel()
        return await self._inner.latest(instruments)


class ProbedJournal:
    """The Journal port around another one: a step before and after each thing that is written."""

    def __init__(self, inner: Journal, step: Step) -> None:
        self._inner = inner
        self._step = step

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._inner, name)
        return partial(self._write, name, asked) if name in _WRITES else asked

    def _write(self, name: str, action: Callable[..., T], *args: Any) -> T:
        place = _WRITES[name]
        what = f"{name} {args[place]}" if place else name
        self._step(f"journal.{what}.before")
        done = action(*args)
        self._step(f"journal.{what}.after")
        return done


# What is written, and which argument says of what kind it is (0: none does).
_WRITES = {"plan_made": 0, "intend": 0, "outcome": 2, "record_fill": 0, "note": 1}
