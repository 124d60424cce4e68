"""Multi-leg orders over HTTP and the trade-update stream: shapes, look-ups, lists, error bodies and positions."""

from collections.abc import Iterator
from typing import Any

import pytest
from official_schemas import ORDER, check
from sim_clients import (
    CALL,
    CONDOR,
    CONDOR_SCENARIO,
    HIGHER,
    LOWER,
    PUT,
    Rest,
    a_client,
    a_server,
    a_socket,
    follow_updates,
    hear,
)

from sellctl.sim.server import SimServer

NATURAL = "1.8"  # 2.10 - 1.00 + 1.60 - 0.90
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def server() -> Iterator[SimServer]:
    with a_server(CONDOR_SCENARIO) as running:
        yield running


@pytest.fixture
def client(server: SimServer) -> Iterator[Rest]:
    with a_client(server) as rest:
        yield rest


def a_body(limit: str = "1.20", **fields: Any) -> dict[str, Any]:
    """The order that closes one condor; the limit rests unless told."""
    legs = [
        {"symbol": symbol, "side": intent.partition("_")[0], "ratio_qty": "1", "position_intent": intent}
        for symbol, intent in CONDOR.items()
    ]
    body = {"order_class": "mleg", "qty": "1", "type": "limit", "limit_price": limit, "time_in_force": "day"}
    return {**body, "legs": legs, **fields}


def send(client: Rest, limit: str = "1.20", **fields: Any) -> dict[str, Any]:
    answer = client.ask("POST", "/v2/orders", a_body(limit, **fields))
    assert answer.status_code == 200
    return dict(answer.json())


def conforms(order: dict[str, Any]) -> None:
    """Assert the key sets of a parent and its legs, and validate both against the official schemas."""
    assert set(order) == ORDER - {"position_intent"}
    assert [set(leg) for leg in order["legs"]] == [ORDER | {"ratio_qty"}] * len(CONDOR)
    check(order, "Order", fault="mleg-empty-text")
    for leg in order["legs"]:
        check(leg, "OrderLeg", fault="leg-empty-type")


@pytest.mark.parametrize(("limit", "status"), [("1.20", "new"), (NATURAL, "filled")])
def test_the_official_schemas_accept_a_parent_and_its_legs(client: Rest, limit: str, status: str) -> None:
    sent = send(client, limit)
    conforms(sent)
    now = client.get(f"/v2/orders/{sent['id']}", nested="true")
    conforms(now)
    assert {now["status"], *(leg["status"] for leg in now["legs"])} == {status}


def test_a_parent_has_the_net_price_and_each_leg_its_own(client: Rest) -> None:
    sent = send(client, "2.00", qty="2")
    parent = client.get(f"/v2/orders/{sent['id']}", nested="true")
    assert {key: parent[key] for key in ("limit_price", "filled_avg_price", "filled_qty", "side", "symbol")} == {
        "limit_price": "2", "filled_avg_price": NATURAL, "filled_qty": "2", "side": "", "symbol": "",
    }  # fmt: skip
    assert [(leg["symbol"], leg["side"], leg["filled_avg_price"], leg["limit_price"]) for leg in parent["legs"]] == [
        (CALL, "buy", "2.1", None), (HIGHER, "sell", "1", None),
        (PUT, "buy", "1.6", None), (LOWER, "sell", "0.9", None),
    ]  # fmt: skip
    assert client.get("/v2/positions") == []


def test_a_partly_closed_condor_is_four_smaller_positions(client: Rest) -> None:
    send(client, NATURAL)
    send(client, "1.20")
    rows = {row["symbol"]: (row["qty"], row["qty_available"]) for row in client.get("/v2/positions")}
    assert rows == {CALL: ("-1", "0"), HIGHER: ("1", "0"), PUT: ("-1", "0"), LOWER: ("1", "0")}
    for row in client.get("/v2/positions"):
        check(row, "Position")


@pytest.mark.parametrize("query", [{}, {"symbols": HIGHER}, {"symbols": "NVDA", "asset_class": "us_option"}])
def test_lists_have_the_legs_inside_their_parent_when_nested_and_not_at_all_otherwise(
    client: Rest, query: dict[str, str]
) -> None:
    sent = send(client)
    for status in ("open", "all"):
        flat = client.get("/v2/orders", status=status, **query)
        assert [(row["id"], row["legs"]) for row in flat] == [(sent["id"], None)]
        nested = client.get("/v2/orders", status=status, nested="True", **query)
        assert [[leg["symbol"] for leg in row["legs"]] for row in nested] == [list(CONDOR)]
        conforms(nested[0])
    assert client.get("/v2/orders", symbols="F") == []
    client.ask("DELETE", f"/v2/orders/{sent['id']}")
    assert [row["status"] for row in client.get("/v2/orders", status="closed", nested="true")] == ["canceled"]


def test_a_look_up_shows_the_legs_only_when_it_is_nested_unless_the_setting_says_otherwise(client: Rest) -> None:
    sent = send(client, client_order_id="mine")
    assert client.get(f"/v2/orders/{sent['id']}")["legs"] is None
    assert len(client.get(f"/v2/orders/{sent['id']}", nested="true")["legs"]) == len(CONDOR)
    assert client.get("/v2/orders:by_client_order_id", client_order_id="mine")["legs"] is None
    generous = CONDOR_SCENARIO.replace("rate_limit: 0", "rate_limit: 0, legs_in_look_ups: true")
    with a_server(generous) as server, a_client(server) as other:
        sent = send(other, client_order_id="mine")
        assert len(other.get(f"/v2/orders/{sent['id']}")["legs"]) == len(CONDOR)
        assert len(other.get("/v2/orders:by_client_order_id", client_order_id="mine")["legs"]) == len(CONDOR)


def test_a_leg_is_found_by_its_own_ids(client: Rest) -> None:
    leg = send(client)["legs"][1]
    assert client.get(f"/v2/orders/{leg['id']}")["symbol"] == HIGHER
    found = client.get("/v2/orders:by_client_order_id", client_order_id=leg["client_order_id"])
    assert (found["id"], found["ratio_qty"], found["position_intent"]) == (leg["id"], "1", "sell_to_close")


def test_a_cancel_of_the_parent_is_204_and_of_a_leg_422(client: Rest) -> None:
    sent = send(client)
    refused = client.ask("DELETE", f"/v2/orders/{sent['legs'][0]['id']}")
    assert (refused.status_code, refused.json()["code"]) == (422, 42210000)
    assert client.ask("DELETE", f"/v2/orders/{sent['id']}").status_code == 204
    again = send(client)
    rows = client.ask("DELETE", "/v2/orders").json()
    assert [(row["id"], row["status"]) for row in rows] == [(again["id"], 200)]


def test_the_refusals_have_alpacas_bodies(client: Rest, server: SimServer) -> None:
    first = send(client, qty="2")
    busy = client.ask("POST", "/v2/orders", a_body())
    assert (busy.status_code, busy.json()) == (403, {
        "code": 40310000, "message": "insufficient qty available for order (requested: 1, available: 0)",
        "available": "0", "existing_qty": "2", "held_for_orders": "2", "symbol": "",
        "related_orders": [first["legs"][0]["id"]],
    })  # fmt: skip
    with a_client(server, "second") as low:
        level = low.ask("POST", "/v2/orders", a_body())
    assert (level.status_code, level.json()) == (403, {
        "code": 40310000, "message": "account not eligible to trade spreads or uncovered contracts",
    })  # fmt: skip
    without = [{**leg, "position_intent": None} for leg in a_body()["legs"]]
    intent = client.ask("POST", "/v2/orders", a_body(legs=without))
    assert (intent.status_code, intent.json()) == (422, {
        "code": 42210000, "message": "leg.0 position intent is required",
    })  # fmt: skip


def test_the_long_wing_of_a_condor_is_refused_alone_while_its_short_is_open(client: Rest) -> None:
    body = {"symbol": HIGHER, "side": "sell", "qty": "1", "type": "market", "time_in_force": "day"}
    answer = client.ask("POST", "/v2/orders", body)
    assert (answer.status_code, answer.json()["message"]) == (
        403, "account not eligible to trade uncovered option contracts",
    )  # fmt: skip


def test_updates_are_of_the_parent_with_every_leg(client: Rest, server: SimServer) -> None:
    with a_socket(server, "/stream") as socket:
        follow_updates(socket)
        sent = send(client, NATURAL, qty="2")
        updates = [hear(socket)["data"] for _ in range(3)]
    assert [update["event"] for update in updates] == ["pending_new", "new", "fill"]
    assert {update["order"]["id"] for update in updates} == {sent["id"]}
    fill = updates[-1]
    assert set(fill) == {"event", "event_id", "at", "timestamp", "order", "price", "qty", "position_qtys", "legs"}
    assert (fill["price"], fill["qty"]) == (NATURAL, "2")
    assert fill["position_qtys"] == dict.fromkeys(CONDOR, "0")
    assert [set(leg) for leg in fill["legs"]] == [
        {"execution_id", "qty", "price", "order_id", "symbol", "timestamp"},
    ] * len(CONDOR)  # fmt: skip
    order = fill["order"]
    assert (order["asset_id"], order["symbol"], order["status"]) == (NOBODY, "", "filled")
    assert [(leg["symbol"], leg["status"], leg["filled_qty"]) for leg in order["legs"]] == [
        (symbol, "filled", "2") for symbol in CONDOR
    ]


def test_a_part_of_the_units_is_an_update_of_its_own(client: Rest, server: SimServer) -> None:
    with server.hold() as exchange:
        exchange.inject("O03", qty=1)
    with a_socket(server, "/stream") as socket:
        follow_updates(socket)
        send(client, NATURAL, qty="2")
        updates = [hear(socket)["data"] for _ in range(3)]
        server.advance(1)
        updates.append(hear(socket)["data"])
    assert [(update["event"], update.get("qty")) for update in updates[2:]] == [("partial_fill", "1"), ("fill", "1")]
    assert [update["position_qtys"][CALL] for update in updates[2:]] == ["-1", "0"]


def test_each_leg_is_an_activity(client: Rest) -> None:
    send(client, NATURAL)
    rows = client.get("/v2/account/activities", activity_types="FILL")
    assert {row["symbol"]: row["price"] for row in rows} == {CALL: "2.1", HIGHER: "1", PUT: "1.6", LOWER: "0.9"}


def test_a_scenario_may_begin_with_an_open_multi_leg_order() -> None:
    legs = ", ".join(f"{{symbol: {s}, ratio_qty: 1, position_intent: {i}}}" for s, i in CONDOR.items())
    order = f"{{order_class: mleg, qty: 1, limit_price: 1.20, age: 10m, legs: [{legs}]}}"
    text = CONDOR_SCENARIO.replace("  second:", f"    orders:\n      - {order}\n  second:")
    with a_server(text) as server, a_client(server) as client:
        (parent,) = client.get("/v2/orders", nested="true")
        assert (parent["status"], parent["submitted_at"]) == ("new", "2026-11-25T15:50:00Z")
        assert [(leg["symbol"], leg["side"], leg["status"]) for leg in parent["legs"]] == [
            (symbol, intent.partition("_")[0], "new") for symbol, intent in CONDOR.items()
        ]
        client.ask("POST", "/sim/quotes", {CALL: {"bid": 1.4, "ask": 1.5}})
        assert client.get("/v2/positions/" + CALL)["qty"] == "-1"
