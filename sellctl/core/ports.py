"""What the core asks of the world, as protocols: the shape of every adapter and every fake. Errors are core.errors'."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

from sellctl.core.model.episode import Episode
from sellctl.core.model.instrument import Instrument
from sellctl.core.model.intent import Intent, OpenOrder
from sellctl.core.model.market import BrokerClock, Quote, Session
from sellctl.core.model.order import Order
from sellctl.core.model.plan import ExitSignal, Plan, SubmitOrder
from sellctl.core.model.position import Position
from sellctl.core.model.snapshot import AccountFacts, Privileges, Rows, Snapshot


class Clock(Protocol):
    """The host's clock. Under simulation and in the demo all three run at the simulator's speed."""

    def now(self) -> dt.datetime:
        """The host's idea of the instant, UTC. Only for log lines and for the skew that doctor reports."""

    def monotonic(self) -> float:
        """Seconds since some start; never steps."""

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""


class Broker(Protocol):
    """One account at the broker. Every method raises BrokerError and its kinds; a failed read is never an empty one.

    Reads may raise AuthError, RequestRejectedError, RateLimitedError and UnknownOutcomeError. Lists are complete.
    """

    @property
    def name(self) -> str:
        """Our name for the account."""

    async def account(self) -> AccountFacts:
        """Number, paper or live, and whether the broker lets it trade."""

    async def positions(self) -> Rows[Position]:
        """Every position."""

    async def open_orders(self) -> Rows[Order]:
        """Every open order, multi-leg ones with their legs."""

    async def orders_since(self, start: dt.datetime, symbols: Collection[str]) -> Rows[Order]:
        """Every order of these symbols, whatever its state, submitted at or after `start`."""

    async def order_by_client_id(self, client_order_id: str) -> Order:
        """The order with our own id. NotFoundError is the definite no."""

    def body(self, order: SubmitOrder) -> Mapping[str, str]:
        """Exactly what `submit` sends, for the written intent."""

    async def submit(self, order: SubmitOrder) -> Order:
        """Send one order. RequestRejectedError: nothing happened. UnknownOutcomeError: look it up next."""

    async def cancel(self, order_id: str) -> None:
        """Ask the broker to end an order. Its answer is not the end: that is seen on the order itself.

        RequestRejectedError with NOT_CANCELABLE when it is terminal already or a cancel is pending.
        """

    async def is_penny(self, symbol: str) -> bool | None:
        """Whether an option contract is in the penny programme (`ppind`); None when the broker doesn't say."""

    async def clock(self) -> BrokerClock:
        """The broker's clock."""

    async def sessions(self, start: dt.date, end: dt.date) -> tuple[Session, ...]:
        """The exchange's sessions from `start` to `end`, both included."""


@runtime_checkable
class Privileged(Protocol):
    """A broker that can say what the account is allowed; only doctor asks."""

    async def privileges(self) -> Privileges:
        """Options level and short selling."""


class QuoteSource(Protocol):
    """Where quotes come from, for all accounts at once."""

    async def latest(self, instruments: Collection[Instrument]) -> Mapping[str, Quote]:
        """The newest quote a symbol; a symbol without one is absent. BrokerError when none could be fetched at all."""

    @property
    def last_problems(self) -> tuple[str, ...]:
        """What the last call did not get, a sentence each."""


class StreamListener(Protocol):
    """What a stream reports to. Called on the event loop that started the stream, never at the same time."""

    def quotes_received(self, quotes: Sequence[Quote]) -> None:
        """New quotes, in the order in which they came."""

    def trade_received(self, symbol: str, price: Decimal) -> None:
        """A stock traded."""

    def order_changed(self, account: str, symbol: str) -> None:
        """Something happened to an order of an account; `symbol` is "" for several at once."""

    def connection_changed(self, name: str, problem: str) -> None:
        """A connection came up (`problem` is "") or went down, and why."""


class Stream(Protocol):
    """News as they happen, for all accounts at once. They only wake: what is true is asked for."""

    def start(self, listener: StreamListener) -> None:
        """Begin to connect. Called on the event loop that the listener is called on."""

    def subscribe(self, instruments: Sequence[Instrument]) -> None:
        """Whose quotes to stream, the most wanted first; those beyond the limits of the plan are left to polling."""

    @property
    def streamed(self) -> frozenset[str]:
        """Symbols whose quotes are being streamed now."""

    @property
    def problems(self) -> Mapping[str, str]:
        """Every connection that there should be, and what is wrong with it; "" when nothing is."""

    def restart(self, why: str) -> None:
        """Connect the quotes anew: they are silent although prices move."""

    async def stop(self) -> None:
        """Disconnect at once."""


class Journal(Protocol):
    """What is written down. JournalError when it can't be: then nothing new is sent."""

    def plan_made(self, snapshot: Snapshot, plan: Plan) -> None:
        """A plan that acts or denies."""

    def intend(self, account: str, order: SubmitOrder, body: Mapping[str, str], signal: ExitSignal, step: int) -> None:
        """An order about to be sent, step `step` of an exit: on disk before the first byte leaves."""

    def intent_of(self, account: str, client_order_id: str) -> Intent | None:
        """What was written down of an order of ours, by any process; None when this journal has nothing of it."""

    def outcome(self, account: str, client_order_id: str, kind: str, detail: Mapping[str, object]) -> None:
        """What became of it: accepted, rejected, unknown, filled, canceled ..."""

    def fold_fill(self, account: str, client_order_id: str, detail: Mapping[str, object]) -> Decimal:
        """What is newly filled; 0 when it was written down already (I8). `detail` has the broker's cumulative word."""

    def note(self, account: str, kind: str, detail: Mapping[str, object]) -> None:
        """Anything else that is evidence: a cancel asked for, a refusal, an adoption, a halt."""

    def noted_today(self, account: str, kind: str) -> Sequence[str]:
        """The symbols of today's notes of a kind."""

    def filled_since(self, account: str, start: dt.datetime) -> Mapping[str, dt.datetime]:
        """When orders of ours last filled since then, by symbol."""

    def open_orders(self, account: str) -> Sequence[OpenOrder]:
        """Orders that were intended and have no recorded end, with what was written down of each, oldest first."""

    def realised(self, account: str) -> Decimal | None:
        """Dollars that our fills of today have made; None while that can't be said."""


class Memory(Protocol):
    """What is remembered of positions from flat to flat, by symbol. JournalError when it can't be read or kept."""

    def load(self, account: str) -> Mapping[str, Episode]:
        """What an account's last process left."""

    def save(self, account: str, episodes: Mapping[str, Episode]) -> None:
        """Make this all that is remembered; on disk when it returns."""
