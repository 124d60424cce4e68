"""The simulator without a server: the core's Broker and QuoteSource ports directly over the exchange."""

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
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
from sellctl.core.model.market import BrokerClock, Quote, Session, Split
from sellctl.core.model.order import Order, OrderLeg, OrderType, PositionIntent, Side
from sellctl.core.model.plan import SubmitOrder
from sellctl.core.model.position import Direction, Position
from sellctl.core.model.snapshot import AccountFacts, Rows
from sellctl.sim.faults.http_faults import FAULT_NAMES, rejection_of
from sellctl.sim.faults.registry import Fault
from sellctl.sim.market import calendar
from sellctl.sim.market.assets import ALWAYS_PENNY, PENNY_PROGRAM, asset_of
from sellctl.sim.rejections import RejectionError
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimOrder, SimPosition

T = TypeVar("T")

# HTTP faults that leave the outcome unknown, before or after the operation. For H05 its parameter `after` decides.
_UNKNOWN_BEFORE = frozenset({"H01", "H03", "H15"})
_UNKNOWN_AFTER = frozenset({"H02", "H04", "H11", "H13"})
_BY_MESSAGE = (
    ("insufficient qty", Refusal.INSUFFICIENT_QTY),
    ("wash trade", Refusal.WASH_TRADE),
    ("eligible to trade spreads", Refusal.OPTIONS_LEVEL),
    ("uncovered", Refusal.UNCOVERED),
    ("position intent mismatch", Refusal.INTENT_MISMATCH),
    ("not authorized to trade", Refusal.ACCOUNT),
    ("rejected by user request", Refusal.ACCOUNT),
    ("client_order_id must be unique", Refusal.DUPLICATE_ID),
    ("price must be a multiple of", Refusal.PRICE_INCREMENT),
    ("sub-penny increment", Refusal.PRICE_INCREMENT),
    ("order is already in", Refusal.NOT_CANCELABLE),
    ("order pending", Refusal.NOT_CANCELABLE),
)


class SimBroker:
    """One simulated account as the Broker port. No call waits; time is the exchange's time.

    Errors are those of core.errors, as the Alpaca adapter raises them.
    """

    def __init__(self, exchange: Exchange, account: str) -> None:
        self.exchange = exchange
        self._name = account

    @property
    def name(self) -> str:
        """The account's name in the configuration."""
        return self._name

    @property
    def load(self) -> float:
        """Always 0.0: the exchange itself has no request budget."""
        return 0.0

    async def account(self, *, urgent: bool = False) -> AccountFacts:  # noqa: ARG002  there is no budget
        """Number, paper or live, whether it may trade, and what the day's result follows from."""

        def facts(account: SimAccount) -> AccountFacts:
            blocked = "trading is blocked" if account.trading_blocked or account.account_blocked else ""
            equity = account.equity(self.exchange.quote)
            return AccountFacts(
                self._name,
                account.number,
                blocked=blocked,
                equity=equity,
                last_equity=account.equity_before(equity),
                transfers=account.transfers,
                options_level=account.options_trading_level,
            )

        return self._call("GET", "/v2/account", facts)

    async def positions(self, *, urgent: bool = False) -> Rows[Position]:  # noqa: ARG002  there is no budget
        """Every position."""

        def rows(account: SimAccount) -> Rows[Position]:
            shown = account.shown_positions(self.exchange.now)
            return Rows(tuple(_position(self.exchange, account, one) for one in shown))

        if self.exchange.faults.trigger("H16", account=self._name):
            return Rows(())
        return self._call("GET", "/v2/positions", rows)

    async def open_orders(self, *, urgent: bool = False) -> Rows[Order]:  # noqa: ARG002  there is no budget
        """Every open order."""
        return self._call("GET", "/v2/orders", lambda account: self._rows(list(account.open_orders.values())))

    async def orders_since(
        self,
        start: dt.datetime,
        symbols: Collection[str] | None,
        *,
        for_order: bool = True,  # noqa: ARG002  there is no budget
        urgent: bool = False,  # noqa: ARG002  there is no budget
    ) -> Rows[Order]:
        """Every order of these symbols, or of all when None, submitted at or after `start`."""

        def rows(account: SimAccount) -> Rows[Order]:
            found = (one for one in account.orders.values() if one.created_at >= start)
            return self._rows([one for one in found if symbols is None or not set(one.symbols).isdisjoint(symbols)])

        return self._call("GET", "/v2/orders", rows)

    async def order_by_client_id(self, client_order_id: str) -> Order:
        """The order with this client order id."""
        return self._call(
            "GET",
            "/v2/orders:by_client_order_id",
            lambda account: order_of(self.exchange.order_by_client_id(account, client_order_id)),
        )

    async def submit(self, order: SubmitOrder) -> Order:
        """Send one order."""

        def send(account: SimAccount) -> Order:
            answer = self.exchange.submit(account, body_of(order))
            return order_of(account.orders[answer["id"]])

        return self._call("POST", "/v2/orders", send)

    async def cancel(self, order_id: str) -> None:
        """Request the cancel of an order."""
        self._call("DELETE", "/v2/orders/", lambda account: self.exchange.cancel(account, order_id))

    async def clock(self) -> BrokerClock:
        """The broker's clock."""

        def read(_account: SimAccount) -> BrokerClock:
            now = self.exchange.shown_now()
            return BrokerClock(now, calendar.is_open(now), calendar.next_open(now), calendar.next_close(now))

        return self._call("GET", "/v2/clock", read)

    async def sessions(self, start: dt.date, end: dt.date) -> tuple[Session, ...]:
        """The exchange's sessions."""
        return self._call(
            "GET",
            "/v2/calendar",
            lambda _account: tuple(Session(h.date, h.opens_at, h.closes_at) for h in calendar.sessions(start, end)),
        )

    async def penny_program(self, contracts: Sequence[str]) -> Mapping[str, bool]:
        """Whether the underlyings of these contracts are in the penny programme, by underlying."""
        names = {asset_of(symbol).underlying for symbol in contracts}
        return self._call(
            "GET",
            "/v2/options/contracts",
            lambda _account: {name: name in ALWAYS_PENNY | PENNY_PROGRAM for name in sorted(names)},
        )

    def _rows(self, orders: list[SimOrder]) -> Rows[Order]:
        visible = [one for one in orders if one.parent is None and self.exchange.is_visible(one)]
        return Rows(tuple(order_of(one) for one in reversed(visible)))

    def _call(self, method: str, path: str, operation: Callable[[SimAccount], T]) -> T:
        """Run an operation with the HTTP faults applied. Rejections and faults raise errors of core.errors."""
        account = self.exchange.accounts[self._name]
        fault = self.exchange.faults.trigger(*FAULT_NAMES, account=self._name, path=path, method=method)
        if fault:
            _fail_before(self._name, fault)
        try:
            self.exchange.account_of(account.key)
            result = operation(account)
        except RejectionError as rejection:
            raise error_of(rejection, self._name) from None
        if fault and (fault.name in _UNKNOWN_AFTER or (fault.name == "H05" and fault["after"])):
            raise UnknownOutcomeError(f"{self._name}: no readable answer ({fault.kind.text}).")
        return result


class SimQuotes:
    """The ports QuoteSource and CorporateActions over the exchange."""

    last_problems: tuple[str, ...] = ()

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    async def latest(self, instruments: Collection[Instrument]) -> Mapping[str, Quote]:
        """The newest quote per symbol; a symbol without one is absent."""
        found = ((one.symbol, self._quote(one.symbol)) for one in instruments)
        return {symbol: quote for symbol, quote in found if quote}

    async def splits(self, symbols: Collection[str], day: dt.date) -> tuple[Split, ...]:
        """The announced splits of these stocks with this ex-date."""
        announced = (Split(one.symbol, one.ratio, one.ex_date) for one in self.exchange.splits)
        return tuple(split for split in announced if split.symbol in symbols and split.ex_date == day)

    def _quote(self, symbol: str) -> Quote | None:
        published = self.exchange.market.published_quote(symbol, self.exchange.now)
        if published is None or published.price_text:
            return None
        sizes = (Decimal(published.level.bid_size), Decimal(published.level.ask_size))
        return Quote(symbol, published.level.bid, published.level.ask, published.at, "sim", *sizes)


def body_of(order: SubmitOrder) -> dict[str, object]:
    """The JSON body that the Alpaca adapter would send."""
    body: dict[str, object] = {
        "qty": str(order.qty),
        "type": order.type.value,
        "time_in_force": order.time_in_force,
        "client_order_id": order.client_order_id,
    }
    if order.legs:
        body |= {"order_class": "mleg", "legs": [_body_of_leg(leg) for leg in order.legs]}
    else:
        body |= {
            "symbol": order.symbol,
            "side": order.side.value,
            "position_intent": order.position_intent.value,
        }
    for name in ("limit_price", "stop_price", "trail_percent"):
        if (value := getattr(order, name)) is not None:
            body[name] = str(value)
    return body


def _body_of_leg(leg: OrderLeg) -> dict[str, str]:
    facts = {
        "symbol": leg.symbol,
        "ratio_qty": str(leg.ratio),
        "side": leg.side,
        "position_intent": leg.position_intent,
    }
    return {name: str(value) for name, value in facts.items()}


def order_of(order: SimOrder) -> Order:
    """The core's order for an order of the exchange."""
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


def _position(exchange: Exchange, account: SimAccount, one: SimPosition) -> Position:
    quote = exchange.quote(one.symbol)
    return Position(
        instrument=_instrument(one.symbol, one.asset.asset_class),
        direction=Direction.LONG if one.qty > 0 else Direction.SHORT,
        qty=abs(one.qty),
        available=abs(one.qty) - account.held_for_orders(one.symbol),
        entry_price=one.avg_entry_price if one.avg_entry_price > 0 else None,
        current_price=quote.mid if quote else None,
        lastday_price=one.lastday_price,
    )


def error_of(rejection: RejectionError, account: str) -> BrokerError:
    """The core's error for a rejection by the exchange."""
    message = str(rejection.body.get("message", ""))
    sentence = f"{account}: the broker refused: {message}."
    code = rejection.body.get("code")
    fields = {key: value for key, value in rejection.body.items() if key not in {"code", "message"}}
    answer = BrokerAnswer(rejection.status, code if isinstance(code, int) else None, message, fields)
    if rejection.status >= 500:  # noqa: PLR2004  HTTP
        return UnknownOutcomeError(sentence)
    if code is None and rejection.status in {401, 403}:
        return AuthError(sentence)
    if rejection.status == 404:  # noqa: PLR2004  HTTP
        return NotFoundError(sentence, answer=answer)
    if rejection.status == 429:  # noqa: PLR2004  HTTP
        return RateLimitedError(sentence, answer=answer)
    refusal = next((kind for text, kind in _BY_MESSAGE if text in message), Refusal.OTHER)
    return RequestRejectedError(sentence, answer=answer, refusal=refusal)


def _fail_before(account: str, fault: Fault) -> None:
    """Raise the error of a fault that acts before the operation. Returns for faults that act after it."""
    if fault.name in _UNKNOWN_BEFORE or (fault.name == "H05" and not fault["after"]):
        raise UnknownOutcomeError(f"{account}: no readable answer ({fault.kind.text}).")
    if rejection := rejection_of(fault):
        raise error_of(rejection, account)
