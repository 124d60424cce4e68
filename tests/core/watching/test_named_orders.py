"""A structure that is named by its opening order: its legs are looked up once, and a failure waits."""

import asyncio
from decimal import Decimal

import pytest
from builders import an_order, replace
from order_fakes import FakeClock
from shell_fakes import FakeBroker
from structure_builders import call

from sellctl.core.errors import UnknownOutcomeError
from sellctl.core.model.order import Order
from sellctl.core.structures.named import NamedStructure
from sellctl.core.watching.named_orders import TRY_AGAIN_SECONDS, NamedOrders

FLY = NamedStructure("my-fly", order="opened-it")


def a_butterfly(**changes: object) -> Order:
    legs = tuple(an_order(call(strike), "buy", qty) for strike, qty in ((190, "2"), (200, "4"), (210, "2")))
    return replace(an_order("", qty="2", client_order_id="opened-it", legs=legs, order_class="mleg"), **changes)


class Desk:
    def __init__(self, *orders: Order) -> None:
        self.clock = FakeClock()
        self.broker = FakeBroker(self.clock)
        self.broker.orders = {order.client_order_id: order for order in orders}
        self.orders = NamedOrders(self.broker, self.clock)

    def load(self, *named: NamedStructure) -> None:
        asyncio.run(self.orders.load(named or (FLY,)))


def test_its_legs_are_those_of_the_order_with_their_ratios_and_it_is_asked_once() -> None:
    desk = Desk(a_butterfly())
    for _ in range(3):
        desk.load()
    assert desk.orders.known([FLY])[0].legs == ((call(190), 1), (call(200), 2), (call(210), 1))
    assert desk.orders.problems([FLY]) == ()


def test_hundreds_of_shares_count_as_one() -> None:
    legs = (an_order("AAPL", "buy", "300"), an_order(call(210), "sell", "3"))
    desk = Desk(a_butterfly(legs=legs))
    desk.load()
    assert desk.orders.known([FLY])[0].legs == (("AAPL", 1), (call(210), 1))


@pytest.mark.parametrize(
    ("orders", "says"),
    [
        ((), "this account has no order with that client order id"),
        ((a_butterfly(legs=()),), "the broker shows no legs of its order: name them with legs"),
        ((a_butterfly(legs=(replace(an_order(call(200)), qty=Decimal("NaN")),) * 2),), "shows no legs"),
    ],
)
def test_an_order_of_no_use_is_one_sentence(orders: tuple[Order, ...], says: str) -> None:
    desk = Desk(*orders)
    desk.load()
    (problem,) = desk.orders.problems([FLY])
    assert problem.startswith("structure my-fly: ")
    assert says in problem
    assert desk.orders.known([FLY])[0].legs == ()


def test_an_order_that_cannot_be_read_now_is_tried_again_after_a_while() -> None:
    class Silent(FakeBroker):
        asked = 0

        async def order_by_client_id(self, client_order_id: str) -> Order:
            self.asked += 1
            if self.asked == 1:
                raise UnknownOutcomeError("no answer")
            return await super().order_by_client_id(client_order_id)

    desk = Desk()
    silent = Silent(desk.clock)
    silent.orders = {"opened-it": a_butterfly()}
    desk.orders = NamedOrders(silent, desk.clock)
    desk.load()
    desk.load()
    assert silent.asked == 1
    assert "can't be read yet" in desk.orders.problems([FLY])[0]
    desk.clock.seconds += TRY_AGAIN_SECONDS
    desk.load()
    assert desk.orders.known([FLY])[0].legs
    assert desk.orders.problems([FLY]) == ()


def test_legs_that_the_look_up_lacks_are_read_from_the_list() -> None:
    class WithoutLegs(FakeBroker):
        async def order_by_client_id(self, client_order_id: str) -> Order:
            return replace(await super().order_by_client_id(client_order_id), legs=())

    desk = Desk()
    short = WithoutLegs(desk.clock)
    short.orders = {"opened-it": a_butterfly()}
    desk.orders = NamedOrders(short, desk.clock)
    desk.load()
    assert len(desk.orders.known([FLY])[0].legs) == 3


def test_one_that_is_named_by_its_legs_asks_for_nothing() -> None:
    desk = Desk()
    mine = NamedStructure("x-1", ((call(200), 1), (call(210), 1)))
    desk.load(mine)
    assert desk.broker.requests == []
    assert desk.orders.known([mine]) == (mine,)
