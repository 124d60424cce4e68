"""Every fault of the HTTP family, by name, as a client sees it."""

from typing import Any

import pytest
import requests
from sim_clients import CALL, Rest, a_client

from sellctl.sim.faults.catalogue import CATALOGUE
from sellctl.sim.server import SimServer


def orders(server: SimServer) -> int:
    """How many orders the exchange has taken."""
    return len(server.exchange.accounts["main"].orders)


def sent_with(server: SimServer, client: Rest, name: str, **options: Any) -> requests.Response:
    """The response to an order sent while a fault is active."""
    server.exchange.inject(name, path="/v2/orders", **options)
    return client.sell()


@pytest.mark.parametrize(("name", "accepted"), [("H01", 0), ("H02", 1)])
def test_no_answer_comes_before_or_after_the_order_was_accepted(server: SimServer, name: str, accepted: int) -> None:
    server.exchange.inject(name, method="POST", hold=5)
    with a_client(server) as client, pytest.raises(requests.ReadTimeout):
        client.ask("POST", "/v2/orders", {**_a_sale()}, timeout=0.3)
    assert orders(server) == accepted


def _a_sale() -> dict[str, str]:
    return {"symbol": CALL, "side": "sell", "qty": "1", "type": "limit", "limit_price": "3", "time_in_force": "day"}


@pytest.mark.parametrize(("name", "accepted"), [("H03", 0), ("H15", 0), ("H04", 1)])
def test_the_connection_is_reset_before_or_after_the_order_was_accepted(
    server: SimServer, client: Rest, name: str, accepted: int
) -> None:
    server.exchange.inject(name, method="POST")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        client.sell()
    assert orders(server) == accepted


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("html", [False, True])
def test_a_server_error_comes_as_json_or_html_before_or_after(
    server: SimServer, client: Rest, status: int, after: bool, html: bool
) -> None:
    answer = sent_with(server, client, "H05", status=status, after=after, html=html)
    assert answer.status_code == status
    assert answer.headers["content-type"] == ("text/html" if html else "application/json")
    assert orders(server) == int(after)


@pytest.mark.parametrize(
    ("options", "status", "body"),
    [
        ({}, 403, {"message": "forbidden."}),
        ({"status": 401, "message": "unauthorized."}, 401, {"message": "unauthorized."}),
        ({"status": 400, "code": 40010000, "message": "no"}, 400, {"code": 40010000, "message": "no"}),
    ],
)
def test_a_refusal_has_the_status_the_message_and_the_code_or_none_as_asked_for(
    server: SimServer, client: Rest, options: dict[str, Any], status: int, body: dict[str, Any]
) -> None:
    answer = sent_with(server, client, "H21", method="POST", **options)
    assert answer.status_code == status
    assert answer.json() == body
    assert orders(server) == 0


@pytest.mark.parametrize(("reset", "offset"), [("none", None), ("now", 0), ("past", -3600), ("far", 86400)])
def test_too_many_requests_comes_with_every_kind_of_reset(
    server: SimServer, client: Rest, reset: str, offset: int | None
) -> None:
    answer = sent_with(server, client, "H06", reset=reset)
    assert (answer.status_code, answer.json()["code"]) == (429, 42910000)
    stamp = answer.headers.get("X-Ratelimit-Reset")
    now = int(server.exchange.now.timestamp())
    assert stamp == (None if offset is None else str(now + offset))


@pytest.mark.parametrize(("status", "message"), [(401, "unauthorized."), (403, "forbidden.")])
def test_the_key_is_refused_mid_day_until_it_is_taken_back(
    server: SimServer, client: Rest, status: int, message: str
) -> None:
    server.exchange.inject("H07", account="main", status=status)
    for _ in range(2):
        answer = client.ask("GET", "/v2/account")
        assert (answer.status_code, answer.json()) == (status, {"message": message})
    server.exchange.clear_faults("H07")
    assert client.ask("GET", "/v2/account").status_code == 200


def test_insufficient_quantity_is_claimed(server: SimServer, client: Rest) -> None:
    answer = sent_with(server, client, "H08")
    assert (answer.status_code, answer.json()["code"]) == (403, 40310000)
    assert set(answer.json()) == {
        "available", "code", "existing_qty", "held_for_orders", "message", "related_orders", "symbol",
    }  # fmt: skip


@pytest.mark.parametrize("status", [422, 409])
def test_a_new_id_is_called_a_duplicate_in_both_spellings(server: SimServer, client: Rest, status: int) -> None:
    answer = sent_with(server, client, "H09", status=status)
    assert (answer.status_code, answer.json()["code"]) == (status, 40010001)
    assert orders(server) == 0


@pytest.mark.parametrize(("options", "status"), [({"message": "no"}, 422), ({"wash": True}, 403)])
def test_an_order_is_refused_for_another_reason(
    server: SimServer, client: Rest, options: dict[str, Any], status: int
) -> None:
    answer = sent_with(server, client, "H10", **options)
    assert answer.status_code == status
    assert ("reject_reason" in answer.json()) == (status == 403)


@pytest.mark.parametrize("body", ["truncated", "empty", "html"])
def test_a_body_cannot_be_read(server: SimServer, client: Rest, body: str) -> None:
    answer = sent_with(server, client, "H11", body=body)
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert orders(server) == 1


@pytest.mark.parametrize(("body", "value"), [("null", None), ("wrong_type", {})])
def test_a_body_is_something_else(server: SimServer, client: Rest, body: str, value: object) -> None:
    server.exchange.inject("H11", body=body)
    assert client.get("/v2/positions") == value


def test_a_body_is_fifty_megabytes(server: SimServer, client: Rest) -> None:
    server.exchange.inject("H11", body="huge")
    with client.session.get(f"{server.url}/v2/positions", timeout=5, stream=True) as answer:
        assert int(answer.headers["content-length"]) > 50_000_000


@pytest.mark.parametrize(
    ("change", "shows"),
    [
        ("unknown_enum", lambda row: row["asset_class"] == "something_new"),
        ("missing_field", lambda row: "qty" not in row),
        ("extra_field", lambda row: "a_new_field" in row),
        ("number_for_string", lambda row: row["qty"] == 1.5),
        ("nan", lambda row: row["qty"] == "NaN"),
        ("bad_row", lambda row: row == {"symbol": 17}),
    ],
)
def test_a_shape_changes_in_one_row_only(server: SimServer, client: Rest, change: str, shows: Any) -> None:
    server.exchange.inject("H12", path="/v2/positions", change=change)
    rows = client.get("/v2/positions")
    assert shows(rows[0])
    assert rows[-1]["symbol"] == CALL
    assert client.get("/v2/positions")[0]["qty"] == "100"


def test_a_body_drips(server: SimServer, client: Rest) -> None:
    server.exchange.inject("H13", path="/v2/clock", delay=0.001)
    with client.session.get(f"{server.url}/v2/clock", timeout=5, stream=True) as answer:
        sizes = [len(chunk) for chunk in answer.raw.stream(1)]
    assert len(sizes) > 100


def test_a_redirect_points_elsewhere(server: SimServer, client: Rest) -> None:
    server.exchange.inject("H14", location="http://127.0.0.1:1/elsewhere")
    answer = client.ask("GET", "/v2/account")
    assert (answer.status_code, answer.headers["location"]) == (302, "http://127.0.0.1:1/elsewhere")


def test_positions_are_empty_once_although_something_is_held(server: SimServer, client: Rest) -> None:
    server.exchange.inject("H16", path="/v2/positions")
    assert [len(client.get("/v2/positions")) for _ in range(2)] == [0, 2]


def test_lists_are_cut_to_a_page(server: SimServer, client: Rest) -> None:
    for price in ("3.00", "3.05", "3.10"):
        client.sell(limit_price=price)
    server.exchange.inject("H17", path="/v2/orders", page=2)
    assert len(client.get("/v2/orders", limit=500)) == 2


def test_positions_lag_behind_fills(server: SimServer, client: Rest) -> None:
    server.exchange.inject("H18", seconds=10)
    client.sell(qty="4", limit_price="2.00")
    assert client.get(f"/v2/positions/{CALL}")["qty"] == "4"
    server.advance(10)
    assert client.ask("GET", f"/v2/positions/{CALL}").status_code == 404


@pytest.mark.parametrize(("seconds", "after_ten_minutes"), [(600, "canceled"), (None, "pending_cancel")])
def test_a_cancel_is_accepted_and_hangs(
    server: SimServer, client: Rest, seconds: int | None, after_ten_minutes: str
) -> None:
    order = client.sell().json()["id"]
    server.exchange.inject("H19", seconds=seconds)
    assert client.ask("DELETE", f"/v2/orders/{order}").status_code == 204
    assert client.get(f"/v2/orders/{order}")["status"] == "pending_cancel"
    again = client.ask("DELETE", f"/v2/orders/{order}")
    assert (again.status_code, again.json()["message"]) == (422, "order pending cancel")
    server.advance(601)
    assert client.get(f"/v2/orders/{order}")["status"] == after_ten_minutes


def test_the_clock_is_wrong(server: SimServer, client: Rest) -> None:
    server.exchange.inject("H20", path="/v2/clock", skew=7200)
    assert client.get("/v2/clock")["timestamp"] == "2026-11-25T13:00:00-05:00"


def test_the_calendar_is_wrong(server: SimServer, client: Rest) -> None:
    server.exchange.inject("H20", path="/v2/calendar", skew=-3600)
    assert client.get("/v2/calendar", start="2026-11-25", end="2026-11-25")[0]["close"] == "15:00"


@pytest.mark.parametrize("path", ["/v2/clock", "/v2/calendar"])
def test_clock_and_calendar_are_down(server: SimServer, client: Rest, path: str) -> None:
    server.exchange.inject("H20", down=True)
    assert client.ask("GET", path).status_code == 503


def test_a_fault_applies_per_account_and_by_chance_and_is_counted(server: SimServer) -> None:
    server.exchange.inject("H06", account="second", times=None, rate="0.5")
    with a_client(server) as main, a_client(server, "second") as second:
        assert {main.ask("GET", "/v2/clock").status_code for _ in range(20)} == {200}
        statuses = [second.ask("GET", "/v2/clock").status_code for _ in range(40)]
    assert 5 < statuses.count(429) < 35
    assert server.exchange.faults.fired["H06"] == statuses.count(429)


def test_every_name_of_the_family_is_in_the_catalogue() -> None:
    assert {name for name in CATALOGUE if name[0] == "H"} == {f"H{number:02d}" for number in range(1, 22)}
