"""The ports of the core without a server, their errors, and the clock that jumps."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TypeVar

import pytest
from sim_builders import CALL, HIGHER, STOCK, a_venue, at, closing, send, send_spread

from sellctl.core.errors import (
    AuthError,
    BrokerError,
    NotFoundError,
    RateLimitedError,
    Refusal,
    RequestRejectedError,
    UnknownOutcomeError,
)
from sellctl.core.model.instrument import an_option
from sellctl.core.model.order import Order, OrderType, PositionIntent, Side
from sellctl.core.model.plan import SubmitOrder
from sellctl.core.model.position import Direction
from sellctl.core.ports import Broker, Clock, QuoteSource
from sellctl.core.rules.account_guard import result_of_day
from sellctl.sim.inprocess import SimBroker, SimQuotes
from sellctl.sim.scenario.events import transfer
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.virtual_clock import VirtualClock

T = TypeVar("T")


def run(awaited: Awaitable[T]) -> T:
    async def wait() -> T:
        return await awaited

    return asyncio.run(wait())


def the_ports(venue: Exchange) -> tuple[Broker, QuoteSource, Clock]:
    """Every class as the port that it implements; the type checker checks it."""
    return SimBroker(venue, "main"), SimQuotes(venue), VirtualClock(venue)


def an_exit(qty: str = "1", limit: str | None = "2.00", client_id: str = "sellctl-1", **fields: object) -> SubmitOrder:
    """A closing order of ours."""
    from msgspec.structs import replace  # noqa: PLC0415  only this builder needs it

    instrument = an_option(CALL)
    assert instrument is not None
    order = SubmitOrder(
        client_order_id=client_id,
        symbol=CALL,
        asset_class=instrument.asset_class,
        side=Side.SELL,
        qty=Decimal(qty),
        type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit_price=None if limit is None else Decimal(limit),
        position_intent=PositionIntent.SELL_TO_CLOSE,
    )
    return replace(order, **fields)  # type: ignore[arg-type]


def test_an_exit_from_the_position_to_the_fill() -> None:
    broker, quotes, _ = the_ports(a_venue((CALL, "2", "1.50"), (STOCK, "-3", "12")))
    long, short = sorted(run(broker.positions()).rows, key=lambda position: position.symbol, reverse=True)
    assert (long.qty, long.available, long.entry_price, long.direction) == (2, 2, Decimal("1.50"), Direction.LONG)
    assert (short.qty, short.direction) == (3, Direction.SHORT)
    quote = run(quotes.latest([long.instrument]))[CALL]
    assert (quote.bid, quote.ask, quote.at) == (Decimal("2.00"), Decimal("2.10"), at("11:00"))
    sent = run(broker.submit(an_exit("2")))
    assert isinstance(sent, Order)
    found = run(broker.order_by_client_id("sellctl-1"))
    assert (found.status, found.filled_qty, found.is_terminal) == ("filled", 2, True)
    assert [position.symbol for position in run(broker.positions()).rows] == [STOCK]


def test_account_clock_and_sessions() -> None:
    broker, _, _ = the_ports(a_venue())
    assert run(broker.account()).number == "PASIM0001"
    clock = run(broker.clock())
    assert (clock.now, clock.is_open, clock.next_close) == (at("11:00"), True, at("16:00"))
    days = run(broker.sessions(dt.date(2026, 11, 25), dt.date(2026, 11, 27)))
    assert [day.date.day for day in days] == [25, 27]


def test_the_result_of_the_day_is_what_changed_since_the_previous_close_without_transfers() -> None:
    venue = a_venue((CALL, "2", "1.50"))
    account = venue.accounts["main"]
    account.last_equity = account.equity(venue.quote) - 100
    transfer("main", Decimal(-400))(venue)
    facts = run(SimBroker(venue, "main").account())
    assert facts.transfers == -400
    assert result_of_day(facts) == 100


def test_open_orders_and_todays_orders() -> None:
    venue = a_venue((CALL, "2", "1.50"))
    broker, _, _ = the_ports(venue)
    run(broker.submit(an_exit(client_id="a")))
    resting = run(broker.submit(an_exit(client_id="b", limit="3.00")))
    assert [order.id for order in run(broker.open_orders()).rows] == [resting.id]
    assert len(run(broker.orders_since(at("09:30"), [CALL])).rows) == 2
    assert run(broker.orders_since(at("11:30"), [CALL])).rows == ()
    assert len(run(broker.orders_since(at("09:30"), None)).rows) == 2
    run(broker.cancel(resting.id))
    assert run(broker.order_by_client_id("b")).status == "canceled"


Act = Callable[[Broker], Awaitable[object]]


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        (lambda broker: broker.submit(an_exit(client_id="mine")), Refusal.DUPLICATE_ID),
        (lambda broker: broker.submit(an_exit("2")), Refusal.INSUFFICIENT_QTY),
        (lambda broker: broker.submit(an_exit("3")), Refusal.INTENT_MISMATCH),
        (lambda broker: broker.submit(an_exit(limit="2.005")), Refusal.PRICE_INCREMENT),
    ],
)
def test_a_rejection_names_its_kind(act: Act, refusal: Refusal) -> None:
    venue = a_venue((CALL, "2", "1.50"))
    send(venue, limit_price="3.00", client_order_id="mine")
    with pytest.raises(RequestRejectedError) as caught:
        run(act(SimBroker(venue, "main")))
    assert caught.value.refusal is refusal


def test_a_done_order_is_not_cancelable_and_an_unknown_one_not_found() -> None:
    venue = a_venue((CALL, "2", "1.50"))
    broker = SimBroker(venue, "main")
    done = run(broker.submit(an_exit()))
    with pytest.raises(RequestRejectedError) as caught:
        run(broker.cancel(done.id))
    assert caught.value.refusal is Refusal.NOT_CANCELABLE
    with pytest.raises(NotFoundError):
        run(broker.order_by_client_id("nobody's"))


@pytest.mark.parametrize(
    ("name", "options", "error", "accepted"),
    [
        ("H01", {}, UnknownOutcomeError, 0),
        ("H02", {}, UnknownOutcomeError, 1),
        ("H03", {}, UnknownOutcomeError, 0),
        ("H04", {}, UnknownOutcomeError, 1),
        ("H05", {"after": False}, UnknownOutcomeError, 0),
        ("H05", {"after": True}, UnknownOutcomeError, 1),
        ("H06", {}, RateLimitedError, 0),
        ("H07", {}, AuthError, 0),
        ("H08", {}, RequestRejectedError, 0),
        ("H09", {}, RequestRejectedError, 0),
        ("H10", {}, RequestRejectedError, 0),
        ("H11", {}, UnknownOutcomeError, 1),
    ],
)
def test_faults_raise_the_same_errors_as_over_http(
    name: str, options: dict[str, object], error: type[BrokerError], accepted: int
) -> None:
    venue = a_venue((CALL, "2", "1.50"))
    venue.inject(name, method="POST", **options)
    with pytest.raises(error):
        run(SimBroker(venue, "main").submit(an_exit()))
    assert len(venue.accounts["main"].orders) == accepted


def test_positions_are_empty_once() -> None:
    venue = a_venue((CALL, "2", "1.50"))
    venue.inject("H16")
    broker = SimBroker(venue, "main")
    assert [len(run(broker.positions()).rows) for _ in range(2)] == [0, 1]


def test_a_clock_that_is_down_is_doubtful() -> None:
    venue = a_venue()
    venue.inject("H20", down=True)
    with pytest.raises(UnknownOutcomeError):
        run(SimBroker(venue, "main").clock())


def test_a_refused_key_is_an_auth_error() -> None:
    venue = a_venue()
    venue.accounts["main"].refused = 401
    with pytest.raises(AuthError):
        run(SimBroker(venue, "main").account())


def test_a_missing_quote_and_a_price_that_is_no_number_are_absent() -> None:
    venue = a_venue()
    option = an_option(CALL)
    assert option is not None
    venue.inject("Q14")
    assert run(SimQuotes(venue).latest([option])) == {}


def test_sleepers_wake_in_order_and_an_hour_takes_no_time() -> None:
    venue = a_venue()
    clock = VirtualClock(venue)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.monotonic()))

    async def both() -> None:
        await asyncio.gather(sleeper("a", 10, 3590), sleeper("b", 5, 10, 5))

    asyncio.run(both())
    assert woken == [("b", 5), ("a", 10), ("b", 15), ("b", 20), ("a", 3600)]
    assert clock.now() == at("12:00")


def test_a_cancelled_sleep_moves_no_time() -> None:
    venue = a_venue()
    clock = VirtualClock(venue)

    async def story() -> None:
        long = asyncio.ensure_future(clock.sleep(3600))
        await clock.sleep(1)
        long.cancel()
        await clock.sleep(1)

    asyncio.run(story())
    assert clock.monotonic() == 2


def test_a_multi_leg_order_is_listed_with_its_legs_also_for_the_symbol_of_one() -> None:
    venue = a_venue((CALL, "1", "2"), (HIGHER, "-1", "1"))
    sent = send_spread(venue, limit="-1.50", legs=closing(CALL, HIGHER))
    broker = SimBroker(venue, "main")
    (listed,) = run(broker.open_orders()).rows
    assert (listed.id, listed.symbol, listed.side, listed.limit_price) == (sent["id"], "", None, Decimal("-1.50"))
    assert [(leg.symbol, leg.side, leg.position_intent) for leg in listed.legs] == [
        (CALL, Side.SELL, PositionIntent.SELL_TO_CLOSE), (HIGHER, Side.BUY, PositionIntent.BUY_TO_CLOSE),
    ]  # fmt: skip
    midnight = at("00:00")
    assert run(broker.orders_since(midnight, [HIGHER])).rows == (listed,)
    assert run(broker.orders_since(midnight, [STOCK])).rows == ()
    assert {one.symbol: one.available for one in run(broker.positions()).rows} == {CALL: 0, HIGHER: 0}
