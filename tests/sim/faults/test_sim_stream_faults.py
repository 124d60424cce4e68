"""Every fault of the stream family, by name, as a client sees it."""

import contextlib
from collections.abc import Iterator

import pytest
from sim_clients import CALL, Rest, a_socket, events_of, follow_updates, hear, log_in, say
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection

from sellctl.sim.faults.catalogue import CATALOGUE
from sellctl.sim.server import SimServer


@contextlib.contextmanager
def following(server: SimServer) -> Iterator[ClientConnection]:
    """A trade stream that listens."""
    with a_socket(server, "/stream") as socket:
        follow_updates(socket)
        yield socket


def test_the_stream_drops_without_a_word(server: SimServer) -> None:
    with following(server) as socket:
        server.exchange.inject("W01")
        with pytest.raises(ConnectionClosedError) as closed:
            hear(socket)
    assert closed.value.rcvd is None


def test_the_stream_is_connected_and_mute(server: SimServer, client: Rest) -> None:
    with following(server) as socket:
        server.exchange.inject("W02")
        client.sell()
        with pytest.raises(TimeoutError):
            hear(socket, timeout=0.2)
        server.exchange.clear_faults("W02")
        client.sell()
        assert events_of(socket, 2) == ["pending_new", "new"]
    assert server.exchange.faults.fired["W02"] == 2


def test_one_event_is_lost(server: SimServer, client: Rest) -> None:
    with following(server) as socket:
        server.exchange.inject("W03")
        client.sell(limit_price="2.00")
        assert events_of(socket, 2) == ["new", "fill"]


def test_one_event_comes_twice(server: SimServer, client: Rest) -> None:
    with following(server) as socket:
        server.exchange.inject("W04")
        client.sell()
        assert events_of(socket, 3) == ["pending_new", "pending_new", "new"]


def test_two_events_change_places(server: SimServer, client: Rest) -> None:
    with following(server) as socket:
        server.exchange.inject("W05")
        client.sell(limit_price="2.00")
        assert events_of(socket, 3) == ["new", "pending_new", "fill"]


def test_old_events_are_replayed_after_a_reconnect(server: SimServer, client: Rest) -> None:
    client.sell(limit_price="2.00")
    server.exchange.inject("W06", count=2)
    with following(server) as socket:
        assert events_of(socket, 2) == ["new", "fill"]


def test_frames_change_between_text_and_binary(server: SimServer, client: Rest) -> None:
    with following(server) as socket:
        server.exchange.inject("W07")
        client.sell(limit_price="2.00")
        kinds = {type(socket.recv(timeout=5)) for _ in range(3)}
    assert kinds == {str, bytes}


def test_a_frame_is_garbage(server: SimServer, client: Rest) -> None:
    with following(server) as socket:
        server.exchange.inject("W08")
        client.sell()
        assert b"not a message" in socket.recv(timeout=5, decode=False)
        assert events_of(socket, 2) == ["pending_new", "new"]


@pytest.mark.parametrize(("what", "place"), [("event", "event"), ("status", "order")])
def test_an_event_or_a_status_is_unknown(server: SimServer, client: Rest, what: str, place: str) -> None:
    with following(server) as socket:
        server.exchange.inject("W08", what=what)
        client.sell()
        data = hear(socket)["data"]
    assert "something_new" in (data[place], data["order"]["status"])


@pytest.mark.parametrize("code", [402, 406, 409])
def test_a_login_is_refused(server: SimServer, code: int) -> None:
    server.exchange.inject("W09", code=code)
    with a_socket(server, "/v2/iex") as socket:
        assert log_in(socket)[0]["code"] == code
    with a_socket(server, "/v2/iex") as socket:
        assert log_in(socket)[0]["msg"] == "authenticated"


def test_a_subscription_is_refused(server: SimServer) -> None:
    with a_socket(server, "/v2/iex") as socket:
        log_in(socket)
        server.exchange.inject("W09", code=405)
        say(socket, {"action": "subscribe", "quotes": ["F"]})
        assert hear(socket) == [{"T": "error", "code": 405, "msg": "symbol limit exceeded"}]


def test_the_trade_stream_refuses_a_login(server: SimServer) -> None:
    server.exchange.inject("W09")
    with a_socket(server, "/stream") as socket:
        say(socket, {"action": "auth", "key": "sim-main", "secret": "sim-secret"})
        assert hear(socket)["data"]["status"] == "unauthorized"


def test_a_handshake_is_answered_with_429(server: SimServer) -> None:
    server.exchange.inject("W09", code=429)
    with pytest.raises(InvalidStatus) as refused, a_socket(server, "/stream"):
        pass
    assert refused.value.response.status_code == 429


def test_a_consumer_is_called_slow(server: SimServer) -> None:
    with a_socket(server, "/v2/iex") as socket:
        log_in(socket)
        server.exchange.inject("W10")
        assert hear(socket) == [{"T": "error", "code": 407, "msg": "slow client"}]
        with pytest.raises(ConnectionClosed):
            hear(socket)


def test_another_programs_order_shows(server: SimServer, client: Rest) -> None:
    with following(server) as socket:
        server.exchange.inject("W11")
        client.sell(client_order_id="mine")
        names = [hear(socket)["data"]["order"]["client_order_id"] for _ in range(3)]
    assert names == ["mine", "another-program-1", "mine"]


def test_events_are_lost_in_a_gap_across_a_reconnect(server: SimServer, client: Rest) -> None:
    with following(server) as socket:
        server.exchange.inject("W12", seconds=0.3)
        with pytest.raises(ConnectionClosedError):
            hear(socket)
    with pytest.raises(InvalidStatus), a_socket(server, "/stream"):
        pass
    client.sell(limit_price="2.00")
    while server.exchange.faults.active:
        client.get("/v2/clock")
    with following(server) as socket:
        client.sell(symbol=CALL)
        assert events_of(socket, 2) == ["pending_new", "new"]


def test_every_name_of_the_family_is_in_the_catalogue() -> None:
    assert {name for name in CATALOGUE if name[0] == "W"} == {f"W{number:02d}" for number in range(1, 13)}
