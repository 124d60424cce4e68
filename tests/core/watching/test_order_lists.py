"""The lists of an account's orders: which are requested, and which of the rows are open."""

import asyncio
import datetime as dt
from collections.abc import Collection
from typing import TYPE_CHECKING, cast

import pytest
from builders import CALL, PUT, an_order, at, replace

from sellctl.core.errors import UnknownOutcomeError
from sellctl.core.model.order import Order
from sellctl.core.model.snapshot import InvalidRow, Rows
from sellctl.core.watching.order_lists import PAGE_SIZE, AccountOrders, OrderLists

if TYPE_CHECKING:
    from sellctl.core.ports import Broker

MIDNIGHT = at("00:00")
NEXT_MIDNIGHT = MIDNIGHT + dt.timedelta(days=1)


class Listed:
    """A broker with these orders, which answers lists of them and notes the requests."""

    def __init__(self, *orders: Order) -> None:
        self.orders = orders
        self.unreadable: tuple[InvalidRow, ...] = ()
        self.hidden: frozenset[str] = frozenset()  # ids that the list of every order lacks
        self.fails_all = False
        self.requests: list[str] = []

    async def open_orders(self, **_priority: bool) -> Rows[Order]:
        self.requests.append("open")
        return Rows(tuple(order for order in self.orders if not order.is_terminal))

    async def orders_since(self, start: dt.datetime, symbols: Collection[str] | None, **_priority: bool) -> Rows[Order]:
        assert symbols is None
        self.requests.append(f"since {start:%m-%dT%H:%M}")
        if self.fails_all:
            raise UnknownOutcomeError("no answer")
        since = (order for order in self.orders if order.submitted_at and order.submitted_at >= start)
        return Rows(tuple(order for order in since if order.id not in self.hidden), self.unreadable)


def lists_of(broker: Listed) -> OrderLists:
    return OrderLists(cast("Broker", broker))


def read(lists: OrderLists, midnight: dt.datetime = MIDNIGHT) -> AccountOrders:
    """One read with today's orders, whose answer is used."""
    orders = asyncio.run(lists.read_all(midnight, urgent=False))
    lists.remember(orders, midnight)
    return orders


def ids(orders: Collection[Order]) -> set[str]:
    return {order.id for order in orders}


def an_open(name: str, submitted: str = "10:00", **more: object) -> Order:
    return an_order(CALL, submitted=at(submitted), id=name, client_order_id=name, **more)  # type: ignore[arg-type]


def test_after_the_first_read_one_list_shows_the_open_orders_and_those_that_ended() -> None:
    broker = Listed(an_open("a"), an_open("b"), an_open("c", status="filled"))
    lists = lists_of(broker)
    first = read(lists)
    broker.orders = (broker.orders[0], replace(broker.orders[1], status="canceled"), broker.orders[2], an_open("d"))
    second = read(lists)
    assert broker.requests == ["open", f"since {MIDNIGHT:%m-%dT%H:%M}", f"since {MIDNIGHT:%m-%dT%H:%M}"]
    assert (ids(first.open.rows), ids(first.ended)) == ({"a", "b"}, {"c"})
    assert (ids(second.open.rows), ids(second.ended)) == ({"a", "d"}, {"b", "c"})


def test_the_one_list_begins_with_the_oldest_open_order() -> None:
    early = replace(an_open("early", time_in_force="gtc"), submitted_at=at("15:00") - dt.timedelta(days=2))
    broker = Listed(early, an_open("a"))
    lists = lists_of(broker)
    read(lists)
    broker.requests.clear()
    assert ids(read(lists).open.rows) == {"early", "a"}
    assert broker.requests == [f"since {early.submitted_at:%m-%dT%H:%M}"]


def test_a_new_day_reads_both_lists_again() -> None:
    broker = Listed(an_open("a"))
    lists = lists_of(broker)
    read(lists)
    broker.requests.clear()
    read(lists, NEXT_MIDNIGHT)
    assert len(broker.requests) == 2


@pytest.mark.parametrize("submitted", [None, MIDNIGHT - dt.timedelta(days=8)])
def test_an_open_order_of_unknown_age_or_too_old_makes_both_lists_be_read(submitted: dt.datetime | None) -> None:
    broker = Listed(replace(an_open("a"), submitted_at=submitted))
    lists = lists_of(broker)
    read(lists)
    broker.requests.clear()
    assert ids(read(lists).open.rows) == {"a"}
    assert "open" in broker.requests


def test_an_order_that_was_open_and_is_missing_in_the_one_list_is_looked_for_among_the_open_ones() -> None:
    broker = Listed(an_open("a"), an_open("b"))
    lists = lists_of(broker)
    read(lists)
    broker.hidden = frozenset({"b"})
    assert ids(read(lists).open.rows) == {"a", "b"}
    assert broker.requests[-1] == "open"


@pytest.mark.parametrize("status", ["a_new_status", "done_for_day"])
def test_a_status_that_does_not_tell_whether_an_order_is_open_asks_for_the_open_ones(status: str) -> None:
    broker = Listed(an_open("a"))
    lists = lists_of(broker)
    read(lists)
    broker.orders = (an_open("a"), an_open("b", status=status))
    read(lists)
    assert broker.requests[-1] == "open"


def test_an_unreadable_row_asks_for_the_open_ones_so_that_an_ended_order_stops_nothing_else() -> None:
    broker = Listed(an_open("a"))
    lists = lists_of(broker)
    read(lists)
    broker.unreadable = (InvalidRow(PUT, "qty is 'NaN'"),)
    orders = read(lists)
    assert orders.open.invalid == ()
    assert broker.requests[-1] == "open"


def test_the_first_list_of_todays_orders_may_fail_and_a_later_one_fails_the_read() -> None:
    broker = Listed(an_open("a"))
    lists = lists_of(broker)
    broker.fails_all = True
    assert read(lists).recent is None
    with pytest.raises(UnknownOutcomeError):
        read(lists)


def test_of_more_orders_than_one_answer_holds_only_the_open_ones_are_read_again() -> None:
    broker = Listed(*(an_open(f"{number}", status="filled") for number in range(PAGE_SIZE + 1)), an_open("a"))
    lists = lists_of(broker)
    assert read(lists).recent is not None
    broker.requests.clear()
    orders = read(lists)
    assert (broker.requests, orders.recent, ids(orders.open.rows)) == (["open"], None, {"a"})


def test_a_bracket_whose_entry_has_filled_is_open_while_a_leg_is() -> None:
    leg = an_open("leg")
    broker = Listed(an_open("a"), an_open("entry", status="filled", order_class="bracket", legs=(leg,)))
    lists = lists_of(broker)
    read(lists)
    assert ids(read(lists).open.rows) == {"a", "entry"}
