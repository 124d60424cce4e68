import asyncio
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from time import monotonic

import pytest
from alpaca_stand_in import (
    KEY,
    PATHS,
    SECRET,
    SHORT,
    Answer,
    ReceivedRequest,
    StandIn,
    caught,
    connected,
    read,
    run,
    submit,
)

from sellctl.alpaca.convert import UnreadableError
from sellctl.alpaca.rest import ApiRequest, Credentials, RateLimit, RestClient, exact_json, is_loopback
from sellctl.core.errors import BrokerError, UnknownOutcomeError
from sellctl.core.ports import Broker

POSITIONS = ApiRequest("reading the positions", "/positions")


def a_client(url: str, **options: object) -> RestClient:
    return RestClient(url, Credentials("main", KEY, SECRET), **options)


@pytest.mark.parametrize("status", [429, 504, 500, 503])
@pytest.mark.parametrize("call", PATHS)
def test_no_request_is_sent_twice(stand_in: StandIn, call: object, status: int) -> None:
    stand_in.on(PATHS[call], Answer("", status))
    began = monotonic()
    with connected(stand_in.url) as adapters:
        assert isinstance(call(adapters.brokers["a"]), BrokerError)
    assert len(stand_in.requests) == 1
    assert monotonic() - began < 2


def test_the_adapter_loads_nothing_heavy_of_the_sdk() -> None:
    modules = "broker connect convert errors orders paging quotes rest transport"
    lines = [f"import sellctl.alpaca.{name}" for name in modules.split()]
    code = "\n".join(
        [*lines, "import sys", "print(sorted({'pandas', 'numpy', 'requests', 'alpaca.common'} & set(sys.modules)))"]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  our own code
    assert done.stdout.strip() == "[]"


def test_the_body_of_an_order_is_built_without_the_sdk() -> None:
    code = "import sellctl.alpaca.orders, sys; print('alpaca' in sys.modules, 'requests' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  our own code
    assert done.stdout.split() == ["False", "False"]


# --- deadlines and limits

SLOW = {
    "a server that says nothing": Answer(hang=True),
    "a body that drips": Answer(b"x" * 10_000, drip=True),
    "headers that drip": Answer(drip_headers=True),
}


@pytest.mark.parametrize("answer", SLOW.values(), ids=SLOW)
@pytest.mark.parametrize("call", [read, submit])
def test_no_call_waits_beyond_its_deadline(stand_in: StandIn, call: object, answer: Answer) -> None:
    stand_in.on(PATHS[call], answer)
    began = monotonic()
    with connected(stand_in.url, limits=SHORT) as adapters:
        error = call(adapters.brokers["a"])
    assert monotonic() - began < 2
    assert isinstance(error, UnknownOutcomeError)
    assert "did not answer in time" in str(error)


def test_a_body_beyond_the_limit_is_not_read(stand_in: StandIn) -> None:
    stand_in.on("/v2/positions", Answer(b"[" + b" " * 500_000 + b"]"))
    with connected(stand_in.url, limits=SHORT) as adapters:
        error = read(adapters.brokers["a"])
    assert isinstance(error, UnknownOutcomeError)
    assert "longer than 100000 bytes" in str(error)


BROKEN = {
    "reset": Answer(reset=True),
    "cut short": Answer([], cut=True),
    "not gzip": Answer("x", headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("call", list(PATHS)[:2])
def test_an_answer_that_breaks_off_is_no_answer(stand_in: StandIn, call: object, answer: Answer) -> None:
    stand_in.on(PATHS[call], answer)
    with connected(stand_in.url) as adapters:
        assert isinstance(call(adapters.brokers["a"]), UnknownOutcomeError)
    assert len(stand_in.requests) == 1


def test_a_redirect_to_another_host_is_not_followed_whatever_it_says(stand_in: StandIn) -> None:
    with StandIn() as other:
        other.on("/v2/positions", Answer([]))
        for status in (301, 302, 303, 307, 308):
            stand_in.on("/v2/positions", Answer([], status, {"Location": other.url + "/v2/positions"}))
            with connected(stand_in.url) as adapters:
                error = read(adapters.brokers["a"])
            assert isinstance(error, UnknownOutcomeError)
            assert f"redirect ({status})" in str(error)
        assert other.requests == []


# --- proxies and addresses


def test_no_proxy_is_used_for_this_machine(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.on("/v2/positions", Answer([]))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with connected(stand_in.url) as adapters:
        assert run(adapters.brokers["a"].positions()).rows == ()


def test_elsewhere_a_proxy_is_used_and_the_deadlines_hold(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, stand_in.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    stand_in.on("/v2/positions", Answer([]), Answer(b"x" * 10_000, drip=True))
    with connected("http://alpaca.invalid", limits=SHORT) as adapters:
        assert run(adapters.brokers["a"].positions()).rows == ()
        assert "did not answer in time" in str(read(adapters.brokers["a"]))
    assert stand_in.requests[0].headers["Host"] == "alpaca.invalid"


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:9", True),
        ("http://localhost", True),
        ("http://[::1]:9", True),
        ("http://sim.localhost:9", True),
        ("https://api.alpaca.markets", False),
        ("nonsense", False),
    ],
)
def test_this_machine_is_known_by_its_addresses(url: str, here: bool) -> None:
    assert is_loopback(url) is here


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "ftp://127.0.0.1", "http://127.0.0.1:99999"])
def test_an_address_that_leads_nowhere_is_an_error_with_a_hint(url: str) -> None:
    client = a_client(url, limits=SHORT)
    with pytest.raises(UnknownOutcomeError, match="Check the"):
        run(client.request(POSITIONS, list))


def test_credentials_in_a_netrc_file_are_not_sent(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine alpaca.invalid login other password thing\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", stand_in.url)
    stand_in.on("/v2/positions", Answer([]))
    with connected("http://alpaca.invalid") as adapters:
        run(adapters.brokers["a"].positions())
    assert "Authorization" not in stand_in.requests[0].headers


def test_a_slash_at_the_end_of_an_address_changes_nothing(stand_in: StandIn) -> None:
    stand_in.on("/v2/positions", Answer([]))
    with connected(stand_in.url + "/") as adapters:
        assert run(adapters.brokers["a"].positions()).rows == ()


def test_calls_share_their_connections_and_no_cookies(stand_in: StandIn) -> None:
    stand_in.on("/v2/positions", Answer([], headers={"Set-Cookie": "a=b"}), Answer([]))
    stand_in.on("/v2/orders/1", Answer(status=204))

    async def calls(broker: Broker) -> None:
        for _ in range(3):
            await broker.positions()
            await broker.cancel("1")

    with connected(stand_in.url) as adapters:
        run(calls(adapters.brokers["a"]))
    assert stand_in.connections == 1
    assert "Cookie" not in stand_in.requests[-1].headers


def test_many_calls_at_once_share_a_few_connections(stand_in: StandIn) -> None:
    stand_in.on("/v2/positions", Answer([]))
    client = a_client(stand_in.url, concurrent_reads=8)

    async def calls() -> list[object]:
        return await asyncio.gather(*(client.request(POSITIONS, list) for _ in range(40)))

    assert run(calls()) == [[]] * 40
    assert stand_in.connections <= 8


def test_none_of_the_six_requests_of_an_accounts_first_read_waits_for_another(stand_in: StandIn) -> None:
    all_six = threading.Barrier(6)

    def answer(_request: ReceivedRequest) -> Answer:
        all_six.wait(timeout=2)  # fails when the sixth doesn't come
        return Answer([])

    stand_in.on("/v2/positions", answer)
    client = a_client(stand_in.url)

    async def calls() -> list[object]:
        return await asyncio.gather(*(client.request(POSITIONS, list) for _ in range(6)))

    assert run(calls()) == [[]] * 6


# --- numbers and budgets


def test_json_numbers_keep_every_digit(stand_in: StandIn) -> None:
    stand_in.on("/v2/positions", Answer('{"a": 172.620000000000000001, "b": 1, "c": 1e-9}'))
    client = a_client(stand_in.url)
    assert run(client.request(POSITIONS, dict)) == {
        "a": Decimal("172.620000000000000001"),
        "b": 1,
        "c": Decimal("1E-9"),
    }


@pytest.mark.parametrize("text", ["", "<html>", "[" * 100_000, "1" * 5000, "1e" + "9" * 30])
def test_what_is_no_json_number_does_not_pass(text: str) -> None:
    with pytest.raises(UnreadableError):
        exact_json(text.encode())


def test_the_budget_is_the_one_of_the_last_answer_that_told_it(stand_in: StandIn) -> None:
    told = {"X-Ratelimit-Limit": "200", "X-Ratelimit-Remaining": "199", "X-Ratelimit-Reset": "1763650000"}
    stand_in.on(
        "/v2/positions", Answer([], headers=told), Answer([]), Answer("", 500, {**told, "X-Ratelimit-Remaining": "7"})
    )
    with connected(stand_in.url) as adapters:
        broker = adapters.brokers["a"]
        assert broker.rate_limit is None
        run(broker.positions())
        assert broker.rate_limit == RateLimit(200, 199, 1763650000)
        run(broker.positions())
        caught(broker.positions())
        assert broker.rate_limit == RateLimit(200, 7, 1763650000)
