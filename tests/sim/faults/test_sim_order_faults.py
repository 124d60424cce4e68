"""Every fault of the order family, by name, as a client sees it."""

import pytest
from sim_clients import CALL, Rest, a_socket, events_of, follow_updates

from sellctl.sim.faults.catalogue import CATALOGUE
from sellctl.sim.server import SimServer


def status(client: Rest, order: str) -> str:
    return str(client.get(f"/v2/orders/{order}")["status"])


def test_an_order_is_rejected_at_once(server: SimServer, client: Rest) -> None:
    server.exchange.inject("O01")
    assert client.sell().json()["status"] == "rejected"


def test_an_order_is_accepted_then_rejected(server: SimServer, client: Rest) -> None:
    server.exchange.inject("O02")
    with a_socket(server, "/stream") as socket:
        follow_updates(socket)
        order = client.sell().json()
        assert order["status"] == "pending_new"
        assert events_of(socket, 2) == ["pending_new", "rejected"]
    assert client.get(f"/v2/orders/{order['id']}")["failed_at"] is not None


def test_orders_fill_in_parts(server: SimServer, client: Rest) -> None:
    server.exchange.inject("O03", qty=1)
    order = client.sell(qty="3", limit_price="2.00").json()["id"]
    assert (status(client, order), client.get(f"/v2/orders/{order}")["filled_qty"]) == ("partially_filled", "1")
    server.advance(2)
    assert status(client, order) == "filled"


def test_an_order_fills_while_it_is_cancelled(server: SimServer, client: Rest) -> None:
    server.exchange.inject("O04")
    with a_socket(server, "/stream") as socket:
        follow_updates(socket)
        order = client.sell().json()["id"]
        assert client.ask("DELETE", f"/v2/orders/{order}").status_code == 204
        assert events_of(socket, 4) == ["pending_new", "new", "pending_cancel", "fill"]
    assert status(client, order) == "filled"


def test_an_order_stays_pending_new(server: SimServer, client: Rest) -> None:
    server.exchange.inject("O05")
    order = client.sell(limit_price="2.00").json()["id"]
    server.advance(60)
    assert status(client, order) == "pending_new"


@pytest.mark.parametrize("stuck", ["held", "suspended", "stopped", "calculated"])
def test_an_order_stays_in_an_odd_status(server: SimServer, client: Rest, stuck: str) -> None:
    server.exchange.inject("O06", status=stuck)
    order = client.sell(limit_price="2.00").json()["id"]
    server.advance(60)
    assert status(client, order) == stuck


def test_an_order_is_done_for_the_day(server: SimServer, client: Rest) -> None:
    server.exchange.inject("O07")
    order = client.sell(limit_price="2.00").json()["id"]
    assert status(client, order) == "done_for_day"
    assert [row["id"] for row in client.get("/v2/orders")] == [order]


def test_an_order_is_replaced_by_a_corporate_action(server: SimServer, client: Rest) -> None:
    old = client.sell(client_order_id="mine").json()["id"]
    server.exchange.inject("O08")
    before = client.get(f"/v2/orders/{old}")
    after = client.get(f"/v2/orders/{before['replaced_by']}")
    assert (before["status"], after["replaces"], after["client_order_id"] == "mine") == ("replaced", old, False)


def test_an_order_expires_with_a_part_filled(server: SimServer, client: Rest) -> None:
    order = client.sell(qty="3").json()["id"]
    server.exchange.inject("O09")
    shown = client.get(f"/v2/orders/{order}")
    assert (shown["status"], shown["filled_qty"]) == ("expired", "1")


@pytest.mark.parametrize(
    ("options", "left", "resting"),
    [
        ({"side": "sell"}, "3", 0),
        ({"side": "buy", "qty": 2}, "6", 0),
        ({"side": "sell", "qty": 2, "limit_price": "3.00"}, "4", 1),
    ],
)
def test_a_human_trades_or_rests_an_order(
    server: SimServer, client: Rest, options: dict[str, object], left: str, resting: int
) -> None:
    server.exchange.inject("O10", symbol=CALL, **options)
    assert client.get(f"/v2/positions/{CALL}")["qty"] == left
    rows = client.get("/v2/orders")
    assert [row["source"] for row in rows] == ["human"] * resting


def test_the_broker_liquidates_by_itself(server: SimServer, client: Rest) -> None:
    mine = client.sell(client_order_id="mine").json()["id"]
    server.exchange.inject("O11", symbol=CALL)
    assert client.ask("GET", f"/v2/positions/{CALL}").status_code == 404
    assert status(client, mine) == "canceled"
    newest = client.get("/v2/orders", status="closed", direction="desc")
    assert {row["client_order_id"] == "mine" for row in newest} == {True, False}


def test_a_fill_is_busted(server: SimServer, client: Rest) -> None:
    client.sell(qty="4", limit_price="2.00")
    assert client.ask("GET", f"/v2/positions/{CALL}").status_code == 404
    server.exchange.inject("O12", symbol=CALL)
    assert client.get(f"/v2/positions/{CALL}")["qty"] == "4"


def test_a_fill_is_at_an_absurd_price(server: SimServer, client: Rest) -> None:
    server.exchange.inject("O13", ratio="0.01")
    order = client.sell(limit_price="2.00").json()["id"]
    assert client.get(f"/v2/orders/{order}")["filled_avg_price"] == "0.02"


def test_an_order_shows_in_lists_and_by_client_id_only_later(server: SimServer, client: Rest) -> None:
    server.exchange.inject("O14", seconds=8)
    order = client.sell(client_order_id="mine").json()["id"]
    lookup = "/v2/orders:by_client_order_id"
    missing = client.ask("GET", lookup, client_order_id="mine")
    assert (missing.status_code, missing.json()) == (404, {"code": 40410000, "message": "order not found for mine"})
    assert (client.get("/v2/orders"), status(client, order)) == ([], "new")
    server.advance(8)
    assert client.get(lookup, client_order_id="mine")["id"] == order


def test_an_option_is_exercised(server: SimServer, client: Rest) -> None:
    server.exchange.inject("O15", symbol=CALL)
    assert client.ask("GET", f"/v2/positions/{CALL}").status_code == 404
    assert client.get("/v2/positions/NVDA")["avg_entry_price"] == "200"


def test_every_name_of_the_family_is_in_the_catalogue() -> None:
    assert {name for name in CATALOGUE if name[0] == "O"} == {f"O{number:02d}" for number in (*range(1, 16), 18)}
