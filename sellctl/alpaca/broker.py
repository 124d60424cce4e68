"""The Broker port on Alpaca's trading API, for one account."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar
from urllib.parse import quote

from sellctl.alpaca.convert import (
    UnreadableError,
    account_of,
    clock_of,
    dict_of,
    list_of,
    order_of,
    penny_of_contract,
    penny_of_contracts,
    position_of,
    rows_of,
    sessions_of,
)
from sellctl.alpaca.errors import Operation
from sellctl.alpaca.orders import order_body
from sellctl.alpaca.paging import all_orders, batches_of
from sellctl.alpaca.rest import ApiRequest, RateLimit, RestClient
from sellctl.core.errors import BrokerError, UnknownOutcomeError
from sellctl.core.model.instrument import Right, an_option, underlying_of
from sellctl.core.model.market import BrokerClock, Session
from sellctl.core.model.order import Order
from sellctl.core.model.plan import SubmitOrder
from sellctl.core.model.position import Position
from sellctl.core.model.snapshot import AccountFacts, AccountSettings, Rows
from sellctl.core.orders.claims import UNKNOWN_SYMBOLS

T = TypeVar("T")

_READING_ORDERS = "reading the orders"
_CONTRACTS_PER_PAGE = 1_000  # about half a megabyte


class AlpacaBroker:
    """One account's orders, positions and clock. Methods raise only BrokerError and its subclasses."""

    def __init__(self, client: RestClient, *, paper: bool) -> None:
        self._client = client
        self._paper = paper

    @property
    def name(self) -> str:
        """The account's name in the configuration."""
        return self._client.account

    @property
    def rate_limit(self) -> RateLimit | None:
        """The trading API's request budget, from the last answer that had one."""
        return self._client.rate_limit

    @property
    def requests_last_minute(self) -> int:
        """How many requests this account's trading key has sent in the last minute."""
        return self._client.budget.used

    @property
    def load(self) -> float:
        """The share of the trading key's request budget that the last minute has used, from 0.0 to 1.0."""
        return self._client.budget.load

    async def account(self, *, urgent: bool = False) -> AccountFacts:
        """Number, paper or live, equity, and whether the broker blocks trading."""
        parse = partial(account_of, name=self.name, paper=self._paper)
        return await self._client.request(ApiRequest("reading the account", "/account", urgent=urgent), parse)

    async def account_settings(self) -> AccountSettings:
        """Options level and short selling; None where Alpaca's answer lacks them."""
        account = await self._client.request(ApiRequest("reading the account", "/account"), dict_of)
        settings = await self._client.request(
            ApiRequest("reading the account's settings", "/account/configurations"), dict_of
        )
        level, no_shorting = account.get("options_trading_level"), settings.get("no_shorting")
        return AccountSettings(
            options_level=level if isinstance(level, int) else None,
            no_shorting=no_shorting if isinstance(no_shorting, bool) else None,
        )

    async def is_simulated(self) -> bool:
        """Whether sellctl's simulator answers. Only an address of this machine is asked."""
        if not self._client.is_local:
            return False
        try:
            await self._client.request(ApiRequest("asking for a simulator", "/state", version="sim"), dict_of)
        except BrokerError:
            return False
        return True

    async def positions(self, *, urgent: bool = False) -> Rows[Position]:
        """Every open position."""
        parse = partial(rows_of, read=position_of)
        return await self._client.request(ApiRequest("reading the positions", "/positions", urgent=urgent), parse)

    async def open_orders(self, *, urgent: bool = False) -> Rows[Order]:
        """Every open order, multi-leg ones with their legs."""
        return await self._read_orders("open", None, "", for_order=False, urgent=urgent)

    async def orders_since(
        self, start: dt.datetime, symbols: Collection[str] | None, *, for_order: bool = True, urgent: bool = False
    ) -> Rows[Order]:
        """Every order of these symbols, or of all when None, whatever its state, submitted at or after `start`."""
        read = partial(self._read_orders, "all", start, for_order=for_order, urgent=urgent)
        wanted = None if symbols is None else frozenset(symbols)
        parts = [await read("")] if wanted is None else [await read(",".join(b)) for b in batches_of(sorted(wanted))]
        return Rows(
            _distinct(order for part in parts for order in part.rows if _is_wanted(order, wanted, start)),
            _distinct(row for part in parts for row in part.invalid if wanted is None or row.symbol in {"", *wanted}),
        )

    async def order_by_client_id(self, client_order_id: str) -> Order:
        """The order with this client order id. NotFoundError when the broker definitely has no such order."""
        request = ApiRequest(
            "looking up an order",
            "/orders:by_client_order_id",
            {"client_order_id": client_order_id},
            operation=Operation.LOOK_UP,
        )
        return await self._client.request(request, partial(_expected_order, client_order_id=client_order_id))

    def body(self, order: SubmitOrder) -> dict[str, object]:
        """Exactly the body that `submit` sends."""
        return order_body(order)

    async def submit(self, order: SubmitOrder) -> Order:
        """Send one order.

        RequestRejectedError: the order does not exist. UnknownOutcomeError: it may exist; look it up next.
        """
        request = ApiRequest(
            f"sending an order for {order.symbol}", "/orders", body=order_body(order), operation=Operation.SUBMIT
        )
        parse = partial(_expected_order, client_order_id=order.client_order_id, symbols=order.symbols)
        return await self._client.request(request, parse)

    async def cancel(self, order_id: str) -> None:
        """Ask the broker to cancel an order. Only the order's own state shows later whether it is cancelled."""
        path = f"/orders/{quote(order_id, safe='')}"
        await self._client.request(ApiRequest("cancelling an order", path, operation=Operation.CANCEL), _ignore)

    async def clock(self) -> BrokerClock:
        """The broker's clock."""
        return await self._client.request(ApiRequest("reading the clock", "/clock"), clock_of)

    async def sessions(self, start: dt.date, end: dt.date) -> tuple[Session, ...]:
        """The exchange's sessions from `start` to `end`, both included."""
        request = ApiRequest("reading the calendar", "/calendar", {"start": start.isoformat(), "end": end.isoformat()})
        return await self._client.request(request, partial(sessions_of, start=start, end=end))

    async def penny_program(self, contracts: Sequence[str]) -> Mapping[str, bool]:
        """Whether the underlyings of these contracts are in the Penny Interval Program (`ppind`), by underlying.

        The list of contracts can't be filtered by symbol, and Alpaca doesn't say in which order a page has several
        underlyings: those that it lacks are absent.
        """
        first = an_option(contracts[0])
        if len(contracts) == 1 or first is None or first.option is None:
            request = ApiRequest("reading a contract", f"/options/contracts/{quote(contracts[0], safe='')}")
            return await self._client.request(request, penny_of_contract)
        query = {
            "underlying_symbols": ",".join(sorted({underlying_of(symbol) for symbol in contracts})),
            "expiration_date": first.option.expires.isoformat(),
            "type": "call" if first.option.right is Right.CALL else "put",
            "limit": str(_CONTRACTS_PER_PAGE),
        }
        request = ApiRequest("reading contracts", "/options/contracts", query)
        return await self._client.request(request, penny_of_contracts)

    async def _read_orders(
        self, status: str, start: dt.datetime | None, symbols: str, *, for_order: bool, urgent: bool
    ) -> Rows[Order]:
        page = partial(self._order_page, for_order=for_order, urgent=urgent)
        try:
            return rows_of(await all_orders(page, status, start, symbols), order_of)
        except UnreadableError as error:
            raise UnknownOutcomeError(f"{self.name}: {_READING_ORDERS} failed: {error}.") from None

    async def _order_page(self, query: Mapping[str, str], *, for_order: bool, urgent: bool) -> list[object]:
        request = ApiRequest(_READING_ORDERS, "/orders", query, for_order=for_order, urgent=urgent)
        return await self._client.request(request, list_of)


def _ignore(_answer: object) -> None:
    """Ignore the answer to a cancel, which has no content."""


def _expected_order(answer: object, client_order_id: str, symbols: tuple[str, ...] = ()) -> Order:
    """The order in an answer. UnreadableError when it isn't the requested one; its legs may be left out."""
    order = order_of(dict_of(answer))
    is_shown = order.symbols != UNKNOWN_SYMBOLS
    if order.client_order_id != client_order_id or (symbols and is_shown and {*symbols} != {*order.symbols}):
        raise UnreadableError("it is about another order")
    return order


def _is_wanted(order: Order, symbols: frozenset[str] | None, start: dt.datetime) -> bool:
    """Whether an order matches the query, for a server that ignores its filters."""
    is_one_of_them = symbols is None or not symbols.isdisjoint(order.symbols) or order.symbols == UNKNOWN_SYMBOLS
    return is_one_of_them and (order.submitted_at is None or order.submitted_at >= start)


def _distinct(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))
