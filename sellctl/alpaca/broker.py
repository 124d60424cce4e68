"""One account at Alpaca as the core's Broker: answers converted, errors mapped."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache, partial
from typing import TypeVar
from urllib.parse import quote

from sellctl.alpaca.convert import (
    UnreadableError,
    account_of,
    clock_of,
    dict_of,
    list_of,
    order_of,
    penny_of,
    position_of,
    rows_of,
    sessions_of,
)
from sellctl.alpaca.errors import Op
from sellctl.alpaca.orders import order_body
from sellctl.alpaca.paging import all_orders, batches_of
from sellctl.alpaca.rest import Ask, RateLimit, RestClient
from sellctl.core.errors import UnknownOutcomeError
from sellctl.core.model.market import BrokerClock, Session
from sellctl.core.model.order import Order
from sellctl.core.model.plan import SubmitOrder
from sellctl.core.model.position import Position
from sellctl.core.model.snapshot import AccountFacts, Privileges, Rows

T = TypeVar("T")

# What every look asks for is put into words once.
_POSITIONS, _read_positions = Ask("reading the positions", "/positions"), partial(rows_of, read=position_of)
_CLOCK = Ask("reading the clock", "/clock")
_READING_ORDERS = "reading the orders"


class AlpacaBroker:
    """The Broker port on Alpaca's trading API."""

    def __init__(self, client: RestClient, *, paper: bool) -> None:
        self._client = client
        self._paper = paper

    @property
    def name(self) -> str:
        """Our name for the account."""
        return self._client.account

    @property
    def rate_limit(self) -> RateLimit | None:
        """The trading budget as the last answer told it."""
        return self._client.rate_limit

    async def account(self) -> AccountFacts:
        """Number, paper or live, and whether the broker lets it trade."""
        read = partial(account_of, name=self.name, paper=self._paper)
        return await self._client.ask(Ask("reading the account", "/account"), read)

    async def privileges(self) -> Privileges:
        """Options level and short selling, for doctor."""
        account = await self._client.ask(Ask("reading the account", "/account"), dict_of)
        settings = await self._client.ask(Ask("reading the account's settings", "/account/configurations"), dict_of)
        level, no_shorting = account.get("options_trading_level"), settings.get("no_shorting")
        return Privileges(
            options_level=level if isinstance(level, int) else None,
            no_shorting=no_shorting if isinstance(no_shorting, bool) else None,
        )

    async def positions(self) -> Rows[Position]:
        """Every position."""
        return await self._client.ask(_POSITIONS, _read_positions)

    async def open_orders(self) -> Rows[Order]:
        """Every open order, multi-leg ones with their legs."""
        return await self._read_orders("open", None, "")

    async def orders_since(self, start: dt.datetime, symbols: Collection[str]) -> Rows[Order]:
        """Every order of these symbols, whatever its state, submitted at or after `start`."""
        wanted = frozenset(symbols)
        parts = [await self._read_orders("all", start, ",".join(batch)) for batch in batches_of(sorted(wanted))]
        return Rows(
            _once(order for part in parts for order in part.rows if _is_wanted(order, wanted, start)),
            _once(row for part in parts for row in part.invalid if not row.symbol or row.symbol in wanted),
        )

    async def order_by_client_id(self, client_order_id: str) -> Order:
        """The order with our own id. NotFoundError is the definite no."""
        ask = Ask("looking an order up", "/orders:by_client_order_id", {"client_order_id": client_order_id}, Op.LOOK_UP)
        return await self._client.ask(ask, partial(_the_order, client_order_id=client_order_id))

    @property
    def requests_last_minute(self) -> int:
        """How many requests this account's trading key has sent in the last minute."""
        return self._client.budget.used

    def body(self, order: SubmitOrder) -> dict[str, str]:
        """Exactly what `submit` sends."""
        return order_body(order)

    async def submit(self, order: SubmitOrder) -> Order:
        """Send one order. RequestRejectedError: nothing happened. UnknownOutcomeError: nobody knows; look it up next."""
        ask = Ask(f"sending an order for {order.symbol}", "/orders", order_body(order), Op.SUBMIT)
        return await self._client.ask(
            ask, partial(_the_order, client_order_id=order.client_order_id, symbol=order.symbol)
        )

    async def cancel(self, order_id: str) -> None:
        """Ask Alpaca to end an order. Its answer is not the end: that is seen on the order itself."""
        ask = Ask("cancelling an order", f"/orders/{quote(order_id, safe='')}", op=Op.CANCEL)
        await self._client.ask(ask, _nothing)

    async def clock(self) -> BrokerClock:
        """The broker's clock."""
        return await self._client.ask(_CLOCK, clock_of)

    async def sessions(self, start: dt.date, end: dt.date) -> tuple[Session, ...]:
        """The exchange's sessions from `start` to `end`, both included."""
        ask = Ask("reading the calendar", "/calendar", {"start": start.isoformat(), "end": end.isoformat()})
        return await self._client.ask(ask, partial(sessions_of, start=start, end=end))

    async def is_penny(self, symbol: str) -> bool | None:
        """Whether an option contract is in the penny programme (`ppind`); None when Alpaca doesn't say."""
        ask = Ask("reading a contract", f"/options/contracts/{quote(symbol, safe='')}")
        return await self._client.ask(ask, penny_of)

    async def _read_orders(self, status: str, start: dt.datetime | None, symbols: str) -> Rows[Order]:
        try:
            return rows_of(await all_orders(self._order_page, status, start, symbols), order_of)
        except UnreadableError as error:
            raise UnknownOutcomeError(f"{self.name}: {_READING_ORDERS} failed: {error}.") from None

    async def _order_page(self, query: Mapping[str, str]) -> list[object]:
        return await self._client.ask(_page_of_orders(tuple(query.items())), list_of)


@lru_cache(maxsize=16)
def _page_of_orders(query: tuple[tuple[str, str], ...]) -> Ask:
    return Ask(_READING_ORDERS, "/orders", dict(query), for_order=("status", "all") in query)


def _nothing(_answer: object) -> None:
    """A cancel's answer says nothing that counts."""


def _the_order(answer: object, client_order_id: str, symbol: str = "") -> Order:
    """The order in an answer, provided that it is the one meant."""
    order = order_of(dict_of(answer))
    if order.client_order_id != client_order_id or symbol not in {"", order.symbol}:
        raise UnreadableError("it is about another order")
    return order


def _is_wanted(order: Order, symbols: frozenset[str], start: dt.datetime) -> bool:
    """Whether an order is one that was asked for, should the other side overlook the filters."""
    its_symbols = {order.symbol, *(leg.symbol for leg in order.legs)}
    return bool(its_symbols & symbols) and (order.submitted_at is None or order.submitted_at >= start)


def _once(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))
