"""The streams: handshakes, frames, error codes, limits and messages."""

from typing import Any

import msgpack
import pytest
from sim_clients import CALL, SCENARIO, a_client, a_server, a_socket, events_of, follow_updates, hear, log_in, say
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sellctl.sim.server import SimServer

OPTIONS, IEX = "/v1beta1/indicative", "/v2/iex"


def error(code: int, message: str) -> list[dict[str, Any]]:
    return [{"T": "error", "code": code, "msg": message}]


@pytest.mark.parametrize(
    "login",
    [
        {"action": "auth", "key": "sim-main", "secret": "sim-secret"},
        {"action": "authenticate", "data": {"key_id": "sim-main", "secret_key": "sim-secret"}},
    ],
)
def test_trade_updates_take_both_spellings_of_the_login(server: SimServer, login: dict[str, Any]) -> None:
    with a_socket(server, "/stream") as socket:
        say(socket, login)
        assert hear(socket) == {
            "stream": "authorization",
            "data": {"status": "authorized", "action": "authenticate"},
        }


def test_a_wrong_key_and_listening_before_the_login_are_unauthorized(server: SimServer) -> None:
    with a_socket(server, "/stream") as socket:
        say(socket, {"action": "auth", "key": "sim-main", "secret": "wrong"})
        assert hear(socket)["data"] == {"status": "unauthorized", "action": "authenticate"}
        say(socket, {"action": "listen", "data": {"streams": ["trade_updates"]}})
        assert hear(socket)["data"] == {"status": "unauthorized", "action": "listen"}


def test_unknown_streams_are_left_out_without_a_word(server: SimServer) -> None:
    with a_socket(server, "/stream") as socket:
        say(socket, {"action": "auth", "key": "sim-main", "secret": "sim-secret"})
        hear(socket)
        say(socket, {"action": "listen", "data": {"streams": ["trade_updates", "account_updates"]}})
        assert hear(socket)["data"] == {"streams": ["trade_updates"]}


def test_an_unknown_action_ends_the_connection_with_an_error(server: SimServer) -> None:
    with a_socket(server, "/stream") as socket:
        say(socket, {"action": "dance"})
        assert hear(socket)["action"] == "error"
        with pytest.raises(ConnectionClosed):
            hear(socket)


def test_updates_are_json_in_binary_frames_and_tell_an_orders_life(server: SimServer) -> None:
    with a_socket(server, "/stream") as socket, a_client(server) as client:
        follow_updates(socket)
        client.sell(limit_price="2.00")
        assert events_of(socket, 2) == ["pending_new", "new"]
        frame = socket.recv(timeout=5)
    assert isinstance(frame, bytes)
    assert frame.startswith(b'{"stream":"trade_updates","data":{"event":"fill"')


def test_a_fill_names_its_price_quantity_and_the_position_after_it(server: SimServer) -> None:
    with a_socket(server, "/stream") as socket, a_client(server) as client:
        follow_updates(socket)
        client.sell(qty="3", limit_price="2.00")
        data = [hear(socket)["data"] for _ in range(3)][-1]
    assert {key: data[key] for key in ("event", "price", "qty", "position_qty")} == {
        "event": "fill", "price": "2", "qty": "3", "position_qty": "1",
    }  # fmt: skip
    assert (data["order"]["status"], "cancel_requested_at" in data["order"]) == ("filled", True)


def test_each_account_hears_only_of_its_own_orders(server: SimServer) -> None:
    with a_socket(server, "/stream") as second, a_socket(server, "/stream") as main, a_client(server) as client:
        follow_updates(second, "second")
        follow_updates(main)
        client.sell()
        assert events_of(main, 2) == ["pending_new", "new"]
        with pytest.raises(TimeoutError):
            hear(second, timeout=0.2)


def test_a_second_trade_stream_of_an_account_is_refused(server: SimServer) -> None:
    with a_socket(server, "/stream") as first, a_socket(server, "/stream") as second:
        follow_updates(first)
        say(second, {"action": "auth", "key": "sim-main", "secret": "sim-secret"})
        assert hear(second)["data"]["error_message"] == "connection limit exceeded"


def test_an_unknown_path_is_not_found(server: SimServer) -> None:
    with pytest.raises(InvalidStatus) as refused, a_socket(server, "/v9/nothing"):
        pass
    assert refused.value.response.status_code == 404


@pytest.mark.parametrize("packed", [False, True])
def test_a_stock_stream_speaks_json_or_msgpack(server: SimServer, packed: bool) -> None:
    with a_socket(server, IEX, packed=packed) as socket:
        assert hear(socket) == [{"T": "success", "msg": "connected"}]
        say(socket, {"action": "auth", "key": "sim-main", "secret": "sim-secret"}, packed=packed)
        assert hear(socket) == [{"T": "success", "msg": "authenticated"}]
        say(socket, {"action": "subscribe", "quotes": ["F"]}, packed=packed)
        assert hear(socket)[0]["quotes"] == ["F"]
        assert hear(socket)[0]["bp"] == 12


def test_an_option_quote_is_msgpack_with_a_timestamp_of_its_own_type(server: SimServer) -> None:
    with a_socket(server, OPTIONS, packed=True) as socket:
        log_in(socket, packed=True)
        say(socket, {"action": "subscribe", "quotes": [CALL]}, packed=True)
        assert hear(socket) == [{"T": "subscription", "trades": [], "quotes": [CALL]}]
        [quote] = msgpack.unpackb(socket.recv(timeout=5))
    assert isinstance(quote.pop("t"), msgpack.Timestamp)
    assert quote == {
        "T": "q", "S": CALL, "bx": "V", "bp": 2, "bs": 100, "ax": "V", "ap": 2.1, "as": 100, "c": "A",
    }  # fmt: skip


def test_options_in_json_are_refused(server: SimServer) -> None:
    with a_socket(server, OPTIONS) as socket:
        assert hear(socket)[0]["code"] == 412


def test_the_login_may_come_in_headers(server: SimServer) -> None:
    headers = {"APCA-API-KEY-ID": "sim-main", "APCA-API-SECRET-KEY": "sim-secret"}
    with a_socket(server, IEX, **headers) as socket:
        assert [hear(socket)[0]["msg"] for _ in range(2)] == ["connected", "authenticated"]


def test_a_wrong_login_is_402_and_the_end(server: SimServer) -> None:
    with a_socket(server, IEX) as socket:
        hear(socket)
        say(socket, {"action": "auth", "key": "sim-main", "secret": "wrong"})
        assert hear(socket) == error(402, "auth failed")
        with pytest.raises(ConnectionClosed):
            hear(socket)


def test_mistakes_of_a_client_have_their_codes(server: SimServer) -> None:
    with a_socket(server, IEX) as socket:
        hear(socket)
        socket.send("not json")
        assert hear(socket) == error(400, "invalid syntax")
        say(socket, {"action": "subscribe", "quotes": ["F"]})
        assert hear(socket) == error(401, "not authenticated")
        say(socket, {"action": "auth", "key": "sim-main", "secret": "sim-secret"})
        hear(socket)
        say(socket, {"action": "auth", "key": "sim-main", "secret": "sim-secret"})
        assert hear(socket) == error(403, "already authenticated")
        say(socket, {"action": "dance"})
        assert hear(socket) == error(400, "invalid syntax")


def test_a_silent_client_is_let_go_after_a_while() -> None:
    with a_server(SCENARIO.replace("rate_limit: 0", "rate_limit: 0, auth_timeout: 0.1")) as server:
        with a_socket(server, IEX) as socket:
            hear(socket)
            assert hear(socket) == error(404, "auth timeout")
        with a_socket(server, "/stream") as socket, pytest.raises(ConnectionClosed):
            hear(socket)


def test_too_many_symbols_are_405_and_what_was_subscribed_stays(server: SimServer) -> None:
    with a_socket(server, IEX) as socket:
        log_in(socket)
        say(socket, {"action": "subscribe", "quotes": ["F"]})
        assert hear(socket)[0]["quotes"] == ["F"]
        hear(socket)
        say(socket, {"action": "subscribe", "quotes": [f"S{n}" for n in range(30)]})
        assert hear(socket) == error(405, "symbol limit exceeded")
        say(socket, {"action": "subscribe", "trades": ["F"]})
        assert (hear(socket)[0]["quotes"]) == ["F"]


def test_options_have_a_limit_of_two_hundred_quotes_and_no_star(server: SimServer) -> None:
    with a_socket(server, OPTIONS, packed=True) as socket:
        log_in(socket, packed=True)
        say(socket, {"action": "subscribe", "quotes": ["*"]}, packed=True)
        assert hear(socket)[0]["code"] == 413
        many = [f"NVDA261218C{strike:08d}" for strike in range(201)]
        say(socket, {"action": "subscribe", "quotes": many}, packed=True)
        assert hear(socket)[0]["code"] == 405
        say(socket, {"action": "subscribe", "quotes": many[:200]}, packed=True)
        assert len(hear(socket)[0]["quotes"]) == 200
        say(socket, {"action": "subscribe", "bars": [CALL]}, packed=True)
        assert hear(socket)[0]["code"] == 410


def test_unsubscribing_takes_symbols_away(server: SimServer) -> None:
    with a_socket(server, IEX) as socket:
        log_in(socket)
        say(socket, {"action": "subscribe", "trades": ["F", "NVDA"]})
        hear(socket)
        say(socket, {"action": "unsubscribe", "trades": ["F"]})
        assert hear(socket)[0]["trades"] == ["NVDA"]


def test_one_connection_an_endpoint_the_second_is_406(server: SimServer) -> None:
    with a_socket(server, IEX) as first, a_socket(server, IEX) as second, a_socket(server, IEX) as other:
        assert log_in(first) == [{"T": "success", "msg": "authenticated"}]
        assert log_in(second) == error(406, "connection limit exceeded")
        assert log_in(other, account="second") == [{"T": "success", "msg": "authenticated"}]


@pytest.mark.parametrize(("path", "packed"), [("/v2/sip", False), ("/v1beta1/opra", True)])
def test_paid_feeds_need_a_subscription(server: SimServer, path: str, packed: bool) -> None:
    with a_socket(server, path, packed=packed) as socket:
        assert log_in(socket, packed=packed) == error(409, "insufficient subscription")


def test_a_fill_shows_as_a_trade_print(server: SimServer) -> None:
    with a_socket(server, OPTIONS, packed=True) as socket, a_client(server) as client:
        log_in(socket, packed=True)
        say(socket, {"action": "subscribe", "trades": [CALL]}, packed=True)
        hear(socket)
        client.sell(qty="2", limit_price="2.00")
        [trade] = hear(socket)
    assert {key: trade[key] for key in ("T", "S", "p", "s", "c")} == {"T": "t", "S": CALL, "p": 2, "s": 2, "c": "I"}


def test_a_fragmented_subscription_is_read_as_one(server: SimServer) -> None:
    with a_socket(server, OPTIONS, packed=True) as socket:
        log_in(socket, packed=True)
        whole = msgpack.packb({"action": "subscribe", "quotes": [CALL]})
        socket.send([whole[:10], whole[10:20], whole[20:]])
        assert hear(socket)[0]["quotes"] == [CALL]


def test_a_moving_price_is_sent_every_second_and_a_fixed_one_once() -> None:
    moving = SCENARIO.replace(
        "F: {bid: 12.00, ask: 12.01}", "F: [{fixed: 12.00}, {at: start, walk: {seed: 1, sigma: 5%}}]"
    )
    with a_server(moving) as server, a_socket(server, IEX) as socket:
        log_in(socket)
        say(socket, {"action": "subscribe", "quotes": ["F", "NVDA"]})
        hear(socket)
        first = [row["S"] for row in hear(socket)]
        while len(first) < 2:
            first += [row["S"] for row in hear(socket)]
        told = []
        for _ in range(3):
            server.advance(1)
            told += [row["S"] for row in hear(socket)]
    assert (sorted(first), told) == (["F", "NVDA"], ["F", "F", "F"])
