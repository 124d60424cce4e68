"""Protocols for what is outside the core. Adapters and fakes implement them; their errors are those of core.errors."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

from msgspec import Struct

from sellctl.core.model.episode import Episode
from sellctl.core.model.instrument import AssetClass, Instrument
from sellctl.core.model.intent import IntendedOrder, Intent, OpenOrder
from sellctl.core.model.market import BrokerClock, Quote, Session, Split
from sellctl.core.model.order import Order
from sellctl.core.model.plan import CancelOrder, Plan, SubmitOrder
from sellctl.core.model.position import Position
from sellctl.core.model.snapshot import AccountFacts, AccountSettings, Rows, Snapshot


class Clock(Protocol):
    """The host's clock. In a simulation and in the demo, all three methods follow the simulator's speed."""

    def now(self) -> dt.datetime:
        """The host's time, in UTC. Decisions use the broker's time instead."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; unaffected by changes of the system time."""

    async def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds of this clock."""


class Broker(Protocol):
    """One account at the broker. Methods raise BrokerError or a subclass; a failed read never returns an empty result.

    Reads may raise AuthError, RequestRejectedError, RateLimitedError and UnknownOutcomeError. Lists are complete. An
    `urgent` read may use a piece of the request budget that is kept for orders: a protective exit waits for it, or the
    account was not read for a while.
    """

    @property
    def name(self) -> str:
        """The name of the account in the configuration."""

    @property
    def load(self) -> float:
        """The share of the account's request budget that the last minute has used, from 0.0 to 1.0."""

    async def account(self, *, urgent: bool = False) -> AccountFacts:
        """The account's number, paper or live, equity, and whether the broker blocks trading."""

    async def positions(self, *, urgent: bool = False) -> Rows[Position]:
        """Every position."""

    async def open_orders(self, *, urgent: bool = False) -> Rows[Order]:
        """Every open order; multi-leg orders include their legs."""

    async def orders_since(
        self, start: dt.datetime, symbols: Collection[str] | None, *, for_order: bool = True, urgent: bool = False
    ) -> Rows[Order]:
        """Every order of these symbols, or of all when None, in any state, submitted at or after `start`.

        `for_order`: an order waits for it, so that it may use all of the request budget.
        """

    async def order_by_client_id(self, client_order_id: str) -> Order:
        """The order with this client order id. NotFoundError when the broker definitely has no such order."""

    def body(self, order: SubmitOrder) -> Mapping[str, object]:
        """Exactly the body that `submit` sends, to be recorded in the intent."""

    async def submit(self, order: SubmitOrder) -> Order:
        """Send one order. RequestRejectedError: the broker did not accept it. UnknownOutcomeError: look it up next."""

    async def cancel(self, order_id: str) -> None:
        """Ask the broker to cancel an order. Only the order's own state shows later whether it is cancelled.

        RequestRejectedError with NOT_CANCELABLE when it is terminal already or a cancel is pending.
        """

    async def penny_program(self, contracts: Sequence[str]) -> Mapping[str, bool]:
        """Whether the underlyings of these contracts are in the Penny Interval Program, by underlying; one request.

        Underlyings about which the answer says nothing are absent. Several contracts have the same expiration date and
        are all calls or all puts.
        """

    async def clock(self) -> BrokerClock:
        """The broker's clock."""

    async def sessions(self, start: dt.date, end: dt.date) -> tuple[Session, ...]:
        """The exchange's sessions from `start` to `end`, both included."""


@runtime_checkable
class HasAccountSettings(Protocol):
    """A broker that can report the account's settings; used only by `sellctl doctor`."""

    async def account_settings(self) -> AccountSettings:
        """Options level and short selling."""


@runtime_checkable
class MayBeSimulated(Protocol):
    """A broker that can say whether it is a simulator; used only by `sellctl doctor` and `sellctl init`."""

    async def is_simulated(self) -> bool:
        """Whether sellctl's simulator answers. Only an address of this machine is asked."""


class RequestMade(Struct, frozen=True):
    """One request of one key that has ended: what it did ("read", "submit", "cancel" ...), and how it ended.

    `outcome` is "ok", or the kind of its error: "rejected", "unknown", "held back" by sellctl's own budget ...
    `client_order_id` is that of the order that it sent; "" for any other request.
    """

    account: str
    operation: str
    outcome: str
    seconds: float
    client_order_id: str = ""


class RequestObserver(Protocol):
    """Is told of each request, for telemetry. It returns at once and raises nothing."""

    def __call__(self, made: RequestMade) -> None:
        """A request has ended. Called on the event loop, before the answer is used."""


class QuoteSource(Protocol):
    """A source of quotes, shared by all accounts."""

    async def latest(self, instruments: Collection[Instrument]) -> Mapping[str, Quote]:
        """The newest quote per symbol; symbols without one are absent. BrokerError when no quote could be fetched."""

    @property
    def last_problems(self) -> tuple[str, ...]:
        """The problems of the last call, such as quotes that could not be fetched, one sentence each."""


@runtime_checkable
class FeedSource(Protocol):
    """A source of quotes whose keys may be granted a better feed than the one in use."""

    async def try_better_feeds(self) -> None:
        """Ask for better feeds whose refusal is old, and use what is granted. No error is raised."""


@runtime_checkable
class CorporateActions(Protocol):
    """A source of corporate actions, shared by all accounts."""

    async def splits(self, symbols: Collection[str], day: dt.date) -> tuple[Split, ...]:
        """The splits of these stocks whose ex-date is `day`. BrokerError when any part of the answer is unknown."""


class StreamListener(Protocol):
    """Receives the events of a stream. Called on the event loop that started the stream, never concurrently."""

    def quotes_received(self, quotes: Sequence[Quote]) -> None:
        """New quotes arrived; they are in the order of their arrival."""

    def trade_received(self, symbol: str, price: Decimal) -> None:
        """A stock traded."""

    def order_changed(self, account: str, symbol: str) -> None:
        """An order of the account changed; `symbol` is "" when orders of several symbols may have changed."""

    def connection_changed(self, name: str, problem: str) -> None:
        """A connection was established (`problem` is ""), or was lost because of `problem`."""


class Stream(Protocol):
    """Streamed events for all accounts. An order event only triggers a poll, which reads the order's state."""

    def start(self, listener: StreamListener) -> None:
        """Start connecting. Call it on the event loop on which the listener is to be called."""

    def follow_orders(self, accounts: Collection[str]) -> None:
        """Stream the order updates of these accounts and of no others: Alpaca allows each one connection."""

    def subscribe(self, instruments: Sequence[Instrument]) -> None:
        """Set whose quotes to stream, most important first. Those beyond the market data plan's limit are polled."""

    @property
    def streamed(self) -> frozenset[str]:
        """Symbols whose quotes are being streamed now."""

    @property
    def problems(self) -> Mapping[str, str]:
        """For every expected connection, by name, what is wrong with it; "" when nothing is."""

    def problems_of(self, account: str, assets: Collection[AssetClass]) -> Mapping[str, str]:
        """Those of `problems` that concern one account: of its order updates, and of the quotes of these assets."""

    def restart(self, why: str) -> None:
        """Reconnect the quote streams. `why` is reported as their problem until they are connected."""

    async def stop(self) -> None:
        """Disconnect immediately."""


class Journal(Protocol):
    """The record of decisions and orders. JournalError when it can't be read or written: then nothing new is sent."""

    def set_account_number(self, account: str, number: str) -> str:
        """Record which of the broker's accounts the name stands for, before anything recorded of it is applied.

        Return the number of another account that it stood for until now, else "". Nothing recorded of that one is
        applied from then on.
        """

    async def plan_made(self, snapshot: Snapshot, plan: Plan) -> None:
        """Record a plan that acts or denies an exit. Like `intend`, plans of the same moment share one commit."""

    async def intend(
        self,
        account: str,
        orders: Sequence[IntendedOrder],
        cancels: Sequence[CancelOrder],
        *,
        fence: int | None = None,
    ) -> None:
        """Record what one decision is about to send and to cancel: all of it or, after JournalError, nothing.

        It is on disk when this returns. Decisions of the same moment, also of several accounts, share one commit.
        `fence` is the fencing number of the host's lease of the account. LeaseLostError, with nothing recorded, when
        that isn't the one that the lease table has in the same transaction, or the lease has ended there.
        """

    def intent_of(self, account: str, client_order_id: str) -> Intent | None:
        """The recorded intent of one of our orders, from any process; None when this journal has none."""

    async def accepted(self, account: str, client_order_id: str, detail: Mapping[str, object]) -> None:
        """Record that the broker has accepted an order. Like `intend`, those of the same moment share one commit."""

    def outcome(self, account: str, client_order_id: str, kind: str, detail: Mapping[str, object]) -> None:
        """Record what else happened to an order: rejected, unknown, filled, canceled ..."""

    def record_fill(self, account: str, client_order_id: str, detail: Mapping[str, object]) -> Decimal:
        """Record a fill. Returns the newly filled quantity; 0 when it was recorded already (I8).

        `detail` has the broker's cumulative quantity.
        """

    def note(self, account: str, kind: str, detail: Mapping[str, object]) -> None:
        """Record any other evidence: a request of the user, a refusal, a halt."""

    def noted_today(self, account: str, kind: str) -> Sequence[str]:
        """The symbols of today's notes of a kind."""

    def filled_since(self, account: str, start: dt.datetime) -> Mapping[str, dt.datetime]:
        """The time of our newest fill at or after `start`, by symbol."""

    def open_orders(self, account: str) -> Sequence[OpenOrder]:
        """Orders with an intent but no recorded end, with everything recorded about each, oldest first."""

    def realised(self, account: str) -> Decimal | None:
        """Dollars gained or lost by our fills of today; None while one of them can't be valued."""


class EpisodeStore(Protocol):
    """Stored facts about positions while they are held, by symbol. JournalError when they can't be read or written."""

    def load(self, account: str) -> Mapping[str, Episode]:
        """The episodes that were last saved for an account."""

    async def save(self, account: str, episodes: Mapping[str, Episode]) -> None:
        """Replace all stored episodes of the account. They are on disk when this returns.

        Those that several accounts save in the same moment share one commit; without a change, this returns at once.
        """
