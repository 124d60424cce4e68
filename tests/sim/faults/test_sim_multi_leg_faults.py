"""Faults on multi-leg orders: they act on the parent and all of its legs, whichever leg's symbol they name."""

from decimal import Decimal
from typing import Any

import pytest
from sim_builders import CALL, HIGHER, a_venue, closing, held, later, rejected_spread, send, send_spread, status_of

from sellctl.sim.scenario.events import manual_cancel
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimOrder

TWO_SPREADS = ((CALL, "2", "2.00"), (HIGHER, "-2", "1.00"))


def resting(venue: Exchange) -> dict[str, Any]:
    return send_spread(venue, limit="-1.50", qty="2", legs=closing(CALL, HIGHER), client_order_id="mine")


def order(venue: Exchange, answer: dict[str, Any]) -> SimOrder:
    return venue.accounts["main"].orders[answer["id"]]


def statuses(venue: Exchange, answer: dict[str, Any]) -> set[str]:
    parent = order(venue, answer)
    return {parent.status, *(leg.status for leg in parent.legs)}


def free(venue: Exchange) -> tuple[Decimal, Decimal]:
    account = venue.accounts["main"]
    return 2 - account.held_for_orders(CALL), 2 - account.held_for_orders(HIGHER)


def test_multi_leg_orders_alone_are_refused_with_the_status_and_message_that_the_fault_has() -> None:
    venue = a_venue(*TWO_SPREADS)
    venue.inject("O18")
    default = rejected_spread(venue, limit="-1.50", legs=closing(CALL, HIGHER))
    assert (default.status, default.body) == (422, {"code": 42210000, "message": "order is not allowed"})
    venue.clear_faults("O18")
    venue.inject("O18", symbol=HIGHER, status=403, message="submit mleg order is disabled", times=1)
    once = rejected_spread(venue, limit="-1.50", legs=closing(CALL, HIGHER))
    assert (once.status, once.body) == (403, {"code": 40310000, "message": "submit mleg order is disabled"})
    send(venue, HIGHER, "buy", "1", limit_price="0.50", position_intent="buy_to_close")
    assert send_spread(venue, limit="-1.50", legs=closing(CALL, HIGHER))["status"] == "pending_new"
    assert venue.faults.fired["O18"] == 2


@pytest.mark.parametrize(("name", "status"), [("O01", "rejected"), ("O02", "rejected")])
def test_a_rejected_parent_frees_what_its_legs_held(name: str, status: str) -> None:
    venue = a_venue(*TWO_SPREADS)
    venue.inject(name, symbol=HIGHER)
    answer = resting(venue)
    assert (statuses(venue, answer), free(venue)) == ({status}, (2, 2))
    assert venue.accounts["main"].open_orders == {}


@pytest.mark.parametrize(
    ("name", "options", "status"), [("O06", {"status": "suspended"}, "suspended"), ("O07", {}, "done_for_day")]
)
def test_a_parent_and_its_legs_are_stuck_together(name: str, options: dict[str, Any], status: str) -> None:
    venue = a_venue(*TWO_SPREADS)
    venue.inject(name, symbol=CALL, **options)
    answer = resting(venue)
    later(venue, 30)
    assert statuses(venue, answer) == {status}


def test_a_hung_cancel_hangs_for_every_leg() -> None:
    venue = a_venue(*TWO_SPREADS)
    answer = resting(venue)
    venue.inject("H19", symbol=HIGHER)
    venue.cancel(venue.accounts["main"], answer["id"])
    later(venue, 60)
    assert (statuses(venue, answer), free(venue)) == ({"pending_cancel"}, (0, 0))


def test_the_fill_during_a_cancel_is_of_every_leg_at_the_net_limit() -> None:
    venue = a_venue(*TWO_SPREADS)
    answer = resting(venue)
    venue.inject("O04", symbol=CALL)
    venue.cancel(venue.accounts["main"], answer["id"])
    account = venue.accounts["main"]
    assert (statuses(venue, answer), account.positions) == ({"filled"}, {})
    assert account.cash == 100_000 + 300


def test_an_order_that_expires_with_a_part_filled_has_whole_units() -> None:
    venue = a_venue(*TWO_SPREADS)
    answer = resting(venue)
    venue.inject("O09", symbol=HIGHER)
    assert (statuses(venue, answer), held(venue), held(venue, HIGHER)) == ({"expired"}, 1, -1)


def test_parts_are_units() -> None:
    venue = a_venue(*TWO_SPREADS)
    venue.inject("O03", symbol=CALL)
    answer = send_spread(venue, limit="-0.94", qty="2", legs=closing(CALL, HIGHER))
    assert (status_of(venue, answer), held(venue), held(venue, HIGHER)) == ("partially_filled", 1, -1)
    later(venue, 1)
    assert venue.accounts["main"].positions == {}


def test_a_corporate_action_replaces_the_parent_with_all_legs() -> None:
    venue = a_venue(*TWO_SPREADS)
    answer = resting(venue)
    venue.inject("O08", symbol=HIGHER)
    newer = venue.accounts["main"].orders[str(order(venue, answer).replaced_by)]
    assert statuses(venue, answer) == {"replaced"}
    assert [leg.replaces for leg in newer.legs] == [leg["id"] for leg in answer["legs"]]
    assert free(venue) == (0, 0)


def test_a_busted_fill_is_reversed_leg_by_leg() -> None:
    venue = a_venue(*TWO_SPREADS)
    send_spread(venue, limit="-0.94", qty="2", legs=closing(CALL, HIGHER))
    venue.inject("O12", symbol=HIGHER)
    account = venue.accounts["main"]
    assert ({symbol: one.qty for symbol, one in account.positions.items()}, account.cash) == (
        {CALL: 2, HIGHER: -2}, 100_000,
    )  # fmt: skip


def test_an_absurd_price_of_one_leg_shows_in_the_net_price() -> None:
    venue = a_venue(*TWO_SPREADS)
    venue.inject("O13", symbol=CALL, ratio="0.5")
    answer = send_spread(venue, limit="-0.94", qty="2", legs=closing(CALL, HIGHER))
    assert order(venue, answer).filled_avg_price == Decimal("1.06") - Decimal("1.00")


def test_a_new_order_is_invisible_with_its_legs() -> None:
    venue = a_venue(*TWO_SPREADS)
    venue.inject("O14", symbol=CALL)
    answer = resting(venue)
    assert not any(venue.is_visible(one) for one in (order(venue, answer), *order(venue, answer).legs))
    later(venue, 9)
    assert all(venue.is_visible(one) for one in (order(venue, answer), *order(venue, answer).legs))


@pytest.mark.parametrize("fault", ["O11", "O15"])
def test_a_liquidation_or_assignment_of_one_leg_ends_the_order_once(fault: str) -> None:
    venue = a_venue(*TWO_SPREADS)
    answer = resting(venue)
    venue.inject(fault, symbol=CALL)
    assert statuses(venue, answer) == {"canceled"}
    assert [event.kind for event in venue.events if event.order and event.order["id"] == answer["id"]] == [
        "pending_new", "new", "canceled",
    ]  # fmt: skip


@pytest.mark.parametrize(("client_id", "symbol"), [("mine", ""), ("", HIGHER)])
def test_a_person_cancels_it_by_its_client_order_id_or_by_the_symbol_of_a_leg(client_id: str, symbol: str) -> None:
    venue = a_venue(*TWO_SPREADS)
    answer = resting(venue)
    manual_cancel("main", client_id, symbol)(venue)
    assert statuses(venue, answer) == {"canceled"}
    assert [event.kind for event in venue.events].count("canceled") == 1
