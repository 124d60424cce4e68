"""A request to close 2 of 5 closes exactly 2, whatever happens to its orders, and never 2 again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from builders import CALL, a_position, replace
from hypothesis import given, settings
from hypothesis import strategies as st
from shell_fakes import World

from sellctl.core.errors import UnknownOutcomeError
from sellctl.core.model.order import ZERO, Order
from sellctl.core.model.plan import SubmitOrder
from sellctl.core.watching.manual_requests import CommandRequest, ExitTerms, ManualRequests, Patience, Verb

TWO = ExitTerms(Decimal(2))


def closing(terms: ExitTerms = TWO, request_id: str = "1") -> CommandRequest:
    return CommandRequest(request_id, Verb.CLOSE, CALL, ("main",), "sellctl close", terms)


@dataclass
class Venue:
    """One account with five contracts, at a broker that loses answers and whose positions lag behind the fills."""

    world: World = field(default_factory=World)
    held: Decimal = Decimal(5)
    shown: Decimal = Decimal(5)  # what the positions show
    most_at_once: Decimal = ZERO  # the most that our orders could ever have closed in all
    is_visible: bool = True  # whether a look-up by client order id finds orders
    lost: str = ""  # "before": the next order doesn't arrive, "after": its answer doesn't

    def __post_init__(self) -> None:
        broker = self.world.broker
        submit, look_up = broker.submit, broker.order_by_client_id

        async def submitting(order: SubmitOrder) -> Order:
            lost, self.lost = self.lost, ""
            if lost == "before":
                raise UnknownOutcomeError("the connection was reset")
            if order.client_order_id in broker.orders:
                raise UnknownOutcomeError("a duplicate id has no clear answer here")
            placed = await submit(order)
            self.most_at_once = max(self.most_at_once, self.filled + self.open)
            if lost == "after":
                raise UnknownOutcomeError("the connection was reset")
            return placed

        async def looking_up(client_order_id: str) -> Order:
            if not self.is_visible:
                client_order_id = "an order that isn't there"
            return await look_up(client_order_id)

        broker.submit = submitting  # type: ignore[method-assign]
        broker.order_by_client_id = looking_up  # type: ignore[method-assign]
        self.show()

    @property
    def orders(self) -> list[Order]:
        return list(self.world.broker.orders.values())

    @property
    def filled(self) -> Decimal:
        return sum((order.filled_qty for order in self.orders), ZERO)

    @property
    def open(self) -> Decimal:
        return sum((order.leaves_qty for order in self.orders if not order.is_terminal), ZERO)

    def show(self) -> None:
        """The positions show every fill."""
        self.shown = self.held
        self.list_positions()

    def list_positions(self) -> None:
        free = max(self.shown - self.open, ZERO)
        rows = (replace(a_position(CALL, f"{self.shown}"), available=free),) if self.shown else ()
        self.world.broker.held = rows

    def fill(self, qty: int) -> None:
        """Fill so much of the working order; the positions don't show it yet."""
        for key, order in self.world.broker.orders.items():
            if not order.is_terminal:
                new = min(order.leaves_qty, Decimal(qty), self.held)
                done = order.filled_qty + new
                status = "filled" if done == order.qty else "partially_filled"
                self.world.broker.orders[key] = replace(
                    order, filled_qty=done, status=status, filled_at=self.world.clock.now()
                )
                self.held -= new
                return

    def sell_elsewhere(self) -> None:
        """A person sells one, if it is free."""
        if self.held - self.open > 0:
            self.held -= 1
            self.shown = min(self.shown, self.held)

    def ask(self, terms: ExitTerms = TWO) -> None:
        self.world.watcher.take_request(closing(terms))

    def poll(self, seconds: float = 3.0, bid: str = "1.00") -> None:
        self.list_positions()
        self.world.quoted(bid, f"{Decimal(bid) + Decimal('0.02')}")
        asyncio.run(self.world.poll())
        self.world.clock.seconds += seconds

    def act(self, action: str) -> None:
        if action.startswith("fill"):
            self.fill(int(action[-1]))
        elif action == "lose before":
            self.lost = "before"
        elif action == "lose after":
            self.lost = "after"
        elif action == "hide":
            self.is_visible = not self.is_visible
        elif action == "show":
            self.show()
        elif action == "human":
            self.sell_elsewhere()
        else:
            self.poll(*{"poll": (3.0, "1.00"), "down": (4.0, "0.97"), "later": (25.0, "1.01")}[action])


ACTIONS = ["poll", "down", "later", "fill 1", "fill 2", "lose before", "lose after", "hide", "show", "human"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(ACTIONS), max_size=30))
def test_whatever_happens_to_its_orders_no_more_than_two_are_ever_closed(actions: Sequence[str]) -> None:
    venue = Venue()
    venue.poll()
    venue.ask()
    for action in actions:
        venue.act(action)
        assert venue.filled + venue.open <= 2, actions
    assert venue.most_at_once <= 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(ACTIONS), max_size=20))
def test_once_the_broker_answers_again_as_much_is_closed_as_was_asked_and_is_held(actions: Sequence[str]) -> None:
    venue = Venue()
    venue.poll()
    venue.ask()
    for action in actions:
        venue.act(action)
    venue.is_visible, venue.lost = True, ""
    for _ in range(12):
        venue.fill(1)
        venue.show()
        venue.poll(25.0)
    assert venue.filled == 2 or venue.held == 0
    assert venue.world.watcher.requests.closing == frozenset()
    assert not venue.open


def test_fills_in_parts_and_prices_that_move_add_up_to_what_was_asked() -> None:
    venue = Venue()
    venue.poll()
    venue.ask()
    venue.poll(4.0)
    venue.fill(1)
    venue.poll(4.0, bid="0.97")  # cancelled to reprice
    venue.poll(4.0, bid="0.97")
    assert [order.qty for order in venue.orders] == [2, 1]
    venue.fill(1)
    for _ in range(5):
        venue.poll(25.0)
    assert (venue.filled, len(venue.orders)) == (2, 2)


def test_an_order_that_filled_unseen_and_was_given_up_as_absent_is_not_sent_anew() -> None:
    venue = Venue()
    venue.poll()
    venue.ask()
    venue.lost, venue.is_visible = "after", False
    venue.poll(6.0)
    venue.fill(2)
    venue.sell_elsewhere()
    venue.sell_elsewhere()
    venue.show()  # one is left, too few to send the order again: it is given up as absent
    for _ in range(6):
        venue.poll(12.0)
    assert (venue.filled, venue.held) == (2, 1)


def test_a_second_request_closes_as_much_again_and_the_last_one_counts() -> None:
    venue = Venue()
    venue.poll()
    venue.ask()
    venue.poll()
    venue.fill(1)
    venue.ask(ExitTerms(Decimal(1)))
    for _ in range(4):
        venue.poll(4.0)
        venue.fill(5)
    assert venue.filled == 2  # one for the first, one for the second


def test_an_order_that_closes_more_than_was_asked_is_cancelled_first() -> None:
    venue = Venue()
    venue.poll()
    venue.ask(ExitTerms())
    venue.poll()
    assert [order.qty for order in venue.orders] == [5]
    venue.ask()
    venue.poll()
    venue.poll()
    assert [(order.qty, order.is_terminal) for order in venue.orders] == [(5, True), (2, False)]


@pytest.mark.parametrize("patience", list(Patience))
def test_no_order_of_a_request_with_a_limit_is_sent_beyond_it_or_sent_again_at_the_same_price(
    patience: Patience,
) -> None:
    venue = Venue()
    venue.poll()
    venue.ask(ExitTerms(Decimal(2), Decimal("1.10"), patience))
    for _ in range(8):
        venue.poll(14.0)
    assert [order.limit_price for order in venue.world.broker.sent] == [Decimal("1.10")]


def test_a_stop_is_not_bound_by_the_limit_and_the_quantity_of_a_request() -> None:
    venue = Venue()
    venue.poll()
    venue.ask(ExitTerms(Decimal(2), Decimal("1.10")))
    venue.poll()
    for _ in range(4):
        venue.poll(4.0, bid="0.70")
    assert (venue.orders[-1].qty, venue.orders[-1].limit_price) == (5, Decimal("0.70"))


def test_a_request_for_a_part_ends_with_its_day_and_one_for_all_does_not() -> None:
    venue = Venue()
    requests = ManualRequests()
    requests.ask(CALL, TWO)
    requests.ask("AAPL", ExitTerms())
    now = venue.world.clock.now()
    requests.begin(lambda _symbol: {}, now)
    assert requests.expire(now.date()) == ()
    assert requests.expire(now.date().replace(day=now.day + 1)) == (CALL,)
    assert requests.closing == {"AAPL"}


def test_a_restart_forgets_the_request_and_leaves_its_order_working() -> None:
    venue = Venue()
    venue.poll()
    venue.ask()
    venue.poll()
    venue.world.watcher = venue.world.a_watcher(venue.world.broker)
    for _ in range(3):
        venue.poll(4.0)
    assert [(order.qty, order.is_terminal) for order in venue.orders] == [(2, False)]
    venue.fill(2)
    for _ in range(3):
        venue.poll(25.0)
    assert (venue.filled, venue.open) == (2, 0)
