"""The in-process face: the Broker and QuoteSource ports straight over the exchange. Errors are core.errors'."""

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from functools import cache
from typing import TypeVar

from sellctl.core.errors import (
    AuthError,
    BrokerAnswer,
    BrokerError,
    NotFoundError,
    RateLimitedError,
    Refusal,
    RequestRejectedError,
    UnknownOutcomeError,
)
from sellctl.core.model.instrument import Instrument, instrument_of
from sellctl.core.model.market import BrokerClock, Quote, Session
from sellctl.core.model.order import Order, OrderType, PositionIntent, Side
from sellctl.core.model.plan import SubmitOrder
from sellctl.core.model.position import Direction, Position
from sellctl.core.model.snapshot import AccountFacts, Rows
from sellctl.sim.faults.catalogue import Fault
from sellctl.sim.faults.http_faults import FAULT_NAMES, refusal_of
from sellctl.sim.market import calendar
from sellctl.sim.market.assets import ALWAYS_PENNY, PENNY_PROGRAM, asset_of
from sellctl.sim.rejections import RefusedError
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimOrder, SimPosition

T = TypeVar("T")

# Which misbehaviours of the HTTP family make a doubt, and on which side of the deed. H05 can be told.
_DOUBT_BEFORE = frozenset({"H01", "H03", "H15"})
_DOUBT_AFTER = frozenset({"H02", "H04", "H11", "H13"})
_BY_MESSAGE = (
    ("insufficient qty", Refusal.INSUFFICIENT_QTY),
    ("wash trade", Refusal.WASH_TRADE),
    ("uncovered", Refusal.UNCOVERED),
    ("position intent mismatch", Refusal.INTENT_MISMATCH),
    ("not authorized to trade", Refusal.ACCOUNT),
    ("rejected by user request", Refusal.ACCOUNT),
    ("client_order_id must be unique", Refusal.DUPLICATE_ID),
    ("order is already in", Refusal.NOT_CANCELABLE),
    ("order pending", Refusal.NOT_CANCELABLE),
)


class SimBroker:
    """One simulated account as the Broker port. Time is the exchange's; nothing here waits."""

    def __init__(self, exchange: Exchange, account: str) -> None:
        self.exchange = exchange
        self._name = account

    @property
    def name(self) -> str:
        """Our name for the account."""
        return self._name

    async def account(self) -> AccountFacts:
        """Number, paper or live, and whether it may trade."""

        def facts(books: SimAccount) -> AccountFacts:
            blocked = "trading is blocked" if books.trading_blocked or books.account_blocked else ""
            return AccountFacts(self._name, books.number, blocked=blocked)

        return self._ask("GET", "/v2/account", facts)

    async def positions(self) -> Rows[Position]:
        """Every position."""

        def rows(books: SimAccount) -> Rows[Position]:
            shown = books.shown_positions(self.exchange.now)
            return Rows(tuple(_position(self.exchange, books, one) for one in shown))

        if self.exchange.behaviours.strike("H16", account=self._name):
            return Rows(())
        return self._ask("GET", "/v2/positions", rows)

    async def open_orders(self) -> Rows[Order]:
        """Every open order."""
        return self._ask("GET", "/v2/orders", lambda books: self._rows(list(books.open_orders.values())))

    async def orders_since(self, start: dt.datetime, symbols: Collection[str]) -> Rows[Order]:
        """Every order of these symbols submitted at or after `start`."""
        return self._ask(
            "GET",
            "/v2/orders",
            lambda books: self._rows(
                [one for one in books.orders.values() if one.created_at >= start and one.symbol in symbols]
            ),
        )

    async def order_by_client_id(self, client_order_id: str) -> Order:
        """The order with our own id."""
        return self._ask(
            "GET",
            "/v2/orders:by_client_order_id",
            lambda books: order_of(self.exchange.order_by_client_id(books, client_order_id)),
        )

    async def submit(self, order: SubmitOrder) -> Order:
        """Send one order."""

        def send(books: SimAccount) -> Order:
            answer = self.exchange.submit(books, body_of(order))
            return order_of(books.orders[answer["id"]])

        return self._ask("POST", "/v2/orders", send)

    async def cancel(self, order_id: str) -> None:
        """Ask for an order's end."""
        self._ask("DELETE", "/v2/orders/", lambda books: self.exchange.cancel(books, order_id))

    async def clock(self) -> BrokerClock:
        """The broker's clock."""

        def read(_books: SimAccount) -> BrokerClock:
            now = self.exchange.shown_now()
            return BrokerClock(now, calendar.is_open(now), calendar.next_open(now), calendar.next_close(now))

        return self._ask("GET", "/v2/clock", read)

    async def sessions(self, start: dt.date, end: dt.date) -> tuple[Session, ...]:
        """The exchange's sessions."""
        return self._ask(
            "GET",
            "/v2/calendar",
            lambda _books: tuple(Session(h.date, h.opens_at, h.closes_at) for h in calendar.sessions(start, end)),
        )

    async def is_penny(self, symbol: str) -> bool | None:
        """Whether a contract is in the penny programme."""
        return self._ask(
            "GET", "/v2/options/contracts/", lambda _books: asset_of(symbol).underlying in ALWAYS_PENNY | PENNY_PROGRAM
        )

    def _rows(self, orders: list[SimOrder]) -> Rows[Order]:
        visible = [one for one in orders if one.parent is None and self.exchange.is_visible(one)]
        return Rows(tuple(order_of(one) for one in reversed(visible)))

    def _ask(self, method: str, path: str, deed: Callable[[SimAccount], T]) -> T:
        """Do a request's deed as the wire would: with misbehaviours around it and refusals as our errors."""
        books = self.exchange.accounts[self._name]
        fault = self.exchange.behaviours.strike(*FAULT_NAMES, account=self._name, path=path, method=method)
        if fault:
            _fail_before(self._name, fault)
        try:
            self.exchange.account_of(books.key)
            done = deed(books)
        except RefusedError as refused:
            raise error_of(refused, self._name) from None
        if fault and (fault.name in _DOUBT_AFTER or (fault.name == "H05" and fault["after"])):
            raise UnknownOutcomeError(f"{self._name}: no readable answer ({fault.kind.text}).")
        return done


class SimQuotes:
    """The QuoteSource port over the exchange."""

    last_problems: tuple[str, ...] = ()

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    async def latest(self, instruments: Collection[Instrument]) -> Mapping[str, Quote]:
        """The newest quote a symbol; one without is absent."""
        found = ((one.symbol, self._quote(one.symbol)) for one in instruments)
        return {symbol: quote for symbol, quote in found if quote}

    def _quote(self, symbol: str) -> Quote | None:
        shown = self.exchange.market.shown(symbol, self.exchange.now)
        if shown is None or shown.literal:
            return None
        sizes = (Decimal(shown.level.bid_size), Decimal(shown.level.ask_size))
        return Quote(symbol, shown.level.bid, shown.level.ask, shown.at, "sim", *sizes)


def body_of(order: SubmitOrder) -> dict[str, object]:
    """The body that the adapter would send."""
    body: dict[str, object] = {
        "symbol": order.symbol,
        "side": order.side.value,
        "qty": str(order.qty),
        "type": order.type.value,
        "time_in_force": order.time_in_force,
        "client_order_id": order.client_order_id,
        "position_intent": order.position_intent.value,
    }
    for name in ("limit_price", "stop_price", "trail_percent"):
        if (value := getattr(order, name)) is not None:
            body[name] = str(value)
    return body


def order_of(order: SimOrder) -> Order:
    """The core's order for one of ours."""
    return Order(
        id=order.id,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=Side(order.side) if order.side else None,
        status=order.status,
        type=OrderType(order.type),
        time_in_force=order.time_in_force,
        qty=order.qty,
        filled_qty=order.filled_qty,
        submitted_at=order.created_at,
        order_class=order.order_class,
        position_intent=PositionIntent(order.position_intent) if order.position_intent else None,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trail_percent=order.trail_percent,
        filled_avg_price=order.filled_avg_price,
        filled_at=order.filled_at,
        updated_at=order.updated_at,
        legs=tuple(order_of(leg) for leg in order.legs),
    )


_instrument = cache(instrument_of)


def _position(exchange: Exchange, books: SimAccount, one: SimPosition) -> Position:
    quote = exchange.quote(one.symbol)
    return Position(
        instrument=_instrument(one.symbol, one.asset.asset_class),
        direction=Direction.LONG if one.qty > 0 else Direction.SHORT,
        qty=abs(one.qty),
        available=abs(one.qty) - books.held_for_orders(one.symbol),
        entry_price=one.avg_entry_price if one.avg_entry_price > 0 else None,
        current_price=quote.mid if quote else None,
        asset_id=one.asset.id,
    )


def error_of(refused: RefusedError, account: str) -> BrokerError:
    """Our error for a refusal of the exchange."""
    message = str(refused.body.get("message", ""))
    sentence = f"{account}: the broker refused: {message}."
    code = refused.body.get("code")
    fields = {key: value for key, value in refused.body.items() if key not in {"code", "message"}}
    answer = BrokerAnswer(refused.status, code if isinstance(code, int) else None, message, fields)
    if refused.status >= 500:  # noqa: PLR2004  HTTP
        return UnknownOutcomeError(sentence)
    if code is None and refused.status in {401, 403}:
        return AuthError(sentence)
    if refused.status == 404:  # noqa: PLR2004  HTTP
        return NotFoundError(sentence, answer=answer)
    if refused.status == 429:  # noqa: PLR2004  HTTP
        return RateLimitedError(sentence, answer=answer)
    refusal = next((kind for text, kind in _BY_MESSAGE if text in message), Refusal.OTHER)
    return RequestRejectedError(sentence, answer=answer, refusal=refusal)


def _fail_before(account: str, fault: Fault) -> None:
    """Raise what a fault before the deed means; return when the deed comes first."""
    if fault.name in _DOUBT_BEFORE or (fault.name == "H05" and not fault["after"]):
        raise UnknownOutcomeError(f"{account}: no readable answer ({fault.kind.text}).")
    if refused := refusal_of(fault):
        raise error_of(refused, account)
