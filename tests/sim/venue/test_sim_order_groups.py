"""Orders that belong together: brackets, OCO and OTO orders, and replacements."""

from decimal import Decimal
from typing import Any

import pytest
from sim_builders import CALL, STOCK, a_venue, held, later, rejected, send, status_of

from sellctl.sim.rejections import RejectionError
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.order_actions import replace_order
from sellctl.sim.venue.orders import SimOrder

BRACKET = {
    "order_class": "bracket",
    "take_profit": {"limit_price": "13.00"},
    "stop_loss": {"stop_price": "11.00"},
}


def order(venue: Exchange, answer: dict[str, Any]) -> SimOrder:
    return venue.accounts["main"].orders[answer["id"]]


def legs(venue: Exchange, answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(leg.type, leg.status) for leg in order(venue, answer).legs]


def price(venue: Exchange, bid: str, ask: str, symbol: str = STOCK) -> None:
    venue.set_quote(symbol, Decimal(bid), Decimal(ask))


def test_a_brackets_exits_wait_for_the_entry_and_then_the_limit_works_and_the_stop_is_held() -> None:
    venue = a_venue()
    answer = send(venue, STOCK, "buy", "10", limit_price="11.90", **BRACKET)
    assert [leg["status"] for leg in answer["legs"]] == ["held", "held"]
    price(venue, "11.88", "11.90")
    assert legs(venue, answer) == [("limit", "new"), ("stop", "held")]
    assert venue.accounts["main"].held_for_orders(STOCK) == 10


def test_the_target_of_a_bracket_ends_its_stop() -> None:
    venue = a_venue()
    answer = send(venue, STOCK, "buy", "10", **BRACKET)
    price(venue, "13.00", "13.01")
    assert legs(venue, answer) == [("limit", "filled"), ("stop", "canceled")]
    assert held(venue, STOCK) == 0


def test_the_stop_of_a_bracket_ends_its_target() -> None:
    venue = a_venue()
    answer = send(venue, STOCK, "buy", "10", **BRACKET)
    price(venue, "10.90", "10.91")
    later(venue, 2)
    assert legs(venue, answer) == [("limit", "canceled"), ("stop", "filled")]
    assert held(venue, STOCK) == 0


def test_cancelling_an_entry_takes_its_exits_along() -> None:
    venue = a_venue()
    answer = send(venue, STOCK, "buy", "10", limit_price="11.00", **BRACKET)
    venue.cancel(venue.accounts["main"], answer["id"])
    assert legs(venue, answer) == [("limit", "canceled"), ("stop", "canceled")]


def test_cancelling_one_exit_takes_the_other_along() -> None:
    venue = a_venue()
    answer = send(venue, STOCK, "buy", "10", **BRACKET)
    venue.cancel(venue.accounts["main"], order(venue, answer).legs[0].id)
    assert legs(venue, answer) == [("limit", "canceled"), ("stop", "canceled")]


def test_an_oco_holds_the_quantity_once() -> None:
    venue = a_venue((STOCK, "10", "12"))
    fields = {"order_class": "oco", "take_profit": {"limit_price": "13"}, "stop_loss": {"stop_price": "11"}}
    answer = send(venue, STOCK, "sell", "10", type="limit", **fields)
    assert venue.accounts["main"].held_for_orders(STOCK) == 10
    price(venue, "10.90", "10.91")
    later(venue, 2)
    assert (status_of(venue, answer), legs(venue, answer)) == ("canceled", [("stop", "filled")])


def test_an_oto_sends_its_one_exit_after_the_entry() -> None:
    venue = a_venue()
    answer = send(venue, STOCK, "buy", "10", order_class="oto", stop_loss={"stop_price": "11"})
    assert legs(venue, answer) == [("stop", "new")]
    price(venue, "10.90", "10.91")
    assert held(venue, STOCK) == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"order_class": "bracket"}, "bracket orders require take_profit.limit_price"),
        ({"order_class": "oto"}, "oto orders require one of take_profit or stop_loss"),
        (BRACKET | {"stop_loss": {"stop_price": "14"}}, "take_profit.limit_price must be on the other side"),
        (BRACKET | {"time_in_force": "ioc"}, "complex orders must be day or gtc"),
    ],
)
def test_a_group_that_makes_no_sense_is_rejectd(fields: dict[str, Any], message: str) -> None:
    assert str(rejected(a_venue(), STOCK, "buy", **fields).body["message"]).startswith(message)


def test_a_replacement_is_a_new_order_and_the_old_one_points_at_it() -> None:
    venue = a_venue((CALL, "2", "1"))
    old = send(venue, limit_price="3.00")
    new = replace_order(venue, venue.accounts["main"], old["id"], {"limit_price": "2.50"})
    assert (new["replaces"], new["limit_price"], new["status"]) == (old["id"], "2.5", "new")
    assert (order(venue, old).status, order(venue, old).replaced_by) == ("replaced", new["id"])
    assert [event.kind for event in venue.events[-2:]] == ["replaced", "new"]


def test_a_replacement_at_a_marketable_price_fills() -> None:
    venue = a_venue((CALL, "2", "1"))
    old = send(venue, qty="2", limit_price="3.00")
    new = replace_order(venue, venue.accounts["main"], old["id"], {"limit_price": "2.00"})
    assert (status_of(venue, new), held(venue)) == ("filled", 0)


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({}, 422, "order parameters are not changed"),
        ({"limit_price": "3.00"}, 422, "order parameters are not changed"),
        ({"limit_price": "3.001"}, 422, "invalid limit_price"),
        ({"qty": "3"}, 403, "insufficient qty"),
        ({"qty": "0.5"}, 422, "qty must be an integer"),
        ({"qty": "x"}, 422, "invalid number"),
        ({"time_in_force": "never", "qty": "2"}, 422, "invalid time_in_force"),
        ({"qty": "2", "client_order_id": "mine"}, 422, "client_order_id must be unique"),
    ],
)
def test_a_replacement_that_breaks_a_rule_is_rejectd(changes: dict[str, str], status: int, message: str) -> None:
    venue = a_venue((CALL, "2", "1"))
    old = send(venue, limit_price="3.00", client_order_id="mine")
    with pytest.raises(RejectionError) as rejection:
        replace_order(venue, venue.accounts["main"], old["id"], changes)
    assert (rejection.value.status, str(rejection.value.body["message"])[: len(message)]) == (status, message)


def test_a_done_order_is_not_replaced() -> None:
    venue = a_venue((CALL, "2", "1"))
    done = send(venue, limit_price="2.00")
    with pytest.raises(RejectionError) as rejection:
        replace_order(venue, venue.accounts["main"], done["id"], {"qty": "2"})
    assert rejection.value.body["message"] == "cannot replace order in filled status"


def test_a_replaced_exit_stays_in_its_bracket() -> None:
    venue = a_venue()
    answer = send(venue, STOCK, "buy", "10", **BRACKET)
    target = order(venue, answer).legs[0]
    replace_order(venue, venue.accounts["main"], target.id, {"limit_price": "12.50"})
    price(venue, "12.50", "12.51")
    assert legs(venue, answer) == [("limit", "filled"), ("stop", "canceled")]
