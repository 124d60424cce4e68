"""What one read of an account requests, which of it at once, and what of it is used."""

import asyncio
import datetime as dt
from collections.abc import Collection
from decimal import Decimal
from itertools import groupby

import pytest
from builders import CALL, PUT, TUESDAY, a_position, an_order, at, our_order, replace
from shell_fakes import FakeBroker, FakeQuotes, World

from sellctl.core.errors import AuthError, BrokerAnswer, BrokerError, Refusal, RequestRejectedError
from sellctl.core.model.instrument import Instrument
from sellctl.core.model.market import Quote
from sellctl.core.model.order import Order
from sellctl.core.model.plan import SubmitOrder
from sellctl.core.model.position import Position
from sellctl.core.model.snapshot import AccountFacts, InvalidRow, Rows
from sellctl.core.orders.client_order_ids import client_order_id
from sellctl.core.price_tracker import PriceTracker

DUE = ("1.20", "1.22")  # over the target of 10%
ANSWERS_AFTER = 0.1  # seconds


class SlowBroker(FakeBroker):
    """Answers each request some time after it was sent, and notes when that was."""

    def __init__(self, world: World) -> None:
        super().__init__(world.clock)
        self.sent_at: list[tuple[float, str]] = []

    async def travel(self, what: str) -> None:
        self.sent_at.append((round(self.host.seconds, 3), what))
        await self.host.sleep(ANSWERS_AFTER)

    async def account(self, **priority: bool) -> AccountFacts:
        await self.travel("account")
        return await super().account(**priority)

    async def positions(self, **priority: bool) -> Rows[Position]:
        await self.travel("positions")
        return await super().positions(**priority)

    async def open_orders(self, **priority: bool) -> Rows[Order]:
        await self.travel("open orders")
        return await super().open_orders(**priority)

    async def orders_since(self, start: dt.datetime, symbols: Collection[str] | None, **priority: bool) -> Rows[Order]:
        await self.travel("all orders" if symbols is None else "orders of symbols")
        return await super().orders_since(start, symbols, **priority)

    async def order_by_client_id(self, client_order_id: str) -> Order:
        await self.travel("look-up")
        return await super().order_by_client_id(client_order_id)

    async def is_penny(self, symbol: str) -> bool | None:
        await self.travel("contract")
        return await super().is_penny(symbol)

    async def submit(self, order: SubmitOrder) -> Order:
        await self.travel("order")
        return await super().submit(order)

    async def cancel(self, order_id: str) -> None:
        await self.travel("cancel")
        await super().cancel(order_id)

    def waits(self) -> list[set[str]]:
        """What was outstanding together, in the order in which it was sent; what was noted is forgotten."""
        waits = [{what for _, what in group} for _, group in groupby(self.sent_at, key=lambda sent: sent[0])]
        self.sent_at.clear()
        return waits


class SlowQuotes(FakeQuotes):
    """Quotes that take as long as the broker's answers, noted among its requests."""

    def __init__(self, world: World, broker: SlowBroker) -> None:
        super().__init__(world.clock)
        self.broker = broker

    async def latest(self, instruments: Collection[Instrument]) -> dict[str, Quote]:
        await self.broker.travel("quotes")
        return {i.symbol: self.quote(i.symbol) for i in instruments if i.symbol in self.prices}


def on_a_slow_network() -> tuple[World, SlowBroker]:
    world = World()
    broker = world.broker = SlowBroker(world)
    world.quotes = SlowQuotes(world, broker)
    world.prices = PriceTracker(world.quotes, world.clock)
    world.watcher = world.a_watcher(broker)
    return world, broker


def waits_of(world: World, broker: SlowBroker, *prices: tuple[str, str]) -> list[list[set[str]]]:
    """The waits of one poll at each of these prices, two seconds apart."""
    waits = []

    async def polls() -> None:
        for price in prices:
            world.quoted(*price)
            await world.poll()
            waits.append(broker.waits())
            world.clock.seconds += 2

    asyncio.run(polls())
    return waits


def test_from_nothing_to_the_order_there_are_three_waits() -> None:
    world, broker = on_a_slow_network()
    broker.held = (a_position(CALL, "3"), a_position(PUT, "1"))
    world.quoted(*DUE, PUT)
    (waits,) = waits_of(world, broker, DUE)
    assert waits == [{"account", "positions", "open orders", "all orders"}, {"quotes"}, {"order"}]
    assert {order.symbol for order in broker.sent} == {CALL, PUT}


def test_while_nothing_is_under_way_a_read_asks_for_positions_and_open_orders() -> None:
    world, broker = on_a_slow_network()
    _, second = waits_of(world, broker, *[("1.00", "1.02")] * 2)
    assert second[0] == {"positions", "open orders"}


def test_while_an_exit_is_under_way_a_read_asks_for_the_positions_and_one_list_of_every_order() -> None:
    world, broker = on_a_slow_network()
    _, second, third = waits_of(world, broker, DUE, DUE, DUE)
    assert (second[0], third[0]) == ({"positions", "all orders"}, {"positions", "all orders"})


def test_the_end_of_an_order_is_read_in_the_list_and_needs_no_look_up() -> None:
    world, broker = on_a_slow_network()
    waits_of(world, broker, DUE)
    (name,) = broker.orders
    broker.orders[name] = replace(broker.orders[name], status="canceled")
    (waits,) = waits_of(world, broker, DUE)
    assert waits == [{"positions", "all orders"}, {"quotes"}, {"order"}]
    assert len({order.client_order_id for order in broker.sent}) == 2


def test_an_open_order_of_an_earlier_day_stays_seen_while_only_one_list_is_read() -> None:
    world, broker = on_a_slow_network()
    broker.held = (a_position(CALL, "3"), a_position(PUT, "1"))
    world.quoted("1.00", "1.02", PUT)
    resting = an_order(PUT, limit="9.00", submitted=at("10:00") - dt.timedelta(days=3), time_in_force="gtc", id="rests")
    broker.orders[resting.client_order_id] = resting
    _, second = waits_of(world, broker, DUE, DUE)
    assert second[0] == {"positions", "all orders"}
    assert resting in world.watcher.state.open_orders


def test_an_open_order_that_is_too_old_for_one_list_makes_both_lists_be_read() -> None:
    world, broker = on_a_slow_network()
    resting = an_order(PUT, limit="9.00", submitted=at("10:00") - dt.timedelta(days=30), time_in_force="gtc")
    broker.orders[resting.client_order_id] = resting
    _, second = waits_of(world, broker, DUE, DUE)
    assert second[0] == {"positions", "open orders", "all orders"}
    assert resting in world.watcher.state.open_orders


def test_a_first_read_whose_list_of_todays_orders_fails_still_shows_positions_and_they_are_asked_for_when_due() -> None:
    world, broker = on_a_slow_network()
    broker.unlisted = True
    (waits,) = waits_of(world, broker, DUE)
    assert waits[1:] == [{"quotes"}, {"orders of symbols"}, {"order"}]
    assert world.watcher.state.problem is None


def test_an_order_of_another_host_that_ended_today_counts_in_the_first_orders_id() -> None:
    def first_id(*earlier: Order) -> str:
        world, broker = on_a_slow_network()
        broker.orders = {order.client_order_id: order for order in earlier}
        waits_of(world, broker, DUE)
        return broker.sent[0].client_order_id

    ended = our_order(CALL, status="canceled")
    yesterday = replace(ended, submitted_at=at("12:00") - dt.timedelta(days=1))
    assert first_id(ended) != first_id()
    assert first_id(yesterday) == first_id()


def test_of_several_failures_the_accounts_own_is_told_and_no_request_outlives_the_read() -> None:
    world, broker = on_a_slow_network()
    ended: list[str] = []

    async def refused(**_priority: bool) -> AccountFacts:
        await broker.travel("account")
        await broker.travel("account")
        ended.append("account")
        raise AuthError("the key is refused")

    broker.account = refused  # type: ignore[method-assign]
    broker.unreadable = BrokerError("the positions can't be read")
    waits_of(world, broker, DUE)
    assert str(world.watcher.state.problem) == "the key is refused"
    assert ended == ["account"]


# --- orders of others, and refused ids


def sold_elsewhere(world: World) -> None:
    """Another program's order has just filled; the positions don't show it yet."""
    now = world.clock.now()
    fill = an_order(CALL, qty="3", status="filled", filled_qty=Decimal(3), submitted=now, filled_at=now, id="elsewhere")
    world.broker.orders["elsewhere"] = fill


@pytest.mark.parametrize("is_streamed", [True, False], ids=["streamed", "polled"])
def test_a_foreign_fill_between_two_quiet_polls_while_positions_lag_sells_nothing_twice(*, is_streamed: bool) -> None:
    world = World()
    watcher = world.watcher
    requests: list[str] = []

    async def polls() -> None:
        watcher.orders_streamed(is_connected=is_streamed)
        for _ in range(2):
            await world.poll()
            world.clock.seconds += 5
        sold_elsewhere(world)
        if is_streamed:
            watcher.order_changed(CALL)
        world.clock.seconds += 1
        world.quoted(*DUE)
        world.broker.requests.clear()
        await world.poll()
        requests.extend(world.broker.requests)
        await watcher.reevaluate(world.market_clock.now())

    asyncio.run(polls())
    assert world.broker.sent == []
    assert watcher.state.plan is not None
    assert watcher.state.plan.is_settling
    expected = ["positions", "all orders"] if is_streamed else ["positions", "orders", "history"]
    assert requests == ["clock", *expected]


def test_a_foreign_fill_after_the_last_poll_is_seen_before_a_reevaluation_sells() -> None:
    world = World()

    async def polls() -> None:
        await world.poll()
        world.clock.seconds += 2
        sold_elsewhere(world)
        world.quoted(*DUE)
        await world.prices.refresh([a_position(CALL).instrument])
        await world.watcher.reevaluate(world.market_clock.now())

    asyncio.run(polls())
    assert world.broker.sent == []


def test_a_refused_id_that_exists_is_looked_up_and_the_next_order_has_another() -> None:
    """Its order was missed: the stream was silent. Without another list the number of the attempt is right again."""
    world = World()
    watcher = world.watcher
    ids: list[str] = []

    async def polls() -> None:
        watcher.orders_streamed(is_connected=True)
        await world.poll()
        world.clock.seconds += 5
        await world.poll()
        missed = client_order_id("PA1", CALL, TUESDAY, 1)
        world.broker.orders[missed] = replace(our_order(CALL, status="canceled"), client_order_id=missed, id="missed")
        world.broker.refuses = RequestRejectedError(
            "the id must be unique", answer=BrokerAnswer(422, 40010001, "unique"), refusal=Refusal.DUPLICATE_ID
        )
        world.quoted(*DUE)
        await world.poll()
        world.broker.refuses = None
        ids.extend(order.client_order_id for order in world.broker.sent)
        assert missed in {order.client_order_id for order in watcher.observer.known_orders([CALL])[CALL]}
        world.clock.seconds += 5
        await world.poll()

    asyncio.run(polls())
    assert ids == [client_order_id("PA1", CALL, TUESDAY, 1)]
    assert [order.client_order_id for order in world.broker.sent[1:]] == [client_order_id("PA1", CALL, TUESDAY, 2)]


def test_with_the_order_stream_connected_an_exit_that_falls_due_needs_no_request_for_todays_orders() -> None:
    world, broker = on_a_slow_network()
    world.watcher.orders_streamed(is_connected=True)
    _, second, third = waits_of(world, broker, ("1.00", "1.02"), ("1.00", "1.02"), DUE)
    assert second[0] == {"positions", "open orders"}
    assert third == [{"positions", "open orders"}, {"quotes"}, {"order"}]


def test_a_read_after_the_stream_was_connected_makes_todays_orders_certain_without_a_request_more() -> None:
    world, broker = on_a_slow_network()
    (_,) = waits_of(world, broker, ("1.00", "1.02"))
    world.watcher.orders_streamed(is_connected=True)
    second, third = waits_of(world, broker, ("1.00", "1.02"), ("1.00", "1.02"))
    assert (second[0], third[0]) == ({"positions", "all orders"}, {"positions", "open orders"})


@pytest.mark.parametrize(("symbol", "sold"), [(CALL, [PUT]), (PUT, [CALL]), ("", [])])
def test_an_unreadable_order_of_today_in_the_first_read_stops_its_symbol_or_all_if_it_may_be_any(
    symbol: str, sold: list[str]
) -> None:
    world = World()
    world.broker.held = (a_position(CALL, "3"), a_position(PUT, "1"))
    world.broker.unreadable_orders = (InvalidRow(symbol, "qty is 'NaN'"),)
    world.quoted(*DUE)
    world.quoted(*DUE, PUT)

    async def polls() -> None:
        for _ in range(2):
            await world.poll()
            world.clock.seconds += 5

    asyncio.run(polls())
    assert [order.symbol for order in world.broker.sent] == sold
    assert sum("can't be read" in text for text in world.texts) == 1
